//! `staithe run`, `session export` and `replay`: the real binary against a real server with the local engine and a fake
//! model, and as a server of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{PROMPT, Server, eventually, processes};
use jiff::Timestamp;
use serde_json::{Value, json};
use staithe_testkit::{FakeModel, model::Step};
use tokio::{process::Command, time::timeout};

/// The longest that a whole run may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(90);
const KEY: &str = "sk-fake-0123456789abcdef";

/// A configuration whose model is the fake one.
fn configuration(dir: &Path, model: &FakeModel) -> PathBuf {
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
struct Bench {
    model: FakeModel,
    server: Server,
    _dir: tempfile::TempDir,
}

async fn bench(steps: impl IntoIterator<Item = Step>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script(steps);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let server = Server::start_with(&data, &[("STAITHE_CONFIG", config.to_str().unwrap())]).await;
    Bench { model, server, _dir: dir }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staithe"));
    for name in ["STAITHE_URL", "STAITHE_TOKEN", "STAITHE_CONFIG"] {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn done(command: &mut Command) -> Output {
    timeout(LIMIT, command.output()).await.expect("it ends").unwrap()
}

impl Bench {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = command(words);
        command.env("STAITHE_URL", &self.server.url).env("STAITHE_TOKEN", &self.server.token);
        command
    }

    async fn staithe(&self, words: &[&str]) -> Output {
        done(&mut self.command(words)).await
    }

    /// The only session.
    async fn session(&self) -> String {
        let list = self.server.json("/api/sessions").await;
        let sessions = list["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 1, "{list}");
        sessions[0]["id"].as_str().unwrap().to_owned()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let (said, told) = (out(output), err(output));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{said}\nstderr:\n{told}");
    said
}

fn bash(command: &str) -> Step {
    Step::call("execute_bash", &json!({ "command": command, "security_risk": "LOW" }))
}

fn finish(message: &str) -> Step {
    Step::call("finish", &json!({ "message": message }))
}

#[tokio::test]
async fn a_task_is_shown_to_its_end_and_again_from_its_trajectory() {
    let mut first = bash("echo hello > sea.txt && cat sea.txt");
    first.reasoning = "One command will do.".to_owned();
    first.text = "I write the file.".to_owned();
    first.chunk = 5;
    let bench = bench([first, bash("cat nothing.txt"), finish("It is in sea.txt.")]).await;
    let output = bench.staithe(&["run", "write a file"]).await;
    let said = ended(&output, 0);
    let lines: Vec<&str> = said.lines().collect();
    for line in [
        "> write a file",
        "(thinking) One command will do.",
        "I write the file.",
        "● run  echo hello > sea.txt && cat sea.txt",
        "  │ hello",
        "● run  cat nothing.txt",
        "✓ finished",
        "It is in sea.txt.",
        "3 steps · 300 tokens in, 30 out · $0.0014",
    ] {
        assert_eq!(lines.iter().filter(|it| **it == line).count(), 1, "{line}\n{said}");
    }
    assert!(said.contains("  ✓ exit 0 · ") && said.contains("  ✗ exit 1 · "), "{said}");
    assert!(!said.contains('\x1b'), "no colours but on a terminal");
    assert_eq!(err(&output), "");
    let id = bench.session().await;
    bench.server.phase(&id, "stopped", PROMPT).await;

    let file = bench.server.dir().join("run.json");
    let path = file.to_str().unwrap();
    let exported = bench.staithe(&["session", "export", &id, "-o", path]).await;
    assert_eq!(ended(&exported, 0), "");
    let trajectory: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(trajectory["trajectory"].as_array().unwrap().len() > 8);
    let replayed = ended(&done(&mut command(&["replay", path])).await, 0);
    let again: Vec<&str> = replayed.lines().collect();
    for line in lines.iter().filter(|line| {
        let own = line.starts_with("· session") || line.contains("tokens in");
        !own && !line.starts_with("(thinking)")
            && !line.starts_with("go on:")
            && !line.starts_with("files:")
    }) {
        assert!(again.contains(line), "{line}\n{replayed}");
    }
    let missing = bench.staithe(&["session", "export", &"0".repeat(32)]).await;
    ended(&missing, 64);
    assert!(err(&missing).contains("(session.not_found)"), "{}", err(&missing));
}

#[tokio::test]
async fn a_limit_ends_the_run_and_it_is_gone_on_with() {
    let bench = bench([bash("echo 1"), bash("echo 2"), finish("Done.")]).await;
    let said = ended(&bench.staithe(&["run", "--limit-steps", "2", "count"]).await, 3);
    assert!(said.contains("⏸ the limit of steps is reached"), "{said}");
    let id = bench.session().await;
    assert!(said.contains(&format!("staithe run --session {id}")), "{said}");
    let said = ended(&bench.staithe(&["run", "--session", &id]).await, 0);
    assert!(said.contains("✓ finished\nDone.\n1 step · "), "{said}");
    assert!(!said.contains("echo 1"), "what was shown is not shown again: {said}");
    let over = bench.staithe(&["run", "--session", &id]).await;
    ended(&over, 64);
    assert!(err(&over).contains("there is nothing to go on with"), "{}", err(&over));
}

#[tokio::test]
async fn an_approval_without_a_person_ends_the_run_unless_all_is_agreed_to() {
    let bench = bench([bash("sudo true"), finish("Done.")]).await;
    let output = bench.staithe(&["run", "--json", "clean up"]).await;
    let said = ended(&output, 4);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&last["outcome"], &last["exit_code"]), (&json!("needs_approval"), &json!(4)));
    let id = bench.session().await;
    let said = ended(&bench.staithe(&["run", "--session", &id, "--yes"]).await, 0);
    assert!(said.contains("✓ finished"), "{said}");
}

#[tokio::test]
async fn json_is_every_event_once_and_the_outcome_last() {
    let mut first = bash("echo hello");
    first.text = "I say hello.".to_owned();
    first.chunk = 3;
    let bench = bench([first, finish("Said.")]).await;
    let said = ended(&bench.staithe(&["run", "--json", "say hello"]).await, 0);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "hello");
    let events: Vec<_> = lines.iter().filter(|line| line["type"] == "event").collect();
    for (id, event) in (0_u64..).zip(&events) {
        assert_eq!(event["event"]["id"], id);
    }
    let streamed: String = lines
        .iter()
        .filter(|line| line["type"] == "partial" && line["kind"] == "answer")
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    assert_eq!(streamed, "I say hello.");
    let id = bench.session().await;
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["outcome"], &last["exit_code"], &last["session"]),
        (&json!("outcome"), &json!("finished"), &json!(0), &json!(id))
    );
    assert_eq!((&last["used"]["steps"], &last["used"]["input_tokens"]), (&json!(2), &json!(200)));
    assert!(!said.contains(KEY));
}

