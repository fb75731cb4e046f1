//! A real runner on a folder of its own, and a server's end of the line to it.
#![expect(dead_code, reason = "each test file uses its part")]

pub(crate) mod terminals;

use std::{
    collections::HashMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, header::HeaderValue};
use hyper_util::rt::TokioIo;
use staithe_protocol::{
    Action, Observation,
    files::{FileDenied, FileDone, FileOp},
    observation::RunObservation,
    runner::{Answer, Call, FromRunner, Hello, KEY_HEADER, Limits, ServerInfo, ToRunner},
};
use tempfile::TempDir;
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

pub(crate) const KEY: &str = "the key of this session";
/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A runner; killed at the end.
pub(crate) struct Runner {
    child: Child,
    pub(crate) dir: TempDir,
}

impl Runner {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self::start_in(dir, change).await
    }

    /// Starts it as another user, with a folder that this user can reach.
    pub(crate) async fn start_as(user: &str, change: impl FnOnce(&mut Command)) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().expect("a folder");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), mode).expect("our own folder");
        Self::start_in(dir, |command| {
            command.args(["--user", user]);
            change(command);
        })
        .await
    }

    async fn start_in(dir: TempDir, change: impl FnOnce(&mut Command)) -> Self {
        std::fs::create_dir(dir.path().join("work")).expect("a workspace");
        std::fs::create_dir(dir.path().join("socket")).expect("a socket's folder");
        let runner = Self { child: spawn(dir.path(), change), dir };
        eventually("the socket answers", async || runner.try_connect().await).await;
        runner
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.dir.path().join("work").canonicalize().expect("the workspace")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("alive");
        let child = &mut self.child;
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        timeout(PATIENCE, async {
            loop {
                if let Some(status) = child.try_wait().expect("a child") {
                    return status.code();
                }
                ticks.tick().await;
            }
        })
        .await
        .expect("it ends")
    }

    async fn try_connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.dir.path().join("socket/runner.sock")).await.ok()
    }

    pub(crate) async fn connect(&self) -> UnixStream {
        self.try_connect().await.expect("the socket answers")
    }

    /// Opens a line.
    pub(crate) async fn line(&self) -> Line {
        let mut request = format!("ws://runner{}", staithe_protocol::runner::LINK_PATH)
            .into_client_request()
            .expect("a request");
        request.headers_mut().insert(KEY_HEADER, HeaderValue::from_static(KEY));
        let (socket, _) = client_async(request, self.connect().await).await.expect("a WebSocket");
        let mut line = Line {
            socket,
            next: 1,
            hello: Hello {
                epoch: String::new(),
                version: String::new(),
                workspace: String::new(),
                known_keys: vec![],
            },
            answers: HashMap::new(),
            outputs: Vec::new(),
            news: Vec::new(),
        };
        match line.receive().await {
            FromRunner::Hello(hello) => line.hello = hello,
            other => panic!("the first word is no hello: {other:?}"),
        }
        line
    }

    /// A request over HTTP.
    pub(crate) async fn http(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, hyper::HeaderMap, Bytes) {
        let (mut send, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await))
                .await
                .expect("a connection");
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = send.send_request(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        connection.abort();
        (parts.status, parts.headers, body)
    }

    /// The same with the right key; the body as JSON.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> (StatusCode, serde_json::Value) {
        let key = [(KEY_HEADER, KEY)];
        let (status, _, body) = self.http(Method::POST, path, &key, body.to_string()).await;
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// Resident bytes of the runner.
    pub(crate) fn resident(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("alive");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the binary; the key goes through its stdin.
pub(crate) fn spawn(dir: &Path, change: impl FnOnce(&mut Command)) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staithe-runner"));
    command
        .args(["serve", "--key-stdin", "--socket-dir"])
        .arg(dir.join("socket"))
        .arg("--workspace")
        .arg(dir.join("work"))
        .arg("--state-dir")
        .arg(dir.join("state"))
        .stdin(Stdio::piped());
    change(&mut command);
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "{KEY}").expect("the key is taken");
    child
}

