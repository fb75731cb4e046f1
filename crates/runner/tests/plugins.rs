//! Plugins in a real runner, with programs that behave in every way that programs do.

mod common;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use staithe_protocol::{
    Action, Observation,
    plugin::{
        JupyterSettings, PluginPhase, PluginSettings, PluginStart, PluginState, VscodeDoor,
        VscodeSettings,
    },
    runner::{Answer, Call, FromRunner, KEY_HEADER},
    services::Services,
};

use common::{KEY, Line, Runner, eventually};

/// Serves `/version` as a VS Code server does, until `STOP` says so.
const SERVER: &str = r#"#!/usr/bin/env python3
import http.server, os, sys, threading
words = sys.argv[1:]
def after(flag): return words[words.index(flag) + 1]
base, data = after("--server-base-path"), after("--server-data-dir")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == base + "/version" else 404)
        self.end_headers()
    def log_message(self, *_): pass
token = open(after("--connection-token-file")).read()
assert os.stat(after("--connection-token-file")).st_mode & 0o777 == 0o600
open(data + "/../begun", "a").write(f"{os.getpid()} {os.getcwd()} {os.environ.get('FROM_SERVER')}\n")
print("open http://127.0.0.1/?tkn=" + token, flush=True)
STOP
http.server.HTTPServer(("127.0.0.1", int(after("--port"))), Answer).serve_forever()
"#;

/// A kernel gateway whose kernels' lines end at once; it notes what is asked of it.
const GATEWAY: &str = r#"#!/usr/bin/env python3
import base64, hashlib, http.server, os, sys
port = next(word for word in sys.argv if word.startswith("--KernelGatewayApp.port=")).split("=")[1]
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, code, body=b"{}"):
        open(os.path.dirname(sys.argv[0]) + "/asked", "a").write(f"{self.command} {self.path}\n")
        self.send_response(code)
        key = self.headers.get("Sec-WebSocket-Key")
        if key:
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            magic = (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(magic).digest()).decode())
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not key: self.wfile.write(body)
    def do_GET(self): self.answer(101 if self.headers.get("Sec-WebSocket-Key") else 200)
    def do_POST(self): self.rfile.read(int(self.headers["Content-Length"])); self.answer(201, b'{"id":"k1"}')
    def do_DELETE(self): self.answer(204)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Answer).serve_forever()
"#;

fn write_program(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("server");
    // Renamed into place: a file that is open for writing can't be run.
    std::fs::write(dir.join("new"), text).expect("our own folder");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.join("new"), mode).expect("our own file");
    std::fs::rename(dir.join("new"), &path).expect("our own folder");
    path
}

fn settings(program: &Path, start: PluginStart) -> PluginSettings {
    let paths = vec![program.display().to_string()];
    PluginSettings {
        wanted: vec!["agent_skills".to_owned(), "vscode".to_owned()],
        deadline_ms: 20_000,
        base: "/s/some/p".to_owned(),
        vscode: VscodeSettings { start, paths, ..Default::default() },
        ..PluginSettings::default()
    }
}

async fn equip(line: &mut Line, plugins: PluginSettings) {
    let services = Services { plugins, ..Services::default() };
    assert_eq!(line.call(Call::Equip { services }).await, Answer::Equipped {});
}

/// The next state of a plugin that is told; those of others are passed over.
async fn next(line: &mut Line, name: &str) -> PluginState {
    loop {
        while !line.news.is_empty() {
            if let FromRunner::Plugin { plugin } = line.news.remove(0)
                && plugin.name == name
            {
                return plugin;
            }
        }
        line.take_one().await;
    }
}

/// All states of a plugin up to one of this phase.
async fn until(line: &mut Line, name: &str, phase: PluginPhase) -> Vec<PluginState> {
    let mut all = Vec::new();
    while all.last().is_none_or(|state: &PluginState| state.state != phase) {
        all.push(next(line, name).await);
    }
    all
}

fn phases(states: &[PluginState]) -> Vec<PluginPhase> {
    states.iter().map(|state| state.state).collect()
}

/// A runner with a program for the plugin, and a line to it.
async fn stage(stop: &str, start: PluginStart) -> (Runner, Line, PluginSettings) {
    let runner = Runner::start().await;
    let program = write_program(runner.dir.path(), &SERVER.replace("STOP", stop));
    let line = runner.line().await;
    (runner, line, settings(&program, start))
}

