//! The proxy to ports of sandboxes, case by case: asked directly, behind an nginx, and behind one that
//! gives it a path below its own. The local engine's sandboxes have this machine's network, so that the
//! programs that are asked are the test's own. `docker_proxy.rs` is the same on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "proxy/bodies.rs"]
mod bodies;
#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "proxy/doors.rs"]
mod doors;
#[path = "proxy/heads.rs"]
mod heads;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "proxy/stage.rs"]
mod stage;
#[path = "proxy/table.rs"]
mod table;
#[path = "proxy/upgrades.rs"]
mod upgrades;
#[path = "proxy/wire.rs"]
mod wire;

use std::{path::Path, time::Duration};

use common::{Client, PROMPT, Server};
use serde_json::{Value, json};
use stage::{Case, Door, Ground, Nginx, Stage};

/// Connections to one sandbox that the server of these tests allows.
pub(crate) const MOST_CONNECTIONS: usize = 12;

const SETTINGS: [(&str, &str); 5] = [
    ("STAITHE__PROXY__MAX_CONNECTIONS", "12"),
    ("STAITHE__SERVER__SANDBOX_DOMAIN", "sand.example"),
    ("STAITHE__SERVER__TRUSTED_PROXIES", "127.0.0.2"),
    ("STAITHE__PROXY__FIND_PORTS_EVERY", "100ms"),
    ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "10000"),
];

async fn stage(dir: &Path) -> Stage {
    stage_with(dir, &[]).await
}

async fn stage_with(dir: &Path, further: &[(&str, &str)]) -> Stage {
    let server = Server::start_with(dir, &[&SETTINGS[..], further].concat()).await;
    let (id, token) = server.session().await;
    let (other_id, stranger) = server.session().await;
    server.phase(&id, "ready", PROMPT).await;
    let (status, _, body) =
        server.post(&format!("/api/sessions/{id}/tokens"), &[], &json!({ "role": "viewer" })).await;
    let made: Value = serde_json::from_slice(&body).unwrap();
    assert!(status < 300, "{made}");
    let viewer = made["token"].as_str().unwrap().to_owned();
    Stage { server, id, token, viewer, stranger, other_id, ground: Ground::Machine, nginx: None }
}

#[tokio::test]
async fn every_case_holds_directly() {
    let dir = tempfile::tempdir().unwrap();
    table::run(&stage(dir.path()).await, &[Door::Direct], true, 70).await;
}

#[tokio::test]
async fn every_case_holds_behind_nginx() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = stage(dir.path()).await;
    let nginx =
        Nginx::start(&dir.path().join("nginx"), stage::sandbox_address(&stage.server)).await;
    stage.nginx = Some(nginx);
    table::run(&stage, &[Door::Nginx, Door::Below], true, 110).await;
}

#[tokio::test]
async fn a_sleeping_session_is_woken_and_an_ended_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = stage(dir.path()).await;
    assert_eq!(stage.server.sigterm().await, Some(0));
    stage.server.restart().await;
    assert_eq!(
        stage.server.json(&format!("/api/sessions/{}", stage.id)).await["phase"],
        "suspended"
    );
    let case = Case { stage: &stage, door: Door::Direct };
    let (head, ..) = case.relayed("GET /", &[], bodies::OK).await;
    assert_eq!(head.status(), 200, "it was waited for");
    let id = &stage.id;
    stage.server.post(&format!("/api/sessions/{id}/stop"), &[], &json!({})).await;
    stage.server.phase(id, "stopped", PROMPT).await;
    let (head, body) = case.told(81, "GET /", &[]).await;
    assert_eq!(head.status(), 409, "{body}");
    let (head, page) = case.told(81, "GET /", &[("accept", "text/html")]).await;
    assert_eq!(head.status(), 409);
    assert!(page.contains("The sandbox does not run") && !page.contains("refresh"), "{page}");
    assert_eq!(stage.server.json(&format!("/api/sessions/{id}")).await["phase"], "stopped");
}

