//! Plugins through the whole server on the local engine, with a program that behaves as a VS Code server does:
//! the address of VS Code, who may have it, what is told of plugins, and what a restart of the server leaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::path::Path;

use common::{Client, PROMPT, Server};
use serde_json::{Value, json};

/// Serves `/version` below its base path.
const CODE: &str = r#"#!/usr/bin/env python3
import http.server, sys
words = sys.argv[1:]
def after(flag): return words[words.index(flag) + 1]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == after("--server-base-path") + "/version" else 404)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(after("--port"))), Answer).serve_forever()
"#;

/// A server whose sessions have these plugins; the program is in the workspace.
async fn server(dir: &Path, plugins: &str) -> Server {
    let config = dir.join("config.toml");
    let text = format!(
        "[sandbox]\nplugins = {plugins}\n[plugins.vscode]\npaths = [\"/workspace/code\"]\n"
    );
    std::fs::write(&config, text).unwrap();
    let data = dir.join("data");
    std::fs::create_dir(&data).unwrap();
    Server::start_with(&data, &[("STAITHE_CONFIG", config.to_str().unwrap())]).await
}

/// A session with the program in it; its id and an editor's token.
async fn session(server: &Server) -> (String, String, Client) {
    let (sid, token) = server.session().await;
    server.phase(&sid, "ready", PROMPT).await;
    let mut client = Client::connect(server, &sid, &token, -1).await;
    let path = format!("/api/sessions/{sid}/files/code");
    let (status, _, _) = server.put(&path, &[], CODE.as_bytes().to_vec()).await;
    assert!(status < 300, "{status}");
    client.run("mode", "chmod 755 code").await;
    (sid, token, client)
}

async fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let (status, _, body) =
        server.request(method.parse().unwrap(), path, headers, Vec::new()).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// The address of VS Code, and its ticket, which is another one each time.
