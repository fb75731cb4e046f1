//! Cases of connections that become something else than HTTP.

use tokio::io::AsyncWriteExt as _;

use crate::{
    bodies::OK,
    stage::{Case, Origin},
    wire::{Head, Wire},
};

const ASKS: [(&str, &str); 6] = [
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "a, b.c"),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
];
const TAKES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: b.c\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// An open socket: the browser's end, the program's, and what was asked and answered.
async fn open(case: Case<'_>, origin: &Origin) -> (Wire, Wire, Head, Head) {
    let mut wire = case.ask(origin.port, "GET /socket?x=1", &ASKS, "").await;
    let (asked, _, program) = origin.answer(TAKES).await;
    let told = wire.head().await;
    assert_eq!(told.status(), 101);
    (wire, program, asked, told)
}

pub(crate) async fn taken_with_all_that_was_agreed(case: Case<'_>) {
    let (mut wire, mut program, asked, told) = open(case, &case.origin().await).await;
    assert_eq!(asked.start, "GET /socket?x=1 HTTP/1.1");
    for (name, value) in &ASKS[2..] {
        assert_eq!(asked.get(name), Some(*value), "{name}");
    }
    assert_eq!(asked.get("upgrade"), Some("websocket"));
    assert!(asked.get("connection").is_some_and(|it| it.eq_ignore_ascii_case("upgrade")));
    assert_eq!(told.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(told.get("sec-websocket-protocol"), Some("b.c"));
    assert_eq!(told.get("sec-websocket-extensions"), Some("permessage-deflate"));
    wire.send("ping").await;
    assert_eq!(program.exact(4).await.unwrap(), b"ping");
    program.send("pong").await;
    assert_eq!(wire.exact(4).await.unwrap(), b"pong");
}

pub(crate) async fn what_the_program_says_with_its_answer_is_not_lost(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &ASKS, "").await;
    let (_, _, mut program) = origin.answer(format!("{TAKES}first words")).await;
    assert_eq!(wire.head().await.status(), 101);
    assert_eq!(wire.exact(11).await.unwrap(), b"first words");
    wire.send("and back").await;
    assert_eq!(program.exact(8).await.unwrap(), b"and back");
}

/// Ping, pong, close and compressed frames are bytes like any others.
pub(crate) async fn frames_are_left_as_they_are(case: Case<'_>) {
    let (mut wire, mut program, ..) = open(case, &case.origin().await).await;
    let ping = [0x89, 0x84, 1, 2, 3, 4, b'p' ^ 1, b'i' ^ 2, b'n' ^ 3, b'g' ^ 4];
    let deflated =
        [0xc1, 0x87, 9, 8, 7, 6, 0xf2 ^ 9, 0x48 ^ 8, 0xcd ^ 7, 0xc9 ^ 6, 0xc9 ^ 9, 7 ^ 8, 7];
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&ping[..], &deflated, &all, &[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]] {
        wire.send(bytes).await;
        assert_eq!(program.exact(bytes.len()).await.unwrap(), bytes);
        program.send(bytes).await;
        assert_eq!(wire.exact(bytes.len()).await.unwrap(), bytes);
    }
}

pub(crate) async fn a_message_of_eight_mebibytes(case: Case<'_>) {
    let (mut wire, mut program, ..) = open(case, &case.origin().await).await;
    let big: Vec<u8> = (0..=252).cycle().take(8 * 1024 * 1024).collect();
    let there = async {
        wire.send(&big).await;
        wire.exact(big.len()).await.unwrap()
    };
    let back = async {
        let got = program.exact(big.len()).await.unwrap();
        program.send(&got).await;
    };
    let (echoed, ()) = tokio::join!(there, back);
    assert!(echoed == big, "8 MiB come back as they were");
}

