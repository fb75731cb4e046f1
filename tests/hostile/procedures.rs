//! Rows of more than one step.

use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join, join_all};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Row, Sent,
    common::{Server, processes::resident},
    stage::Stage,
    wire::{self, Request, Said},
};

pub(crate) fn rows(_: &Stage) -> Vec<Row> {
    let row = |name: &str, steps, wanted| Row(format!("steps: {name}"), Sent::Steps(steps), wanted);
    vec![
        row(
            "a client sets what only the server sets",
            what_is_ours,
            "its own id, user, no cause, now",
        ),
        row("a ref again", ref_again, "done, the same event"),
        row("a ref again with another action", ref_reused, "denied ref.reused"),
        row("the same by REST", key_reused, "422 ref.reused"),
        row(
            "two creations at once with one key",
            one_key,
            "201 201 one session; 422 idempotency.key_reused",
        ),
        row(
            "a viewer's frames",
            viewer,
            "denied auth.read_only, denied auth.read_only, denied auth.read_only, done",
        ),
        row("10,000 pings", pings, "pongs, then pong"),
        row("fragments without end", endless_fragments, "close 1009 within bounds"),
        row("a body without end", endless_body, "413 request.too_large within bounds"),
        row("heads that never end", slow_heads, "200 - meanwhile; 408 -"),
        row("a command while another runs", busy, "not run; the other goes on; it ended with 0"),
        row(
            "a server with small limits",
            small_limits,
            "201, 503 limits.max_sessions, 429 request.too_many",
        ),
    ]
}

fn what_is_ours(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let action = json!({
            "action": "think", "args": { "thought": "mine" }, "id": 999_999, "source": "agent", "cause": 0,
            "timestamp": "1970-01-01T00:00:00Z", "message": "forged",
        });
        let cause =
            stage.act(&action).await.expect("it is taken")["cause"].as_i64().expect("a cause");
        let page =
            stage.server.json(&format!("{}/events?after={}&limit=1", stage.at, cause - 1)).await;
        let event = &page["events"][0];
        let fine = event["id"] == cause
            && event["source"] == "user"
            && event["cause"].is_null()
            && !event["timestamp"].as_str().unwrap_or("1970").starts_with("1970")
            && event["message"] != "forged";
        if fine { "its own id, user, no cause, now".into() } else { event.to_string() }
    })
}

fn think(reference: &str, thought: &str) -> Value {
    let action = json!({ "action": "think", "args": { "thought": thought } });
    json!({ "type": "do", "ref": reference, "action": action })
}

fn ref_again(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let (mut client, reference) = (stage.client().await, stage.reference());
        let first = client.ask(&think(&reference, "a")).await;
        let again = stage.client().await.ask(&think(&reference, "a")).await;
        if first == again && first["type"] == "done" {
            "done, the same event".into()
        } else {
            again.to_string()
        }
    })
}

fn ref_reused(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let (mut client, reference) = (stage.client().await, stage.reference());
        client.ask(&think(&reference, "a")).await;
        wire::shown(&Ok(client.ask(&think(&reference, "b")).await))
    })
}

fn key_reused(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let (mut client, reference) = (stage.client().await, stage.reference());
        client.ask(&think(&reference, "a")).await;
        let request = Request::post(
            format!("{}/actions", stage.at),
            r#"{"action":"think","args":{"thought":"c"}}"#,
        );
        stage.ask(&request.header("Idempotency-Key", reference)).await.expect("an answer").shown()
    })
}

fn one_key(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let create = |title: &str| {
            Request::post("/api/sessions", json!({ "title": title }).to_string())
                .header("Idempotency-Key", "once")
        };
        let (one, other) =
            join(stage.ask(&create("a")), async { stage.ask(&create("a")).await }).await;
        let (one, other) = (one.expect("an answer"), other.expect("an answer"));
        let same =
            if one.json()["id"] == other.json()["id"] { "one session" } else { "two sessions" };
        let reused = stage.ask(&create("b")).await.expect("an answer");
        let gone = Request::delete(format!(
            "/api/sessions/{}",
            one.json()["id"].as_str().unwrap_or_default()
        ));
        stage.ask(&gone).await;
        format!("{} {} {same}; {}", one.status, other.status, reused.shown())
    })
}

fn viewer(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let mut socket = stage.join(&stage.viewer).await;
        let mut said = Vec::new();
        for frame in [
            think("v", "a").to_string(),
            r#"{"type":"file","ref":"v","op":"mkdir","path":"v"}"#.into(),
            r#"{"type":"interrupt","ref":"v"}"#.into(),
            r#"{"type":"file","ref":"v","op":"stat","path":""}"#.into(),
        ] {
            socket.text(&frame).await;
            said.push(wire::shown(&socket.answer().await));
        }
        said.join(", ")
    })
}

/// Only the newest ping needs an answer; and what comes after them is answered too.
fn pings(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let mut socket = stage.join(&stage.editor).await;
        let ping = wire::frame(0x89, &[b'p'; 125]);
        socket.send(&ping.repeat(10_000)).await;
        socket.text(r#"{"type":"ping"}"#).await;
        let mut pongs = 0;
        loop {
            match socket.next().await {
                Said::Control(10) => pongs += 1,
                Said::Text(frame) if frame["type"] == "pong" && pongs > 0 => {
                    return "pongs, then pong".into();
                }
                Said::Text(frame) if frame["type"] != "pong" => {}
                other => return format!("{pongs} pongs, {other:?}"),
            }
        }
    })
}

