//! A server of its own for each measurement, figures and the table.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message,
    tungstenite::client::IntoClientRequest,
};

/// The server's binary.
pub(crate) const STAITHE: &str = env!("CARGO_BIN_EXE_staithe");

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) floor: String,
    pub(crate) measured: String,
    pub(crate) budget: &'static str,
}

/// Prints the table as it stands in `docs/performance.md`.
pub(crate) fn print(rows: &[Row]) {
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").expect("stdout takes the table");
    line("| what | floor | measured | budget |".into());
    line("|---|---|---|---|".into());
    for row in rows {
        line(format!("| {} | {} | {} | {} |", row.what, row.floor, row.measured, row.budget));
    }
}

/// The value below which this share of a sorted sample lies.
pub(crate) fn quantile(sample: &mut [Duration], share: f64) -> Duration {
    sample.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a small sample"
    )]
    let at = ((sample.len() - 1) as f64 * share).round() as usize;
    sample[at]
}

/// In milliseconds, for a table.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Resident bytes of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// A running server, ended by its process id.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) token: String,
    /// From exec to the first answered request.
    pub(crate) first_answer: Duration,
}

impl Server {
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_on("local", data_dir, &[])
    }

    /// With an engine and settings as environment variables.
    pub(crate) fn start_on(engine: &str, data_dir: &Path, env: &[(&str, &str)]) -> Self {
        let began = Instant::now();
        let mut child = Command::new(STAITHE)
            .args(["serve", "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0"])
            .args(["--engine", engine, "--ready-json", "--data-dir"])
            .arg(data_dir)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("one line comes");
        let ready: Value = serde_json::from_str(&line).expect("the line is JSON");
        let text = |key: &str| ready[key].as_str().expect("ready has it").to_owned();
        let mut server =
            Self { child, url: text("url"), token: text("token"), first_answer: Duration::ZERO };
        server.request("GET", "/health", "");
        server.first_answer = began.elapsed();
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One HTTP request over a connection of its own; the body of the answer, as JSON.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Value {
        serde_json::from_str(&self.exchange(method, path, body)).unwrap_or_default()
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> String {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer comes");
        answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()
    }

    /// What a page of text says.
    pub(crate) fn text(&self, path: &str) -> String {
        self.exchange("GET", path, "")
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// A new session's id.
    pub(crate) fn session(&self) -> String {
        let made = self.request("POST", "/api/sessions", "{}");
        made["id"].as_str().expect("a session has an id").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        if rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok() {
            drop(self.child.wait());
        }
    }
}

/// A WebSocket client.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    pub(crate) async fn join(server: &Server, session: &str) -> Self {
        let url = server.url.replace("http", "ws");
        let mut request = format!("{url}/api/sessions/{session}/ws")
            .into_client_request()
            .expect("the address is one");
        let bearer = format!("Bearer {}", server.token).parse().expect("a token is a header");
        request.headers_mut().insert("Authorization", bearer);
        let (socket, _) = connect_async(request).await.expect("the socket opens");
        Self(socket)
    }

    /// Opens a terminal; its number.
    pub(crate) async fn open_terminal(&mut self, command: &[&str]) -> u32 {
        let frame = json!({ "type": "terminal.open", "ref": "bench-terminal", "command": command });
        self.0.send(Message::text(frame.to_string())).await.expect("the socket takes it");
        loop {
            let message = self.0.next().await.expect("the socket stays").expect("it reads");
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
            if frame["ref"] == "bench-terminal" && frame["type"] == "done" {
                let id = frame["terminals"][0]["id"].as_u64().expect("a terminal has a number");
                return u32::try_from(id).expect("it is small");
            }
        }
    }

    /// Types into a terminal and waits until so many bytes of output came.
    pub(crate) async fn type_in(&mut self, terminal: u32, input: &[u8], wanted: usize) {
        let message = [&terminal.to_be_bytes()[..], input].concat();
        self.0.send(Message::binary(message)).await.expect("the socket takes it");
        let mut came = 0;
        while came < wanted {
            let message = self.0.next().await.expect("the socket stays").expect("it reads");
            if let Message::Binary(output) = message {
                came += output.len() - 12; // the terminal's number and the place
            }
        }
    }

    /// Sends an action and waits until it is taken: durable, and told.
    pub(crate) async fn act(&mut self, action: &Value) {
        let reference = next_reference();
        let frame = json!({ "type": "do", "ref": reference, "action": action });
        self.0.send(Message::text(frame.to_string())).await.expect("the socket takes it");
        loop {
            let message = self.0.next().await.expect("the socket stays").expect("it reads");
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
            if frame["ref"] == reference.as_str() {
                assert_eq!(frame["type"], "done", "{frame}");
                return;
            }
        }
    }

    /// Runs a command; returns when its own observation is there: events of before are replayed too.
    pub(crate) async fn run(&mut self, command: &str) {
        let reference = next_reference();
        let frame = json!({
            "type": "do",
            "ref": reference,
            "action": { "action": "run", "args": { "command": command, "blocking": true } },
        });
        self.0.send(Message::text(frame.to_string())).await.expect("the socket takes it");
        let (mut event, mut seen) = (None, Vec::new());
        loop {
            let message = self.0.next().await.expect("the socket stays").expect("it reads");
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
            match frame["type"].as_str() {
                Some("done") if frame["ref"] == reference.as_str() => {
                    event = frame["event_id"].as_u64();
                }
                Some("event") if frame["event"]["observation"].is_string() => {
                    seen.extend(frame["event"]["cause"].as_u64()); // it may overtake the answer
                }
                _ => {}
            }
            if event.is_some_and(|event| seen.contains(&event)) {
                return;
            }
        }
    }
}

/// A `ref` that was used gets its first answer again.
fn next_reference() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("bench-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A runtime for one measurement.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}
