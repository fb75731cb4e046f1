//! Search, git and the editor through the whole server: what a client asks, and what it gets.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    ENGINE,
    common::{Client, PROMPT, Server, eventually},
};

const LIMIT: Duration = Duration::from_mins(2);

async fn ready(server: &Server) -> String {
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    id
}

async fn put(server: &Server, id: &str, path: &str, content: &str) {
    let address = format!("/api/sessions/{id}/files/{path}?create_parents=1");
    let put = server.put(&address, &[("x-force", "true")], content.into()).await;
    assert_eq!(put.0, 200, "{}", String::from_utf8_lossy(&put.2));
}

/// The lines of a search's answer.
async fn search(server: &Server, id: &str, body: &Value) -> Vec<Value> {
    let (status, headers, body) =
        server.post(&format!("/api/sessions/{id}/search"), &[], body).await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(status, 200, "{text}");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn code(answer: &(u16, hyper::HeaderMap, Vec<u8>)) -> (u16, String) {
    let body: Value = serde_json::from_slice(&answer.2).unwrap();
    (answer.0, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn lines_and_names_are_found_by_whoever_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let id = ready(&server).await;
    put(&server, &id, "src/a.rs", "one\nneedle here\n").await;
    put(&server, &id, "b.txt", "needle").await;
    let lines = json!({ "kind": "content", "query": "needle", "include": ["*.rs"] });
    let found = search(&server, &id, &lines).await;
    assert_eq!(
        (&found[0]["type"], &found[0]["path"], &found[0]["line"]),
        (&"match".into(), &"src/a.rs".into(), &2.into())
    );
    let done = found.last().unwrap();
    assert_eq!((&done["type"], &done["results"]), (&"done".into(), &1.into()));
    let names = search(&server, &id, &json!({ "kind": "names", "query": "ars" })).await;
    assert_eq!((&names[0]["type"], &names[0]["path"]), (&"name".into(), &"src/a.rs".into()));

    let address = format!("/api/sessions/{id}/search");
    let bad = server
        .post(&address, &[], &json!({ "kind": "content", "query": "(", "regex": true }))
        .await;
    assert_eq!(code(&bad), (400, "search.bad_query".into()));
    let bad = server
        .post(&address, &[], &json!({ "kind": "content", "query": "x", "path": "../.." }))
        .await;
    assert_eq!(code(&bad), (403, "OUTSIDE_WORKSPACE".into()));
    let bad = server.post(&address, &[], &json!({ "kind": "other" })).await;
    assert_eq!(code(&bad), (400, "request.invalid".into()));
    let nobody = server.post(&address, &[("authorization", "")], &lines).await;
    assert_eq!(code(&nobody), (401, "auth.required".into()));
    let role = json!({ "role": "viewer" });
    let token = server.post(&format!("/api/sessions/{id}/tokens"), &[], &role).await;
    let token: Value = serde_json::from_slice(&token.2).unwrap();
    let viewer = format!("Bearer {}", token["token"].as_str().unwrap());
    let answered = server.post(&address, &[("authorization", &viewer)], &lines).await;
    assert_eq!(answered.0, 200);
}

/// Threads that search, in all sandboxes.
fn searching(server: &Server) -> usize {
    let threads = server.sandboxes().into_iter().flat_map(|pid| {
        std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten()
    });
    let names = threads.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "search").count()
}

#[tokio::test]
async fn a_client_that_goes_ends_its_search_in_the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let id = ready(&server).await;
    // More than all the sockets and queues on the way hold.
    let content = format!("{}\n", "x".repeat(900)).repeat(1000);
    for number in 0..12 {
        put(&server, &id, &format!("f{number}"), &content).await;
    }
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let body = json!({ "kind": "content", "query": "x", "max_results": 10_000 }).to_string();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/sessions/{id}/search"))
        .header(header::HOST, server.address())
        .header(header::AUTHORIZATION, format!("Bearer {}", server.token))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(bytes::Bytes::from(body)))
        .unwrap();
    let mut answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer
            .frame()
            .await
            .unwrap()
            .unwrap()
            .data_ref()
            .unwrap()
            .starts_with(b"{\"type\":\"match\"")
    );
    assert!(eventually(PROMPT, || searching(&server) == 1).await, "it waits for its reader");
    connection.abort();
    drop((answer, sender));
    assert!(eventually(PROMPT, || searching(&server) == 0).await, "it goes on for nobody");
}