pub(crate) async fn another_protocol(case: Case<'_>) {
    let origin = case.origin().await;
    let asks = [("connection", "upgrade"), ("upgrade", "odd/1.0")];
    let mut wire = case.ask(origin.port, "POST /", &asks, "").await;
    let takes = "HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: odd/1.0\r\n\r\n";
    let (asked, _, mut program) = origin.answer(takes).await;
    assert_eq!(asked.get("upgrade"), Some("odd/1.0"));
    assert_eq!(wire.head().await.get("upgrade"), Some("odd/1.0"));
    wire.send("\0\n").await;
    assert_eq!(program.exact(2).await.unwrap(), b"\0\n");
}

pub(crate) async fn refused(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &ASKS, "").await;
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let (_, _, mut program) = origin.answer(answer).await;
    let head = wire.head().await;
    assert_eq!(head.status(), 403);
    assert_eq!(wire.body(&head).await.unwrap().0, b"no");
    assert!(program.rest().await.is_none_or(|rest| rest.is_empty()), "no socket is left");
}

pub(crate) async fn answered_as_an_ordinary_request(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &ASKS, "").await;
    let (_, _, mut program) = origin.answer(OK).await;
    let head = wire.head().await;
    assert_eq!((head.status(), wire.body(&head).await.unwrap().0), (200, b"ok".to_vec()));
    assert!(program.rest().await.is_none_or(|rest| rest.is_empty()), "no socket is left");
}

pub(crate) async fn a_protocol_nobody_asked_for(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    origin.answer(TAKES).await;
    assert_eq!(wire.head().await.status(), 502);
}

pub(crate) async fn http_2_is_not_upgraded_to(case: Case<'_>) {
    let asks = [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
    ];
    let (head, asked, _) = case.relayed("GET /", &asks, OK).await;
    assert_eq!(head.status(), 200);
    assert_eq!((asked.get("upgrade"), asked.get("http2-settings")), (None, None));
}

pub(crate) async fn each_direction_ends_by_itself(case: Case<'_>) {
    let (mut wire, mut program, ..) = open(case, &case.origin().await).await;
    wire.send("question").await;
    wire.stream.shutdown().await.unwrap();
    assert_eq!(program.rest().await.unwrap(), b"question", "the program sees the end");
    program.send("late answer").await;
    program.stream.shutdown().await.unwrap();
    assert_eq!(wire.rest().await.unwrap(), b"late answer");

    let (mut wire, mut program, ..) = open(case, &case.origin().await).await;
    program.stream.shutdown().await.unwrap();
    assert_eq!(wire.rest().await.unwrap(), b"");
    wire.send("still here").await;
    wire.stream.shutdown().await.unwrap();
    assert_eq!(program.rest().await.unwrap(), b"still here");
}

pub(crate) async fn either_end_that_goes_away_ends_the_other(case: Case<'_>) {
    let (wire, mut program, ..) = open(case, &case.origin().await).await;
    drop(wire);
    assert!(program.rest().await.is_none_or(|rest| rest.is_empty()));
    let (mut wire, program, ..) = open(case, &case.origin().await).await;
    drop(program);
    assert!(wire.rest().await.is_none_or(|rest| rest.is_empty()));
}

/// A page's socket needs the origin of a page of the sandbox listener.
pub(crate) async fn only_for_pages_of_this_origin(case: Case<'_>) {
    let origin = case.origin().await;
    let cookie = format!("staithe_sign_in={}", case.stage.token);
    let own = format!("http://{}", case.host());
    for (from, expected) in [
        (own.as_str(), 101),
        ("https://evil.example", 403),
        ("null", 403),
        (case.stage.server.url.as_str(), 403),
        ("-", 403),
    ] {
        let headers = [&ASKS[..], &[("cookie", &cookie), ("origin", from)]].concat();
        let mut wire = case.ask(origin.port, "GET /", &headers, "").await;
        if expected == 101 {
            let (asked, ..) = origin.answer(TAKES).await;
            assert_eq!(asked.get("origin"), Some(from));
            assert_eq!(asked.get("cookie"), None);
        }
        assert_eq!(wire.head().await.status(), expected, "{from}");
    }
}
