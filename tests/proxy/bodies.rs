//! Cases of bodies, and of how an exchange goes and ends.

use crate::{stage::Case, wire::Wire};

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn whole(wire: &mut Wire) -> (u16, String) {
    let head = wire.head().await;
    let body = wire.body(&head).await.expect("a whole answer").0;
    (head.status(), String::from_utf8(body).unwrap())
}

pub(crate) async fn a_plain_request(case: Case<'_>) {
    let (head, asked, body) = case.relayed("GET /a/b?c=d", &[("accept", "x/y")], OK).await;
    assert_eq!((head.status(), &body[..]), (200, &b"ok"[..]));
    assert_eq!(asked.start, "GET /a/b?c=d HTTP/1.1");
    assert_eq!(asked.get("accept"), Some("x/y"));
    assert_eq!(asked.get("authorization"), None, "ours stays here");
    assert_eq!(head.get("content-length"), Some("2"));
}

pub(crate) async fn chunked_both_ways(case: Case<'_>) {
    let origin = case.origin().await;
    let body = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    let mut wire = case.ask(origin.port, "POST /", &[("transfer-encoding", "chunked")], body).await;
    let answer =
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
    let (_, asked, _program) = origin.answer(answer).await;
    assert_eq!(asked, b"hello world");
    assert_eq!(whole(&mut wire).await, (201, "abcd".into()));
}

pub(crate) async fn a_body_of_a_get(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[("content-length", "4")], "body").await;
    let (_, asked, _program) = origin.answer(OK).await;
    assert_eq!(asked, b"body");
    assert_eq!(whole(&mut wire).await.0, 200);
}

pub(crate) async fn an_empty_post(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "POST /", &[("content-length", "0")], "").await;
    let (asked, body, _program) = origin.answer(OK).await;
    assert_eq!((asked.get("content-length"), body.len()), (Some("0"), 0));
    assert_eq!(whole(&mut wire).await.0, 200);
}

