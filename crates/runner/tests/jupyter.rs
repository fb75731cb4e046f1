//! Cells in a real kernel behind a real gateway, which is installed once into the target folder. Needs Python with
//! `venv`, and the first time its package index.

mod common;
#[path = "common/kernel.rs"]
mod kernel;

use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};
use staithe_protocol::{
    Action, Observation,
    observation::RunIpythonObservation,
    plugin::{JupyterSettings, PluginSettings},
    runner::{Answer, Call, KEY_HEADER, Limits},
    services::Services,
};

use common::{KEY, Line, Runner, limits};

/// The gateway's program, made when it isn't there.
fn jupyter() -> &'static Path {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    kernel::jupyter(root, Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// A runner whose session has the plugin, lazily.
async fn stage() -> (Runner, Line) {
    let program = tokio::task::spawn_blocking(jupyter).await.expect("it is made");
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let plugins = PluginSettings {
        wanted: vec!["jupyter".to_owned()],
        deadline_ms: 60_000,
        jupyter: JupyterSettings {
            paths: vec![program.display().to_string()],
            ..JupyterSettings::default()
        },
        ..PluginSettings::default()
    };
    let services = Services { plugins, ..Services::default() };
    assert_eq!(line.call(Call::Equip { services }).await, Answer::Equipped {});
    // What a busy machine needs longer for goes on being begun.
    ask(&runner, "/plugins/jupyter/start?wait_ms=60000").await;
    (runner, line)
}

async fn ask(runner: &Runner, path: &str) -> Value {
    let (status, _, body) = runner.http(Method::POST, path, &[(KEY_HEADER, KEY)], "").await;
    assert_eq!(status, 200, "{body:?}");
    let state: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(state["state"], "ready", "{state}");
    state
}

fn action(fields: &Value) -> Action {
    let action = json!({ "action": "run_ipython", "args": fields });
    serde_json::from_value(action).expect("an action")
}

async fn observe(line: &mut Line, id: u64) -> RunIpythonObservation {
    match line.observe(id).await {
        Observation::RunIpython(cell) => cell,
        other => panic!("no cell: {other:?}"),
    }
}

async fn cell_with(line: &mut Line, fields: &Value, limits: Limits) -> RunIpythonObservation {
    let id = line.begin_act(action(fields), limits).await;
    observe(line, id).await
}

/// Runs a cell; its content without the two lines after it.
async fn cell(line: &mut Line, code: &str) -> String {
    let fields = json!({ "code": code, "include_extra": false });
    cell_with(line, &fields, limits()).await.content
}

const NOTHING: &str = "[Code executed successfully with no output]";

#[tokio::test]
async fn a_kernel_keeps_its_state_and_follows_the_shell() {
    let (runner, mut line) = stage().await;
    assert_eq!(cell(&mut line, "x = 20").await, NOTHING);
    assert_eq!(cell(&mut line, "print('a'); x * 2 + 2").await, "a\n42");
    let failed = cell(&mut line, "1 / 0").await;
    assert!(failed.contains("ZeroDivisionError") && !failed.contains('\x1b'), "{failed}");
    let error = cell(&mut line, "print('out'); import sys; print('err', file=sys.stderr)").await;
    assert_eq!(error, "out\nerr");

    std::fs::create_dir(runner.workspace().join("a 'b")).expect("our own folder");
    line.run("cd \"a 'b\"").await;
    let fields = json!({ "code": "x" });
    let seen = cell_with(&mut line, &fields, limits()).await;
    let dir = runner.workspace().join("a 'b");
    let program = jupyter().with_file_name("python");
    let extra = format!(
        "20\n[Jupyter current working directory: {}]\n[Jupyter Python interpreter: {}]",
        dir.display(),
        program.display()
    );
    assert_eq!(seen.content, extra);
    assert_eq!((seen.code.as_str(), seen.image_urls, seen.total_bytes), ("x", None, Some(3)));
    // A folder that the cell itself went to is kept until the shell goes elsewhere.
    cell(&mut line, "import os; os.chdir('/')").await;
    assert_eq!(cell(&mut line, "os.getcwd()").await, "'/'");
    line.run("cd ..").await;
    assert_eq!(cell(&mut line, "os.getcwd()").await, format!("'{}'", runner.workspace().display()));

    let asked = cell(&mut line, "input('name? ')").await;
    assert!(asked.contains("does not support input requests"), "{asked}");
}

#[tokio::test]
async fn images_come_as_addresses_of_data_and_output_comes_while_it_is_printed() {
    let (runner, mut line) = stage().await;
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    let code = format!(
        "import base64\nfrom IPython.display import Image, display\ndisplay(Image(data=base64.b64decode('{pixel}')))\nprint('after')"
    );
    let fields = json!({ "code": code, "include_extra": false });
    let seen = cell_with(&mut line, &fields, limits()).await;
    assert_eq!(seen.content, "<IPython.core.display.Image object>\nafter");
    assert_eq!(seen.image_urls, Some(vec![format!("data:image/png;base64,{pixel}")]));

    let code = "import time, pathlib\nprint('first', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\nprint('second')";
    let id = line.begin_act(action(&json!({ "code": code })), limits()).await;
    line.output_contains("first").await;
    assert!(line.info().await.busy);
    let key = line.outputs.last().and_then(|output| output.key.clone()).expect("the cell's key");
    line.run("touch go").await;
    let seen = observe(&mut line, id).await;
    assert!(seen.content.starts_with("first\nsecond\n"), "{}", seen.content);
    line.output_contains("second").await;
    assert!(!line.info().await.busy);
    let path = format!("/output?key={key}");
    let (status, _, body) = runner.http(Method::GET, &path, &[(KEY_HEADER, KEY)], "").await;
    assert_eq!((status.as_u16(), &body[..]), (200, &b"first\nsecond\n"[..]));
}

