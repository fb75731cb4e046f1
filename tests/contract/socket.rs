//! The WebSocket `staithe.v1`.

use serde_json::{Value, json};

use crate::{
    ENGINE, LIMIT,
    common::{Client, Server, client::run_frame},
    keys,
};

#[tokio::test]
async fn hello_comes_first_and_says_where_the_session_stands() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    // The phase is told while its event is on the way to the disk; a command's answer comes after it.
    Client::connect(&server, &id, &token, -1).await.run("settle", "true").await;
    let events = server.events(&id).await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    let hello = client.hello.clone();
    let expected = ["type", "session", "phase", "agent_state", "head", "role", "server"];
    assert_eq!(keys(&hello), expected.into());
    assert_eq!((&hello["session"], &hello["phase"]), (&id.as_str().into(), &"ready".into()));
    assert_eq!((&hello["role"], &hello["server"]["name"]), (&"editor".into(), &"staithe".into()));
    assert_eq!(hello["head"], events.len() - 1);
    let head = hello["head"].as_i64().expect("a number");
    assert_eq!(client.events_up_to(head).await, events, "the same events as over REST");
    let mut late = Client::connect(&server, &id, &token, head - 1).await;
    assert_eq!(late.events_up_to(head).await, events[events.len() - 1..]);
}

#[tokio::test]
async fn done_comes_when_the_event_is_durable_and_the_outcome_names_it_as_its_cause() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    let done = client.ask(&run_frame("r-1", "echo hi")).await;
    assert_eq!(keys(&done), ["type", "ref", "event_id"].into());
    assert_eq!((&done["type"], &done["ref"]), (&"done".into(), &"r-1".into()));
    let event = done["event_id"].as_i64().expect("a number");
    let page = server.json(&format!("/api/sessions/{id}/events?after={}&limit=1", event - 1)).await;
    assert_eq!(page["events"][0]["args"]["command"], "echo hi");

    server.kill9();
    server.restart().await;
    let mut again = Client::connect(&server, &id, &token, -1).await;
    assert_eq!(
        again.ask(&run_frame("r-1", "echo hi")).await,
        done,
        "the first answer, also after kill -9"
    );
    assert_eq!(again.ask(&run_frame("r-1", "echo no")).await["code"], "ref.reused");
}

#[tokio::test]
async fn output_comes_while_the_command_runs_and_an_interrupt_ends_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    client.send_run("r", "echo begun; sleep 100").await;
    let partial = client.until(LIMIT, |frame| frame["type"] == "partial").await;
    assert!(partial["text"].as_str().is_some_and(|text| text.starts_with("begun")), "{partial}");
    assert_eq!((&partial["offset"], partial["seq"].is_u64()), (&0.into(), true));
    let cause = partial["cause"].clone();
    client.send_json(&json!({ "type": "interrupt", "ref": "i" })).await;
    let (mut answered, mut observed) = (Value::Null, Value::Null);
    while answered.is_null() || observed.is_null() {
        let frame = client.recv_json(LIMIT).await.expect("a frame");
        if frame["ref"] == "i" {
            answered = frame;
        } else if frame["event"]["cause"] == cause {
            observed = frame["event"].clone();
        }
    }
    assert_eq!(answered, json!({ "type": "done", "ref": "i", "running": true }));
    assert_eq!(observed["extras"]["exit_code"], 130, "{observed}");
    let idle = client.ask(&json!({ "type": "interrupt", "ref": "j" })).await;
    assert_eq!(idle, json!({ "type": "done", "ref": "j", "running": false }));
}

#[tokio::test]
async fn files_and_pings_are_answered_on_the_same_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    let create = json!({ "type": "file", "ref": "f", "op": "create", "path": "a", "content": "x" });
    let made = client.ask(&create).await;
    assert_eq!((&made["type"], &made["path"]), (&"done".into(), &"a".into()));
    // The ref is an idempotency key, also over another socket.
    let mut other = Client::connect(&server, &id, &token, -1).await;
    assert_eq!(other.ask(&create).await, made);
    let mut second = create.clone();
    second["ref"] = "f2".into();
    let again = client.ask(&second).await;
    assert_eq!((&again["type"], &again["code"]), (&"denied".into(), &"EXISTS".into()));
    second["ref"] = "f".into();
    second["path"] = "b".into();
    let reused = client.ask(&second).await;
    assert_eq!((&reused["type"], &reused["code"]), (&"denied".into(), &"BAD_MESSAGE".into()));
    let write = json!({ "type": "file", "ref": "g", "op": "write", "path": "a", "content": "y", "if_match": "sha256:0" });
    let conflict = client.ask(&write).await;
    assert_eq!(
        (&conflict["code"], &conflict["current_version"]),
        (&"CONFLICT".into(), &made["version"])
    );
    client.send_json(&json!({ "type": "ping", "nonce": [1] })).await;
    let pong = client.until(LIMIT, |frame| frame["type"] == "pong").await;
    assert_eq!(pong, json!({ "type": "pong", "nonce": [1] }));
    let message = json!({ "action": "message", "args": { "content": "hello" } });
    let done = client.ask(&json!({ "type": "do", "ref": "m", "action": message })).await;
    assert_eq!(done["type"], "done");
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_comes_back_with_the_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    server.ask_to_end();
    let draining = client.until(LIMIT, |frame| frame["type"] == "draining").await;
    assert!(draining["retry_after"].is_u64(), "{draining}");
    assert_eq!(server.ended().await, Some(0));
    server.restart().await;
    let mut again = Client::connect(&server, &id, &token, client.cursor).await;
    let seen = again.run("after", "echo back").await;
    assert_eq!(seen["content"], "back");
}