#[tokio::test]
async fn a_page_that_waits_for_a_program_lets_the_session_sleep() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_with(dir.path(), &[("STAITHE__SANDBOX__IDLE_AFTER", "1s")]).await;
    let case = Case { stage: &stage, door: Door::Direct };
    let port = case.origin_at("127.0.0.1:0").await.port;
    let begun = tokio::time::Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    let path = format!("/api/sessions/{}", stage.id);
    while stage.server.json(&path).await["phase"] == "ready" {
        let (head, body) = case.told(port, "GET /", &[("accept", "text/html")]).await;
        // It may have begun to go to sleep in the meantime.
        assert!([502, 409].contains(&head.status()), "{body}");
        assert!(begun.elapsed() < PROMPT, "it is kept awake");
        look.tick().await;
    }
}

#[tokio::test]
async fn a_request_that_stands_still_is_the_clients_fault() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_with(dir.path(), &[("STAITHE__PROXY__IDLE_TIMEOUT", "500ms")]).await;
    let case = Case { stage: &stage, door: Door::Direct };
    let origin = case.origin().await;
    let mut wire = case.ask(origin.port, "POST /", &[("content-length", "4")], "bo").await;
    let mut program = origin.accept().await;
    program.head().await;
    let head = wire.head().await;
    let body = String::from_utf8(wire.body(&head).await.unwrap().0).unwrap();
    assert_eq!(head.status(), 408, "{body}");
    assert!(body.contains("proxy.stalled"), "{body}");
}

#[tokio::test]
async fn a_port_is_told_of_with_its_addresses_and_in_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(dir.path()).await;
    let mut client = Client::connect(&stage.server, &stage.id, &stage.token, -1).await;
    let start = "python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\",0)); \
                 print(s.getsockname()[1],flush=True); time.sleep(600)' > port & \
                 while ! [ -s port ]; do :; done; cat port";
    let ran = client.run("listen", start).await;
    let port: u64 = ran["content"]
        .as_str()
        .unwrap()
        .split_whitespace()
        .find_map(|w| w.parse().ok().filter(|p| *p > 1024))
        .unwrap();
    let path = format!("/api/sessions/{}/ports", stage.id);
    let begun = tokio::time::Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let told = loop {
        let listed = stage.server.json(&path).await;
        let found =
            listed["ports"].as_array().unwrap().iter().find(|it| it["port"] == port).cloned();
        if let Some(found) = found {
            break found;
        }
        assert!(begun.elapsed() < PROMPT, "never told: {listed}");
        look.tick().await;
    };
    assert_eq!(told["url"], format!("{}/s/{}/p/{port}/", stage.server.sandbox_url, stage.id));
    assert!(
        told["host_url"]
            .as_str()
            .unwrap()
            .contains(&format!("//{port}-{}.sand.example:", stage.id))
    );
    let is_told = |event: &Value| {
        event["observation"] == "ports_changed" && event.to_string().contains(&port.to_string())
    };
    // The list is told as soon as it is known, the event once it is durable.
    while !stage.server.events(&stage.id).await.iter().any(is_told) {
        assert!(begun.elapsed() < PROMPT, "there is no event");
        look.tick().await;
    }
    let viewer = format!("Bearer {}", stage.viewer);
    let (status, ..) = stage.server.get(&path, &[("authorization", &viewer)]).await;
    assert_eq!(status, 200, "who may read may know");
    let (status, ..) = stage
        .server
        .post(&format!("{path}/{port}/ticket"), &[("authorization", &viewer)], &json!({}))
        .await;
    assert_eq!(status, 403, "and may not use");
}

#[tokio::test]
async fn a_sign_in_over_tls_is_sent_over_tls_alone() {
    let dir = tempfile::tempdir().unwrap();
    let by = [("STAITHE__SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start_with(dir.path(), &by).await;
    let (form, https) =
        (("content-type", "application/x-www-form-urlencoded"), "x-forwarded-proto");
    for (headers, secure) in [(&[form][..], false), (&[form, (https, "https")], true)] {
        for (path, body) in
            [("/login", format!("token={}", server.token)), ("/logout", String::new())]
        {
            let own = format!("http://{}", server.address());
            let headers = [headers, &[("origin", own.as_str())]].concat();
            let (status, told, _) =
                server.request(hyper::Method::POST, path, &headers, body.into()).await;
            let cookie = told["set-cookie"].to_str().unwrap();
            assert_eq!((status, cookie.contains("; Secure")), (303, secure), "{path} {cookie}");
        }
    }
}
