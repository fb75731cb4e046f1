//! The fake by raw HTTP, as a client that shares none of its code.

use std::time::Duration;

use serde_json::{Value, json};
use staithe_protocol::runner::{KEY_HEADER, LINK_PATH};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

use super::{Boot, FakeDockerd, Fault, Status, archive};
use crate::eventually;

const LIMIT: Duration = Duration::from_secs(30);

fn request(method: &str, path: &str, body: &[u8], more: &str) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n{more}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Everything that comes until the connection ends.
async fn raw(fake: &FakeDockerd, method: &str, path: &str, body: &[u8]) -> String {
    let mut stream = UnixStream::connect(fake.socket()).await.expect("it listens");
    stream.write_all(&request(method, path, body, "Connection: close\r\n")).await.expect("written");
    let mut answer = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(fake: &FakeDockerd, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = raw(fake, method, path, body.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn get(fake: &FakeDockerd, path: &str) -> (u16, Value) {
    ask(fake, "GET", path, Value::Null).await
}

async fn post(fake: &FakeDockerd, path: &str) -> u16 {
    ask(fake, "POST", path, Value::Null).await.0
}

/// A connection that was upgraded.
async fn upgraded(fake: &FakeDockerd, path: &str, body: &str) -> UnixStream {
    let mut stream = UnixStream::connect(fake.socket()).await.expect("it listens");
    let more = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    stream.write_all(&request("POST", path, body.as_bytes(), more)).await.expect("written");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, stream.read_u8()).await.expect("in time").expect("an answer"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// How a runner's line begins.
fn join(key: &str) -> Vec<u8> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let nonce = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let own = format!("Host: runner\r\n{KEY_HEADER}: {key}\r\n");
    format!("GET {LINK_PATH} HTTP/1.1\r\n{own}{upgrade}{nonce}\r\n").into_bytes()
}

/// A daemon with an image and one container of it, `box`.
async fn with_box() -> (FakeDockerd, String) {
    let fake = FakeDockerd::start();
    fake.add_image("img:1");
    let body = json!({ "Image": "img:1", "Labels": { "staithe.owner": "me", "a": "b" } });
    let (status, made) = ask(&fake, "POST", "/v1.41/containers/create?name=box", body).await;
    assert_eq!(status, 201, "{made}");
    let id = made["Id"].as_str().expect("an id").to_owned();
    (fake, id)
}

#[tokio::test]
async fn a_container_goes_through_its_states() {
    let (fake, id) = with_box().await;
    let state = async |fake: &FakeDockerd| {
        get(fake, "/v1.41/containers/box/json").await.1["State"]["Status"].clone()
    };
    assert_eq!(state(&fake).await, "created");
    for (verb, status, after) in [
        ("start", 204, "running"),
        ("start", 304, "running"),
        ("pause", 204, "paused"),
        ("start", 409, "paused"),
        ("unpause", 204, "running"),
        ("stop?t=1", 204, "exited"),
        ("stop", 304, "exited"),
        ("kill", 409, "exited"),
        ("start", 204, "running"),
        ("kill?signal=SIGKILL", 204, "exited"),
        ("start", 204, "running"),
    ] {
        assert_eq!(post(&fake, &format!("/containers/box/{verb}")).await, status, "{verb}");
        assert_eq!(state(&fake).await, after, "{verb}");
    }
    assert_eq!(ask(&fake, "DELETE", "/containers/box", Value::Null).await.0, 409, "it runs");
    let gone = format!("/containers/{}?force=true&v=true", &id[..12]);
    assert_eq!(ask(&fake, "DELETE", &gone, Value::Null).await.0, 204);
    assert_eq!(get(&fake, "/containers/box/json").await.0, 404);
    assert!(fake.leftovers().is_empty());
    assert_eq!(fake.requests_of("POST /containers/{id}/start").len(), 5);
}

#[tokio::test]
async fn names_are_taken_once_and_filters_are_exact() {
    let (fake, _) = with_box().await;
    fake.make("box-2", &json!({ "Image": "img:1", "Labels": { "staithe.owner": "me2" } }));
    let body = json!({ "Image": "img:1" });
    let (status, refusal) = ask(&fake, "POST", "/containers/create?name=box", body.clone()).await;
    assert_eq!(status, 409);
    assert!(refusal["message"].as_str().is_some_and(|m| m.contains("already in use")), "{refusal}");
    assert_eq!(ask(&fake, "POST", "/containers/create?name=x", body.clone()).await.0, 400);
    let other = json!({ "Image": "img:2" });
    assert_eq!(ask(&fake, "POST", "/containers/create?name=other", other).await.0, 404);
    for (filters, count) in [
        (json!({ "label": ["staithe.owner=me"] }), 1),
        (json!({ "label": ["staithe.owner"] }), 2),
        (json!({ "label": ["staithe.owner=me", "a=c"] }), 0),
        (json!({ "name": ["^/?box$"] }), 1),
        (json!({ "name": ["box"] }), 2),
        (json!({ "status": ["running"] }), 0),
    ] {
        let filters = filters.to_string().replace('"', "%22").replace('?', "%3F");
        let (_, found) = get(&fake, &format!("/containers/json?all=1&filters={filters}")).await;
        assert_eq!(found.as_array().map(Vec::len), Some(count), "{filters}");
    }
    assert_eq!(get(&fake, "/containers/json").await.1, json!([]), "none of them runs");
    assert_eq!(post(&fake, "/containers/box/rename?name=box-2").await, 409);
    assert_eq!(post(&fake, "/containers/box/rename?name=box-3").await, 204);
    assert!(fake.container("box").is_none() && fake.container("box-3").is_some());
}

#[tokio::test]
async fn the_runner_listens_in_the_shared_folder_once_it_has_its_key() {
    let (fake, _) = with_box().await;
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().display().to_string();
    let mount = json!({ "Type": "bind", "Source": source, "Target": "/somewhere/run" });
    fake.make("shared", &json!({ "Image": "img:1", "HostConfig": { "Mounts": [mount] } }));
    let mut stdin = upgraded(&fake, "/containers/shared/attach?stdin=1&stream=1", "").await;
    assert_eq!(post(&fake, "/containers/shared/start").await, 204);
    assert!(fake.runner("shared").is_none(), "it has no key yet");
    stdin.write_all(b"the-key\n").await.expect("written");
    stdin.shutdown().await.expect("shut");
    eventually("the runner runs", || fake.runner("shared").is_some()).await;
    let socket = dir.path().join("runner.sock");
    for (key, status) in [("the-key", "101"), ("another", "403")] {
        let mut line = UnixStream::connect(&socket).await.expect("it listens");
        line.write_all(&join(key)).await.expect("written");
        let mut head = [0; 12];
        timeout(LIMIT, line.read_exact(&mut head)).await.expect("in time").expect("an answer");
        assert_eq!(&head[9..], status.as_bytes());
    }
    fake.exit("shared", 3);
    assert!(fake.runner("shared").is_none());
    let mut rest = Vec::new();
    timeout(LIMIT, stdin.read_to_end(&mut rest)).await.expect("the attachment ends").expect("read");
    let (_, waited) = ask(&fake, "POST", "/containers/shared/wait", Value::Null).await;
    assert_eq!(waited["StatusCode"], 3);
}

#[tokio::test]
async fn an_exec_is_a_bridge_to_the_runner_or_what_the_test_says() {
    let (fake, id) = with_box().await;
    let wanted = json!({ "Cmd": ["/x/staithe-runner", "bridge"], "AttachStdin": true, "AttachStdout": true });
    assert_eq!(
        ask(&fake, "POST", "/containers/box/exec", wanted.clone()).await.0,
        409,
        "it does not run"
    );
    let mut stdin = upgraded(&fake, "/containers/box/attach?stdin=1&stream=1", "").await;
    stdin.write_all(b"k\n").await.expect("written");
    assert_eq!(post(&fake, "/containers/box/start").await, 204);
    eventually("the runner runs", || fake.runner("box").is_some()).await;
    let (status, made) = ask(&fake, "POST", "/containers/box/exec", wanted).await;
    assert_eq!(status, 201);
    let exec = made["Id"].as_str().expect("an id");
    let mut line = upgraded(&fake, &format!("/exec/{exec}/start"), r#"{"Detach":false}"#).await;
    line.write_all(&join("k")).await.expect("written");
    let mut head = [0; 20];
    timeout(LIMIT, line.read_exact(&mut head)).await.expect("in time").expect("a frame");
    assert_eq!((head[0], &head[8..]), (1, &b"HTTP/1.1 101"[..]), "a frame of stdout");
    let (_, now) = get(&fake, &format!("/exec/{exec}/json")).await;
    assert_eq!(now["ContainerID"], id.as_str());

    fake.program("uname", "Linux\n", 7);
    let wanted = json!({ "Cmd": ["uname", "-s"], "AttachStdout": true });
    let (_, made) = ask(&fake, "POST", "/containers/box/exec", wanted).await;
    let exec = made["Id"].as_str().expect("an id");
    let mut output = upgraded(&fake, &format!("/exec/{exec}/start"), "{}").await;
    let mut printed = Vec::new();
    timeout(LIMIT, output.read_to_end(&mut printed)).await.expect("it ends").expect("read");
    assert_eq!(printed, b"\x01\0\0\0\0\0\0\x06Linux\n");
    assert_eq!(get(&fake, &format!("/exec/{exec}/json")).await.1["ExitCode"], 7);
}

#[tokio::test]
async fn faults_come_once_always_or_later_and_everything_is_recorded() {
    let (fake, _) = with_box().await;
    fake.forget_requests();
    fake.fail("POST /containers/{id}/start", Fault::status(500, "boom"));
    let (status, body) = ask(&fake, "POST", "/v1.41/containers/box/start", Value::Null).await;
    assert_eq!((status, body), (500, json!({ "message": "boom" })));
    assert_eq!(fake.container("box").expect("there").status, Status::Created);

    fake.fail("POST /containers/{id}/start", Fault::Drop);
    assert_eq!(raw(&fake, "POST", "/containers/box/start", b"").await, "");
    assert_eq!(fake.container("box").expect("there").status, Status::Created);

    fake.fail("POST /containers/{id}/start", Fault::DropAfterEffect);
    assert_eq!(raw(&fake, "POST", "/containers/box/start", b"").await, "");
    assert_eq!(fake.container("box").expect("there").status, Status::Running);

    fake.fail_always("GET *", Fault::status(503, "later"));
    fake.fail_after("POST /containers/{id}/stop", 1, Fault::status(502, "second"));
    assert_eq!([get(&fake, "/info").await.0, get(&fake, "/version").await.0], [503, 503]);
    assert_eq!(post(&fake, "/containers/box/stop").await, 204);
    assert_eq!(post(&fake, "/containers/box/stop").await, 502);
    fake.mend();
    assert_eq!(get(&fake, "/info").await.0, 200);

    fake.fail("GET /version", Fault::Garbage);
    assert!(raw(&fake, "GET", "/version", b"").await.ends_with("<html>{"));
    fake.fail("GET /version", Fault::Slow(Duration::from_millis(1)));
    assert_eq!(get(&fake, "/version").await.0, 200);
    fake.fail("GET /version", Fault::Hold);
    let held = tokio::spawn({
        let fake = fake.clone();
        async move { get(&fake, "/version").await.0 }
    });
    eventually("it is asked", || fake.requests_of("GET /version").len() == 4).await;
    assert!(!held.is_finished());
    let all = fake.clone();
    eventually("it goes on", move || {
        all.release();
        held.is_finished()
    })
    .await;
    let starts = fake.requests_of("POST /containers/{id}/start");
    assert_eq!(starts.len(), 3);
    assert_eq!((starts[0].id.as_str(), starts[0].version.as_deref()), ("box", Some("1.41")));
}

#[tokio::test]
async fn a_hanging_request_hangs_and_a_daemon_that_goes_away_cuts_it() {
    let (fake, _) = with_box().await;
    assert_eq!(post(&fake, "/containers/box/start").await, 204);
    fake.fail("GET /info", Fault::Hang);
    let hanging = tokio::spawn({
        let fake = fake.clone();
        async move { raw(&fake, "GET", "/info", b"").await }
    });
    eventually("it is asked", || !fake.requests_of("GET /info").is_empty()).await;
    assert!(!hanging.is_finished());
    fake.go_away();
    assert_eq!(hanging.await.expect("it ended"), "");
    UnixStream::connect(fake.socket()).await.expect_err("nobody listens");
    fake.come_back();
    assert_eq!(get(&fake, "/info").await.0, 200);
    assert_eq!(fake.container("box").expect("there").status, Status::Exited);
}

#[tokio::test]
async fn networks_and_volumes_are_kept_and_refused_while_they_are_used() {
    let (fake, _) = with_box().await;
    let network = |name: &str, subnet: &str| json!({ "Name": name, "Labels": { "o": "1" }, "IPAM": { "Config": [{ "Subnet": subnet }] } });
    assert_eq!(ask(&fake, "POST", "/networks/create", network("n", "10.1.0.0/28")).await.0, 201);
    assert_eq!(ask(&fake, "POST", "/networks/create", network("m", "10.1.0.8/29")).await.0, 403);
    assert_eq!(
        ask(&fake, "POST", "/v1.41/networks/create", network("n", "10.2.0.0/28")).await.0,
        201
    );
    fake.set_api_version("1.44");
    assert_eq!(
        ask(&fake, "POST", "/v1.44/networks/create", network("n", "10.3.0.0/28")).await.0,
        409
    );
    let volume = json!({ "Type": "volume", "Source": "v", "Target": "/w", "VolumeOptions": { "Labels": { "o": "1" } } });
    let host = json!({ "NetworkMode": "n", "Mounts": [volume] });
    fake.make("user", &json!({ "Image": "img:1", "HostConfig": host }));
    assert_eq!(post(&fake, "/containers/user/start").await, 204);
    let (_, found) = get(&fake, "/volumes?filters=%7B%22label%22%3A%5B%22o%3D1%22%5D%7D").await;
    assert_eq!(found["Volumes"][0]["Name"], "v");
    assert_eq!(ask(&fake, "DELETE", "/volumes/v", Value::Null).await.0, 409);
    assert_eq!(ask(&fake, "DELETE", "/networks/n", Value::Null).await.0, 403);
    fake.remove("user");
    assert_eq!(ask(&fake, "DELETE", "/volumes/v", Value::Null).await.0, 204);
    assert_eq!(ask(&fake, "DELETE", "/networks/n", Value::Null).await.0, 204);
    assert_eq!(ask(&fake, "DELETE", "/networks/n", Value::Null).await.0, 204, "there were two");
    assert_eq!(ask(&fake, "DELETE", "/networks/n", Value::Null).await.0, 404);
    assert_eq!(fake.leftovers(), ["container box"]);
    let bind = json!({ "Type": "bind", "Source": "/no/such/folder", "Target": "/x" });
    let body = json!({ "Image": "img:1", "HostConfig": { "Mounts": [bind] } });
    let (status, refusal) = ask(&fake, "POST", "/containers/create?name=bound", body).await;
    assert_eq!(status, 400, "{refusal}");
}

#[tokio::test]
async fn images_are_pulled_when_they_are_offered() {
    let fake = FakeDockerd::start();
    assert_eq!(get(&fake, "/images/a/b:1/json").await.0, 404);
    assert_eq!(post(&fake, "/images/create?fromImage=a/b&tag=1").await, 404);
    fake.offer_image("a/b:1");
    let told = raw(&fake, "POST", "/images/create?fromImage=a/b&tag=1", b"").await;
    assert!(told.contains("Downloading") && told.contains("Downloaded newer image"), "{told}");
    let (status, image) = get(&fake, "/images/a/b:1/json").await;
    assert_eq!((status, &image["RepoTags"]), (200, &json!(["a/b:1"])));
}

#[tokio::test]
async fn an_old_daemon_refuses_newer_clients_and_says_what_it_speaks() {
    let fake = FakeDockerd::start();
    fake.set_api_version("1.30");
    assert_eq!(get(&fake, "/version").await.1["ApiVersion"], "1.30");
    let (status, refusal) = get(&fake, "/v1.41/info").await;
    assert_eq!(status, 400, "{refusal}");
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|m| m.contains("Maximum supported API version is 1.30"))
    );
    assert_eq!(get(&fake, "/v1.30/info").await.0, 200);
    assert_eq!(get(&fake, "/nothing").await.0, 404);
}

#[tokio::test]
async fn what_is_put_into_a_volume_is_there_for_the_next_container() {
    let (fake, _) = with_box().await;
    let host = json!({ "Mounts": [{ "Type": "volume", "Source": "seed", "Target": "/runner" }] });
    fake.make("first", &json!({ "Image": "img:1", "HostConfig": host }));
    fake.make("second", &json!({ "Image": "img:1", "HostConfig": host }));
    let head = raw(&fake, "HEAD", "/containers/first/archive?path=%2Frunner%2Fx", b"").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let put = raw(
        &fake,
        "PUT",
        "/containers/first/archive?path=%2Frunner",
        &archive::tar("x", b"content"),
    )
    .await;
    assert!(put.starts_with("HTTP/1.1 200"), "{put}");
    let head = raw(&fake, "HEAD", "/containers/second/archive?path=%2Frunner%2Fx", b"").await;
    assert!(head.to_lowercase().contains("x-docker-container-path-stat: ey"), "{head}");
    let got = raw(&fake, "GET", "/containers/second/archive?path=%2Frunner%2Fx", b"").await;
    assert!(got.contains("content"));
    let bad = raw(&fake, "PUT", "/containers/first/archive?path=%2F", &[b'x'; 600]).await;
    assert!(bad.starts_with("HTTP/1.1 400"), "{bad}");
}

#[tokio::test]
async fn events_and_logs_tell_what_happened() {
    let (fake, id) = with_box().await;
    let mut events = UnixStream::connect(fake.socket()).await.expect("it listens");
    let filters = "%7B%22event%22%3A%5B%22die%22%2C%22oom%22%5D%2C%22label%22%3A%5B%22staithe.owner%3Dme%22%5D%7D";
    let path = format!("/events?filters={filters}");
    events.write_all(&request("GET", &path, b"", "")).await.expect("written");
    eventually("it is asked", || !fake.requests_of("GET /events").is_empty()).await;
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    let count = timeout(LIMIT, events.read(&mut buffer)).await.expect("in time").expect("the head");
    seen += &String::from_utf8_lossy(&buffer[..count]);

    fake.set_boot(Boot::Exits { code: 9, log: vec!["no such file".into()] });
    assert_eq!(post(&fake, "/containers/box/start").await, 204);
    fake.print("box", "out");
    while !seen.contains("\"die\"") {
        let count =
            timeout(LIMIT, events.read(&mut buffer)).await.expect("in time").expect("an event");
        seen += &String::from_utf8_lossy(&buffer[..count]);
    }
    assert!(seen.contains(&id) && seen.contains("\"exitCode\":\"9\""), "{seen}");
    assert!(!seen.contains("\"create\"") && !seen.contains("\"start\""), "{seen}");
    let logs = raw(&fake, "GET", "/containers/box/logs?stdout=1&stderr=1&tail=1", b"").await;
    assert!(
        logs.contains("\u{1}\0\0\0\0\0\0\u{4}out\n") && !logs.contains("no such file"),
        "{logs:?}"
    );

    fake.set_boot(Boot::Silent);
    assert_eq!(post(&fake, "/containers/box/start").await, 204);
    fake.exhaust_memory("box");
    let (_, state) = get(&fake, "/containers/box/json").await;
    assert_eq!(state["State"]["OOMKilled"], true);
    assert_eq!(state["State"]["ExitCode"], 137);
}