pub(crate) async fn response_trailers(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[("te", "trailers")], "").await;
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n\
                  1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n";
    let (asked, ..) = origin.answer(answer).await;
    assert_eq!(asked.get("te"), Some("trailers"));
    let head = wire.head().await;
    let (body, trailers) = wire.body(&head).await.unwrap();
    assert_eq!(body, b"x");
    assert_eq!(trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

pub(crate) async fn request_trailers(case: Case<'_>) {
    let origin = case.origin().await;
    let headers = [("transfer-encoding", "chunked"), ("trailer", "x-sum")];
    let body = "1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n";
    let mut wire = case.ask(origin.port, "PUT /", &headers, body).await;
    let mut program = origin.accept().await;
    let head = program.head().await;
    let (body, trailers) = program.body(&head).await.unwrap();
    assert_eq!(body, b"x");
    assert_eq!(trailers, [("x-sum".to_owned(), "7".to_owned())]);
    program.send(OK).await;
    assert_eq!(whole(&mut wire).await.0, 200);
}

pub(crate) async fn continue_when_the_program_says_so(case: Case<'_>) {
    let origin = case.origin().await;
    let headers = [("expect", "100-continue"), ("content-length", "4")];
    let mut wire = case.ask(origin.port, "PUT /", &headers, "").await;
    let mut program = origin.accept().await;
    let asked = program.head().await;
    if case.is_direct() {
        assert_eq!(asked.get("expect"), Some("100-continue"));
        program.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    assert_eq!(wire.head().await.status(), 100);
    wire.send("body").await;
    assert_eq!(program.body(&asked).await.unwrap().0, b"body");
    program.send(OK).await;
    assert_eq!(whole(&mut wire).await.0, 200);
}

pub(crate) async fn no_continue_when_the_program_refuses(case: Case<'_>) {
    let origin = case.origin().await;
    let headers = [("expect", "100-continue"), ("content-length", "4")];
    let mut wire = case.ask(origin.port, "PUT /", &headers, "").await;
    let mut program = origin.accept().await;
    program.head().await;
    program.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno").await;
    assert_eq!(whole(&mut wire).await, (417, "no".into()), "and no 100 before it");
}

pub(crate) async fn informational_answers_are_skipped(case: Case<'_>) {
    let answer = format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK}");
    let (head, _, body) = case.relayed("GET /", &[], &answer).await;
    assert_eq!((head.status(), &body[..]), (200, &b"ok"[..]));
}

pub(crate) async fn a_slow_request_body(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "POST /", &[("transfer-encoding", "chunked")], "").await;
    wire.send("3\r\none\r\n").await;
    let mut program = origin.accept().await;
    program.head().await;
    assert_eq!(program.chunk().await.unwrap(), b"one", "before the next is sent");
    wire.send("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(program.chunk().await.unwrap(), b"two");
    assert_eq!(program.chunk().await.unwrap(), b"");
    program.send(OK).await;
    assert_eq!(whole(&mut wire).await.0, 200);
}

pub(crate) async fn a_slow_answer(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let mut program = origin.accept().await;
    program.head().await;
    program.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none").await;
    assert_eq!(wire.head().await.status(), 200);
    assert_eq!(wire.exact(3).await.unwrap(), b"one", "before the next is sent");
    program.send("two").await;
    assert_eq!(wire.exact(3).await.unwrap(), b"two");
}

pub(crate) async fn server_sent_events(case: Case<'_>) {
    let origin = case.origin().await;
    let accept = [("accept", "text/event-stream")];
    let mut wire = case.ask(origin.port, "GET /events", &accept, "").await;
    let mut program = origin.accept().await;
    program.head().await;
    program
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let head = wire.head().await;
    assert_eq!(head.get("content-type"), Some("text/event-stream"));
    assert_eq!(head.get("content-encoding"), None);
    for number in 0..20 {
        let event = format!("data: {number}\n\n");
        program.send(format!("{:x}\r\n{event}\r\n", event.len())).await;
        assert_eq!(wire.chunk().await.unwrap(), event.as_bytes(), "each before the next is sent");
    }
}

pub(crate) async fn grpc_web(case: Case<'_>) {
    let origin = case.origin().await;
    let kind = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")];
    let mut wire = case.ask(origin.port, "POST /pkg.Service/Call", &kind, "\0\0\0\0\u{3}abc").await;
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc-web+proto\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    let message = [0, 0, 0, 0, 2, 0xff, 0xfe];
    let trailers = b"\x80\0\0\0\x0fgrpc-status:0\r\n";
    for frame in [&message[..], &trailers[..]] {
        answer.extend(format!("{:x}\r\n", frame.len()).bytes());
        answer.extend(frame);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    let (asked, body, _program) = origin.answer(answer).await;
    assert_eq!((asked.get("x-grpc-web"), &body[..]), (Some("1"), &b"\0\0\0\0\x03abc"[..]));
    let head = wire.head().await;
    assert_eq!(wire.body(&head).await.unwrap().0, [&message[..], &trailers[..]].concat());
}

pub(crate) async fn an_early_answer(case: Case<'_>) {
    let origin = case.origin().await;
    let headers = [("content-length", "100000000")];
    let mut wire = case.ask(origin.port, "POST /", &headers, "first").await;
    let mut program = origin.accept().await;
    program.head().await;
    program.exact(5).await.unwrap();
    program.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    assert_eq!(whole(&mut wire).await, (413, "big".into()));
}

/// A program that says both: the chunks count, and none is cut off.
pub(crate) async fn an_answer_with_a_length_beside_chunks(case: Case<'_>) {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                  b\r\nhello world\r\n0\r\n\r\n";
    let (head, _, body) = case.relayed("GET /", &[], answer).await;
    assert_eq!((head.status(), &body[..]), (200, &b"hello world"[..]));
    assert_eq!(head.get("content-length"), None);
}

pub(crate) async fn a_cut_in_a_sized_answer(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let (_, _, program) =
        origin.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").await;
    drop(program);
    let head = wire.head().await;
    assert_eq!(head.status(), 200);
    assert!(wire.body(&head).await.is_none(), "it is not whole, and that can be seen");
}

pub(crate) async fn a_cut_in_a_chunked_answer(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (_, _, program) = origin.answer(answer).await;
    drop(program);
    let head = wire.head().await;
    assert!(wire.body(&head).await.is_none(), "it is not whole, and that can be seen");
}

/// A body that ends with the connection: a reset is no end.
pub(crate) async fn a_reset_in_an_unsized_answer(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let (_, _, program) = origin.answer("HTTP/1.1 200 OK\r\n\r\nonly this").await;
    let head = wire.head().await;
    assert_eq!(wire.chunk().await.unwrap(), b"only this");
    program.stream.set_zero_linger().unwrap();
    drop(program);
    assert!(wire.body(&head).await.is_none(), "it is not whole, and that can be seen");
}

pub(crate) async fn an_answer_that_ends_with_the_connection(case: Case<'_>) {
    let (head, _, body) =
        case.relayed("GET /", &[], "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nall of it").await;
    assert_eq!((head.status(), head.get("content-type")), (200, Some("a/b")));
    assert_eq!(body, b"all of it");
}

pub(crate) async fn no_answer_at_all(case: Case<'_>) {
    for answer in ["", "HTTP/1.1 2", "nonsense\r\n\r\n"] {
        let origin = case.origin().await;
        let mut wire = case.ask(origin.port, "GET /", &[], "").await;
        drop(origin.answer(answer).await);
        let (status, body) = whole(&mut wire).await;
        assert_eq!(status, 502, "{answer:?}");
        assert!(body.contains("proxy.bad_answer"), "{body}");
    }
}

pub(crate) async fn head_has_no_body(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "HEAD /", &[], "").await;
    let (asked, ..) = origin.answer("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n").await;
    assert!(asked.start.starts_with("HEAD / "));
    let head = wire.head().await;
    assert_eq!((head.status(), head.get("content-length")), (200, Some("12345")));
    // The connection is good for another request: no body was taken for one.
    let next = case.origin().await;
    wire.send(case.bytes(next.port, "GET /", &[], "")).await;
    next.answer(OK).await;
    assert_eq!(whole(&mut wire).await, (200, "ok".into()));
}

pub(crate) async fn a_range(case: Case<'_>) {
    let answer =
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/9\r\nContent-Length: 2\r\n\r\ncd";
    let (head, asked, body) = case.relayed("GET /f", &[("range", "bytes=2-3")], answer).await;
    assert_eq!(asked.get("range"), Some("bytes=2-3"));
    assert_eq!((head.status(), head.get("content-range")), (206, Some("bytes 2-3/9")));
    assert_eq!(body, b"cd");
}

pub(crate) async fn not_modified(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "GET /", &[("if-none-match", "\"v\"")], "").await;
    let (asked, ..) = origin.answer("HTTP/1.1 304 Not Modified\r\nETag: \"v\"\r\n\r\n").await;
    assert_eq!(asked.get("if-none-match"), Some("\"v\""));
    let head = wire.head().await;
    assert_eq!((head.status(), head.get("etag")), (304, Some("\"v\"")));
}

