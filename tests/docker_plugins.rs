//! The plugins for real, in a container of an image that has them: cells in a Python kernel, and VS Code behind
//! its token. Needs the registries of Debian, Python and npm, as `docker_recipes.rs` does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{fs, path::Path, time::Duration};

use common::{Client, EngineKind, PROMPT, Server, docker, http::ask};
use hyper::Method;
use serde_json::{Value, json};

/// From the start of a session to the end of its image's build.
const BUILT: Duration = Duration::from_mins(10);
fn config(dir: &Path) -> std::path::PathBuf {
    let ca = dir.join("ca");
    fs::create_dir(&ca).unwrap();
    if let Some(path) =
        std::env::var_os("NODE_EXTRA_CA_CERTS").filter(|path| Path::new(path).exists())
    {
        fs::copy(path, ca.join("machine.crt")).unwrap();
    }
    let config = dir.join("config.toml");
    let text = format!(
        "[sandbox]\nbase_container_image = \"{}\"\nplugins = [\"agent_skills\", \"jupyter\", \"vscode\"]\n\
         [sandbox.image]\nrepository = \"{}\"\nca_dir = \"{}\"\n[plugins]\ndeadline = \"60s\"\n",
        docker::IMAGE,
        docker::repository(),
        ca.display(),
    );
    fs::write(&config, text).unwrap();
    config
}

/// Runs a cell to its end; its observation.
async fn cell(client: &mut Client, reference: &str, args: Value) -> Value {
    let action = json!({ "action": "run_ipython", "args": args });
    client.send_json(&json!({ "type": "do", "ref": reference, "action": action })).await;
    let done = client.until(PROMPT, |frame| frame["ref"] == reference).await;
    let id = done["event_id"].as_i64().unwrap_or_else(|| panic!("{done}"));
    let seen =
        |frame: &Value| frame["event"]["cause"] == id && frame["event"]["observation"].is_string();
    client.until(Duration::from_mins(3), seen).await["event"].clone()
}

fn content(event: &Value) -> &str {
    event["content"].as_str().unwrap()
}

async fn cells(client: &mut Client) {
    let code = |code: &str| json!({ "code": code, "include_extra": false });
    let first = cell(client, "first", code("x = 20; print('kept')")).await;
    assert_eq!(content(&first), "kept", "{first}");
    let second = cell(client, "second", json!({ "code": "x * 2 + 2" })).await;
    let extra = "42\n[Jupyter current working directory: /workspace]\n[Jupyter Python interpreter: /opt/staithe/jupyter/bin/python";
    assert!(content(&second).starts_with(extra), "{second}");

    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    let draw = format!(
        "import base64\nfrom IPython.display import Image\nImage(base64.b64decode('{pixel}'))"
    );
    let image = cell(client, "image", code(&draw)).await;
    assert_eq!(
        image["extras"]["image_urls"],
        json!([format!("data:image/png;base64,{pixel}")]),
        "{image}"
    );

    let action = json!({ "action": "run_ipython", "args": code("import time\nprint('begun', flush=True)\ntime.sleep(1000)") });
    client.send_json(&json!({ "type": "do", "ref": "slow", "action": action })).await;
    let begun = |frame: &Value| frame["text"].as_str().is_some_and(|text| text.contains("begun"));
    client.until(PROMPT, begun).await;
    client.send_json(&json!({ "type": "interrupt", "ref": "stop" })).await;
    let seen = |frame: &Value| frame["event"]["observation"] == "run_ipython";
    let stopped = client.until(PROMPT, seen).await["event"].clone();
    assert!(content(&stopped).contains("KeyboardInterrupt"), "{stopped}");

    let late = json!({ "action": "run_ipython", "args": code("time.sleep(1000)"), "timeout": 2 });
    client.send_json(&json!({ "type": "do", "ref": "late", "action": late })).await;
    let late = client.until(PROMPT, seen).await["event"].clone();
    assert!(content(&late).contains("[Execution timed out (2 seconds).]"), "{late}");
    let kept = cell(client, "kept", code("x")).await;
    assert_eq!(content(&kept), "20");

    let pip = cell(client, "pip", code("%pip install --quiet six\nimport six; six.__name__")).await;
    assert!(content(&pip).ends_with("'six'"), "{pip}");
}

