//! The server's side of agents, through the real server: models and keys, what people choose, the repository that a
//! session begins with, trajectories. Secrets are looked for everywhere.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "contract/words.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod words;

use std::{fs, path::Path};

use common::{Client, PROMPT, Server, eventually};
use hyper::Method;
use serde_json::{Value, json};
use staithe_testkit::GitServer;
use words::{LIMIT, json, problem};

const USER: &str = "access-token-of-a-user";
const KEY: &str = "sk-test-0123456789abcdefWXYZ";
const TOKEN: &str = "ghp-token-that-nobody-sees";

/// No key of the machine that the test runs on counts.
const NO_KEYS: [(&str, &str); 3] = [
    ("STAITHE__MODELS__OPENAI__KEY_ENV", ""),
    ("STAITHE__MODELS__ANTHROPIC__KEY_ENV", ""),
    ("STAITHE__MODELS__GEMINI__KEY_ENV", ""),
];

/// Where nobody is.
const OLLAMA: &str = "http://127.0.0.1:9";

async fn server(dir: &Path) -> Server {
    let mut env = NO_KEYS.to_vec();
    env.push(("STAITHE__MODELS__OLLAMA__BASE_URL", OLLAMA));
    env.push(("STAITHE__AUTH__ACCESS_TOKEN", USER));
    Server::start_with(dir, &env).await
}

fn as_user() -> (&'static str, String) {
    ("authorization", format!("Bearer {USER}"))
}

async fn put(server: &Server, path: &str, shown: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let answer = server.request(Method::PUT, path, shown, body.to_string().into()).await;
    (answer.0, json(&answer))
}

