//! What becomes of sessions whose image can't be built: the right fault, whatever broke, and nothing left. The
//! engine is a fake, whose builder says what real ones say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::path::Path;

use common::{Client, EngineKind, PROMPT, Server, eventually};
use serde_json::{Value, json};
use staithe_testkit::docker::{FakeDockerd, Then};

const BASE: &str = "fake:1";

async fn server(fake: &FakeDockerd, dir: &Path, more: &[(&str, &str)]) -> Server {
    fake.add_image(BASE);
    fake.add_file(BASE, "/bin/sh", b"a shell");
    fake.add_file(BASE, "/usr/bin/apt-get", b"an installer");
    fake.add_file(BASE, "/etc/os-release", b"ID=debian\nVERSION_ID=12\n");
    let host = fake.host();
    let mut env = vec![
        ("STAITHE__SANDBOX__DOCKER__HOST", host.as_str()),
        ("STAITHE__SANDBOX__BASE_CONTAINER_IMAGE", BASE),
        ("STAITHE__SANDBOX__RUNTIME_EXTRA_DEPS", "echo mine"),
        ("STAITHE__SANDBOX__IMAGE__BUILDER", "classic"),
        ("STAITHE__SANDBOX__DOCKER__LINE", "socket"),
        ("STAITHE__SANDBOX__DOCKER__CALL_TIMEOUT", "500ms"),
        ("STAITHE__SANDBOX__START_TIMEOUT", "3s"),
        ("STAITHE__SANDBOX__RECONCILE_EVERY", "1h"),
    ];
    env.extend(more);
    Server::start_on(EngineKind::Fake, dir, &env).await
}

fn step(number: u32, text: &str, lines: &[&str]) -> Vec<Value> {
    let mut words = vec![format!("Step {number}/3 : {text}"), "\n".to_owned()];
    words.extend(lines.iter().map(|line| format!("{line}\n")));
    words.into_iter().map(|words| json!({ "stream": words })).collect()
}

fn failure(words: &str) -> Value {
    json!({ "errorDetail": { "message": words }, "error": words })
}

/// Ours among the images that the fake has.
fn built(fake: &FakeDockerd) -> usize {
    fake.images().iter().filter(|image| !image.names.iter().any(|name| name == BASE)).count()
}

async fn fault(server: &Server) -> Value {
    let (id, _) = server.session().await;
    let fault = server.phase(&id, "failed", PROMPT).await["fault"].clone();
    server.delete(&format!("/api/sessions/{id}"), &[]).await;
    fault
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_fail_has_its_fault_and_leaves_nothing() {
    let full = "write /var/lib/x: no space left on device";
    let cases: Vec<(&str, Vec<Value>, &str, &str)> = vec![
        (
            "a line fails",
            [
                step(1, "FROM fake:1", &[]),
                step(2, "RUN echo mine", &["mine"]),
                vec![failure("The command '/bin/sh -c x' returned a non-zero code: 3")],
            ]
            .concat(),
            "sandbox.image_build_failed",
            "exit code 3",
        ),
        (
            "the disk is full",
            [step(1, "FROM fake:1", &[]), step(2, "RUN y", &["more"]), vec![failure(full)]]
                .concat(),
            "sandbox.disk_full",
            "no space left",
        ),
        (
            "the base is gone when it is built upon",
            [
                step(1, "FROM fake:1", &[]),
                vec![failure("pull access denied for fake, repository does not exist")],
            ]
            .concat(),
            "sandbox.image_unavailable",
            "fake",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path(), &[]).await;
    for (case, words, code, cause) in cases {
        fake.set_build(&words, Then::Ends);
        let fault = fault(&server).await;
        assert_eq!(fault["code"], code, "{case}: {fault}");
        assert_eq!(fault["step"], "build", "{case}: {fault}");
        assert!(fault["cause"].as_str().unwrap().contains(cause), "{case}: {fault}");
        assert!(fault["remedy"].as_str().unwrap().len() > 10, "{case}: {fault}");
        assert_eq!(fake.leftovers(), Vec::<String>::new(), "{case}");
        assert_eq!(built(&fake), 0, "{case}: {:?}", fake.images());
    }
    assert_eq!(fake.containers().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_takes_too_long_is_ended_and_says_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let limit = [("STAITHE__SANDBOX__IMAGE__BUILD_TIMEOUT", "2s")];
    let server = server(&fake, dir.path(), &limit).await;
    fake.set_build(&step(1, "RUN forever", &["on and on"]), Then::Hangs);
    let fault = fault(&server).await;
    assert_eq!(fault["code"], "sandbox.image_build_timed_out", "{fault}");
    assert!(fault["cause"].as_str().unwrap().contains("RUN forever"), "{fault}");
    assert_eq!(fault["log_tail"], json!(["on and on"]), "{fault}");
    assert_eq!(built(&fake), 0);
    assert_eq!(fake.leftovers(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_goes_away_in_mid_build_is_waited_for_and_else_told() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path(), &[]).await;
    let wanted = |frame: &Value| frame["event"]["extras"]["progress"]["text"] == "RUN slow";
    // It is back in time: the session builds again by itself.
    fake.set_build(&step(1, "RUN slow", &[]), Then::Hangs);
    let (id, token) = server.session().await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    client.until(PROMPT, wanted).await;
    fake.go_away();
    fake.set_build(&step(1, "FROM fake:1", &[]), Then::Built);
    fake.come_back();
    server.phase(&id, "ready", PROMPT).await;
    assert_eq!(built(&fake), 3, "all three stages: {:?}", fake.images());
    server.delete(&format!("/api/sessions/{id}"), &[]).await;
    // It stays away: that is told, and the next start is as good as the first.
    let dir = tempfile::tempdir().unwrap();
    let other = FakeDockerd::start();
    let server = self::server(&other, dir.path(), &[]).await;
    other.set_build(&step(1, "RUN slow", &[]), Then::Hangs);
    let (id, token) = server.session().await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    client.until(PROMPT, wanted).await;
    other.go_away();
    let fault = server.phase(&id, "failed", PROMPT).await["fault"].clone();
    let code = fault["code"].as_str().unwrap();
    assert!(["sandbox.engine_unavailable", "sandbox.engine_cut"].contains(&code), "{fault}");
    other.set_build(&step(1, "FROM fake:1", &[]), Then::Built);
    other.come_back();
    assert_eq!(built(&other), 0, "{:?}", other.images());
    server.post(&format!("/api/sessions/{id}/start"), &[], &Value::Null).await;
    server.phase(&id, "ready", PROMPT).await;
    server.delete(&format!("/api/sessions/{id}"), &[]).await;
    assert!(eventually(PROMPT, || other.containers().is_empty()).await, "{:?}", other.leftovers());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_is_built_and_for_how_many() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path(), &[]).await;
    fake.set_build(&step(1, "RUN slow", &["a line"]), Then::Hangs);
    let made = futures_util::future::join_all((0..3).map(|_| server.session())).await;
    for (id, token) in &made {
        let mut client = Client::connect(&server, id, token, -1).await;
        client
            .until(PROMPT, |frame| frame["event"]["extras"]["progress"]["text"] == "RUN slow")
            .await;
    }
    let engine = server.json("/api/admin/engine").await;
    let builds = engine["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1, "{engine}");
    assert_eq!(
        (&builds[0]["waiters"], &builds[0]["state"]),
        (&json!(3), &json!("making")),
        "{engine}"
    );
    assert_eq!(builds[0]["asked"], BASE);
    assert_eq!(builds[0]["progress"]["text"], "RUN slow");
    assert_eq!(server.get("/api/admin/engine", &[]).await.0, 200);
}
