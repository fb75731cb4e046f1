//! Watching files through the whole server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    ENGINE,
    common::{Client, PROMPT, Server},
};

/// A sandbox is up again within this time.
const LIMIT: Duration = Duration::from_secs(90);

/// A frame as a number and its changes in short.
fn short(frame: &Value) -> (u64, Vec<String>) {
    let changes = frame["changes"].as_array().expect("changes").iter();
    let changes = changes.map(|change| {
        let words = [&change["op"], &change["path"], &change["origin"], &change["version"]];
        words.map(|word| word.as_str().unwrap_or_default()).join(" ")
    });
    (frame["seq"].as_u64().expect("a number"), changes.collect())
}

async fn files(client: &mut Client) -> Value {
    client.until(LIMIT, |frame| frame["type"] == "files").await
}

/// Begins to watch; the first frame.
async fn watch(client: &mut Client, fields: Value) -> Value {
    let mut frame = json!({ "type": "watch", "ref": "w" });
    let object = frame.as_object_mut().expect("an object");
    object.extend(fields.as_object().expect("an object").clone());
    let done = client.ask(&frame).await;
    assert_eq!(done["type"], "done", "{done}");
    files(client).await
}

/// All frames until a path is told.
async fn until(client: &mut Client, path: &str) -> Vec<(u64, Vec<String>)> {
    let mut frames = Vec::new();
    loop {
        let frame = files(client).await;
        assert_eq!((&frame["ref"], frame.get("resync")), (&json!("w"), None), "{frame}");
        frames.push(short(&frame));
        let changes = frame["changes"].as_array().expect("changes");
        if changes.iter().any(|change| change["path"] == path) {
            return frames;
        }
    }
}

/// Where a client is.
fn cursor(epoch: &Value, frames: &[(u64, Vec<String>)]) -> Value {
    json!({ "epoch": epoch, "seq": frames.last().expect("a frame").0 })
}

#[tokio::test]
async fn clients_see_the_same_changes_and_miss_none_whatever_goes_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let mut hand = Client::connect(&server, &id, &token, -1).await;
    let mut one = Client::connect(&server, &id, &token, -1).await;
    let mut two = Client::connect(&server, &id, &token, -1).await;
    let first = watch(&mut one, json!({})).await;
    assert_eq!((&first["resync"], &first["seq"]), (&json!(true), &json!(0)), "{first}");
    let epoch = &first["epoch"];
    assert_eq!(&watch(&mut two, json!({})).await["epoch"], epoch);

    hand.run("r1", "mkdir d && echo 1 >d/a && echo 2 >b").await;
    let write = json!({ "type": "file", "ref": "f1", "op": "write", "path": "c", "content": "x", "force": true });
    let written = hand.ask(&write).await;
    let (seen, also) = (until(&mut one, "c").await, until(&mut two, "c").await);
    assert_eq!(seen, also);
    let all: Vec<&String> = seen.iter().flat_map(|(_, changes)| changes).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    let own = all.iter().find(|change| change.starts_with("create c ")).expect("c");
    let words: Vec<&str> = own.split(' ').collect();
    assert!(words[2].starts_with("client:") && words[2].ends_with("/f1"), "{own}");
    assert_eq!(words[3], written["version"].as_str().expect("a version"));

    // One is away: it gets exactly what it missed.
    drop(two);
    hand.run("r2", "echo 3 >b; rm c").await;
    let missed = until(&mut one, "c").await;
    let mut two = Client::connect(&server, &id, &token, -1).await;
    let back = watch(&mut two, cursor(epoch, &seen)).await;
    assert_eq!(short(&back), (seen.last().expect("a frame").0, vec![]), "nothing is told twice");
    assert_eq!(until(&mut two, "c").await, missed);

    // The server is away.
    hand.run("r3", "(sleep 1; echo >later) >/dev/null 2>&1 &").await;
    server.kill9();
    server.restart().await;
    let mut one = Client::connect(&server, &id, &token, -1).await;
    let back = watch(&mut one, cursor(epoch, &missed)).await;
    assert_eq!((&back["epoch"], back.get("resync")), (epoch, None), "{back}");
    let later = until(&mut one, "later").await;
    assert_eq!(later.first().expect("a frame").0, missed.last().expect("a frame").0 + 1);

    // The sandbox is away: the watch goes on by itself and says that it is another one.
    let stopped = server.post(&format!("/api/sessions/{id}/stop"), &[], &json!({})).await;
    assert!(stopped.0 < 300, "{stopped:?}");
    server.phase(&id, "stopped", LIMIT).await;
    let started = server.post(&format!("/api/sessions/{id}/start"), &[], &json!({})).await;
    assert!(started.0 < 300, "{started:?}");
    server.phase(&id, "ready", LIMIT).await;
    let anew = files(&mut one).await;
    assert_eq!(anew["resync"], true, "{anew}");
    assert_ne!(&anew["epoch"], epoch);
}

#[tokio::test]
async fn watches_are_bounded_and_end_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let mut client = Client::connect(&server, &id, &token, -1).await;
    for (fields, code) in [
        (json!({ "paths": [""] }), "watch.malformed"),
        (json!({ "paths": 5 }), "frame.malformed"),
        (json!({ "content": "all" }), "frame.malformed"),
    ] {
        let mut frame = json!({ "type": "watch", "ref": "bad" });
        frame.as_object_mut().expect("an object").extend(fields.as_object().expect("one").clone());
        let denied = client.ask(&frame).await;
        assert_eq!((&denied["type"], &denied["code"]), (&json!("denied"), &json!(code)));
    }
    for n in 0..9 {
        let frame = json!({ "type": "watch", "ref": format!("w{n}"), "paths": ["src/**"] });
        let answer = answered(&mut client, &frame).await;
        assert_eq!(answer["type"], if n < 8 { "done" } else { "denied" }, "{answer}");
    }
    let end = json!({ "type": "unwatch", "ref": "w0" });
    assert_eq!(answered(&mut client, &end).await["type"], "done");
    assert_eq!(answered(&mut client, &end).await["code"], "watch.unknown");
    client.send_json(&json!({ "type": "unwatch" })).await;
    let denied = client.until(PROMPT, |frame| frame["type"] == "denied").await;
    assert_eq!(denied["code"], "ref.missing");
}

/// The answer, and no frame of the watch itself.
async fn answered(client: &mut Client, frame: &Value) -> Value {
    client.send_json(frame).await;
    let is_answer = |answer: &Value| answer["ref"] == frame["ref"] && answer["type"] != "files";
    client.until(PROMPT, is_answer).await
}
