//! The hub against real servers: programs of Python's standard library, and addresses served by hyper.
#![expect(clippy::unwrap_used, reason = "what can't be had ends the test")]

mod addresses;
mod faults;
mod programs;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value};
use staithe_agent::mcp::{
    content::told,
    door::{Door, Opened, Program},
    hub::Hub,
    settings::{McpKind, McpPhase, McpServer, McpSettings, McpState, McpValue, ToolFilter},
};
use staithe_protocol::{Observation, pipe::PipeStart};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Programs of this machine in place of a sandbox's.
struct Local;

impl Door for Local {
    fn open(&self, start: PipeStart) -> BoxFuture<'static, Result<Opened, String>> {
        async move {
            let mut child = Command::new(&start.argv[0])
                .args(&start.argv[1..])
                .envs(&start.env)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .map_err(|error| format!("{} can't be started: {error}", start.argv[0]))?;
            let (read, write) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
            let stream = Box::new(tokio::io::join(read, write));
            Ok(Opened { stream, program: Box::new(Local1(child)) })
        }
        .boxed()
    }
}

struct Local1(Child);

impl Program for Local1 {
    fn end(mut self: Box<Self>) -> BoxFuture<'static, String> {
        async move {
            self.0.start_kill().unwrap();
            let mut said = String::new();
            let mut stderr = self.0.stderr.take().unwrap();
            stderr.read_to_string(&mut said).await.unwrap();
            said
        }
        .boxed()
    }
}

/// A server in Python that behaves like this.
fn python(name: &str, mode: &str) -> McpServer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server.py");
    let env = BTreeMap::from([("TOKEN".to_owned(), McpValue::Secret("t0p-secret".into()))]);
    McpServer {
        name: name.to_owned(),
        kind: McpKind::Stdio {
            command: "python3".into(),
            args: vec![script.to_str().unwrap().to_owned(), mode.to_owned()],
            env,
        },
        filter: ToolFilter::default(),
        timeout: PATIENCE,
        start_timeout: PATIENCE,
        restarts: 2,
        restart_wait: Duration::from_millis(1),
    }
}

/// The same, noting what it hears in a file.
fn noting(mut server: McpServer, file: &Path) -> McpServer {
    if let McpKind::Stdio { env, .. } = &mut server.kind {
        env.insert("NOTES".into(), McpValue::Plain(file.to_str().unwrap().to_owned()));
    }
    server
}

fn hub(servers: Vec<McpServer>) -> Hub {
    let door: Arc<dyn Door> = Arc::new(Local);
    let taken = BTreeSet::from(["env".to_owned()]);
    Hub::start(McpSettings { servers }, taken, &door)
}

/// One whose servers all have begun, or failed.
async fn settled(servers: Vec<McpServer>) -> Hub {
    let hub = hub(servers);
    timeout(PATIENCE, hub.settled()).await.expect("they settle");
    hub
}

/// Waits until a server stands like this.
async fn until(hub: &Hub, name: &str, is_so: impl Fn(&McpState) -> bool) -> McpState {
    let mut changes = hub.follow();
    let waiting = async {
        loop {
            let states = hub.states();
            if let Some(state) = states.into_iter().find(|it| it.name == name && is_so(it)) {
                return state;
            }
            changes.changed().await.unwrap();
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(state) => state,
        Err(elapsed) => panic!("never, {elapsed}: {hub:?}"),
    }
}

fn is(phase: McpPhase) -> impl Fn(&McpState) -> bool {
    move |state| state.state == phase
}

async fn call(hub: &Hub, name: &str) -> Observation {
    timeout(PATIENCE, hub.call(name, Map::new())).await.expect("an answer")
}

/// What the model is told of a result.
async fn said(hub: &Hub, name: &str, arguments: Value) -> String {
    let arguments = arguments.as_object().unwrap().clone();
    match timeout(PATIENCE, hub.call(name, arguments)).await.expect("an answer") {
        Observation::Mcp(result) => told(&result.content).text,
        other => panic!("no result: {other:?}"),
    }
}

/// The text of an error.
fn error(observation: &Observation) -> &str {
    match observation {
        Observation::Error(error) => &error.content,
        other => panic!("no error: {other:?}"),
    }
}

/// Waits until something is so.
async fn eventually<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        loop {
            if let Some(value) = is_so() {
                return value;
            }
            ticks.tick().await;
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(value) => value,
        Err(elapsed) => panic!("never, {elapsed}: {what}"),
    }
}