pub(crate) async fn no_content(case: Case<'_>) {
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "DELETE /x", &[], "").await;
    origin.answer("HTTP/1.1 204 No Content\r\n\r\n").await;
    let head = wire.head().await;
    assert_eq!((head.status(), head.get("transfer-encoding")), (204, None));
    let next = case.origin().await;
    wire.send(case.bytes(next.port, "GET /", &[], "")).await;
    next.answer(OK).await;
    assert_eq!(whole(&mut wire).await, (200, "ok".into()));
}

pub(crate) async fn requests_in_a_row(case: Case<'_>) {
    let origin = case.origin().await;
    let one = case.bytes(origin.port, "GET /one", &[], "");
    let two = case.bytes(origin.port, "GET /two", &[], "");
    let mut wire = case.raw([one, two].concat()).await;
    for name in ["/one", "/two"] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{name}");
        let (asked, ..) = origin.answer(answer).await;
        assert_eq!(asked.target(), name);
        assert_eq!(whole(&mut wire).await, (200, name.into()));
    }
}

pub(crate) async fn a_large_body_each_way(case: Case<'_>) {
    let origin = case.origin().await;
    let size = 8 * 1024 * 1024;
    let big: Vec<u8> = (0..=250).cycle().take(size).collect();
    let length = size.to_string();
    let mut wire = case.ask(origin.port, "POST /", &[("content-length", &length)], "").await;
    let sending = async {
        wire.send(&big).await;
        let head = wire.head().await;
        wire.body(&head).await.unwrap().0
    };
    let echoing = async {
        let mut program = origin.accept().await;
        let head = program.head().await;
        let body = program.body(&head).await.unwrap().0;
        program.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        program.send(&body).await;
        program
    };
    let (echoed, _program) = tokio::join!(sending, echoing);
    assert!(echoed == big, "8 MiB come back as they were");
}

pub(crate) async fn a_client_that_goes_away(case: Case<'_>) {
    let origin = case.origin().await;
    let wire = case.ask(origin.port, "GET /", &[], "").await;
    let mut program = origin.accept().await;
    program.head().await;
    drop(wire);
    // While it waits for the answer; the program hears of it without having written.
    let end = program.rest().await;
    assert!(end.is_none_or(|rest| rest.is_empty()));

    let mut wire = case.ask(origin.port, "GET /", &[], "").await;
    let mut program = origin.accept().await;
    program.head().await;
    program.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    wire.head().await;
    drop(wire);
    let end = program.rest().await;
    assert!(end.is_none_or(|rest| rest.is_empty()), "and while it gets the answer");
}