fn endless_fragments(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let mut socket = stage.join(&stage.editor).await;
        let fragment = wire::frame(0x00, &vec![b' '; 65536]);
        socket.send(&wire::frame(0x01, b" ")).await;
        for _ in 0..(25 << 20) / 65536 {
            socket.send(&fragment).await;
        }
        format!("{} within bounds", wire::shown(&socket.answer().await))
    })
}

fn endless_body(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        const MOST: usize = 64 << 20;
        let head = Request::post("/api/sessions", "").header("Transfer-Encoding", "chunked");
        let bytes = String::from_utf8(head.bytes(stage.server.address(), &stage.server.token))
            .expect("text");
        let stream = TcpStream::connect(stage.server.address()).await.expect("it listens");
        let (mut from, mut to) = stream.into_split();
        let sending = async move {
            let mut chunk = b"10000\r\n".to_vec();
            chunk.resize(7 + 65536, b' ');
            chunk.extend_from_slice(b"\r\n");
            let head = bytes.replace("Content-Length: 0\r\n", "");
            let mut sent = 0;
            if to.write_all(head.as_bytes()).await.is_err() {
                return sent;
            }
            while sent < MOST && to.write_all(&chunk).await.is_ok() {
                sent += chunk.len();
            }
            sent
        };
        let reading = async move {
            let mut all = Vec::new();
            drop(tokio::time::timeout(Duration::from_secs(20), from.read_to_end(&mut all)).await);
            wire::parse(&all)
        };
        let before = resident(stage.server.pid());
        let (sent, answer) = join(sending, reading).await;
        let answer = answer.map_or("cut".into(), |answer| answer.shown());
        // The rest is read and thrown away, chunk by chunk (actix-http): it costs nothing that lasts.
        let grown = resident(stage.server.pid()).saturating_sub(before) >> 20;
        if grown < 24 {
            format!("{answer} within bounds")
        } else {
            format!("{answer}, {grown} MiB for {sent} bytes")
        }
    })
}

/// A hundred clients that never finish their request cost nobody else anything.
fn slow_heads(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let address = stage.server.address();
        let mut slow = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let part = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-";
            stream.write_all(part).await.expect("it takes it");
            slow.push(stream);
        }
        let health = stage.ask(&Request::get("/health")).await.expect("an answer").shown();
        let mut ends = join_all(slow.into_iter().map(end_of)).await;
        ends.sort();
        ends.dedup();
        format!("{health} meanwhile; {}", ends.join(", "))
    })
}

/// What a server says at last to a client that says nothing more.
async fn end_of(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    drop(tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await);
    wire::parse(&all).map_or("cut".into(), |answer| answer.shown())
}

fn busy(stage: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let run = |command: &str, is_input: bool| json!({ "action": "run", "args": { "command": command, "is_input": is_input } });
        let runs = stage.act(&run("cat", false)).await.expect("it is taken");
        let second = stage.act(&run("echo second", false)).await.expect("it is taken");
        let input = stage.act(&run("still here", true)).await.expect("it is taken");
        let ended = stage.act(&run("C-d", true)).await.expect("it is taken");
        let code = |event: &Value| event["extras"]["exit_code"].clone();
        let refused = second.to_string().contains("NOT executed") && code(&second) == -1;
        let goes_on = code(&runs) == -1 && input.to_string().contains("still here");
        if !refused || !goes_on {
            return format!("{runs}\n{second}\n{input}\n{ended}");
        }
        format!("not run; the other goes on; it ended with {}", code(&ended))
    })
}

/// Limits that the other rows would run into have a server of their own.
fn small_limits(_: &Stage) -> LocalBoxFuture<'_, String> {
    Box::pin(async {
        let dir = tempfile::tempdir().expect("a directory");
        let limits = [
            ("STAITHE__LIMITS__MAX_SESSIONS", "1"),
            ("STAITHE__LIMITS__OVER_LIMIT", "deny"),
            ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "1"),
            ("STAITHE__LIMITS__REQUEST_BURST", "10"),
        ];
        let mut server = Server::start_with(dir.path(), &limits).await;
        let address = server.address();
        let token = server.token.as_str();
        let ask = |request: Request| async move {
            let bytes = request.bytes(address, token);
            wire::exchange(address, &bytes).await.expect("an answer")
        };
        let create = || Request::post("/api/sessions", "{}");
        let (first, second) = (ask(create()).await, ask(create()).await);
        let mut last = second.clone();
        for _ in 0..40 {
            last = ask(Request::get("/health").anonymous()).await;
        }
        let said = format!("{}, {}, {}", first.status, second.shown(), last.shown());
        let retry = [&second, &last].map(|answer| answer.header("retry-after").is_some());
        server.sigterm().await;
        if retry == [true, true] { said } else { format!("{said} without Retry-After") }
    })
}
