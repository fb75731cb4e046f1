//! A server with a fake model, and the real binary beside it, in pipes or on a terminal.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use staithe_testkit::{FakeModel, model::Step};
use tokio::{process::Command, time::timeout};

use crate::common::{Server, eventually};

/// The longest that a whole run may take on a loaded machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
pub(crate) const KEY: &str = "sk-fake-0123456789abcdef";

/// A configuration whose model is the fake one.
pub(crate) fn configuration(dir: &Path, model: &FakeModel) -> PathBuf {
    let path = dir.join("fake.toml");
    let url = model.url();
    let text = format!(
        "[models.fake]\nmodel = \"fake-1\"\nprovider = \"openai\"\nbase_url = \"{url}/v1\"\nkey = \"{KEY}\"\n\
         price = {{ input = 3.0, output = 15.0, cache_read = -1.0, cache_write = -1.0 }}\n\
         [agent]\nmodel = \"fake\"\n[agent.retries]\nmost = 0\n"
    );
    fs::write(&path, text).unwrap();
    path
}

/// A server with a fake model.
pub(crate) struct Bench {
    pub(crate) model: FakeModel,
    pub(crate) server: Server,
    pub(crate) _dir: tempfile::TempDir,
}

pub(crate) async fn bench(steps: impl IntoIterator<Item = Step>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script(steps);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let server = Server::start_with(&data, &[("STAITHE_CONFIG", config.to_str().unwrap())]).await;
    Bench { model, server, _dir: dir }
}

pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staithe"));
    for name in ["STAITHE_URL", "STAITHE_TOKEN", "STAITHE_CONFIG"] {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) async fn done(command: &mut Command) -> Output {
    timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
}

impl Bench {
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.env("STAITHE_URL", &self.server.url).env("STAITHE_TOKEN", &self.server.token);
        command
    }

    pub(crate) async fn staithe(&self, words: &[&str]) -> Output {
        done(&mut self.command(words)).await
    }

    /// The only session.
    pub(crate) async fn session(&self) -> String {
        let list = self.server.json("/api/sessions").await;
        let sessions = list["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1, "{list}");
        sessions[0]["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub(crate) fn ended(output: &Output, code: i32) -> String {
    let (said, told) = (out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{said}\nstderr:\n{told}");
    said
}

pub(crate) fn bash(command: &str) -> Step {
    Step::call("execute_bash", &json!({ "command": command, "security_risk": "LOW" }))
}

pub(crate) fn finish(message: &str) -> Step {
    Step::call("finish", &json!({ "message": message }))
}

/// A run that has begun, whose process is interrupted by its number.
pub(crate) fn begun(bench: &Bench, words: &[&str]) -> tokio::process::Child {
    let mut command = bench.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) async fn sees(bench: &Bench, is: impl Fn(&Value) -> bool) -> (String, Vec<Value>) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    timeout(LIMIT, async {
        loop {
            look.tick().await;
            let list = bench.server.json("/api/sessions").await;
            let Some(id) = list["sessions"][0]["id"].as_str() else { continue };
            let events = bench.server.events(id).await;
            if events.iter().any(&is) {
                return (id.to_owned(), events);
            }
        }
    })
    .await
    .expect("it comes")
}

/// A run on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) pty: pty_process::blocking::Pty,
    pub(crate) shown: Arc<Mutex<String>>,
    pub(crate) child: std::process::Child,
}

impl OnTerminal {
    pub(crate) fn start(bench: &Bench, words: &[&str]) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 60)).unwrap();
        let child = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_staithe"))
            .args(words)
            .env_remove("STAITHE_CONFIG")
            .env_remove("NO_COLOR")
            .env("STAITHE_URL", &bench.server.url)
            .env("STAITHE_TOKEN", &bench.server.token)
            .spawn(pts)
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let mut from = fs::File::from(rustix::io::dup(&pty).unwrap());
        let into = shown.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The terminal's end is an error to its other side.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Self { pty, shown, child }
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown so many times.
    pub(crate) async fn shows(&self, words: &str, times: usize) {
        let seen = eventually(LIMIT, || self.shown().matches(words).count() >= times).await;
        assert!(seen, "{words} is not shown {times} times:\n{}", self.shown());
    }

    pub(crate) fn types(&mut self, words: &str) {
        self.pty.write_all(words.as_bytes()).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = eventually(LIMIT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended.await, "it goes on");
        status.unwrap()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
