//! One session's stream, seen by many: the same for all, each event once and in order, whatever one of
//! them does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::time::Duration;

use common::{Client, PROMPT, Server, client::run_frame, newest, processes::resident};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// Commands that print half a megabyte each; an observation carries 60 KiB of it.
const LOUD: &str = "seq 100000 174999";
const LOUD_BYTES: usize = 75_000 * 7;
/// As many as print 200 MB.
const LOUD_COMMANDS: usize = 200_000_000 / LOUD_BYTES + 1;
/// As many as fill the store's page cache (8 MiB), which grows with the log whoever reads, and as bring the allocator
/// to where reading events as values, which the agent does, has it.
const WARM_UP: usize = 400;
/// The most that a client which does not read may cost the server.
const COST: u64 = 4 * 1024 * 1024;
/// All that output.
const LOUD_LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_costs_little_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut first = Client::connect(&server, &sid, &token, -1).await;
    let second = Client::connect(&server, &sid, &token, -1).await;
    let second = tokio::spawn(follow(second, WARM_UP + LOUD_COMMANDS));
    let mut seen = loud(&mut first, "warm", WARM_UP).await;
    let before = resident(server.pid());

    // From here on nobody polls its socket: the kernel's small buffer fills, then the server's.
    let deaf = Client::try_connect(server.address(), &sid, &token, -1, Some(4096)).await.unwrap();
    let stopped = Instant::now();
    let passed = timeout(LOUD_LIMIT, loud(&mut first, "loud", LOUD_COMMANDS)).await;
    seen.extend(passed.expect("the others go on"));
    let passing = stopped.elapsed();
    let second = second.await.unwrap();
    assert!(second == seen, "two clients see the same");
    while std::env::var_os("STAITHE_SLOW").is_some() && stopped.elapsed().as_secs() < 65 {
        first.send_run(&format!("minute-{}", seen.len()), "sleep 1").await;
        seen.extend(observe(&mut first, 1).await);
    }
    let after = resident(server.pid());
    eprintln!(
        "{LOUD_COMMANDS} x {LOUD_BYTES} bytes in {passing:?}; resident {before} -> {after}, {:+} KiB",
        (i128::from(after) - i128::from(before)) / 1024
    );
    let clients = server.json(&format!("/api/admin/sessions/{sid}")).await["connected"].clone();
    let lags: Vec<_> = clients.as_array().unwrap().iter().map(|c| c["lag"].as_u64()).collect();
    eprintln!("lags {lags:?}");
    assert!(lags.iter().any(|lag| *lag > Some(LOUD_COMMANDS as u64)), "it is far behind: {lags:?}");
    assert!(after < before + COST, "{before} -> {after}");

    let mut deaf = deaf;
    let caught_up = deaf.events_up_to(newest(&seen)).await;
    assert!(caught_up == seen, "every event once, in order");
}

/// Runs loud commands, all asked for at once; every event that came until the last was observed.
async fn loud(client: &mut Client, name: &str, count: usize) -> Vec<Value> {
    for number in 0..count {
        client.send_run(&format!("{name}-{number}"), LOUD).await;
    }
    observe(client, count).await
}

/// All events from the first on, until so many commands have been observed.
async fn follow(mut client: Client, count: usize) -> Vec<Value> {
    observe(&mut client, count).await
}

async fn observe(client: &mut Client, mut left: usize) -> Vec<Value> {
    let mut events = Vec::new();
    while left > 0 {
        let frame = client.recv_json(PROMPT).await.unwrap();
        if frame["type"] != "event" {
            continue;
        }
        left -= usize::from(frame["event"]["observation"] == "run");
        events.push(frame["event"].clone());
    }
    events
}

#[tokio::test]
async fn a_client_that_comes_back_gets_exactly_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    for number in 0..12 {
        // Some events lie beyond what the server keeps in memory.
        client.run(&format!("r{number}"), LOUD).await;
    }
    let all = server.events(&sid).await;
    let head = newest(&all);
    assert_eq!(client.cursor, head);
    for cursor in -1..=head {
        let mut again = Client::connect(&server, &sid, &token, cursor).await;
        assert_eq!(again.hello["head"], head);
        let rest = again.events_up_to(head).await;
        assert!(rest == all[usize::try_from(cursor + 1).unwrap()..], "the rest after {cursor}");
        again.send_json(&json!({ "type": "ping", "nonce": cursor })).await;
        let next = again.recv_json(PROMPT).await.unwrap();
        assert_eq!(next, json!({ "type": "pong", "nonce": cursor }), "and nothing more");
    }
}

#[tokio::test]
async fn who_joins_while_a_command_runs_gets_its_output_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut first = Client::connect(&server, &sid, &token, -1).await;
    let waits = "echo before; until [ -e go ]; do sleep 0.02; done; echo behind";
    let done = first.ask(&run_frame("waits", waits)).await;
    let cause = done["event_id"].clone();
    let says = |word: &'static str| {
        move |frame: &Value| {
            frame["type"] == "partial" && frame["text"].as_str().unwrap().contains(word)
        }
    };
    first.until(PROMPT, says("before")).await;
    let mut second = Client::connect(&server, &sid, &token, -1).await;
    let so_far = second.until(PROMPT, says("before")).await;
    assert_eq!(so_far["cause"], cause);
    assert_eq!(so_far["offset"], 0);
    let (status, _, body) = server
        .put(&format!("/api/sessions/{sid}/files/go"), &[("if-none-match", "*")], vec![])
        .await;
    assert!((200..300).contains(&status), "{status} {}", String::from_utf8_lossy(&body));
    for client in [&mut first, &mut second] {
        let observed = client.until(PROMPT, |frame| frame["event"]["observation"] == "run").await;
        assert_eq!(observed["event"]["cause"], cause);
        assert_eq!(observed["event"]["content"], "before\nbehind");
    }
    let mut third = Client::connect(&server, &sid, &token, first.cursor).await;
    third.send_json(&json!({ "type": "ping" })).await;
    let next = third.recv_json(PROMPT).await.unwrap();
    assert_eq!(next["type"], "pong", "who has the observation needs no output");
}