/// Every file below a folder that has this text in it.
fn holding(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(holding(&path, needle)),
            Ok(kind) if kind.is_file() => {
                let content = fs::read(&path).unwrap_or_default();
                if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

/// Every process of this machine that has this text in its environment or on its command line, but this one.
fn processes_with(needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == std::process::id().to_string() {
            continue;
        }
        for file in ["environ", "cmdline"] {
            let content = fs::read(entry.path().join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&content).contains(needle) {
                found.push(format!("{pid}/{file}"));
            }
        }
    }
    found
}

/// A model of a list.
fn of(list: &Value, name: &str) -> Value {
    let models = list["models"].as_array().unwrap();
    models.iter().find(|it| it["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn a_link_to_a_session_has_its_owners_subject_and_is_not_the_owner() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path()).await;
    let (status, _) = put(&server, "/api/models/openai/key", &[], &json!({ "key": KEY })).await;
    assert_eq!(status, 200);
    let (_, token) = server.session().await;
    let bearer = format!("Bearer {token}");
    let seen = json(&server.get("/api/models", &[("authorization", &bearer)]).await);
    assert_eq!(of(&seen, "openai")["usable"], true, "enough to choose one");
    for model in seen["models"].as_array().unwrap() {
        assert_eq!((&model["key"], &model["base_url"]), (&Value::Null, &Value::Null), "{model}");
    }
    let own = server.json("/api/models").await;
    assert_eq!(of(&own, "ollama")["base_url"], OLLAMA);
    assert_eq!(of(&own, "openai")["key"]["ends_with"], "WXYZ");
}

#[tokio::test]
async fn changes_of_keys_are_counted_apart() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path()).await;
    let mut refused = Value::Null;
    for _ in 0..200 {
        let short = put(&server, "/api/models/gemini/key", &[], &json!({ "key": "short" })).await;
        if short.0 != 422 {
            refused = short.1;
            break;
        }
    }
    assert_eq!(refused["code"], "request.too_many", "each change goes through the disk");
    assert_eq!(server.get("/api/models", &[]).await.0, 200, "only changes are that rare");
}

#[tokio::test]
async fn keys_are_whose_they_are_outlive_the_server_and_are_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = server(dir.path()).await;
    let user = as_user();
    let user: [(&str, &str); 1] = [(user.0, &user.1)];
    let list = server.json("/api/models").await;
    assert_eq!(list["default"], Value::Null);
    let openai = of(&list, "openai");
    assert_eq!((&openai["usable"], &openai["code"]), (&json!(false), &json!("model.no_key")));
    assert_eq!(of(&list, "ollama")["usable"], true);

    let (status, told) = put(&server, "/api/models/openai/key", &[], &json!({ "key": KEY })).await;
    assert_eq!((status, &told["key"]["source"]), (200, &json!("installation")), "{told}");
    assert_eq!(told["key"]["ends_with"], "WXYZ");
    let own = "g-own-0123456789abcdef9876";
    let (status, told) =
        put(&server, "/api/models/gemini/key", &user, &json!({ "key": own })).await;
    assert_eq!((status, &told["key"]["source"]), (200, &json!("user")), "{told}");
    let answer = server.get("/api/models", &user).await;
    let seen = json(&answer);
    assert_eq!(
        (&of(&seen, "openai")["usable"], &seen["default"]),
        (&json!(true), &json!("openai"))
    );
    assert_eq!(of(&server.json("/api/models").await, "gemini")["key"], Value::Null);

    let bad = server
        .request(Method::PUT, "/api/models/openai/key", &[], br#"{"key":"a b"}"#.to_vec())
        .await;
    problem(&bad, 422, "model.invalid_key");
    let unknown = server
        .request(Method::PUT, "/api/models/none/key", &[], br#"{"key":"12345678"}"#.to_vec())
        .await;
    problem(&unknown, 404, "model.unknown_name");
    let (_, token) = server.session().await;
    let bearer = format!("Bearer {token}");
    let editor = [("authorization", bearer.as_str())];
    for answer in [
        server
            .request(
                Method::PUT,
                "/api/models/openai/key",
                &editor,
                br#"{"key":"12345678"}"#.to_vec(),
            )
            .await,
        server.delete("/api/models/openai/key", &editor).await,
        server.post("/api/models/openai/check", &editor, &json!({})).await,
    ] {
        problem(&answer, 403, "auth.forbidden");
    }
    problem(&server.delete("/api/models/openai/key", &user).await, 404, "model.key_not_found");
    problem(
        &server.post("/api/models/anthropic/check", &[], &json!({})).await,
        409,
        "model.no_key",
    );

    server.kill9();
    server.restart().await;
    let seen = json(&server.get("/api/models", &user).await);
    assert_eq!(of(&seen, "gemini")["key"]["ends_with"], "9876");
    for secret in [KEY, own] {
        assert!(!serde_json::to_string(&seen).unwrap().contains(secret));
        assert_eq!(holding(dir.path(), secret), Vec::<String>::new());
        assert_eq!(processes_with(secret), Vec::<String>::new());
    }
    assert_eq!(server.delete("/api/models/gemini/key", &user).await.0, 204);
    assert_eq!(of(&json(&server.get("/api/models", &user).await), "gemini")["key"], Value::Null);
}

#[tokio::test]
async fn a_key_that_is_set_while_a_session_runs_gets_out_in_no_event_and_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path()).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let (status, _) = put(&server, "/api/models/openai/key", &[], &json!({ "key": KEY })).await;
    assert_eq!(status, 200);
    let mut client = Client::connect(&server, &id, &token, -1).await;
    // Its parts come in pieces of their own.
    let (first, rest) = KEY.split_at(9);
    let command = format!("printf %s '{first}'; sleep 1; echo '{rest}'; echo done");
    let action = json!({ "action": "run", "args": { "command": command, "blocking": true } });
    client.send_json(&json!({ "type": "do", "ref": "1", "action": action })).await;
    let mut partials = String::new();
    let observed = loop {
        let frame = client.recv_json(PROMPT).await.unwrap();
        if frame["type"] == "partial" {
            partials.push_str(frame["text"].as_str().unwrap());
        }
        if frame["event"]["observation"] == "run" {
            break frame["event"].clone();
        }
    };
    assert!(observed["content"].as_str().unwrap().contains("<secret_hidden>"), "{observed}");
    assert!(!partials.contains(first) && !partials.contains(rest), "{partials}");
    let action = json!({ "action": "run", "args": { "command": format!("echo {KEY}") } });
    server.post(&format!("/api/sessions/{id}/actions"), &[], &action).await;
    let events = serde_json::to_string(&server.events(&id).await).unwrap();
    assert!(!events.contains(KEY));
    // The sandbox's own files may have it: it was typed there.
    assert!(!server.log().contains(KEY));
}

