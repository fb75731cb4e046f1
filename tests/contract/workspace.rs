//! Files over REST.

use serde_json::{Value, json};

use crate::{ENGINE, LIMIT, common::Server, header, json, problem};

#[tokio::test]
async fn files_are_written_read_listed_and_deleted_by_version() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let files = format!("/api/sessions/{id}/files");
    let file = format!("{files}/a/b%20%C3%A4.txt");

    let new = [("if-none-match", "*")];
    let made = server.put(&format!("{file}?create_parents=1"), &new, b"one".to_vec()).await;
    assert_eq!(made.0, 200);
    let made = json(&made);
    assert_eq!((&made["path"], &made["size"]), (&"a/b ä.txt".into(), &3.into()));
    let version = made["version"].as_str().expect("a version").to_owned();
    assert!(version.starts_with("sha256:"), "{version}");

    let got = server.get(&file, &[]).await;
    let tag = format!("\"{version}\"");
    assert_eq!((got.0, got.2.as_slice()), (200, b"one".as_slice()));
    assert_eq!(header(&got, "etag"), Some(tag.as_str()));
    assert_eq!(header(&got, "content-type"), Some("application/octet-stream"));
    assert_eq!(header(&got, "content-security-policy"), Some("sandbox; default-src 'none'"));
    let saved = server.get(&format!("{file}?download=1"), &[]).await;
    assert_eq!(
        header(&saved, "content-disposition"),
        Some("attachment; filename*=UTF-8''b%20%C3%A4.txt")
    );
    let stat = json(&server.get(&format!("{file}?stat=1"), &[]).await);
    assert_eq!(stat["entries"][0]["type"], "file");

    let changed = server.put(&file, &[("if-match", &tag)], b"two".to_vec()).await;
    assert_eq!(changed.0, 200);
    assert_eq!(json(&changed)["previous_version"], version.as_str());
    let late = server.put(&file, &[("if-match", &tag)], b"three".to_vec()).await;
    let conflict = problem(&late, 409, "CONFLICT");
    assert_eq!(conflict["current_version"], json(&changed)["version"]);
    assert_eq!(conflict["current_content"], "two");

    let root = server.json(&files).await;
    let names = |listed: &Value| -> Vec<String> {
        let entries = listed["entries"].as_array().expect("entries").iter();
        entries.map(|entry| entry["path"].as_str().expect("a path").to_owned()).collect()
    };
    assert_eq!(names(&root), ["a"]);
    assert_eq!(names(&server.json(&format!("{files}/a")).await), ["a/b ä.txt"]);

    assert_eq!(server.delete(&file, &[("x-force", "true")]).await.0, 200);
    problem(&server.get(&file, &[]).await, 404, "NOT_FOUND");
    let again = json(&server.delete(&file, &[("x-force", "true")]).await);
    assert_eq!(again["already_absent"], true, "{again}");
}

#[tokio::test]
async fn any_operation_is_taken_as_json() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let files = format!("/api/sessions/{id}/files");
    let op = async |op: Value| {
        let answer = server.post(&files, &[], &op).await;
        assert_eq!(answer.0, 200, "{op}: {}", String::from_utf8_lossy(&answer.2));
        json(&answer)
    };
    op(json!({ "op": "mkdir", "path": "x/y", "parents": true })).await;
    let made =
        op(json!({ "op": "create", "path": "x/y/z", "content": "YQ==", "encoding": "base64" }))
            .await;
    let read = op(json!({ "op": "read", "path": "/workspace/x/y/z" })).await;
    assert_eq!((&read["content"], &read["version"]), (&"a".into(), &made["version"]));
    let patched = op(json!({
        "op": "patch", "path": "x/y/z", "if_match": made["version"],
        "edits": [{ "start": 0, "end": 1, "text": "b\nc\n" }],
    }))
    .await;
    let write =
        json!({ "op": "write", "path": "x/y/z", "content": "d", "if_match": patched["version"] });
    op(write).await;
    op(json!({ "op": "rename", "path": "x/y/z", "to": "x/w" })).await;
    let listed = op(json!({ "op": "list", "path": "x", "depth": 2 })).await;
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(2), "{listed}");
    let stat = op(json!({ "op": "stat", "path": "x/w" })).await;
    assert_eq!(stat["entries"][0]["size"], 1);
    op(json!({ "op": "delete", "path": "x", "recursive": true })).await;
}

#[tokio::test]
async fn what_is_uploaded_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    let file = format!("/api/sessions/{id}/files/large");
    let content: Vec<u8> =
        (0..5_000_000_u32).map(|i| u8::try_from(i % 251).expect("small")).collect();
    let put = server.put(&file, &[("x-force", "true")], content.clone()).await;
    assert_eq!(put.0, 200, "{}", String::from_utf8_lossy(&put.2));
    let got = server.get(&file, &[]).await;
    assert_eq!(got.0, 200);
    assert!(got.2 == content, "{} bytes came back", got.2.len());
    assert_eq!(header(&got, "content-length"), Some("5000000"));
}