/// Waits until something is so.
pub(crate) async fn eventually<T>(what: &str, mut is_so: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let waiting = async {
        loop {
            if let Some(value) = is_so().await {
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

/// Live output, as it was pushed.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    pub(crate) key: Option<String>,
    pub(crate) offset: u64,
    pub(crate) text: String,
    pub(crate) skipped: u64,
}

/// A server's end of a line.
pub(crate) struct Line {
    pub(crate) socket: WebSocketStream<UnixStream>,
    next: u64,
    pub(crate) hello: Hello,
    answers: HashMap<u64, Answer>,
    pub(crate) outputs: Vec<Pushed>,
    /// What was told of plugins and ports.
    pub(crate) news: Vec<FromRunner>,
}

impl Line {
    pub(crate) async fn receive(&mut self) -> FromRunner {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("the runner speaks");
            match message.expect("the line is open").expect("a message") {
                Message::Text(text) => return serde_json::from_str(&text).expect("a known word"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text: {other:?}"),
            }
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the line is open");
    }

    /// Calls without waiting; the call's number.
    pub(crate) async fn begin(&mut self, call: Call) -> u64 {
        let id = self.next;
        self.next += 1;
        let text = serde_json::to_string(&ToRunner::Request { id, call }).expect("JSON");
        self.say(&text).await;
        id
    }

    /// Receives one message, and keeps it.
    pub(crate) async fn take_one(&mut self) {
        match self.receive().await {
            FromRunner::Answer { id, answer } => {
                assert!(self.answers.insert(id, answer).is_none(), "{id} was answered twice");
            }
            FromRunner::Output { key, offset, text, skipped } => {
                self.outputs.push(Pushed { key, offset, text, skipped });
            }
            news @ (FromRunner::Plugin { .. } | FromRunner::Ports { .. }) => self.news.push(news),
            FromRunner::Hello(_) => panic!("a second hello"),
        }
    }

    /// The answer to a call that was begun.
    pub(crate) async fn answer(&mut self, id: u64) -> Answer {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            self.take_one().await;
        }
    }

    /// Waits until a command's live output contains a text.
    pub(crate) async fn output_contains(&mut self, wanted: &str) {
        while !self.outputs.iter().map(|o| o.text.as_str()).collect::<String>().contains(wanted) {
            self.take_one().await;
        }
    }

    pub(crate) async fn call(&mut self, call: Call) -> Answer {
        let id = self.begin(call).await;
        self.answer(id).await
    }

    pub(crate) async fn observe(&mut self, id: u64) -> Observation {
        match self.answer(id).await {
            Answer::Observed { observation } => *observation,
            other => panic!("no observation: {other:?}"),
        }
    }

    /// Begins an action with a new key.
    pub(crate) async fn begin_act(&mut self, action: Action, limits: Limits) -> u64 {
        let key = format!("key-{}-{}", self.hello.known_keys.len(), self.next);
        self.begin(Call::Act { key, action, limits, source: None }).await
    }

    pub(crate) async fn act(&mut self, action: Action) -> Observation {
        let id = self.begin_act(action, limits()).await;
        self.observe(id).await
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&mut self, command: &str) -> RunObservation {
        let id = self.begin_run(command).await;
        self.ran(id).await
    }

    pub(crate) async fn begin_run(&mut self, command: &str) -> u64 {
        self.begin_act(blocking(command), limits()).await
    }

    pub(crate) async fn ran(&mut self, id: u64) -> RunObservation {
        match self.observe(id).await {
            Observation::Run(run) => run,
            other => panic!("no run: {other:?}"),
        }
    }

    /// Types to what runs, and waits for its end.
    pub(crate) async fn type_in(&mut self, text: &str) -> RunObservation {
        let id = self.begin_act(input(text), limits()).await;
        self.ran(id).await
    }

    pub(crate) async fn file(&mut self, op: FileOp) -> Result<FileDone, FileDenied> {
        match self.call(Call::File { op, origin: None }).await {
            Answer::FileDone { done } => Ok(done),
            Answer::FileDenied { denied } => Err(denied),
            other => panic!("no answer to a file operation: {other:?}"),
        }
    }

    pub(crate) async fn info(&mut self) -> ServerInfo {
        match self.call(Call::Info {}).await {
            Answer::Info { info } => info,
            other => panic!("no info: {other:?}"),
        }
    }

    pub(crate) async fn interrupt(&mut self) -> bool {
        match self.call(Call::Interrupt { only: None }).await {
            Answer::Interrupted { running } => running,
            other => panic!("no interrupt: {other:?}"),
        }
    }
}

/// Limits that are not reached.
pub(crate) fn limits() -> Limits {
    Limits { timeout_ms: 110_000, no_change_ms: 110_000, max_output: 30_000 }
}

/// A `run` with these fields.
pub(crate) fn run(fields: &serde_json::Value) -> Action {
    let action = serde_json::json!({ "action": "run", "args": fields });
    serde_json::from_value(action).expect("an action")
}

/// A command that is waited for.
pub(crate) fn blocking(command: &str) -> Action {
    run(&serde_json::json!({ "command": command, "blocking": true }))
}

/// A command that answers when nothing new comes.
pub(crate) fn patient(command: &str) -> Action {
    run(&serde_json::json!({ "command": command }))
}

/// Text for what runs.
pub(crate) fn input(text: &str) -> Action {
    run(&serde_json::json!({ "command": text, "is_input": true, "blocking": true }))
}

#[track_caller]
pub(crate) fn check(run: &RunObservation, exit_code: i64, content: &str) {
    assert_eq!((run.exit_code, run.content.as_str()), (exit_code, content), "{run:?}");
    assert_eq!(run.metadata.exit_code, exit_code);
}