fn address(answer: &Value) -> (String, String) {
    let url = answer["vscode_url"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let (url, ticket) = url.split_once("&staithe_ticket=").unwrap();
    (url.to_owned(), ticket.to_owned())
}

/// The event that tells of VS Code in this state, read from the log's beginning; answers come on lines of their own,
/// so it may be a moment behind one.
async fn told(server: &Server, sid: &str, token: &str, state: &str) -> Value {
    let mut reader = Client::connect(server, sid, token, -1).await;
    let is_told = |frame: &Value| {
        let extras = &frame["event"]["extras"];
        extras["name"] == "vscode" && extras["state"] == state
    };
    reader.until(PROMPT, is_told).await["event"].clone()
}

fn states(events: &[Value], name: &str) -> Vec<String> {
    let of = |event: &&Value| {
        event["observation"] == "plugin_changed" && event["extras"]["name"] == name
    };
    let state = |event: &Value| event["extras"]["state"].as_str().unwrap().to_owned();
    events.iter().filter(of).map(state).collect()
}

#[tokio::test]
async fn the_address_of_vs_code_begins_it_and_works_from_where_it_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = server(dir.path(), r#"["vscode", "agent_skills"]"#).await;
    let (sid, token, _client) = session(&server).await;
    told(&server, &sid, &token, "stopped").await;
    let own = format!("/api/sessions/{sid}/vscode-url");
    let (status, answer) = ask(&server, "GET", &own, &[]).await;
    assert_eq!(status, 200, "{answer}");
    let (url, _) = address(&answer);
    assert!(url.starts_with(&format!("{}/s/{sid}/", server.sandbox_url)), "{url}");
    assert!(url.contains("/?tkn=") && url.ends_with("&folder=%2Fworkspace"), "{url}");
    told(&server, &sid, &token, "ready").await;
    let events = server.events(&sid).await;
    assert_eq!(states(&events, "vscode"), ["stopped", "starting", "ready"]);
    let (_, told) = ask(&server, "GET", &format!("/api/sessions/{sid}/plugins"), &[]).await;
    let base = told["plugins"][1]["base_path"].as_str().unwrap();
    assert!(url.contains(&format!("{base}/?tkn=")), "{url} {base}");

    // By its other names, and from another name of the host.
    let port = server.sandbox_url.rsplit_once(':').unwrap().1.to_owned();
    let host = format!("localhost:{}", server.address().rsplit_once(':').unwrap().1);
    for path in
        [format!("/api/conversations/{sid}/vscode-url"), format!("/api/vscode-url?session={sid}")]
    {
        let (status, answer) = ask(&server, "GET", &path, &[("Host", &host)]).await;
        assert_eq!(status, 200, "{answer}");
        let there = url.replace(&server.sandbox_url, &format!("http://localhost:{port}"));
        assert_eq!(address(&answer).0, there);
    }
    let editor = format!("Bearer {token}");
    let (status, answer) =
        ask(&server, "GET", "/api/vscode-url", &[("Authorization", &editor)]).await;
    assert_eq!((status, address(&answer).0.as_str()), (200, url.as_str()));
    assert_eq!(ask(&server, "GET", "/api/vscode-url", &[]).await.0, 400);

    // A server that comes back finds it as it was.
    server.kill9();
    server.restart().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    client.run("back", "true").await; // its line is there again
    let (status, answer) = ask(&server, "GET", &own, &[]).await;
    assert_eq!((status, address(&answer).0.as_str()), (200, url.as_str()));

    let word = |word: &str| format!("/api/sessions/{sid}/plugins/vscode/{word}?wait_ms=30000");
    let (status, state) = ask(&server, "POST", &word("stop"), &[]).await;
    assert_eq!((status, &state["state"]), (200, &json!("stopped")));
    let (status, state) = ask(&server, "POST", &word("restart"), &[]).await;
    assert_eq!((status, &state["state"]), (200, &json!("ready")));
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}

#[tokio::test]
async fn a_viewer_has_no_vs_code_and_what_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path(), r#"["vscode"]"#).await;
    let (sid, token, mut client) = session(&server).await;
    let (status, answer) = {
        let path = format!("/api/sessions/{sid}/tokens");
        let (status, _, body) = server.post(&path, &[], &json!({ "role": "viewer" })).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    assert_eq!(status, 201);
    let viewer = format!("Bearer {}", answer["token"].as_str().unwrap());
    let viewer = [("Authorization", viewer.as_str())];
    let url = format!("/api/sessions/{sid}/vscode-url");
    let plugins = format!("/api/sessions/{sid}/plugins");
    for (method, path) in [("GET", url.clone()), ("POST", format!("{plugins}/vscode/start"))] {
        let (status, problem) = ask(&server, method, &path, &viewer).await;
        assert_eq!((status, &problem["code"]), (403, &json!("auth.read_only")));
    }
    assert_eq!(ask(&server, "GET", &plugins, &viewer).await.0, 200);
    let other = server.session().await.0;
    let editor = format!("Bearer {token}");
    let editor = [("Authorization", editor.as_str())];
    let (status, _) =
        ask(&server, "GET", &format!("/api/vscode-url?session={other}"), &editor).await;
    assert_eq!(status, 403);

    for (path, wanted, code) in [
        (format!("{plugins}/teapot/start"), 404, "plugin.not_found"),
        (format!("{plugins}/vscode/dance"), 400, "request.invalid"),
        (format!("{plugins}/vscode/start?wait_ms=99999999"), 400, "request.invalid_parameter"),
        (format!("{plugins}/..%2F..%2Flink/start"), 404, "plugin.not_found"),
    ] {
        let (status, problem) = ask(&server, "POST", &path, &[]).await;
        assert_eq!((status, &problem["code"]), (wanted, &json!(code)), "{path}: {problem}");
    }

    // It ends at once: given up with its last words, and the session goes on.
    client.run("break", "printf '#!/bin/sh\\necho no luck; exit 5\\n' > code").await;
    let start = format!("{plugins}/vscode/start?wait_ms=60000");
    let (_, state) = ask(&server, "POST", &start, &[]).await;
    assert_eq!(state["state"], "failed", "{state}");
    client.run("mend", "printf '#!/bin/sh\\necho still no luck; exec sleep 1000\\n' > code").await;
    let (_, state) =
        ask(&server, "POST", &format!("{plugins}/vscode/stop?wait_ms=9000"), &[]).await;
    assert_eq!(state["state"], "stopped");
    let (status, problem) = ask(&server, "GET", &url, &[]).await;
    assert_eq!((status, &problem["code"]), (503, &json!("plugin.not_ready")), "{problem}");
    let failed = told(&server, &sid, &token, "failed").await;
    assert!(failed["content"].as_str().unwrap().ends_with("no luck"), "{failed}");
    assert_eq!(client.run("fine", "echo fine").await["content"], "fine");
    for id in [sid, other] {
        server.delete(&format!("/api/sessions/{id}"), &[]).await;
    }
    server.nothing_is_left().await;
}

#[tokio::test]
async fn a_session_without_plugins_has_none_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path(), "[]").await;
    let (sid, _, mut client) = session(&server).await;
    let (status, answer) =
        ask(&server, "GET", &format!("/api/sessions/{sid}/vscode-url"), &[]).await;
    assert_eq!((status, answer), (200, json!({ "vscode_url": null })));
    let (_, answer) = ask(&server, "GET", &format!("/api/sessions/{sid}/plugins"), &[]).await;
    assert_eq!(answer, json!({ "plugins": [] }));
    let action = json!({ "action": "run_ipython", "args": { "code": "1" } });
    client.send_json(&json!({ "type": "do", "ref": "cell", "action": action })).await;
    let seen = client.until(PROMPT, |frame| frame["event"]["observation"] == "error").await;
    let content = seen["event"]["content"].as_str().unwrap();
    assert!(content.contains("sandbox.plugins"), "{content}");
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}
