//! Images that are built for sessions: one build for all who wait, its progress, its failures, and that a
//! second start builds nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{path::Path, time::Duration};

use common::{Client, EngineKind, PROMPT, Server, docker};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// A build of a few steps, on a machine that builds other things too.
const BUILD: Duration = Duration::from_mins(4);

/// A server that builds on `base` with these last lines.
async fn server(dir: &Path, base: &str, lines: &str, more: &str) -> Server {
    let config = dir.join("config.toml");
    let text = format!(
        "[sandbox]\nruntime_container_image = \"\"\nbase_container_image = \"{base}\"\n\
         runtime_extra_deps = '''\n{lines}\n'''\n{more}"
    );
    std::fs::write(&config, text).unwrap();
    let repository = docker::repository();
    let env = [
        ("STAITHE_CONFIG", config.to_str().unwrap()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", ""),
        ("STAITHE__SANDBOX__IMAGE__REPOSITORY", &repository),
    ];
    Server::start_on(EngineKind::Docker, dir, &env).await
}

/// Lines that take so long; the process makes them new to the builder's cache.
fn slow(seconds: u32, name: &str) -> String {
    let name = format!("{name}-{}", std::process::id());
    format!(
        "i=0; while [ $i -lt {seconds} ]; do i=$((i+1)); echo at $i; sleep 1; done\necho {name} > /made"
    )
}

async fn metric(server: &Server, beginning: &str) -> f64 {
    let (_, _, metrics) = server.get("/metrics", &[]).await;
    let text = String::from_utf8(metrics).unwrap();
    let values = text.lines().filter(|line| line.starts_with(beginning));
    values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn builds_under_way(server: &Server) -> f64 {
    metric(server, "staithe_image_builds_under_way").await
}

/// Waits for a progress with lines; its place.
async fn sees_the_build(client: &mut Client) -> (u64, u64) {
    let wanted = |frame: &Value| {
        let extras = &frame["event"]["extras"];
        extras["step"] == "build" && extras["progress"]["lines"].as_array().is_some()
    };
    let frame = client.until(BUILD, wanted).await;
    let progress = &frame["event"]["extras"]["progress"];
    assert!(progress["text"].as_str().unwrap().contains("RUN"), "{progress}");
    assert!(progress["image"].as_str().unwrap().starts_with("staithe-test/built-"), "{progress}");
    (progress["number"].as_u64().unwrap(), progress["of"].as_u64().unwrap())
}

async fn stop(server: &Server, sid: &str) {
    let (status, _, body) =
        server.post(&format!("/api/sessions/{sid}/stop"), &[], &Value::Null).await;
    assert!(status < 300, "{status} {}", String::from_utf8_lossy(&body));
    server.phase(sid, "stopped", PROMPT).await;
}

/// Containers and unnamed images that builds leave on the daemon, whoever began them.
fn of_builds(server: &Server) -> Vec<String> {
    let owner = docker::owner(server.dir()).unwrap();
    let label = format!("label=staithe.owner={owner}");
    let mut left = Vec::new();
    for words in [
        &["ps", "-a", "--filter", &label, "--format", "{{.Names}}"][..],
        &["images", "--filter", &label, "--filter", "dangling=true", "--format", "{{.ID}}"][..],
    ] {
        left.extend(docker::docker(words).lines().map(str::to_owned));
    }
    left
}

fn named(server: &Server) -> Vec<String> {
    let label = format!("label=staithe.owner={}", docker::owner(server.dir()).unwrap());
    let words = ["images", "--filter", &label, "--format", "{{.Repository}}:{{.Tag}}"];
    docker::docker(&words).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_sessions_wait_for_one_build_and_nine_may_leave() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path(), docker::IMAGE, &slow(20, "ten"), "").await;
    let ten = format!("ten-{}", std::process::id());
    let made = join_all((0..10).map(|_| server.session())).await;
    let mut clients =
        join_all(made.iter().map(|(sid, token)| Client::connect(&server, sid, token, -1))).await;
    for place in join_all(clients.iter_mut().map(sees_the_build)).await {
        assert!(place.0 >= 1 && place.0 <= place.1, "{place:?}");
    }
    assert!((builds_under_way(&server).await - 1.0).abs() < 0.1, "one build for ten");
    for (sid, _) in &made[..9] {
        stop(&server, sid).await;
        assert!((builds_under_way(&server).await - 1.0).abs() < 0.1, "it goes on for the others");
    }
    let (sid, _) = &made[9];
    server.phase(sid, "ready", BUILD).await;
    assert_eq!(clients[9].run("a", "cat /made").await["content"], ten);
    assert!((metric(&server, "staithe_image_builds_total").await - 1.0).abs() < 0.1);
    // Whoever comes later, also after a stop, builds nothing.
    let (late, late_token) = server.session().await;
    let mut client = Client::connect(&server, &late, &late_token, -1).await;
    assert_eq!(client.run("a", "cat /made").await["content"], ten);
    let events = server.events(&late).await;
    assert!(events.iter().all(|event| event["extras"]["step"] != "build"), "{events:?}");
    assert!((metric(&server, "staithe_image_builds_total").await - 1.0).abs() < 0.1);
    let (stopped, token) = &made[0];
    let path = format!("/api/sessions/{stopped}/start");
    server.post(&path, &[], &Value::Null).await;
    server.phase(stopped, "ready", PROMPT).await;
    let mut client = Client::connect(&server, stopped, token, -1).await;
    assert_eq!(client.run("again", "cat /made").await["content"], ten);
    assert!((metric(&server, "staithe_image_builds_total").await - 1.0).abs() < 0.1);
    assert_eq!(named(&server).len(), 3, "source, lock and versioned: {:?}", named(&server));
    for (sid, _) in made.iter().chain([&(late, late_token)]) {
        server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    }
    server.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_nobody_waits_for_any_more_is_stopped_and_leaves_nothing() {
    for builder in ["classic", "buildkit"] {
        let dir = tempfile::tempdir().unwrap();
        let more = format!("[sandbox.image]\nbuilder = \"{builder}\"\n");
        let lines = slow(600, &format!("nobody-{builder}"));
        let server = server(dir.path(), docker::IMAGE, &lines, &more).await;
        let made = join_all((0..10).map(|_| server.session())).await;
        let (sid, token) = &made[0];
        let mut client = Client::connect(&server, sid, token, -1).await;
        sees_the_build(&mut client).await;
        for (sid, _) in &made {
            stop(&server, sid).await;
        }
        let until = tokio::time::Instant::now() + PROMPT;
        while builds_under_way(&server).await > 0.1 {
            assert!(tokio::time::Instant::now() < until, "{builder}: it goes on");
        }
        assert!(
            (metric(&server, "staithe_image_builds_total{outcome=\"cancelled\"").await - 1.0).abs()
                < 0.1
        );
        let empty = common::eventually(PROMPT, || of_builds(&server).is_empty()).await;
        assert!(empty, "{builder}: {:?}", of_builds(&server));
        let sleeps = || {
            let out = std::process::Command::new("pgrep").args(["-f", "lt 600"]).output().unwrap();
            String::from_utf8_lossy(&out.stdout).lines().count()
        };
        assert!(common::eventually(PROMPT, || sleeps() == 0).await, "{builder}: its step runs on");
    }
}

/// What becomes of a start whose image can't be built.
async fn fault(server: &Server) -> Value {
    let (sid, _) = server.session().await;
    let failed = server.phase(&sid, "failed", BUILD).await;
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    failed["fault"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_line_is_told_with_what_it_printed_and_the_next_try_begins_there() {
    for builder in ["classic", "buildkit"] {
        let dir = tempfile::tempdir().unwrap();
        let more = format!("[sandbox.image]\nbuilder = \"{builder}\"\n");
        let lines =
            "for i in $(seq 80); do echo line $i; done\necho the token is hush-hush-hush; exit 7";
        let more = format!("[sandbox.secret_env]\nTOKEN = \"hush-hush-hush\"\n{more}");
        let server = server(dir.path(), docker::IMAGE, lines, &more).await;
        let fault = fault(&server).await;
        assert_eq!(fault["code"], "sandbox.image_build_failed", "{builder}: {fault}");
        assert_eq!(fault["step"], "build", "{fault}");
        let cause = fault["cause"].as_str().unwrap();
        assert!(cause.contains("exit code 7") && cause.contains("step"), "{builder}: {cause}");
        let tail: Vec<&str> = fault["log_tail"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        assert_eq!(tail.len(), 50, "{builder}: {tail:?}");
        assert!(tail[48].contains("line 80"), "{builder}: {tail:?}");
        assert!(tail[49].contains("the token is <secret_hidden>"), "{builder}: {tail:?}");
        assert!(!fault.to_string().contains("hush-hush"), "{fault}");
        let logs = dir.path().join("images/logs");
        let log = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
        let whole = std::fs::read_to_string(log).unwrap();
        assert!(whole.contains("line 1\n") && !whole.contains("hush-hush"), "{whole}");
        assert_eq!(of_builds(&server), Vec::<String>::new(), "{builder}");
        let names = named(&server);
        assert_eq!(names.len(), 2, "finished stages stay, the failed one has no name: {names:?}");
        server.nothing_is_left().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_that_is_not_there_and_one_that_has_no_shell_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let gone = server(dir.path(), "staithe-test/no-such-base:9", "true", "").await;
    let fault_of_gone = fault(&gone).await;
    assert_eq!(fault_of_gone["code"], "sandbox.image_unavailable", "{fault_of_gone}");
    assert!(fault_of_gone["cause"].as_str().unwrap().contains("no-such-base:9"), "{fault_of_gone}");
    assert_eq!(named(&gone), Vec::<String>::new());
    let dir = tempfile::tempdir().unwrap();
    let empty = server(dir.path(), "staithe-test/scratch:1", "true", "").await;
    let fault_of_empty = fault(&empty).await;
    assert_eq!(fault_of_empty["code"], "sandbox.image_not_possible", "{fault_of_empty}");
    assert_eq!(of_builds(&empty), Vec::<String>::new());
}

/// What a session that names this image finds at /made.
async fn made_in(server: &Server, image: &str) -> String {
    let (status, _, made) = server.post("/api/sessions", &[], &json!({ "image": image })).await;
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(status, 201, "{made}");
    let sid = made["id"].as_str().unwrap().to_owned();
    server.phase(&sid, "ready", BUILD).await;
    let mut client = Client::connect(server, &sid, made["token"].as_str().unwrap(), -1).await;
    let seen = client.run("a", "cat /made 2>/dev/null || echo nothing").await["content"].clone();
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    seen.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_image_that_an_operator_named_is_built_upon() {
    let dir = tempfile::tempdir().unwrap();
    let plain = server(dir.path(), docker::IMAGE, "echo here > /made", "").await;
    assert_eq!(made_in(&plain, docker::IMAGE).await, "here");
    assert_eq!(made_in(&plain, "staithe-test/busybox:1").await, "nothing", "it is used as it is");
    plain.nothing_is_left().await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let open = server(dir.path(), docker::IMAGE, "echo here > /made", "").await;
    drop(open);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[sandbox]", "[sandbox]\nallowed_images = [\"staithe-test/*\"]"),
    )
    .unwrap();
    let repository = docker::repository();
    let env = [
        ("STAITHE_CONFIG", config.to_str().unwrap()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", ""),
        ("STAITHE__SANDBOX__IMAGE__REPOSITORY", &repository),
    ];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    assert_eq!(made_in(&server, "staithe-test/busybox:1").await, "here");
    server.nothing_is_left().await;
}
