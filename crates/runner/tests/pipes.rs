//! Programs as streams of bytes.
#![expect(clippy::unwrap_used, reason = "what can't be had ends the test")]

mod common;

use common::{KEY, PATIENCE, Runner, eventually};
use http_body_util::Empty;
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use staithe_protocol::{
    pipe::{PipeCode, PipeDenied, PipeEnd, PipeStarted},
    runner::KEY_HEADER,
    tunnel::PROTOCOL,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

type Stream = TokioIo<hyper::upgrade::Upgraded>;

async fn start(runner: &Runner, what: Value) -> Result<String, PipeDenied> {
    let (status, body) = runner.post("/pipes", &what).await;
    if status == 201 {
        return Ok(serde_json::from_value::<PipeStarted>(body).unwrap().id);
    }
    Err(serde_json::from_value(body).unwrap())
}

async fn shell(runner: &Runner, line: &str) -> String {
    start(runner, json!({ "argv": ["sh", "-c", line] })).await.unwrap()
}

async fn try_open(runner: &Runner, id: &str) -> Result<Stream, u16> {
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(runner.connect().await)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = Request::get(format!("/pipes/{id}"))
        .header(KEY_HEADER, KEY)
        .header("connection", "upgrade")
        .header("upgrade", PROTOCOL)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = send.send_request(request).await.unwrap();
    match response.status().as_u16() {
        101 => Ok(TokioIo::new(hyper::upgrade::on(response).await.unwrap())),
        status => Err(status),
    }
}

async fn open(runner: &Runner, id: &str) -> Stream {
    try_open(runner, id).await.unwrap()
}

async fn end(runner: &Runner, id: &str) -> PipeEnd {
    let path = format!("/pipes/{id}");
    let (status, _, body) = runner.http(Method::DELETE, &path, &[(KEY_HEADER, KEY)], "").await;
    assert_eq!(status, 200, "{body:?}");
    serde_json::from_slice(&body).unwrap()
}

async fn send(stream: &mut Stream, bytes: &[u8]) {
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// The next bytes; empty at the end, none when it was broken off.
async fn next(stream: &mut Stream) -> Option<Vec<u8>> {
    let reading = async {
        let length = usize::from(stream.read_u16().await.ok()?);
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    };
    timeout(PATIENCE, reading).await.expect("it speaks")
}

/// A line, whatever pieces it comes in.
async fn line(stream: &mut Stream) -> String {
    let mut all = Vec::new();
    while all.last() != Some(&b'\n') {
        all.extend(next(stream).await.expect("not broken off"));
    }
    String::from_utf8(all).unwrap().trim_end().to_owned()
}

fn is_alive(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    test_kill_process(pid).is_ok()
}

async fn gone(pid: &str) {
    eventually("the process has gone", async || (!is_alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let runner = Runner::start().await;
    let start = start(
        &runner,
        json!({
            "argv": ["sh", "-c", "echo \"$0 $1 $SECRET $(basename \"$PWD\")\"; cat; echo over >&2; exit 7", "a b", "*"],
            "env": { "SECRET": "$HOME" },
            "cwd": "sub"
        }),
    );
    std::fs::create_dir(runner.workspace().join("sub")).unwrap();
    let id = start.await.unwrap();
    let mut stream = open(&runner, &id).await;
    assert_eq!(line(&mut stream).await, "a b * $HOME sub", "no shell has seen its words");
    send(&mut stream, b"one\n").await;
    assert_eq!(line(&mut stream).await, "one");
    assert_eq!(try_open(&runner, &id).await.err(), Some(404), "it has one stream");
    send(&mut stream, b"two\n").await;
    stream.write_u16(0).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(line(&mut stream).await, "two");
    assert_eq!(next(&mut stream).await.as_deref(), Some(&b""[..]), "its end is told");
    assert_eq!(end(&runner, &id).await, PipeEnd { code: 7, log: "over".into() });
    let (status, ..) =
        runner.http(Method::DELETE, &format!("/pipes/{id}"), &[(KEY_HEADER, KEY)], "").await;
    assert_eq!(status, 404, "it is forgotten");
}

#[tokio::test]
async fn what_a_program_said_before_its_end_is_heard_though_it_reads_nothing() {
    let runner = Runner::start().await;
    let id = shell(&runner, "exec 0<&-; head -c 50000 /dev/zero; exit 0").await;
    let mut stream = open(&runner, &id).await;
    for _ in 0..20 {
        // Nobody reads it, and the runner may have hung up before the last one.
        drop(stream.write_u16(1000).await);
        drop(stream.write_all(&[b'x'; 1000]).await);
        drop(stream.flush().await);
    }
    let mut heard = 0;
    loop {
        match next(&mut stream).await.expect("not broken off").len() {
            0 => break,
            length => heard += length,
        }
    }
    assert_eq!(heard, 50_000);
}

#[tokio::test]
async fn a_program_ends_with_its_stream_and_takes_with_it_what_it_started() {
    let runner = Runner::start().await;
    // Both are deaf to a polite request, and the second has a session of its own.
    let id = shell(
        &runner,
        "trap '' TERM; (trap '' TERM HUP; exec setsid sleep 600) & echo $$ $!; sleep 600; sleep 600",
    )
    .await;
    let mut stream = open(&runner, &id).await;
    let pids = line(&mut stream).await;
    let pids: Vec<&str> = pids.split(' ').collect();
    assert!(pids.iter().all(|pid| is_alive(pid)));
    drop(stream);
    for pid in pids {
        gone(pid).await;
    }
    assert_eq!(end(&runner, &id).await.code, 128 + 9);
}

#[tokio::test]
async fn one_that_ends_by_request_says_its_last_words() {
    let runner = Runner::start().await;
    let id = shell(
        &runner,
        "trap 'echo bye >&2; exit 3' TERM; echo $$; i=0; while [ $i -lt 30 ]; do echo line $i >&2; i=$((i+1)); done; \
         echo ready; while :; do sleep 0.01; done",
    )
    .await;
    let mut stream = open(&runner, &id).await;
    let mut said = String::new();
    while !said.contains("ready") {
        said = line(&mut stream).await;
    }
    let ended = end(&runner, &id).await;
    assert_eq!(ended.code, 3);
    // Between them a shell may say that a program of its own was ended with it.
    assert!(ended.log.contains("line 29\n") && ended.log.ends_with("bye"), "{}", ended.log);
    assert!(ended.log.lines().count() <= 12, "the last lines only: {}", ended.log);
}

#[tokio::test]
async fn a_leader_that_is_killed_leaves_nobody_to_hold_its_stream_open() {
    let runner = Runner::start().await;
    let id = shell(&runner, "sleep 600 & echo $$ $!; wait").await;
    let mut stream = open(&runner, &id).await;
    let pids = line(&mut stream).await;
    let (leader, child) = pids.split_once(' ').unwrap();
    kill_process(Pid::from_raw(leader.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(next(&mut stream).await.as_deref(), Some(&b""[..]));
    gone(child).await;
    assert_eq!(end(&runner, &id).await.code, 128 + 9);
}

#[tokio::test]
async fn a_flood_waits_for_its_reader_and_costs_nothing() {
    let runner = Runner::start().await;
    let id = shell(&runner, "yes >&2 & exec yes").await;
    let mut stream = open(&runner, &id).await;
    assert!(!next(&mut stream).await.unwrap().is_empty());
    let before = runner.resident();
    // The stream is not read; the runner answers others all the while.
    for _ in 0..50 {
        let other = shell(&runner, "echo here").await;
        let mut other_stream = open(&runner, &other).await;
        assert_eq!(line(&mut other_stream).await, "here");
        end(&runner, &other).await;
    }
    let grown = runner.resident().saturating_sub(before);
    assert!(grown < 2 * 1024 * 1024, "{grown} bytes more");
    let mut heard = 0;
    while heard < 4 * 1024 * 1024 {
        heard += next(&mut stream).await.unwrap().len();
    }
    let ended = end(&runner, &id).await;
    assert!(ended.log.lines().all(|line| line == "y" || line.is_empty()), "{}", ended.log);
}

#[tokio::test]
async fn what_can_not_be_started_is_told_by_code() {
    let runner = Runner::start().await;
    let long = "x".repeat(128 * 1024);
    for (what, expected) in [
        (json!({ "argv": [] }), PipeCode::Malformed),
        (json!({ "argv": [""] }), PipeCode::Malformed),
        (json!({ "argv": ["a\0b"] }), PipeCode::Malformed),
        (json!({ "argv": ["cat", long] }), PipeCode::Malformed),
        (json!({ "argv": ["cat"], "env": { "A=B": "c" } }), PipeCode::Malformed),
        (json!({ "argv": ["no-such-program"] }), PipeCode::NoProgram),
        (json!({ "argv": ["./no-such-program"] }), PipeCode::NoProgram),
        (json!({ "argv": ["cat"], "env": { "PATH": "/nowhere" } }), PipeCode::NoProgram),
        (json!({ "argv": ["cat"], "cwd": "nowhere" }), PipeCode::NotStarted),
    ] {
        let shown = what.to_string().chars().take(80).collect::<String>();
        assert_eq!(start(&runner, what).await.unwrap_err().code, expected, "{shown}");
    }
    for (method, path) in
        [(Method::POST, "/pipes/0"), (Method::GET, "/pipes"), (Method::GET, "/pipes/99")]
    {
        let (status, ..) = runner.http(method, path, &[(KEY_HEADER, KEY)], "").await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
    let (status, ..) = runner.http(Method::POST, "/pipes", &[], "{\"argv\":[\"cat\"]}").await;
    assert_eq!(status, 403, "without the key");
}

#[tokio::test]
async fn so_many_run_and_no_more() {
    let runner = Runner::start().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let id = shell(&runner, "exec cat").await;
        streams.push((open(&runner, &id).await, id));
    }
    let one_more = || start(&runner, json!({ "argv": ["cat"] }));
    assert_eq!(one_more().await.unwrap_err().code, PipeCode::TooMany);
    let (_stream, id) = streams.pop().unwrap();
    end(&runner, &id).await;
    one_more().await.unwrap();
}

#[tokio::test]
async fn one_that_nobody_opens_ends() {
    let runner = Runner::start().await;
    let id = shell(&runner, "echo $$ > pid; exec sleep 600").await;
    let file = runner.workspace().join("pid");
    let pid = eventually("it runs", async || {
        std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    gone(pid.trim()).await;
    assert_eq!(end(&runner, &id).await.code, 128 + 15);
}

#[tokio::test]
async fn it_is_the_sessions_user_and_has_no_more_rights_than_commands() {
    let ours = rustix::process::geteuid().is_root();
    for user in [None, Some("65534")] {
        if user.is_some() && !ours {
            continue; // only root becomes another one
        }
        let runner = match user {
            Some(user) => Runner::start_as(user, |_| {}).await,
            None => Runner::start().await,
        };
        let ask = "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status; echo $HOME; tail -n 1 /proc/self/limits";
        let ran = runner.line().await.run(&format!("{{ {ask}; }}")).await;
        let id = shell(&runner, ask).await;
        let mut stream = open(&runner, &id).await;
        let mut said = Vec::new();
        loop {
            match next(&mut stream).await.expect("not broken off") {
                piece if piece.is_empty() => break,
                piece => said.extend(piece),
            }
        }
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.trim(), ran.content.trim());
        assert!(user.is_none_or(|user| said.starts_with(user)), "{said}");
    }
}