#[tokio::test]
async fn what_people_choose_of_an_agent_holds_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = server(dir.path()).await;
    let (id, token) = server.session().await;
    let at = format!("/api/sessions/{id}/agent");
    let view = server.json(&at).await;
    assert_eq!((&view["model"], &view["model_chosen"]), (&Value::Null, &json!(false)), "{view}");
    assert_eq!((&view["confirm"], &view["limits"]["steps"]), (&json!("risky"), &json!(200)));
    let model = format!("/api/sessions/{id}/model");
    let (status, refused) = put(&server, &model, &[], &json!({ "model": "openai" })).await;
    assert_eq!((status, &refused["code"]), (409, &json!("model.no_key")));
    let (status, refused) = put(&server, &model, &[], &json!({ "model": "none" })).await;
    assert_eq!((status, &refused["code"]), (404, &json!("model.unknown_name")));
    let (status, view) = put(&server, &model, &[], &json!({ "model": "ollama" })).await;
    assert_eq!((status, &view["model"]), (200, &json!("ollama")), "{view}");
    let choice = json!({ "limits": { "steps": 7, "cost": 0.5 }, "confirm": "always" });
    let (status, view) = put(&server, &at, &[], &choice).await;
    assert_eq!(
        (status, &view["limits"]["steps"], &view["confirm"]),
        (200, &json!(7), &json!("always"))
    );
    for (bad, code) in [
        (json!({ "limits": { "cost": -1 } }), "agent.invalid"),
        (json!({ "confirm": "sometimes" }), "request.invalid"),
        (json!({ "limit": {} }), "request.invalid"),
    ] {
        let (_, refused) = put(&server, &at, &[], &bad).await;
        assert_eq!(refused["code"], code, "{refused}");
    }
    let viewer = json!({ "role": "viewer" });
    let path = format!("/api/sessions/{id}/tokens");
    let viewer =
        json(&server.post(&path, &[], &viewer).await)["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {viewer}");
    let shown = [("authorization", bearer.as_str())];
    assert_eq!(server.get(&at, &shown).await.0, 200);
    let (status, refused) = put(&server, &at, &shown, &choice).await;
    assert_eq!((status, &refused["code"]), (403, &json!("auth.read_only")));
    let bearer = format!("Bearer {token}");
    let (status, _) = put(&server, &at, &[("authorization", &bearer)], &json!({})).await;
    assert_eq!(status, 200, "an editor changes");
    server.kill9();
    server.restart().await;
    let view = server.json(&at).await;
    assert_eq!((&view["model"], &view["limits"]["steps"]), (&json!("ollama"), &json!(7)), "{view}");
}

/// A session with this body; its id.
async fn begin(server: &Server, body: &Value) -> String {
    let made = server.post("/api/sessions", &[], body).await;
    let told = json(&made);
    assert_eq!(made.0, 201, "{told}");
    told["id"].as_str().unwrap().to_owned()
}

/// Waits for the first message, which is the last of a beginning; all events up to then.
async fn begun(server: &Server, id: &str) -> Vec<Value> {
    let mut client = Client::connect(server, id, &server.token, -1).await;
    loop {
        let frame = client.recv_json(LIMIT).await.unwrap();
        if frame["event"]["action"] == "message" {
            return server.events(id).await;
        }
    }
}

#[tokio::test]
async fn a_session_begins_with_a_repository_and_its_token_is_left_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let origin = tempfile::tempdir().unwrap();
    let git = GitServer::start(origin.path(), "x-access-token", TOKEN).await;
    let server = server(dir.path()).await;
    let url = format!("{}/project.git", git.url);
    let wanted = json!({
        "repository": url,
        "branch": "other",
        "git_token": TOKEN,
        "first_message": "fix it",
    });
    git.hold(true);
    let id = begin(&server, &wanted).await;
    assert!(eventually(LIMIT, || git.counts()[1] > 0).await, "git shows the token");
    // It waits for its answer: the token is in use.
    assert!(!processes_with("project.git").is_empty(), "git is at work");
    assert_eq!(processes_with(TOKEN), Vec::<String>::new());
    assert_eq!(holding(dir.path(), TOKEN), Vec::<String>::new());
    git.hold(false);
    let events = begun(&server, &id).await;
    let place = |is: &dyn Fn(&Value) -> bool| events.iter().position(is).unwrap();
    let state = |state: &'static str| {
        move |event: &Value| {
            event["observation"] == "repository" && event["extras"]["state"] == state
        }
    };
    let (cloning, cloned) = (place(&state("cloning")), place(&state("cloned")));
    let said = place(&|event| event["action"] == "message" && event["source"] == "user");
    assert!(cloning < cloned && cloned < said, "{events:#?}");
    assert_eq!(events[cloned]["extras"]["folder"], "project");
    assert_eq!(events[said]["args"]["content"], "fix it");
    let file = server.get(&format!("/api/sessions/{id}/files/project/a.txt"), &[]).await;
    assert_eq!((file.0, file.2.as_slice()), (200, b"other\n".as_slice()));
    assert_eq!(holding(dir.path(), TOKEN), Vec::<String>::new());
    assert!(!serde_json::to_string(&events).unwrap().contains(TOKEN));

    let trajectory = server.get(&format!("/api/sessions/{id}/trajectory"), &[]).await;
    let told = json(&trajectory)["trajectory"].as_array().unwrap().clone();
    assert!(told.len() >= events.len());
    assert_eq!(told[..events.len()], events);
}

