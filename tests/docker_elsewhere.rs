//! The engine is elsewhere: the server in a container of the same engine (a line over TCP on the session's
//! network), and the engine behind ssh (a line through an exec).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{os::unix::fs::PermissionsExt, time::Duration};

use common::{Client, EngineKind, PROMPT, Server, docker, http::ask};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

/// A token for the server in the container.
const TOKEN: &str = "a-token-for-one-test-alone";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_a_container_reaches_its_sandboxes_and_publishes_no_port() {
    let house = House::start();
    let address = house.address();
    house.answers(&address).await;
    let made = post(&address, "/api/sessions", &json!({})).await;
    let (sid, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let ready = house.ready(&address, sid).await;
    assert_eq!(ready["phase"], "ready", "{ready}\n{}", house.log());
    let mut client = Client::try_connect(&address, sid, token, -1, None).await.unwrap();
    assert_eq!(
        client.run("a", "echo from inside; ls -x /.staithe").await["content"],
        "from inside\nbin  state"
    );
    let name = format!("staithe-{sid}");
    let ports = docker::docker(&[
        "inspect",
        "--format",
        "{{.HostConfig.PortBindings}} {{.NetworkSettings.Ports}}",
        &name,
    ]);
    assert!(!ports.contains("HostPort"), "{ports}");
    let engine: Value = get(&address, "/api/admin/engine").await;
    let line =
        engine["facts"].as_array().unwrap().iter().find(|fact| fact["name"] == "line").unwrap();
    assert_eq!(line["value"], "tcp", "{engine}");
    let (status, ..) =
        ask(&address, TOKEN, Method::DELETE, &format!("/api/sessions/{sid}"), &[], Vec::new())
            .await
            .unwrap();
    assert_eq!(status, 204, "{}", house.log());
    let owner = house.owner();
    assert_eq!(docker::described(&owner), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_behind_ssh_makes_sandboxes_that_are_reached_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let programs = dir.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    // In place of a machine far away: what ssh would run there is run here.
    let ssh = format!(
        "#!/bin/sh\necho \"$@\" >> {}/asked\nwhile [ \"$1\" != -- ]; do shift; done; shift 2\nexec env DOCKER_HOST={} \"$@\"\n",
        dir.path().display(),
        docker::host()
    );
    std::fs::write(programs.join("ssh"), ssh).unwrap();
    std::fs::set_permissions(programs.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let env = [("PATH", path.as_str()), ("STAITHE__SANDBOX__DOCKER__HOST", "ssh://me@far")];
    let server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    let (sid, token) = server.session().await;
    server.phase(&sid, "ready", PROMPT).await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    assert_eq!(client.run("a", "echo from afar").await["content"], "from afar");
    let (status, ..) = server
        .put(&format!("/api/sessions/{sid}/files/f"), &[("x-force", "true")], b"bytes".to_vec())
        .await;
    assert!((200..300).contains(&status), "{status}");
    assert_eq!(client.run("b", "cat f").await["content"], "bytes");
    let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
    assert!(
        asked.contains("BatchMode=yes") && asked.contains("-- me@far docker system dial-stdio"),
        "{asked}"
    );
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}

/// A server in a container that was given the engine's socket.
struct House {
    name: String,
    dir: tempfile::TempDir,
}

impl House {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("staithe-test-house-{}", std::process::id());
        let socket = docker::host().replace("unix://", "");
        let mounts = [
            format!("{socket}:/var/run/docker.sock"),
            format!("{}:/staithe:ro", env!("CARGO_BIN_EXE_staithe")),
            format!("{}:/data", dir.path().display()),
            // A debug build reads its pages where they were.
            same_place("static"),
            same_place("templates"),
        ];
        let mut words = vec!["run", "--detach", "--name", &name];
        words.extend(mounts.iter().flat_map(|mount| ["--volume", mount.as_str()]));
        let token = format!("STAITHE__AUTH__OPERATOR_TOKEN={TOKEN}");
        let image = format!("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE={}", docker::IMAGE);
        for variable in [&token, &image, "STAITHE__SANDBOX__DOCKER__PULL=never"] {
            words.extend(["--env", variable]);
        }
        words.extend([
            docker::IMAGE,
            "/staithe",
            "serve",
            "--engine",
            "docker",
            "--data-dir",
            "/data",
        ]);
        words.extend(["--listen", "0.0.0.0:3000", "--sandbox-listen", "0.0.0.0:3001"]);
        docker::docker(&words);
        Self { name, dir }
    }

    fn address(&self) -> String {
        let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
        format!("{}:3000", docker::docker(&["inspect", "--format", address, &self.name]).trim())
    }

    fn owner(&self) -> String {
        docker::owner(self.dir.path()).unwrap()
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&docker::try_docker(&["logs", &self.name]).stderr).into_owned()
    }

    async fn answers(&self, address: &str) {
        let until = Instant::now() + PROMPT;
        while ask(address, TOKEN, Method::GET, "/health", &[], Vec::new()).await.is_err() {
            assert!(Instant::now() < until, "the server does not answer: {}", self.log());
            sleep_until(Instant::now() + Duration::from_millis(50)).await;
        }
    }

    async fn ready(&self, address: &str, sid: &str) -> Value {
        let until = Instant::now() + PROMPT;
        loop {
            let body = get(address, &format!("/api/sessions/{sid}")).await;
            if ["ready", "failed"].contains(&body["phase"].as_str().unwrap())
                || Instant::now() > until
            {
                return body;
            }
            sleep_until(Instant::now() + Duration::from_millis(50)).await;
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        docker::try_docker(&["rm", "--force", "--volumes", &self.name]);
        if let Some(owner) = docker::owner(self.dir.path()) {
            docker::remove_all(&owner);
        }
    }
}

fn same_place(folder: &str) -> String {
    let path = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    format!("{path}:{path}:ro")
}

async fn get(address: &str, path: &str) -> Value {
    let (_, _, body) = ask(address, TOKEN, Method::GET, path, &[], Vec::new()).await.unwrap();
    serde_json::from_slice(&body).unwrap_or_default()
}

async fn post(address: &str, path: &str, body: &Value) -> Value {
    let json = [("content-type", "application/json")];
    let sent = ask(address, TOKEN, Method::POST, path, &json, body.to_string().into()).await;
    let (status, _, body) = sent.unwrap();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}
