//! MCP servers in a sandbox, from the hub over the line and the runner to the program and back.
#![expect(clippy::unwrap_used, reason = "what can't be had ends the test")]

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, json};
use staithe_actors::mcp::LinkDoor;
use staithe_agent::mcp::{
    content::told,
    door::Door,
    hub::Hub,
    settings::{McpKind, McpPhase, McpServer, McpSettings, McpValue, ToolFilter},
};
use staithe_link::{Address, Link, LinkEvent};
use staithe_protocol::Observation;
use tempfile::TempDir;
use tokio::time::timeout;

const RUNNER: &str = concat!(env!("OUT_DIR_OF_STAITHE"), "/staithe-runner");
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/agent/tests/mcp/server.py");
const PATIENCE: Duration = Duration::from_mins(1);

/// A runner alone; killed at the end.
struct Runner {
    child: Child,
    dir: TempDir,
}

impl Runner {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["socket", "work"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let mut child = Command::new(RUNNER)
            .args(["serve", "--key-stdin", "--socket-dir"])
            .arg(at("socket"))
            .arg("--workspace")
            .arg(at("work"))
            .arg("--state-dir")
            .arg(at("state"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "the key").unwrap();
        Self { child, dir }
    }

    /// Its line, once it is up.
    async fn line(&self) -> Link {
        let address = Address::Unix(self.dir.path().join("socket/runner.sock"));
        let (link, mut events) = Link::open(address, "the key");
        let up = async {
            while let Some(event) = events.recv().await {
                if matches!(event, LinkEvent::Up(_)) {
                    // Whoever does not read its events slows a line.
                    tokio::spawn(async move { while events.recv().await.is_some() {} });
                    return;
                }
            }
            panic!("the line ended");
        };
        timeout(PATIENCE, up).await.expect("it is up");
        link
    }

    /// Whether one of its programs is a server.
    fn serves(&self) -> bool {
        let mine = self.child.id().to_string();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.into_iter().any(|entry| {
            let read = |name: &str| std::fs::read_to_string(entry.path().join(name));
            let parent = read("stat").ok().and_then(|stat| {
                let (_, rest) = stat.rsplit_once(')')?;
                rest.split_whitespace().nth(1).map(str::to_owned)
            });
            parent == Some(mine.clone()) && read("cmdline").is_ok_and(|line| line.contains(SERVER))
        })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn server(name: &str, command: &str) -> McpServer {
    let env = [("TOKEN".to_owned(), McpValue::Secret("t0p-secret".into()))].into();
    let args = vec![SERVER.to_owned(), "plain".to_owned()];
    McpServer {
        name: name.to_owned(),
        kind: McpKind::Stdio { command: command.to_owned(), args, env },
        filter: ToolFilter::default(),
        timeout: PATIENCE,
        start_timeout: PATIENCE,
        restarts: 1,
        restart_wait: Duration::from_millis(1),
    }
}

/// Waits until a server stands so, and says why.
async fn until(hub: &Hub, index: usize, phase: McpPhase) -> String {
    let mut changes = hub.follow();
    let waiting = async {
        loop {
            let state = &hub.states()[index];
            if state.state == phase {
                return state.reason.clone().unwrap_or_default();
            }
            changes.changed().await.unwrap();
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(reason) => reason,
        Err(elapsed) => panic!("never {phase:?}, {elapsed}: {hub:?}"),
    }
}

/// Waits until something is so.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !is_so() {
            ticks.tick().await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

async fn call(hub: &Hub, tool: &str, arguments: serde_json::Value) -> Observation {
    let arguments = arguments.as_object().cloned().unwrap_or_else(Map::new);
    timeout(PATIENCE, hub.call(tool, arguments)).await.expect("an answer")
}

fn text(observation: &Observation) -> String {
    match observation {
        Observation::Mcp(result) => told(&result.content).text,
        other => panic!("no result: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_in_a_sandbox_is_called_and_ends_with_its_hub() {
    let runner = Runner::start();
    let door: Arc<dyn Door> = Arc::new(LinkDoor(runner.line().await));
    let servers = vec![server("one", "python3"), server("missing", "no-such-program")];
    let hub = Hub::start(McpSettings { servers }, BTreeSet::new(), &door);
    until(&hub, 0, McpPhase::Up).await;
    let missing = until(&hub, 1, McpPhase::Failed).await;
    assert!(missing.contains("has no program no-such-program"), "{missing}");

    assert_eq!(text(&call(&hub, "echo", json!({ "a": 1 })).await), "{\"a\": 1}");
    assert_eq!(text(&call(&hub, "env", json!({})).await), "***", "it has its secret");
    let big = text(&call(&hub, "big", json!({})).await);
    assert!(big.contains("bytes left out"), "{}", big.len());
    assert!(runner.serves());

    let crashed = call(&hub, "crash", json!({})).await;
    let Observation::Error(crashed) = crashed else { panic!("no error: {crashed:?}") };
    let expected = "It ended with 9. Its last lines:\nthe last words of a server with ***";
    assert!(crashed.content.contains(expected), "{}", crashed.content);
    assert_eq!(text(&call(&hub, "echo", json!({})).await), "{}", "it is begun again");

    drop(hub);
    eventually("its program ends", || !runner.serves()).await;
}

#[tokio::test]
async fn a_sandbox_that_is_lost_is_told_and_another_ones_door_is_taken() {
    let mut runner = Runner::start();
    let door: Arc<dyn Door> = Arc::new(LinkDoor(runner.line().await));
    let settings = || McpSettings { servers: vec![server("one", "python3")] };
    let hub = Hub::start(settings(), BTreeSet::new(), &door);
    until(&hub, 0, McpPhase::Up).await;
    runner.child.kill().unwrap();
    let reason = until(&hub, 0, McpPhase::Failed).await;
    assert!(reason.contains("runner could not be reached"), "{reason}");
    let lost = call(&hub, "echo", json!({})).await;
    assert!(matches!(lost, Observation::Error(_)), "{lost:?}");

    let other = Runner::start();
    let door: Arc<dyn Door> = Arc::new(LinkDoor(other.line().await));
    let hub = Hub::start(settings(), BTreeSet::new(), &door);
    until(&hub, 0, McpPhase::Up).await;
    assert_eq!(text(&call(&hub, "echo", json!({})).await), "{}");
}
