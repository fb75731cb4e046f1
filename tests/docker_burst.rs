//! Fifty sessions at once: all become ready, none fails, and clients see their places in the queue. Then
//! the pool, sleep and age, as a client sees them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{Client, EngineKind, PROMPT, Server, docker};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// All fifty, on two cores.
const ALL: Duration = Duration::from_mins(3);

async fn until_ready(mut client: Client) -> (Vec<u64>, Duration) {
    let begun = Instant::now();
    let mut places = Vec::new();
    loop {
        let frame = client.recv_json(ALL).await.unwrap();
        let extras = &frame["event"]["extras"];
        match extras["phase"].as_str() {
            Some("ready") => return (places, begun.elapsed()),
            Some("failed") => panic!("{frame}"),
            Some("starting") => places.extend(extras["position"].as_u64()),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_sessions_at_once_all_become_ready_and_see_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("STAITHE__SANDBOX__START_TIMEOUT", "60s")];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    let begun = Instant::now();
    let made = futures_util::future::join_all((0..50).map(|_| server.session())).await;
    let mut watching = tokio::task::JoinSet::new();
    for (sid, token) in &made {
        let client = Client::connect(&server, sid, token, -1).await;
        watching.spawn(until_ready(client));
    }
    let seen = timeout(ALL, watching.join_all()).await.expect("all become ready");
    eprintln!("50 sessions were ready after {:?}", begun.elapsed());
    let queued = seen.iter().filter(|(places, _)| !places.is_empty()).count();
    let deepest = seen.iter().flat_map(|(places, _)| places).max().unwrap();
    eprintln!("{queued} of them waited; the deepest place that was seen was {deepest}");
    assert!(queued >= 40, "only {queued} saw a place");
    assert!(*deepest >= 30, "the deepest place was {deepest}");
    for (places, _) in &seen {
        assert!(
            places.is_sorted_by(|before, after| before > after),
            "places only get better: {places:?}"
        );
    }
    let commands = made.iter().map(|(sid, token)| async {
        let mut client = Client::connect(&server, sid, token, -1).await;
        client.run("hello", "echo hello").await["content"].clone()
    });
    let answers = futures_util::future::join_all(commands).await;
    assert!(answers.iter().all(|answer| answer == "hello"));
    let removed = made.iter().map(|(sid, _)| {
        let path = format!("/api/sessions/{sid}");
        let server = &server;
        async move { server.delete(&path, &[]).await.0 }
    });
    let removed: BTreeSet<u16> =
        futures_util::future::join_all(removed).await.into_iter().collect();
    assert_eq!(removed, [204].into());
    server.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_sleeps_and_a_command_wakes_it_with_what_it_had() {
    for by in ["pause", "stop"] {
        let dir = tempfile::tempdir().unwrap();
        let env = [("STAITHE__SANDBOX__IDLE_AFTER", "1s"), ("STAITHE__SANDBOX__SUSPEND_BY", by)];
        let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
        let (sid, token) = server.session().await;
        let mut client = Client::connect(&server, &sid, &token, -1).await;
        client.run("a", "touch /installed; V=kept; echo $$").await;
        let cursor = client.cursor;
        drop(client);
        let asleep = server.phase(&sid, "suspended", PROMPT).await;
        assert_eq!(asleep["reason"], "idle", "{asleep}");
        let owner = docker::owner(dir.path()).unwrap();
        let label = format!("label=staithe.owner={owner}");
        let state = docker::docker(&["ps", "-a", "--filter", &label, "--format", "{{.State}}"]);
        assert_eq!(state.trim(), if by == "pause" { "paused" } else { "exited" });
        let began = Instant::now();
        let mut client = Client::connect(&server, &sid, &token, cursor).await;
        let back = client.run("b", "ls /installed; echo [$V]").await;
        eprintln!("woken from {by} to an answered command in {:?}", began.elapsed());
        let kept = if by == "pause" { "/installed\n[kept]" } else { "/installed\n[]" };
        assert_eq!(back["content"], kept, "{by}");
        let steps: Vec<Value> = server.events(&sid).await;
        assert!(
            steps.iter().any(|event| event["extras"]["step"] == "wake"),
            "the waking is visible"
        );
        server.delete(&format!("/api/sessions/{sid}"), &[]).await;
        server.nothing_is_left().await;
    }
}

fn body_of<Headers>((_, _, body): &(u16, Headers, Vec<u8>)) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_has_the_limits_that_it_was_made_with_in_every_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let env = [
        ("STAITHE__SANDBOX__DOCKER__MEMORY", "512MiB"),
        ("STAITHE__SANDBOX__DOCKER__MOST_MEMORY", "1GiB"),
        ("STAITHE__SANDBOX__DOCKER__CPUS", "1"),
    ];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    for (resources, code) in [
        (json!({ "memory": 1024 }), "session.resources_not_allowed"),
        (json!({ "memory": (1_u64 << 30) + 1 }), "session.resources_not_allowed"),
        (json!({ "cpus": 1.5 }), "session.resources_not_allowed"),
    ] {
        let answer = server.post("/api/sessions", &[], &json!({ "resources": resources })).await;
        assert_eq!((answer.0, &body_of(&answer)["code"]), (422, &json!(code)), "{resources}");
    }
    let wanted = json!({ "resources": { "memory": 1 << 30, "cpus": 0.5 } });
    let made = body_of(&server.post("/api/sessions", &[], &wanted).await);
    let sid = made["id"].as_str().unwrap().to_owned();
    let label = format!("label=staithe.session={sid}");
    for life in 0..2 {
        server.phase(&sid, "ready", PROMPT).await;
        let id = docker::docker(&["ps", "--filter", &label, "-q"]);
        let format = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}}";
        let limits = docker::docker(&["inspect", "--format", format, id.trim()]);
        assert_eq!(limits.trim(), "1073741824 1073741824 500000000", "life {life}");
        for command in ["stop", "start"] {
            let path = format!("/api/sessions/{sid}/{command}");
            assert!(server.post(&path, &[], &json!({})).await.0 < 300, "{command}");
            if command == "stop" {
                server.phase(&sid, "stopped", PROMPT).await;
            }
        }
    }
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_gives_sandboxes_at_once_and_is_ended_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    std::fs::write(
        &config,
        format!("[sandbox.docker]\npool = [{{ image = \"{}\", size = 2 }}]\n", docker::IMAGE),
    )
    .unwrap();
    let env = [("STAITHE_CONFIG", config.to_str().unwrap())];
    let mut server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    let owner = docker::owner(dir.path()).unwrap();
    let pool = || {
        let label = format!("label=staithe.owner={owner}");
        let names =
            docker::docker(&["ps", "--filter", &label, "--filter", "name=staithe-pool-", "-q"]);
        names.lines().count()
    };
    assert!(common::eventually(PROMPT, || pool() == 2).await, "the pool is filled");
    full(&server).await;
    let began = Instant::now();
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    assert_eq!(client.run("a", "echo $((40 + 2)); echo kept > file").await["content"], "42");
    eprintln!("a claimed sandbox answered its first command after {:?}", began.elapsed());
    let steps = server.json(&format!("/api/admin/sessions/{sid}")).await["start_steps"].clone();
    let names: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert!(!names.contains(&"create".into()) && names.contains(&"init".into()), "{steps}");
    assert!(common::eventually(PROMPT, || pool() == 2).await, "the pool is filled again");
    // A claimed sandbox is like any other: found again after a crash, its workspace kept when it is stopped.
    server.kill9();
    server.restart().await;
    let mut client = Client::connect(&server, &sid, &token, client.cursor).await;
    assert_eq!(client.run("b", "cat file").await["content"], "kept");
    server.post(&format!("/api/sessions/{sid}/stop"), &[], &Value::Null).await;
    server.phase(&sid, "stopped", PROMPT).await;
    server.post(&format!("/api/sessions/{sid}/start"), &[], &Value::Null).await;
    server.phase(&sid, "ready", PROMPT).await;
    assert_eq!(client.run("c", "cat file").await["content"], "kept");
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    assert_eq!(server.sigterm().await, Some(0));
    server.nothing_is_left().await;
}

/// Waits until the pool's sandboxes have said hello.
async fn full(server: &Server) {
    let until = Instant::now() + PROMPT;
    loop {
        let (_, _, metrics) = server.get("/metrics", &[]).await;
        let text = String::from_utf8(metrics).unwrap();
        let available =
            |line: &&str| line.starts_with("staithe_pool_sandboxes{") && line.contains("available");
        if text.lines().find(available).is_some_and(|line| line.ends_with(" 2")) {
            return;
        }
        assert!(Instant::now() < until, "the pool is not full: {text}");
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_ran_as_long_as_it_may_is_stopped_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("STAITHE__SANDBOX__MAX_SESSION_AGE", "2s")];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    client.run("a", "echo kept > file").await;
    let stopped =
        client.until(PROMPT, |frame| frame["event"]["extras"]["phase"] == "stopped").await;
    assert_eq!(stopped["event"]["extras"]["reason"], "age", "{stopped}");
    let owner = docker::owner(dir.path()).unwrap();
    assert_eq!(docker::containers(&owner), Vec::<String>::new());
    assert_eq!(docker::volumes(&owner).len(), 1, "the workspace is kept");
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}