#[tokio::test]
async fn only_the_last_words_are_printed_when_that_is_asked_for() {
    let bench = bench([bash("echo 1"), finish("The answer is 1.")]).await;
    let mut command = bench.command(&["run", "--quiet", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"count to one\n").await.unwrap();
    drop(stdin);
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(ended(&output, 0), "The answer is 1.\n");
    assert_eq!(bench.model.asked()[0].first_user().trim(), "count to one");
}

#[tokio::test]
async fn what_the_agent_asks_is_printed_and_has_its_code() {
    let bench = bench([Step::text("Which file do you mean?")]).await;
    let said = ended(&bench.staithe(&["run", "fix it"]).await, 5);
    assert!(said.contains("\nWhich file do you mean?\n"), "{said}");
    assert_eq!(said.matches("Which file").count(), 1, "{said}");
}

#[tokio::test]
async fn a_model_that_cannot_be_used_is_told_with_what_to_do() {
    let wrong =
        json!({ "error": { "message": "Incorrect API key provided", "code": "invalid_api_key" } });
    let bench = bench([Step::error(401, wrong)]).await;
    let said = ended(&bench.staithe(&["run", "hello"]).await, 1);
    assert!(said.contains("✗ The provider does not take the key"), "{said}");
    let unknown = bench.staithe(&["run", "--model", "none", "hello"]).await;
    ended(&unknown, 64);
    assert!(err(&unknown).contains("(model.unknown_name)"), "{}", err(&unknown));

    let dir = tempfile::tempdir().unwrap();
    let no_keys =
        ["OPENAI", "ANTHROPIC", "GEMINI"].map(|name| format!("STAITHE__MODELS__{name}__KEY_ENV"));
    let env: Vec<_> = no_keys.iter().map(|name| (name.as_str(), "")).collect();
    let server = Server::start_with(dir.path(), &env).await;
    let mut command =
        command(&["run", "--url", &server.url, "--token", &server.token, "--json", "hello"]);
    let output = done(&mut command).await;
    let said = ended(&output, 1);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], "model.not_configured", "{said}");
    assert!(err(&output).contains("(model.not_configured)"), "{}", err(&output));
}