#[tokio::test]
async fn a_cell_is_interrupted_and_a_late_one_is_stopped_and_variables_stay() {
    let (_runner, mut line) = stage().await;
    cell(&mut line, "x = 1; import time").await;
    let slow = "print('begun', flush=True)\ntime.sleep(1000)";
    let id = line.begin_act(action(&json!({ "code": slow })), limits()).await;
    line.output_contains("begun").await;
    assert!(line.interrupt().await);
    let seen = observe(&mut line, id).await;
    assert!(seen.content.contains("KeyboardInterrupt"), "{}", seen.content);

    let fields = json!({ "code": slow, "include_extra": false });
    let seen = cell_with(&mut line, &fields, Limits { timeout_ms: 1500, ..limits() }).await;
    assert!(seen.content.starts_with("begun\n"), "{}", seen.content);
    assert!(seen.content.ends_with("\n[Execution timed out (1.5 seconds).]"), "{}", seen.content);
    assert_eq!(cell(&mut line, "x").await, "1");
    assert!(!line.interrupt().await);
}

#[tokio::test]
async fn a_deaf_kernel_is_ended_and_a_dead_one_is_told_and_a_new_one_begins() {
    let (_runner, mut line) = stage().await;
    let deaf = "import signal, time\nx = 1\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(1000)";
    let fields = json!({ "code": deaf, "include_extra": false });
    let seen = cell_with(&mut line, &fields, Limits { timeout_ms: 500, ..limits() }).await;
    assert!(
        seen.content.starts_with("[Execution timed out (0.5 seconds).]\n[The kernel did not stop"),
        "{}",
        seen.content
    );
    let fresh = json!({ "code": "y", "kernel_init_code": "y = 7", "include_extra": false });
    assert_eq!(cell_with(&mut line, &fresh, limits()).await.content, "7");
    assert!(cell(&mut line, "x").await.contains("NameError"));
    // The first code is for new kernels alone.
    let again = json!({ "code": "y", "kernel_init_code": "y = 8", "include_extra": false });
    assert_eq!(cell_with(&mut line, &again, limits()).await.content, "7");

    let died = cell(
        &mut line,
        "print('last words', flush=True)\nimport os, time; time.sleep(0.5); os._exit(1)",
    )
    .await;
    assert!(died.starts_with("last words\n[The kernel died."), "{died}");
    assert!(cell(&mut line, "y").await.contains("NameError"));

    let pid = cell(&mut line, "os = __import__('os'); os.getpid()").await;
    line.run(&format!("kill -9 {pid}")).await;
    // Whether the death was seen before the next cell or by it, it is told once.
    let told = cell(&mut line, "1").await;
    let before = told.starts_with("[The kernel had died since the last cell.");
    assert!(before || told.starts_with("[The kernel died."), "{told}");
    assert_eq!(cell(&mut line, "1").await, "1");
}

#[tokio::test]
async fn a_flood_is_bounded_and_a_package_is_installed() {
    let (runner, mut line) = stage().await;
    let fields =
        json!({ "code": "for n in range(300_000): print(f'{n:0100d}')", "include_extra": false });
    let seen = cell_with(&mut line, &fields, limits()).await;
    assert!(seen.content.len() < 31_000, "{}", seen.content.len());
    assert!(
        seen.content.starts_with("000") && seen.content.contains("truncated"),
        "{}",
        seen.content
    );
    assert!(seen.total_bytes.is_some_and(|total| total > 1_000_000), "{:?}", seen.total_bytes);
    assert!(runner.resident() < 64 * 1024 * 1024, "{}", runner.resident());
    assert_eq!(cell(&mut line, "1").await, "1");

    let wheel = "import zipfile
with zipfile.ZipFile('tiny_thing-1.0-py3-none-any.whl', 'w') as wheel:
    info = 'tiny_thing-1.0.dist-info/'
    wheel.writestr('tiny_thing.py', 'WORD = \"installed\"')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny-thing\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')";
    cell(&mut line, wheel).await;
    let said = cell(
        &mut line,
        "%pip install --no-index --no-deps --force-reinstall ./tiny_thing-1.0-py3-none-any.whl",
    )
    .await;
    assert!(said.contains("Successfully installed tiny-thing-1.0"), "{said}");
    assert_eq!(cell(&mut line, "import tiny_thing; tiny_thing.WORD").await, "'installed'");
    cell(&mut line, "%pip uninstall -y tiny-thing").await;
}

#[tokio::test]
async fn a_restart_begins_a_new_kernel_and_a_token_guards_it() {
    let (runner, mut line) = stage().await;
    cell(&mut line, "x = 1").await;
    let state = ask(&runner, "/plugins/jupyter/restart?wait_ms=60000").await;
    let said = cell(&mut line, "x").await;
    assert!(said.contains("NameError"), "{said}");
    let port = state["port"].as_u64().expect("a port");
    let curl = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /api/kernels HTTP/1.0\\r\\n\\r\\n' >&3; head -n 1 <&3"
    );
    let denied = line.run(&curl).await;
    assert!(denied.content.contains("401") || denied.content.contains("403"), "{denied:?}");
}