/// Takes an action; the observation's event.
async fn observed(client: &mut Client, action: &Value) -> Value {
    let reference = action.to_string();
    let reference: String =
        reference.chars().filter(char::is_ascii_alphanumeric).take(180).collect();
    client.send_json(&json!({ "type": "do", "ref": reference, "action": action })).await;
    let mut early = Vec::new();
    let mut cause = None;
    loop {
        let frame = client.recv_json(PROMPT).await.unwrap();
        if frame["ref"] == reference.as_str() {
            assert_eq!(frame["type"], "done", "{frame}");
            cause = Some(frame["event_id"].clone());
        } else if frame["event"]["observation"].is_string() {
            early.push(frame["event"].clone()); // it may overtake the answer
        }
        if let Some(cause) = &cause
            && let Some(place) = early.iter().position(|event: &Value| event["cause"] == *cause)
        {
            return early.swap_remove(place);
        }
    }
}

#[tokio::test]
async fn the_repository_of_a_workspace_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let id = ready(&server).await;
    let git = format!("/api/sessions/{id}/git");
    let none = server.get(&format!("{git}/status"), &[]).await;
    assert_eq!(code(&none), (409, "git.not_a_repository".into()));
    let mut client = Client::connect(&server, &id, &server.token, -1).await;
    let made = client
        .run("init", "cd /workspace 2>/dev/null; git init -q -b main . && git config user.name Ann && git config user.email a@b.c && printf 'one\\ntwo\\n' > a.txt && git add . && git commit -qm first && printf 'one\\n2\\n' > a.txt && echo new > n.txt")
        .await;
    assert_eq!(made["extras"]["exit_code"], 0, "{made}");
    let status = server.json(&format!("{git}/status")).await;
    assert_eq!((&status["branch"], &status["repository"]), (&"main".into(), &"".into()));
    assert_eq!(status["entries"].as_array().unwrap().len(), 2, "{status}");
    let changes = server.json(&format!("{git}/changes?base=HEAD")).await;
    assert_eq!((&changes["added"], &changes["deleted"]), (&2.into(), &1.into()));
    let diff = server.json(&format!("{git}/diff?file=a.txt")).await;
    assert!(diff["diff"].as_str().unwrap().ends_with(" one\n-two\n+2\n"), "{diff}");
    let shown = server.json(&format!("{git}/show?file=a.txt&ref=main")).await;
    assert_eq!(shown["content"], "one\ntwo\n");
    assert_eq!(server.json(&format!("{git}/branches")).await["branches"][0]["name"], "main");
    assert_eq!(server.json(&format!("{git}/log")).await["commits"][0]["subject"], "first");
    let all = server.json(&format!("{git}/repositories")).await;
    assert_eq!(all["repositories"], json!([""]));
    let bad = server.get(&format!("{git}/changes?base=--output=x"), &[]).await;
    assert_eq!(code(&bad), (400, "git.bad_ref".into()));
    let bad = server.get(&format!("{git}/diff?context=many"), &[]).await;
    assert_eq!(code(&bad), (400, "request.invalid_parameter".into()));
    let nobody = server.get(&format!("{git}/status"), &[("authorization", "")]).await;
    assert_eq!(code(&nobody), (401, "auth.required".into()));
}

#[tokio::test]
async fn the_editor_answers_in_the_words_that_models_know() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let id = ready(&server).await;
    let mut client = Client::connect(&server, &id, &server.token, -1).await;
    let act = |args: Value| json!({ "action": "edit", "args": args });
    let made = act(
        json!({ "path": "/workspace/f.txt", "command": "create", "file_text": "one\n\ttwo\n" }),
    );
    let made = observed(&mut client, &made).await;
    assert_eq!(made["content"], "File created successfully at: /workspace/f.txt");
    let edit = act(
        json!({ "path": "/workspace/f.txt", "command": "str_replace", "old_str": "two", "new_str": "2" }),
    );
    let edited = observed(&mut client, &edit).await;
    assert_eq!(
        edited["content"],
        "The file /workspace/f.txt has been edited. Here's the result of running `cat -n` on a snippet of /workspace/f.txt:\n     1\tone\n     2\t\t2\n     3\t\nReview the changes and make sure they are as expected. Edit the file again if necessary."
    );
    assert_eq!(edited["observation"], "edit");
    assert_eq!(edited["extras"]["new_content"], "one\n\t2\n");
    let read = json!({ "action": "read", "args": { "path": "/workspace/f.txt", "impl_source": "oh_aci", "view_range": [2, 9] } });
    let seen = observed(&mut client, &read).await;
    assert_eq!(
        seen["content"],
        "NOTE: We only show up to 2 since there're only 2 lines in this file.\nHere's the result of running `cat -n` on /workspace/f.txt:\n     2\t\t2\n"
    );
}