#[tokio::test]
async fn a_viewer_sees_all_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut editor = Client::connect(&server, &sid, &token, -1).await;
    editor.run("a", "echo seen > file").await;
    let path = format!("/api/sessions/{sid}/tokens");
    let (status, _, body) = server.post(&path, &[], &json!({ "role": "viewer" })).await;
    assert_eq!(status, 201);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let token = body["token"].as_str().unwrap();
    let mut viewer = Client::connect(&server, &sid, token, -1).await;
    assert_eq!(viewer.hello["role"], "viewer");
    let log = server.events(&sid).await;
    assert!(viewer.events_up_to(newest(&log)).await == log);
    let read =
        viewer.ask(&json!({ "type": "file", "ref": "r", "op": "read", "path": "file" })).await;
    assert_eq!(read["type"], "done", "{read}");
    let content =
        json!({ "type": "file", "ref": "w", "op": "create", "path": "mine", "content": "x" });
    let refused = [
        run_frame("d", "touch mine"),
        json!({ "type": "do", "ref": "m", "action": { "action": "message", "args": { "content": "x" } } }),
        content,
        json!({ "type": "file", "ref": "x", "op": "delete", "path": "file" }),
        json!({ "type": "interrupt", "ref": "i" }),
    ];
    for frame in refused {
        let answer = viewer.ask(&frame).await;
        assert_eq!(answer["type"], "denied", "{frame} {answer}");
        assert_eq!(answer["code"], "auth.read_only", "{frame} {answer}");
    }
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let action = run_frame("", "touch mine")["action"].clone();
    let (status, ..) =
        server.post(&format!("/api/sessions/{sid}/actions"), &headers, &action).await;
    assert_eq!(status, 403);
    let (status, ..) = server.delete(&format!("/api/sessions/{sid}"), &headers).await;
    assert_eq!(status, 403);
    assert_eq!(server.events(&sid).await.len(), log.len(), "nothing of it is in the log");
    assert_eq!(editor.run("b", "ls").await["content"], "file");
}

#[tokio::test]
async fn two_tabs_type_into_one_shell() {
    const EACH: usize = 25;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut tabs = [
        Client::connect(&server, &sid, &token, -1).await,
        Client::connect(&server, &sid, &token, -1).await,
    ];
    for number in 0..EACH {
        for (name, tab) in tabs.iter_mut().enumerate() {
            let line = format!("N=$((N+1)); echo {name} {number} $N");
            tab.send_run(&format!("{name}-{number}"), &line).await;
        }
    }
    let [left, right] = &mut tabs;
    let (seen, same) = (observe(left, 2 * EACH).await, observe(right, 2 * EACH).await);
    assert!(seen == same, "both tabs see the same");
    let commands: Vec<_> = seen.iter().filter(|event| event["action"] == "run").collect();
    let printed: Vec<_> = seen.iter().filter(|event| event["observation"] == "run").collect();
    let mut next = [0, 0];
    for (place, (command, printed)) in commands.iter().zip(&printed).enumerate() {
        assert_eq!(printed["cause"], command["id"], "one at a time, in the order of the log");
        let words: Vec<usize> = printed["content"]
            .as_str()
            .unwrap()
            .split(' ')
            .map(|word| word.parse().unwrap())
            .collect();
        assert_eq!(words, [words[0], next[words[0]], place + 1], "each tab's own order is kept");
        next[words[0]] += 1;
    }
    assert_eq!(next, [EACH, EACH]);

    // The same `ref` in both tabs is one command; with another action it is refused.
    for tab in &mut tabs {
        tab.send_run("shared", "echo once").await;
    }
    let mut answers = Vec::new();
    for tab in &mut tabs {
        answers.push(tab.until(PROMPT, |frame| frame["ref"] == "shared").await);
    }
    assert_eq!(answers[0], answers[1]);
    let other = tabs[1].ask(&run_frame("shared", "echo other")).await;
    assert_eq!(other["type"], "denied", "{other}");
    tabs[0].run("last", "echo end").await;
    let log = server.events(&sid).await;
    let once = log.iter().filter(|event| event["args"]["command"] == "echo once").count();
    assert_eq!(once, 1);
}

#[tokio::test]
async fn clients_are_told_when_the_server_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    client.run("a", "echo a").await;
    server.ask_to_end();
    let draining = client.until(PROMPT, |frame| frame["type"] == "draining").await;
    assert!(draining["retry_after"].as_u64().is_some(), "{draining}");
    let end = client.recv_json(PROMPT).await;
    assert!(end.is_err(), "{end:?}");
    let close = client.closed.as_ref().expect("a close frame");
    assert_eq!(u16::from(close.code), 1001, "{close:?}");
    assert_eq!(server.ended().await, Some(0));
    server.nothing_is_left().await;
    let cursor = client.cursor;
    server.restart().await;
    let mut client = Client::connect(&server, &sid, &token, cursor).await;
    assert_eq!(client.run("b", "echo b").await["content"], "b", "the cursor holds");
}
