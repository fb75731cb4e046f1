//! For each call of the engine's API: an error, a hang and a dropped connection, before and after the call
//! had its effect, end in a fault with the right code, and nothing is left over. The engine is a fake.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::time::Duration;

use common::{Client, EngineKind, PROMPT, Server, eventually};
use serde_json::{Value, json};
use staithe_testkit::docker::{Boot, FakeDockerd, Fault};

/// The calls of a start, in their order, and the step that each belongs to.
const STARTING: &[(&str, &str)] = &[
    ("GET /containers/json", "find"),
    ("GET /images/{name}/json", "image"),
    ("GET /volumes/{name}", "create"),
    ("POST /volumes/create", "create"),
    ("GET /networks", "create"),
    ("POST /networks/create", "create"),
    ("POST /containers/create", "create"),
    ("GET /containers/{id}/json", "start"),
    ("POST /containers/{id}/attach", "start"),
    ("POST /containers/{id}/start", "start"),
];

/// The calls of an end.
const ENDING: &[&str] = &[
    "GET /containers/json",
    "GET /containers/{id}/json",
    "POST /containers/{id}/stop",
    "DELETE /containers/{id}",
    "DELETE /networks/{id}",
    "DELETE /volumes/{name}",
];

/// What goes wrong, and the code that tells it.
fn faults() -> [(Fault, &'static str); 7] {
    [
        (Fault::status(500, "something broke"), "sandbox.start_failed"),
        (Fault::status(500, "write /x: no space left on device"), "sandbox.disk_full"),
        (Fault::Garbage, "sandbox.engine_cut"),
        (Fault::Hang, "sandbox.engine_timed_out"),
        (Fault::HangAfterEffect, "sandbox.engine_timed_out"),
        (Fault::Drop, "sandbox.engine_cut"),
        (Fault::DropAfterEffect, "sandbox.engine_cut"),
    ]
}

async fn server(fake: &FakeDockerd, dir: &std::path::Path) -> Server {
    fake.add_image("fake:1");
    let host = fake.host();
    let env = [
        ("STAITHE__SANDBOX__DOCKER__HOST", host.as_str()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", "fake:1"),
        ("STAITHE__SANDBOX__DOCKER__LINE", "socket"),
        ("STAITHE__SANDBOX__DOCKER__CALL_TIMEOUT", "1s"),
        ("STAITHE__SANDBOX__START_TIMEOUT", "3s"),
        ("STAITHE__SANDBOX__STOP_GRACE", "1s"),
        ("STAITHE__SANDBOX__RECONCILE_EVERY", "1h"),
        ("STAITHE__LIMITS__MAX_STARTING", "100"),
    ];
    let server = Server::start_on(EngineKind::Fake, dir, &env).await;
    // The first pass is over: what is asked from now on is asked for a session.
    reconcile(&server).await;
    fake.forget_requests();
    server
}

/// The fault of a session that has failed.
async fn failed(server: &Server, id: &str) -> Value {
    server.phase(id, "failed", PROMPT).await["fault"].clone()
}

async fn delete(server: &Server, id: &str) {
    let (status, _, body) = server.delete(&format!("/api/sessions/{id}"), &[]).await;
    assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
}

async fn reconcile(server: &Server) -> Value {
    let (status, _, body) = server.post("/api/admin/reconcile", &[], &json!({})).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    let mut wrong = Vec::new();
    for (route, step) in STARTING {
        for (fault, code) in faults() {
            // A stream has no body, and an answer without one is none.
            let bodiless = route.ends_with("/attach") || route.ends_with("/start");
            if bodiless && matches!(fault, Fault::Garbage) {
                continue;
            }
            let case = format!("{route} {fault:?}");
            eprintln!("{case}");
            fake.fail(route, fault);
            let (id, _) = server.session().await;
            let told = failed(&server, &id).await;
            if told["code"] != code || told["step"] != *step {
                wrong.push(format!("{case}: {told}"));
            }
            for word in ["cause", "remedy"] {
                assert!(told[word].as_str().is_some_and(|text| text.len() > 10), "{case}: {told}");
            }
            assert_eq!(
                fake.containers().len() + fake.networks().len(),
                0,
                "{case}: {:?}",
                fake.leftovers()
            );
            fake.mend();
            delete(&server, &id).await;
            assert_eq!(fake.leftovers(), Vec::<String>::new(), "{case}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (id, _) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    delete(&server, &id).await;
    assert_eq!(fake.leftovers(), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(dir.path().join("run")).unwrap().count(), 0, "no folder is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_fails_is_finished_by_the_next_pass() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    for route in ENDING {
        for (fault, _) in faults() {
            let case = format!("{route} {fault:?}");
            let (id, _) = server.session().await;
            server.phase(&id, "ready", PROMPT).await;
            fake.fail_always(route, fault);
            let (status, ..) = server.delete(&format!("/api/sessions/{id}"), &[]).await;
            assert!([204, 500, 503].contains(&status), "{case}: {status}");
            fake.mend();
            if status != 204 {
                delete(&server, &id).await;
            }
            reconcile(&server).await;
            assert_eq!(fake.leftovers(), Vec::<String>::new(), "{case}");
            let second = reconcile(&server).await;
            let nothing = json!({ "adopted": [], "reaped": [], "swept": [] });
            assert_eq!(second, nothing, "{case}: a second pass finds nothing to do");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_the_engine_does_not_answer_hold_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    for route in ["GET /containers/{id}/stats", "GET /containers/{id}/logs", "GET /containers/json"]
    {
        for (fault, _) in faults() {
            fake.fail_always(route, fault);
            let begun = tokio::time::Instant::now();
            let whole = server.json(&format!("/api/admin/sessions/{id}")).await;
            assert_eq!(whole["phase"], "ready", "{route}: {whole}");
            let (status, ..) = server.get(&format!("/api/admin/sessions/{id}/log"), &[]).await;
            assert!([200, 503].contains(&status), "{route}: {status}");
            server.post("/api/admin/reconcile", &[], &json!({})).await;
            assert!(begun.elapsed() < Duration::from_secs(10), "{route}: {:?}", begun.elapsed());
            fake.mend();
        }
    }
    assert_eq!(server.phase(&id, "ready", PROMPT).await["phase"], "ready", "it was left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sandbox_printed_before_it_ended_is_in_the_fault() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    fake.set_boot(Boot::Exits {
        code: 78,
        log: vec!["staithe-runner: the workspace is not there".into()],
    });
    let (id, _) = server.session().await;
    let told = failed(&server, &id).await;
    assert_eq!(told["code"], "sandbox.no_answer", "{told}");
    assert_eq!(told["log_tail"][0], "staithe-runner: the workspace is not there", "{told}");
    fake.set_boot(Boot::Silent);
    let (other, _) = server.session().await;
    let told = failed(&server, &other).await;
    assert!(told["cause"].as_str().unwrap().contains("did not answer within 3 s"), "{told}");
    delete(&server, &id).await;
    delete(&server, &other).await;
    assert_eq!(fake.leftovers(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_goes_away_and_comes_back_costs_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    let mut client = Client::connect(&server, &id, &server.token, -1).await;
    client.until(PROMPT, |frame| frame["event"]["extras"]["phase"] == "ready").await;
    fake.go_away();
    let is = |phase: &'static str| move |frame: &Value| frame["event"]["extras"]["phase"] == phase;
    client.until(PROMPT, is("starting")).await;
    fake.come_back();
    client.until(PROMPT, is("ready")).await;
    // One that stays away is said to be, within the time that a start may take.
    fake.go_away();
    let told = failed(&server, &id).await;
    assert_eq!(told["code"], "sandbox.engine_unavailable", "{told}");
    fake.come_back();
    let (status, ..) = server.post(&format!("/api/sessions/{id}/start"), &[], &json!({})).await;
    assert_eq!(status, 202);
    server.phase(&id, "ready", PROMPT).await;
    delete(&server, &id).await;
    reconcile(&server).await;
    assert_eq!(fake.leftovers(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_that_ran_out_is_named_as_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let fake = FakeDockerd::start();
    let server = server(&fake, dir.path()).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    let mut client = Client::connect(&server, &id, &server.token, -1).await;
    client.until(PROMPT, |frame| frame["event"]["extras"]["phase"] == "ready").await;
    fake.exhaust_memory(&format!("staithe-{id}"));
    client.until(PROMPT, |frame| frame["event"]["extras"]["phase"] == "ready").await;
    let log = server.log();
    assert!(log.contains("memory"), "{log}");
    assert!(eventually(PROMPT, || fake.containers().len() == 1).await);
}
