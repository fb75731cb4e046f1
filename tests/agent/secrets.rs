//! No key, token or marked secret gets out: not by a model that echoes it piece by piece, nor by an error, the log of
//! the server at its most talkative, the disk, the environment of a sandbox's processes, or a page.

use std::{fs, path::Path};

use hyper::Method;
use serde_json::{Value, json};
use staithe_testkit::{GitServer, model::Step};

use crate::{
    common::{PROMPT, Server, eventually},
    scene::{bash, finish, refusal},
    stage::{KEY, Stage},
};

/// Set by the API.
const SET: &str = "sk-set-9876543210zyxwvutsrqp";
/// Opens a repository.
const TOKEN: &str = "ghp-agent-token-that-nobody-sees";
/// In the environment of commands, and marked.
const MARKED: &str = "marked-secret-0123456789";
/// The same, of the kind that JSON escapes; and a piece of it that nothing else has.
const LINES: &str = "-----BEGIN KEY-----\nMIIEvQ/IBA\"DANBg\\kqhk\n-----END KEY-----";
const INSIDE: [&str; 2] = ["MIIEvQ", "kqhk"];

#[tokio::test]
async fn no_secret_gets_out_anywhere() {
    let origin = tempfile::tempdir().unwrap();
    let git = GitServer::start(origin.path(), "x-access-token", TOKEN).await;
    let env = [
        ("STAITHE__LOG__FILTER", "trace"),
        ("STAITHE__SANDBOX__SECRET_ENV__BERTH", MARKED),
        ("STAITHE__SANDBOX__SECRET_ENV__LINES", LINES),
    ];
    let stage =
        Stage::with(&["", "provider = \"anthropic\""], "[agent.retries]\nfirst = \"50ms\"\n", &env)
            .await;
    let body = json!({ "key": SET }).to_string().into_bytes();
    let (status, ..) = stage.server.request(Method::PUT, "/api/models/m1/key", &[], body).await;
    assert_eq!(status, 200);
    let told = work(&stage, 0, KEY).await + &work(&stage, 1, SET).await;
    let cloned = clones(&stage.server, &git).await;
    let keys = [KEY, SET];
    for model in &stage.models {
        assert!(
            model.asked().iter().all(|asked| asked.key().is_some_and(|key| keys.contains(&key)))
        );
        let asked = model.asked().iter().map(|asked| asked.body.to_string()).collect::<String>();
        for secret in [KEY, SET, TOKEN, MARKED].into_iter().chain(INSIDE) {
            assert!(!asked.contains(secret), "the model is told");
        }
    }
    let pages = pages(&stage.server, &cloned).await;
    let log = stage.server.log();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "the log is at its most talkative");
    for secret in [KEY, SET, TOKEN, MARKED].into_iter().chain(INSIDE) {
        for (what, text) in [("events", &told), ("pages", &pages), ("log", &log)] {
            if let Some(at) = text.find(secret) {
                let from = text.floor_char_boundary(at.saturating_sub(200));
                panic!("{secret} is in the {what}: …{}", &text[from..at]);
            }
        }
    }
    for secret in [KEY, SET, TOKEN] {
        let kept = || holding(stage.dir.path(), secret);
        assert!(eventually(PROMPT, || kept().is_empty()).await, "{:?}", kept());
        assert_eq!(in_sandboxes(&stage.server, secret), Vec::<String>::new());
    }
}

/// A model that says all secrets in every way; all that clients saw of it.
async fn work(stage: &Stage, number: usize, key: &str) -> String {
    let mut play = stage.play(number).await;
    let (first, rest) = key.split_at(11);
    let echo = format!(
        "printf %s {first}; sleep 0.2; echo {rest}; printf %s $BERTH | cut -c1-9; echo $BERTH"
    );
    let down = refusal(500, "server_error", &format!("the key {key} is fine, we are not"));
    let bad = refusal(401, "invalid_api_key", &format!("Incorrect API key provided: {key}"));
    play.model.script([
        Step {
            chunk: 3,
            reasoning: format!("The key is {key}."),
            text: format!("It is {key} and {MARKED}!"),
            ..bash("true")
        },
        Step {
            text: format!("And\n{LINES}\nor {}", json!([LINES])),
            ..bash(&format!(": '{LINES}'"))
        },
        Step { chunk: 5, ..bash("printf '%s\\n' \"$LINES\"; echo \"$LINES\"") },
        Step { chunk: 5, bytes: 7, ..bash(&echo) },
        bash(&format!("echo {key}")),
        Step::call(key, &json!({ "x": key })),
        Step::default().and_call("execute_bash", &format!("{{\"comm {key}")),
        down,
        bad,
        Step { chunk: 1, text: format!("{key} {MARKED}"), ..finish() },
    ]);
    play.say(&format!("My key is {key}")).await;
    play.see("[error model.bad_key]").await;
    play.change("running").await;
    play.see("[finished]").await;
    assert_eq!(play.model.left(), 0);
    assert!(play.partials.contains("It is "), "pieces are shown: {}", play.partials);
    let events = stage.server.events(&play.id).await;
    let trajectory = stage.server.get(&format!("/api/sessions/{}/trajectory", play.id), &[]).await;
    [
        play.partials.clone(),
        Value::from(events).to_string(),
        String::from_utf8(trajectory.2).unwrap(),
    ]
    .concat()
}

/// A session that begins with a repository; its id.
async fn clones(server: &Server, git: &GitServer) -> String {
    let body = json!({ "repository": format!("{}/project.git", git.url), "git_token": TOKEN });
    let (status, _, made) = server.post("/api/sessions", &[], &body).await;
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let mut client = crate::common::Client::connect(server, &id, &server.token, -1).await;
    client.until(PROMPT, |frame| frame["event"]["extras"]["state"] == "cloned").await;
    id
}

/// What a browser gets of the control pages and the API.
async fn pages(server: &Server, id: &str) -> String {
    let mut all = String::new();
    for path in [
        "/".to_owned(),
        format!("/sessions/{id}"),
        "/admin".to_owned(),
        "/health".to_owned(),
        "/api/models".to_owned(),
        "/api/admin/config".to_owned(),
        "/api/sessions".to_owned(),
        format!("/api/sessions/{id}"),
        format!("/api/sessions/{id}/agent"),
        format!("/api/sessions/{id}/events"),
    ] {
        let (status, _, body) = server.get(&path, &[]).await;
        assert!(status < 500, "{path}: {status}");
        all.push_str(&String::from_utf8_lossy(&body));
    }
    all
}

/// Every file below a folder that has this text in it, but those of sandboxes: what a command there says is spooled as
/// it is, where only the sandbox itself and its server read it.
fn holding(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && entry.file_name() == "sandboxes" => {}
            Ok(kind) if kind.is_dir() => found.extend(holding(&entry.path(), needle)),
            Ok(kind) if kind.is_file() => {
                let content = fs::read(entry.path()).unwrap_or_default();
                if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                    found.push(entry.path().display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

/// Processes of the sandboxes that have this text in their environment or on their command line.
fn in_sandboxes(server: &Server, needle: &str) -> Vec<String> {
    let of = |pid| ["environ", "cmdline"].map(|file| format!("/proc/{pid}/{file}"));
    let files = server.sandboxes().into_iter().flat_map(of);
    let has = |path: &String| {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).contains(needle)
    };
    files.filter(has).collect()
}