/// One request to the proxy with these cookies; status, `Location`, `Set-Cookie` and body.
async fn through(server: &Server, path: &str, cookies: &str) -> (u16, String, String, String) {
    let address = server.sandbox_url.strip_prefix("http://").unwrap();
    let headers = [("Authorization", ""), ("Cookie", cookies)];
    let (status, headers, body) =
        ask(address, "", Method::GET, path, &headers, Vec::new()).await.unwrap();
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let cookie = header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    (status, header("location"), cookie, String::from_utf8_lossy(&body).into_owned())
}

/// The way of a browser that has nothing but the address.
async fn vs_code(server: &Server, sid: &str, client: &mut Client) {
    let path = format!("/api/sessions/{sid}/vscode-url");
    let (status, _, body) = server.get(&path, &[]).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{answer}");
    let url = answer["vscode_url"].as_str().unwrap();
    let page = url.strip_prefix(&server.sandbox_url).unwrap_or_else(|| panic!("{url}"));
    let (without_ticket, _) = page.split_once("&staithe_ticket=").unwrap();
    let (status, ..) = through(server, without_ticket, "").await;
    assert_eq!(status, 401, "nobody is signed in");
    let (status, there, ours, _) = through(server, page, "").await;
    assert!(
        (300..400).contains(&status) && ours.starts_with("staithe_sandbox="),
        "{status} {ours}"
    );
    assert_eq!(there, without_ticket);
    let base = there.split_once('?').unwrap().0;
    let (status, ..) = through(server, base, &ours).await;
    assert_eq!(status, 403, "without its token VS Code shows nothing");
    let (status, next, theirs, _) = through(server, &there, &ours).await;
    assert!(status == 302 && theirs.starts_with("vscode-tkn="), "{status} {theirs}");
    let cookies = format!("{ours}; {theirs}");
    let next = format!("{base}{}", next.strip_prefix('.').unwrap_or_else(|| panic!("{next}")));
    let (status, _, _, page) = through(server, &next, &cookies).await;
    assert!(status == 200 && page.contains("workbench"), "{status} {next}: {page}");
    let is_script = |text: &&str| {
        text.starts_with(base) && text.ends_with(".js") && !text.contains(char::is_whitespace)
    };
    let script = page.split('"').find(is_script);
    let script = script.unwrap_or_else(|| panic!("no script in {page}"));
    let (status, _, _, text) = through(server, script, &cookies).await;
    assert!(status == 200 && text.len() > 1000, "{status} {script}");
    let files = client.run("files", "stat -c %a /.staithe/state/vscode/token").await;
    assert_eq!(content(&files), "600", "{files}");
}

#[tokio::test]
async fn cells_run_in_a_kernel_and_vs_code_is_opened_by_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let env = [
        ("STAITHE_CONFIG", config.to_str().unwrap()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", ""),
        ("STAITHE__SANDBOX__DOCKER__MEMORY", "2GiB"),
    ];
    let mut server = Server::start_on(EngineKind::Docker, &data, &env).await;
    let began = tokio::time::Instant::now();
    let (sid, token) = server.session().await;
    server.phase(&sid, "ready", BUILT).await;
    eprintln!("ready after {:?}", began.elapsed());
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    cells(&mut client).await;
    vs_code(&server, &sid, &mut client).await;

    // What a kernel holds outlives the server.
    server.kill9();
    server.restart().await;
    server.phase(&sid, "ready", PROMPT).await;
    let head = common::newest(&server.events(&sid).await);
    let mut client = Client::connect(&server, &sid, &token, head).await;
    let kept = cell(&mut client, "again", json!({ "code": "x", "include_extra": false })).await;
    assert_eq!(content(&kept), "20", "{kept}");
    let restart = format!("/api/sessions/{sid}/plugins/jupyter/restart?wait_ms=60000");
    let (status, _, body) = server.post(&restart, &[], &json!({})).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let gone = cell(&mut client, "gone", json!({ "code": "x", "include_extra": false })).await;
    assert!(content(&gone).contains("NameError"), "{gone}");
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}