#[tokio::test]
async fn without_a_server_it_says_so() {
    let output =
        done(&mut command(&["run", "--url", "http://127.0.0.1:1", "--token", "x", "hello"])).await;
    ended(&output, 69);
    assert!(err(&output).contains("no server answers at http://127.0.0.1:1"), "{}", err(&output));
    ended(&done(&mut command(&["run", "--url", "ftp://x", "--token", "x", "hello"])).await, 64);
    ended(&done(&mut command(&["run"])).await, 2);
    ended(&done(&mut command(&["run", "--limit-time", "soon", "hello"])).await, 2);
}

/// A run that has begun, whose process is interrupted by its number.
fn begun(bench: &Bench, words: &[&str]) -> tokio::process::Child {
    let mut command = bench.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn sees(bench: &Bench, is: impl Fn(&Value) -> bool) -> (String, Vec<Value>) {
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

#[tokio::test]
async fn an_interrupt_stops_the_agent_and_its_command_within_a_second() {
    let bench = bench([bash("sleep 600"), finish("Never said.")]).await;
    let child = begun(&bench, &["run", "wait"]);
    sees(&bench, |event| event["action"] == "run").await;
    processes::interrupt(child.id().unwrap());
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 130);
    assert!(said.contains("■ stopping the agent") && said.contains("■ stopped"), "{said}");
    let (_, events) = sees(&bench, |event| event["extras"]["agent_state"] == "stopped").await;
    let at = |is: &dyn Fn(&Value) -> bool| {
        let event = events.iter().find(|event| is(event)).unwrap();
        event["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    let asked = at(&|event| event["args"]["agent_state"] == "stopped");
    let stopped = at(&|event| event["extras"]["agent_state"] == "stopped");
    assert!(stopped.duration_since(asked).as_millis() < 1000, "{asked} {stopped}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_joined_again_without_an_event_lost_or_doubled() {
    let mut held = bash("echo 2");
    held.silent = true;
    let mut bench = bench([bash("echo 1"), held]).await;
    let child = begun(&bench, &["run", "--json", "count"]);
    sees(&bench, |event| event["observation"] == "run").await;
    bench.server.kill9();
    bench.server.restart().await;
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 1);
    assert!(err(&output).contains("the connection is lost"), "{}", err(&output));
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().filter_map(|line| line["event"]["id"].as_u64()).collect();
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["code"], "agent.paused");
}

/// A run on a terminal of its own.
struct OnTerminal {
    pty: pty_process::blocking::Pty,
    shown: Arc<Mutex<String>>,
    child: std::process::Child,
}

impl OnTerminal {
    fn start(bench: &Bench, words: &[&str]) -> Self {
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

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until this is shown so many times.
    async fn shows(&self, words: &str, times: usize) {
        let seen = eventually(LIMIT, || self.shown().matches(words).count() >= times).await;
        assert!(seen, "{words} is not shown {times} times:\n{}", self.shown());
    }

    fn types(&mut self, words: &str) {
        self.pty.write_all(words.as_bytes()).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
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

#[tokio::test]
async fn a_person_on_a_terminal_approves_rejects_and_answers() {
    let mut first = bash("sudo true");
    first.text = "I clean up first.".to_owned();
    let steps = [
        first,
        bash("sudo -n id"),
        Step::call(
            "execute_bash",
            &json!({ "command": "rm -rf /etc/none", "security_risk": "HIGH" }),
        ),
        Step::text("Shall I go on?"),
        finish("All done."),
    ];
    let bench = bench(steps).await;
    let mut run = OnTerminal::start(&bench, &["run", "clean up"]);
    let question = "[y]es, [n]o and why, [a]ll of this kind: ";
    run.shows(question, 1).await;
    let shown = run.shown();
    assert!(shown.contains("\x1b[33m? run  sudo true\x1b[0m"), "coloured: {shown}");
    assert!(shown.contains("risk: high (privileges)"), "{shown}");
    run.types("maybe\n");
    run.shows("y, n, a or w: ", 1).await;
    run.types("a\n");
    // Another of its kind is not asked about; the next is of another.
    run.shows(question, 2).await;
    run.types("n\n");
    run.shows("why not (Enter: no reason): ", 1).await;
    run.types("leave that folder alone\n");
    run.shows("your answer (Enter alone ends): ", 1).await;
    run.types("yes, go on\n");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.shown());
    run.shows("✓ finished", 1).await;
    let shown = run.shown();
    assert!(shown.contains("approved") && shown.contains("✗ The user rejected"), "{shown}");
    assert_eq!(shown.matches("I clean up first.").count(), 1, "{shown}");
    let asked = bench.model.asked();
    let told = asked.last().unwrap().body.to_string();
    assert!(told.contains("leave that folder alone") && told.contains("yes, go on"), "{told}");
}

#[tokio::test]
async fn without_a_server_named_it_is_one_itself_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script([
        bash("echo hello > sea.txt"),
        finish("Written."),
        bash("cat sea.txt"),
        finish("Read."),
    ]);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    let own = |words: &[&str]| {
        let mut command = command(words);
        let place = ["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
        command.args(place).args(["--engine", "local"]);
        command
    };
    let said = ended(&done(&mut own(&["run", "write it"])).await, 0);
    let page = said.lines().find_map(|line| line.split_once("the page: ")).unwrap().1;
    assert!(page.starts_with("http://127.0.0.1:") && page.contains("/login?token="), "{page}");
    let word: Value = serde_json::from_slice(&fs::read(data.join("server.json")).unwrap()).unwrap();
    let address = word["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    assert!(std::net::TcpStream::connect(&address).is_err(), "it has ended");
    assert!(fs::read_to_string(data.join("run.log")).unwrap().contains("ended"));
    let id = said.lines().find_map(|line| line.strip_prefix("· session ")).unwrap();
    let said = ended(&done(&mut own(&["run", "--session", id, "read it"])).await, 0);
    assert!(said.contains("  │ hello\n") && said.contains("✓ finished\nRead.\n"), "{said}");
    let exported = ended(&done(&mut own(&["session", "export", id])).await, 0);
    assert!(exported.starts_with("{\"trajectory\":[{\"id\":0,"), "{exported}");
    let sessions = BTreeSet::from([id.to_owned()]);
    let gone = || processes::of_sandboxes(&data, &sessions, std::process::id()).is_empty();
    assert!(eventually(PROMPT, gone).await, "its sandboxes have ended, too");
}