#[tokio::test]
async fn a_repository_that_cannot_be_had_is_told_and_the_session_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let origin = tempfile::tempdir().unwrap();
    let git = GitServer::start(origin.path(), "x-access-token", TOKEN).await;
    let server = server(dir.path()).await;
    let url = format!("{}/project.git", git.url);
    let wrong = "a-wrong-token";
    let wanted = json!({ "repository": url, "git_token": wrong, "first_message": "go on" });
    let id = begin(&server, &wanted).await;
    let events = begun(&server, &id).await;
    let failed = events.iter().find(|event| event["extras"]["state"] == "failed").unwrap();
    assert_eq!(failed["extras"]["code"], "git.failed", "{failed}");
    assert!(!serde_json::to_string(&events).unwrap().contains(wrong));
    assert!(eventually(PROMPT, || holding(dir.path(), wrong).is_empty()).await);
    for (body, code) in [
        (
            json!({ "repository": "http://git.example/a", "git_token": TOKEN }),
            "session.invalid_git_token",
        ),
        (json!({ "git_token": TOKEN }), "session.invalid_git_token"),
        (json!({ "repository": "a/b", "branch": "--upload-pack=x" }), "session.invalid_branch"),
        (json!({ "branch": "main" }), "session.invalid_branch"),
        (json!({ "repository": "ssh://ann:secret@git.example/a" }), "session.invalid_repository"),
        (
            json!({ "repository": "git@git.example:a", "git_token": TOKEN }),
            "session.invalid_git_token",
        ),
    ] {
        problem(&server.post("/api/sessions", &[], &body).await, 422, code);
    }
    let unknown = server.post("/api/sessions", &[], &json!({ "model": "none" })).await;
    problem(&unknown, 404, "model.unknown_name");
}

/// How a new session's repository fared: `cloned` or `failed`.
async fn cloned(server: &Server, shown: &[(&str, &str)], git: &GitServer) -> String {
    let url = format!("{}/project.git", git.url);
    let wanted = json!({ "repository": url, "first_message": "x" });
    let made = server.post("/api/sessions", shown, &wanted).await;
    let told = json(&made);
    assert_eq!(made.0, 201, "{told}");
    let events = begun(server, told["id"].as_str().unwrap()).await;
    let last = events.iter().rfind(|event| event["observation"] == "repository").unwrap();
    last["extras"]["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_configurations_token_opens_its_host_alone_and_for_whom_it_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let [origin, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let git = GitServer::start(origin.path(), "ann", TOKEN).await;
    let other = GitServer::start(elsewhere.path(), "ann", "another token").await;
    let host = git.url.trim_start_matches("http://").to_owned();
    let file = dir.path().join("staithe.toml");
    fs::write(&file, format!("[git.tokens]\n\"{host}\" = \"ann:{TOKEN}\"\n")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let env = [
        ("STAITHE_CONFIG", file.to_str().unwrap()),
        ("STAITHE__AUTH__ACCESS_TOKEN", USER),
        ("STAITHE__GIT__TOKENS_FOR", "everyone"),
    ];
    let server = Server::start_with(data.path(), &env[..2]).await;
    let user = as_user();
    let user = [(user.0, user.1.as_str())];
    assert_eq!(cloned(&server, &user, &git).await, "failed");
    assert_eq!((git.counts()[1], git.shown()), (0, Vec::new()), "it is the operators'");
    assert_eq!(cloned(&server, &[], &other).await, "failed");
    assert!(other.counts()[0] > 0, "it was asked");
    assert_eq!(other.shown(), Vec::<String>::new(), "and was shown nothing");
    assert_eq!(cloned(&server, &[], &git).await, "cloned");
    let shown = server.get("/api/admin/config", &[]).await;
    assert!(!String::from_utf8_lossy(&shown.2).contains(TOKEN));
    assert_eq!(holding(data.path(), TOKEN), Vec::<String>::new());
    drop(server);
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_with(data.path(), &env).await;
    assert_eq!(cloned(&server, &user, &git).await, "cloned");
}