fn begun(runner: &Runner) -> Vec<String> {
    let text = std::fs::read_to_string(runner.dir.path().join("state/begun")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn ask(runner: &Runner, method: Method, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = runner.http(method, path, &[(KEY_HEADER, KEY)], "").await;
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn a_plugin_begins_at_once_serves_below_its_base_and_is_told_on_every_line() {
    use PluginPhase::{Ready, Starting};

    let (runner, mut line, plugins) = stage("", PluginStart::Eager).await;
    let env = [("FROM_SERVER".to_owned(), "yes".to_owned())].into();
    line.call(Call::Configure { env }).await;
    equip(&mut line, plugins.clone()).await;
    let states = until(&mut line, "vscode", Ready).await;
    assert_eq!(phases(&states), [Starting, Ready]);
    let (code, door) = ask(&runner, Method::GET, "/plugins/vscode/token").await;
    assert_eq!(code, 200, "{door}");
    let door: VscodeDoor = serde_json::from_value(door).expect("a door");
    assert_eq!(door.base_path, format!("/s/some/p/{}", door.port));
    assert_eq!(states[1].port, Some(door.port));
    assert_eq!(states[1].base_path.as_deref(), Some(door.base_path.as_str()));
    assert_eq!(Path::new(&door.folder), runner.workspace());
    let lines = begun(&runner);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(&format!(" {} yes", runner.workspace().display())), "{lines:?}");

    // The same again does nothing; another line hears all.
    equip(&mut line, plugins.clone()).await;
    let mut other = runner.line().await;
    assert_eq!(next(&mut other, "vscode").await, states[1]);
    equip(&mut other, plugins.clone()).await;
    assert_eq!(begun(&runner).len(), 1);
    let (_, told) = ask(&runner, Method::GET, "/plugins").await;
    assert_eq!(told[0], json!({ "name": "agent_skills", "state": "ready" }));
    assert_eq!(told[1]["state"], "ready");

    // Not wanted any more: it ends, with everything that it started.
    let pid = begun(&runner)[0].split(' ').next().expect("a pid").to_owned();
    equip(&mut line, PluginSettings { wanted: vec![], ..plugins }).await;
    assert_eq!(phases(&until(&mut line, "vscode", PluginPhase::Stopped).await).len(), 1);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_lazy_plugin_rests_until_it_is_asked_for_and_stops_when_it_is_told() {
    let (runner, mut line, plugins) = stage("", PluginStart::Lazy).await;
    equip(&mut line, plugins).await;
    let state = next(&mut line, "vscode").await;
    assert_eq!(state.state, PluginPhase::Stopped);
    assert_eq!(ask(&runner, Method::GET, "/plugins/vscode/token").await.0, 503);
    assert!(begun(&runner).is_empty());
    let start = "/plugins/vscode/start?wait_ms=60000";
    let (status, state) = ask(&runner, Method::POST, start).await;
    assert_eq!((status, &state["state"]), (StatusCode::OK, &json!("ready")));
    let (_, first) = ask(&runner, Method::GET, "/plugins/vscode/token").await;
    let (_, state) = ask(&runner, Method::POST, "/plugins/vscode/stop?wait_ms=60000").await;
    assert_eq!(state["state"], "stopped");
    assert_eq!(ask(&runner, Method::GET, "/plugins/vscode/token").await.0, 503);
    let (_, state) = ask(&runner, Method::POST, "/plugins/vscode/restart?wait_ms=60000").await;
    assert_eq!(state["state"], "ready");
    // Open pages find it again: address and token are as before.
    let (_, second) = ask(&runner, Method::GET, "/plugins/vscode/token").await;
    assert_eq!(first, second);
    for (method, path, wanted) in [
        (Method::POST, "/plugins/nothing/start", 404),
        (Method::POST, "/plugins/vscode/dance", 404),
        (Method::POST, "/plugins/vscode/start?wait_ms=x", 400),
        (Method::GET, "/plugins/vscode", 404),
    ] {
        assert_eq!(ask(&runner, method, path).await.0, wanted, "{path}");
    }
}

#[tokio::test]
async fn one_that_dies_is_begun_again_and_one_that_goes_on_dying_is_given_up_with_its_last_words() {
    use PluginPhase::{Failed, Ready, Restarting, Starting};

    let stop = "
if len(open(data + '/../begun').readlines()) == 1:
    print('not yet'); sys.exit(3)
threading.Timer(0.4, lambda: (print('out of luck', flush=True), os._exit(4))).start()";
    let (runner, mut line, plugins) = stage(stop, PluginStart::Eager).await;
    equip(&mut line, plugins).await;
    let states = until(&mut line, "vscode", Failed).await;
    let wanted = [Starting, Restarting, Ready, Restarting, Ready, Restarting, Ready, Failed];
    assert_eq!(phases(&states), wanted, "{states:?}");
    let detail = |at: usize| states[at].detail.clone().unwrap_or_default();
    assert!(detail(1).contains("exit code 3"), "{}", detail(1));
    assert!(detail(7).contains("exit code 4"), "{}", detail(7));
    assert!(detail(7).ends_with("out of luck"), "{}", detail(7));
    assert!(detail(7).contains("?tkn=***"), "the token stands in {}", detail(7));
    assert_eq!(begun(&runner).len(), 4);
    // The session is as it was, and so are the other plugins.
    assert_eq!(line.run("echo fine").await.content, "fine");
    let (_, told) = ask(&runner, Method::GET, "/plugins").await;
    assert_eq!((&told[0]["state"], &told[1]["state"]), (&json!("ready"), &json!("failed")));
}

#[tokio::test]
async fn one_that_never_answers_is_given_up_after_the_deadline() {
    let stop = "threading.Event().wait()";
    let (runner, mut line, mut plugins) = stage(stop, PluginStart::Eager).await;
    plugins.deadline_ms = 1500;
    equip(&mut line, plugins).await;
    assert_eq!(line.run("echo meanwhile").await.content, "meanwhile");
    let states = until(&mut line, "vscode", PluginPhase::Failed).await;
    assert_eq!(states.len(), 2, "{states:?}");
    let detail = states[1].detail.clone().expect("a detail");
    assert!(detail.contains("within 1.5 s") && detail.contains("plugins.deadline"), "{detail}");
    let pid = begun(&runner)[0].split(' ').next().expect("a pid").to_owned();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn one_that_is_not_there_says_what_to_do_and_an_unknown_one_is_told() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let mut plugins = settings(Path::new("/nowhere/server"), PluginStart::Eager);
    plugins.wanted.push("teapot".to_owned());
    // Whatever this machine has is not looked for.
    let env = [("PATH".to_owned(), "/nowhere".to_owned())].into();
    line.call(Call::Configure { env }).await;
    equip(&mut line, plugins).await;
    let detail = until(&mut line, "vscode", PluginPhase::Failed).await.pop().expect("one").detail;
    let detail = detail.expect("a detail");
    assert!(
        detail.contains("sandbox.plugins") && detail.contains("plugins.vscode.paths"),
        "{detail}"
    );
    let mut other = runner.line().await;
    assert_eq!(next(&mut other, "teapot").await.state, PluginPhase::Failed);
}

#[tokio::test]
async fn a_plugin_that_prints_without_end_slows_nothing_and_fills_nothing() {
    let stop = "threading.Thread(target=lambda: [sys.stdout.write('x' * 999 + '\\n') for _ in iter(int, 1)], daemon=True).start()";
    let (runner, mut line, plugins) = stage(stop, PluginStart::Eager).await;
    let before = runner.resident();
    equip(&mut line, plugins).await;
    until(&mut line, "vscode", PluginPhase::Ready).await;
    let log = runner.dir.path().join("state/plugin-vscode.log.old");
    eventually("the log is full", async || log.exists().then_some(())).await;
    assert_eq!(line.run("echo fine").await.content, "fine");
    let logs = std::fs::read_dir(runner.dir.path().join("state")).expect("a folder");
    let sizes: Vec<u64> = logs
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("plugin-"))
        .map(|entry| entry.metadata().map_or(0, |data| data.len()))
        .collect();
    assert!(sizes.len() <= 2, "{sizes:?}"); // the new one may not have begun
    assert!(sizes.iter().all(|size| *size < 1_200_000), "{sizes:?}");
    let after = runner.resident();
    assert!(after < before + 8 * 1024 * 1024, "{before} {after}");
}

#[tokio::test]
async fn plugins_end_with_the_runner() {
    let (mut runner, mut line, plugins) = stage("", PluginStart::Eager).await;
    equip(&mut line, plugins).await;
    until(&mut line, "vscode", PluginPhase::Ready).await;
    let pid = begun(&runner)[0].split(' ').next().expect("a pid").to_owned();
    assert_eq!(runner.terminate().await, Some(0));
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_cell_without_a_kernel_says_what_to_do() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let action = json!({ "action": "run_ipython", "args": { "code": "1" } });
    let cell: Action = serde_json::from_value(action).expect("an action");
    let Observation::Error(error) = line.act(cell).await else { panic!("an error") };
    assert!(error.content.contains("sandbox.plugins"), "{}", error.content);
    assert_eq!(error.error_id, "AGENT_ERROR$NO_KERNEL");
}

#[tokio::test]
async fn a_kernel_that_does_not_answer_is_taken_away() {
    let runner = Runner::start().await;
    let program = write_program(runner.dir.path(), GATEWAY);
    let mut line = runner.line().await;
    let plugins = PluginSettings {
        wanted: vec!["jupyter".to_owned()],
        deadline_ms: 20_000,
        jupyter: JupyterSettings {
            paths: vec![program.display().to_string()],
            ..JupyterSettings::default()
        },
        ..PluginSettings::default()
    };
    equip(&mut line, plugins).await;
    let action = json!({ "action": "run_ipython", "args": { "code": "1" } });
    let cell: Action = serde_json::from_value(action).expect("an action");
    let Observation::Error(error) = line.act(cell).await else { panic!("an error") };
    assert!(error.content.contains("the kernel died at once"), "{}", error.content);
    let asked = runner.dir.path().join("asked");
    let taken_away = async || {
        let asked = std::fs::read_to_string(&asked).expect("our own file");
        asked.contains("DELETE /api/kernels/k1\n").then_some(())
    };
    eventually("what was begun is ended", taken_away).await;
}

#[tokio::test]
async fn what_answers_on_a_taken_port_is_not_taken_for_the_server() {
    let (runner, mut line, mut plugins) = stage("", PluginStart::Eager).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    plugins.vscode.listen = Some(listener.local_addr().expect("bound"));
    // Somebody else's, which says yes to everything.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 1024];
            drop(std::io::Read::read(&mut stream, &mut asked));
            let yes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            drop(std::io::Write::write_all(&mut stream, yes));
        }
    });
    equip(&mut line, plugins).await;
    let states = until(&mut line, "vscode", PluginPhase::Restarting).await;
    assert_eq!(phases(&states), [PluginPhase::Starting, PluginPhase::Restarting]);
    let detail = states[1].detail.clone().expect("a detail");
    assert!(detail.contains("can't listen on 127.0.0.1:"), "{detail}");
    let (code, told) = ask(&runner, Method::GET, "/vscode/connection_token").await;
    assert_eq!((code.as_u16(), told), (200, json!({ "token": null })));
}

#[tokio::test]
async fn what_one_that_died_had_started_ends_with_it() {
    let stop = "import subprocess
sleeper = subprocess.Popen(['sleep', '1000'], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
open(data + '/../sleeper', 'w').write(str(sleeper.pid))";
    let (runner, mut line, plugins) = stage(stop, PluginStart::Eager).await;
    equip(&mut line, plugins).await;
    until(&mut line, "vscode", PluginPhase::Ready).await;
    let sleeper = runner.dir.path().join("state/sleeper");
    let sleeper = std::fs::read_to_string(sleeper).expect("our own file");
    assert!(Path::new(&format!("/proc/{sleeper}")).exists());
    // Not the plugin's, and it stays.
    let own = line.run("sleep 1000 & echo $!").await.content;
    let pid = begun(&runner)[0].split(' ').next().expect("a pid").to_owned();
    line.run(&format!("kill -9 {pid}")).await;
    until(&mut line, "vscode", PluginPhase::Restarting).await;
    let gone = async || (!Path::new(&format!("/proc/{sleeper}")).exists()).then_some(());
    eventually("it is ended", gone).await;
    let own = own.split_whitespace().last().expect("a pid");
    assert!(Path::new(&format!("/proc/{own}")).exists(), "{own}");
}
