//! Parts of files, uploads that resume, and what a client can say of an operation.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::{
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use bytes::Bytes;
use common::{KEY, Line, Runner, eventually, spawn};
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use staithe_protocol::{
    files::{FileCode, FileDenied, FileDone},
    runner::KEY_HEADER,
};
use tokio::{io::AsyncWriteExt as _, net::UnixStream};

async fn op(line: &mut Line, op: Value) -> Result<FileDone, FileDenied> {
    line.file(serde_json::from_value(op).expect("an operation")).await
}

#[tokio::test]
async fn a_file_is_patched_by_a_unified_diff_of_its_version() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let made = json!({ "op": "create", "path": "f", "content": "a\nb\nc\n" });
    let made = op(&mut line, made).await.unwrap();
    let patch = |version: &Option<String>, diff: &str| json!({ "op": "patch", "path": "f", "if_match": version, "diff": diff });
    let diff = "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n";
    let patched = op(&mut line, patch(&made.version, diff)).await.unwrap();
    assert_eq!(patched.previous_version, made.version);
    assert_eq!(std::fs::read_to_string(runner.workspace().join("f")).unwrap(), "a\nB\nc\n");
    let stale = op(&mut line, patch(&made.version, diff)).await.unwrap_err();
    assert_eq!(stale.code, FileCode::Conflict);
    assert_eq!(stale.current_content.as_deref(), Some("a\nB\nc\n"));
    let unfit = op(&mut line, patch(&patched.version, diff)).await.unwrap_err();
    assert_eq!(unfit.code, FileCode::BadMessage);
    assert!(unfit.message.contains("line 2 of the file is \"B\\n\""), "{}", unfit.message);
    for both in [
        json!({ "op": "patch", "path": "f", "if_match": "x" }),
        json!({ "op": "patch", "path": "f", "if_match": "x", "edits": [], "diff": diff }),
    ] {
        assert_eq!(op(&mut line, both).await.unwrap_err().code, FileCode::BadMessage);
    }
}

#[tokio::test]
async fn a_list_leaves_out_what_patterns_name_and_tells_versions() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for path in ["p/node_modules/x/y", "p/src/a.o", "p/src/a.c", "p/b.o"] {
        let create =
            json!({ "op": "create", "path": path, "content": path, "create_parents": true });
        op(&mut line, create).await.unwrap();
    }
    let list = json!({ "op": "list", "path": "p", "depth": 9, "versions": true, "ignore": ["node_modules/", "/*.o"] });
    let entries = op(&mut line, list).await.unwrap().entries.unwrap();
    let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["p/src", "p/src/a.c", "p/src/a.o"]);
    assert_eq!(entries[0].version.as_deref(), Some("dir"));
    let stat = op(&mut line, json!({ "op": "stat", "path": "p/src/a.c" })).await.unwrap();
    assert_eq!(entries[1].version, stat.version);
    let plain = op(&mut line, json!({ "op": "list", "path": "p" })).await.unwrap().entries.unwrap();
    assert!(plain.len() == 3 && plain.iter().all(|entry| entry.version.is_none()), "{plain:?}");
    let bad = json!({ "op": "list", "ignore": ["a["] });
    assert_eq!(op(&mut line, bad).await.unwrap_err().code, FileCode::BadMessage);
}

#[tokio::test]
async fn who_asks_for_an_old_name_is_told_the_new_one() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for change in [
        json!({ "op": "create", "path": "d/f", "content": "", "create_parents": true }),
        json!({ "op": "rename", "path": "/workspace/d", "to": "e" }),
        json!({ "op": "rename", "path": "e/f", "to": "e/g" }),
    ] {
        op(&mut line, change).await.unwrap();
    }
    for (path, moved) in [("d/f", Some("e/g")), ("d", Some("e")), ("none", None)] {
        let denied = op(&mut line, json!({ "op": "read", "path": path })).await.unwrap_err();
        assert_eq!((denied.code, denied.moved_to.as_deref()), (FileCode::NotFound, moved));
    }
    let stale = json!({ "op": "rename", "path": "e", "to": "h", "if_match": "sha256:0" });
    let stale = op(&mut line, stale).await.unwrap_err();
    assert_eq!((stale.code, stale.current_version.as_deref()), (FileCode::Conflict, Some("dir")));
    let made = op(&mut line, json!({ "op": "mkdir", "path": "new" })).await.unwrap();
    assert_eq!(made.version.as_deref(), Some("dir"));
}

#[tokio::test]
async fn a_file_that_is_replaced_keeps_what_belongs_to_it_but_not_its_owners_rights() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let file = runner.workspace().join("f");
    std::fs::write(&file, "old").unwrap();
    std::fs::hard_link(&file, runner.workspace().join("other")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).unwrap();
    let attached =
        rustix::fs::setxattr(&file, "user.note", b"mine", rustix::fs::XattrFlags::empty()).is_ok();
    op(&mut line, json!({ "op": "write", "path": "f", "content": "new", "force": true }))
        .await
        .unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(std::fs::read_to_string(runner.workspace().join("other")).unwrap(), "old");
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(&file, "user.note", &mut value[..]).unwrap_or(0);
    assert_eq!(&value[..length], if attached { &b"mine"[..] } else { b"" });
}

async fn get(
    runner: &Runner,
    method: Method,
    headers: &[(&'static str, &str)],
) -> (u16, HeaderMap, Bytes) {
    let mut all = vec![(KEY_HEADER, KEY)];
    all.extend(headers);
    let (status, headers, body) = runner.http(method, "/files/content?path=f", &all, "").await;
    (status.as_u16(), headers, body)
}

#[tokio::test]
async fn a_part_of_a_file_is_told_with_its_place_and_only_of_the_version_that_is_meant() {
    let runner = Runner::start().await;
    std::fs::write(runner.workspace().join("f"), "0123456789").unwrap();
    let (status, headers, body) = get(&runner, Method::GET, &[("Range", "bytes=2-4")]).await;
    assert_eq!((status, &body[..]), (206, &b"234"[..]));
    assert_eq!(headers["content-range"], "bytes 2-4/10");
    assert_eq!(headers["content-length"], "3");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, headers, body) = get(&runner, Method::HEAD, &[]).await;
    assert_eq!((status, body.len(), &headers["content-length"]), (200, 0, &"10".parse().unwrap()));
    assert_eq!(headers["accept-ranges"], "bytes");
    let (status, headers, _) = get(&runner, Method::GET, &[("Range", "bytes=10-")]).await;
    assert_eq!((status, &headers["content-range"]), (416, &"bytes */10".parse().unwrap()));
    let (status, ..) = get(&runner, Method::GET, &[("If-None-Match", &tag)]).await;
    assert_eq!(status, 304);
    let meant = [("Range", "bytes=8-"), ("If-Range", tag.as_str())];
    assert_eq!(get(&runner, Method::GET, &meant).await.2, "89");
    std::fs::write(runner.workspace().join("f"), "another one").unwrap();
    let (status, _, body) = get(&runner, Method::GET, &meant).await;
    assert_eq!((status, &body[..]), (200, &b"another one"[..]));
}

/// A request whose answer is read as it comes.
async fn begin(runner: &Runner, request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(runner.connect().await)).await.unwrap();
    tokio::spawn(connection);
    send.send_request(request).await.unwrap()
}

#[tokio::test]
async fn a_download_is_of_one_file_whatever_happens_to_its_name_and_to_itself() {
    const SIZE: usize = 40 * 1024 * 1024;
    let runner = Runner::start().await;
    let file = runner.workspace().join("f");
    for replaced in [true, false] {
        std::fs::write(&file, vec![1_u8; SIZE]).unwrap();
        let request = Request::get("/files/content?path=f").header(KEY_HEADER, KEY);
        let mut body = begin(&runner, request.body(Full::default()).unwrap()).await.into_body();
        let mut got = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        if replaced {
            std::fs::write(runner.workspace().join("g"), vec![2_u8; SIZE]).unwrap();
            std::fs::rename(runner.workspace().join("g"), &file).unwrap();
        } else {
            let mut writer = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            writer.write_all(&[2; 64]).unwrap();
        }
        let mut broke_off = false;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                broke_off = true;
                break;
            };
            let piece = frame.into_data().unwrap();
            assert!(piece.iter().all(|byte| *byte == 1), "no byte of another");
            got += piece.len();
        }
        assert_eq!((broke_off, got == SIZE), (!replaced, replaced));
    }
}

type Told = (u16, HeaderMap, Value);

/// A request of tus.
async fn tus(
    runner: &Runner,
    method: Method,
    path: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Told {
    let mut all = vec![(KEY_HEADER, KEY), ("Tus-Resumable", "1.0.0")];
    all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
    let (status, headers, body) = runner.http(method, path, &all, body.to_vec()).await;
    (status.as_u16(), headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn metadata(pairs: &[(&str, &str)]) -> (&'static str, String) {
    let pair = |(name, value): &(&str, &str)| {
        format!("{name} {}", data_encoding::BASE64.encode(value.as_bytes()))
    };
    ("Upload-Metadata", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
}

async fn create(runner: &Runner, length: usize, pairs: &[(&str, &str)]) -> Told {
    let headers = [("Upload-Length", length.to_string()), metadata(pairs)];
    tus(runner, Method::POST, "/uploads", &headers, b"").await
}

fn content(offset: usize) -> Vec<(&'static str, String)> {
    vec![
        ("Content-Type", "application/offset+octet-stream".to_owned()),
        ("Upload-Offset", offset.to_string()),
    ]
}

fn location(told: &Told) -> String {
    assert_eq!(told.0, 201, "{told:?}");
    told.1["location"].to_str().unwrap().to_owned()
}

fn offset(told: &Told) -> u64 {
    told.1["upload-offset"].to_str().unwrap().parse().unwrap()
}

/// Bytes that the runner's first thread has written to files; it must wait for none.
fn written_by_the_first_thread(runner: &Runner) -> u64 {
    let pid = runner.pid();
    let io = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_file_of_the_sandbox_api_is_written_where_nothing_else_waits_for_it() {
    let runner = Runner::start().await;
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[1] ^ 5).collect();
    let mut body =
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
    body.extend_from_slice(&bytes);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let headers = [(KEY_HEADER, KEY), ("Content-Type", "multipart/form-data; boundary=b")];
    let path = format!("/upload_file?destination={}/d", runner.workspace().display());
    let before = written_by_the_first_thread(&runner);
    let (status, _, told) = runner.http(Method::POST, &path, &headers, body).await;
    assert_eq!(status, 200, "{told:?}");
    let written = written_by_the_first_thread(&runner) - before;
    assert!(written < 1_000_000, "{written}");
    assert!(std::fs::read(runner.workspace().join("d/f")).unwrap() == bytes);
}

/// What lies in a folder, temporary files too.
fn names(runner: &Runner, path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(runner.workspace().join(path)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut_even_in_another_runner() {
    let mut runner = Runner::start().await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1] ^ 3).collect();
    let made = create(
        &runner,
        bytes.len(),
        &[("path", "d/f"), ("create_parents", "true"), ("mode", "750")],
    )
    .await;
    let upload = location(&made);
    assert!(made.1["upload-expires"].to_str().unwrap().ends_with(" GMT"));

    // 400,000 bytes come, and then the connection is cut in the midst of the body.
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nHost: runner\r\n{KEY_HEADER}: {KEY}\r\nTus-Resumable: 1.0.0\r\n\
         Content-Type: application/offset+octet-stream\r\nContent-Length: 1000000\r\nUpload-Offset: 0\r\n\r\n"
    );
    let mut connection = runner.connect().await;
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&bytes[..400_000]).await.unwrap();
    drop(connection);
    let temporary = runner.workspace().join("d").join(&names(&runner, "d")[0]);
    eventually("what came is written", async || {
        (std::fs::metadata(&temporary).ok()?.len() == 400_000).then_some(())
    })
    .await;
    let head = tus(&runner, Method::HEAD, &upload, &[], b"").await;
    assert_eq!((head.0, offset(&head)), (200, 400_000));

    runner.terminate().await;
    let mut other = spawn(runner.dir.path(), |_| {});
    let socket = runner.dir.path().join("socket/runner.sock");
    eventually("another runner answers", async || UnixStream::connect(&socket).await.ok()).await;
    let elsewhere = tus(&runner, Method::PATCH, &upload, &content(1), b"x").await;
    assert_eq!(elsewhere.0, 409);
    let rest = tus(&runner, Method::PATCH, &upload, &content(400_000), &bytes[400_000..]).await;
    assert_eq!((rest.0, offset(&rest)), (204, 1_000_000), "{rest:?}");
    let file = runner.workspace().join("d/f");
    assert!(std::fs::read(&file).unwrap() == bytes);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(names(&runner, "d"), ["f"]);

    // Who did not hear that it is done asks again.
    let head = tus(&runner, Method::HEAD, &upload, &[], b"").await;
    assert_eq!((head.0, offset(&head)), (200, 1_000_000));
    let (_, headers, _) =
        runner.http(Method::HEAD, "/files/content?path=d/f", &[(KEY_HEADER, KEY)], "").await;
    assert_eq!(head.1["etag"], headers["etag"]);
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn an_upload_whose_client_goes_with_its_last_byte_is_put_in_place_all_the_same() {
    let runner = Runner::start().await;
    let bytes = vec![7; 3_000_000];
    for round in 0..24 {
        let name = format!("f{round}");
        let upload = location(&create(&runner, bytes.len(), &[("path", &name)]).await);
        let head = format!(
            "PATCH {upload} HTTP/1.1\r\nHost: runner\r\n{KEY_HEADER}: {KEY}\r\nTus-Resumable: 1.0.0\r\n\
             Content-Type: application/offset+octet-stream\r\nContent-Length: {}\r\nUpload-Offset: 0\r\n\r\n",
            bytes.len()
        );
        let mut connection = runner.connect().await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&bytes).await.unwrap();
        drop(connection);
        // Who asks at once waits for what is being written, and no part of it is lost or doubled.
        let mut asked = tus(&runner, Method::HEAD, &upload, &[], b"").await;
        while asked.0 == 200 && !asked.1.contains_key("etag") {
            let at = usize::try_from(offset(&asked)).unwrap();
            let rest = tus(&runner, Method::PATCH, &upload, &content(at), &bytes[at..]).await;
            assert_eq!(rest.0, 204, "{rest:?}");
            asked = tus(&runner, Method::HEAD, &upload, &[], b"").await;
        }
        assert_eq!((asked.0, offset(&asked)), (200, 3_000_000), "{asked:?}");
        assert!(std::fs::read(runner.workspace().join(&name)).unwrap() == bytes);
    }
    assert_eq!(names(&runner, "").len(), 24, "nothing temporary is left");
}

#[tokio::test]
async fn an_upload_that_meets_another_version_at_its_end_can_be_put_in_place_by_will() {
    let runner = Runner::start().await;
    let upload = location(&create(&runner, 4, &[("path", "f")]).await);
    std::fs::write(runner.workspace().join("f"), "theirs").unwrap();
    let refused = tus(&runner, Method::PATCH, &upload, &content(0), b"ours").await;
    assert_eq!((refused.0, &refused.2["code"]), (428, &json!("PRECONDITION_REQUIRED")));
    let stale = [content(4), vec![("If-Match", "\"sha256:0\"".to_owned())]].concat();
    let stale = tus(&runner, Method::PATCH, &upload, &stale, b"").await;
    assert_eq!((stale.0, &stale.2["code"]), (409, &json!("CONFLICT")));
    assert_eq!(stale.2["current_content"], "theirs");
    let forced = [content(4), vec![("X-Force", "true".to_owned())]].concat();
    assert_eq!(tus(&runner, Method::PATCH, &upload, &forced, b"").await.0, 204);
    assert_eq!(std::fs::read_to_string(runner.workspace().join("f")).unwrap(), "ours");
    let at_once = create(&runner, 4, &[("path", "f"), ("if_match", "absent")]).await;
    assert_eq!((at_once.0, &at_once.2["code"]), (409, &json!("CONFLICT")));
    assert_eq!(names(&runner, ""), ["f"]);
}

#[tokio::test]
async fn an_upload_that_can_not_be_is_refused_and_one_given_up_leaves_nothing() {
    let runner = Runner::start().await;
    for (length, pairs, status, code) in [
        (1, &[("path", "../f")][..], 400, "OUTSIDE_WORKSPACE"),
        (1, &[("mode", "0")], 400, "BAD_MESSAGE"),
        (1, &[("path", "none/f")], 404, "NOT_FOUND"),
        (usize::MAX, &[("path", "f")], 507, "NO_SPACE"),
    ] {
        let told = create(&runner, length, pairs).await;
        assert_eq!((told.0, &told.2["code"]), (status, &json!(code)), "{told:?}");
    }
    let (status, headers, _) =
        runner.http(Method::POST, "/uploads", &[(KEY_HEADER, KEY)], "").await;
    assert_eq!((status.as_u16(), &headers["tus-version"]), (412, &"1.0.0".parse().unwrap()));
    assert_eq!(
        tus(&runner, Method::POST, "/uploads", &[metadata(&[("path", "f")])], b"").await.0,
        400
    );

    let upload = location(&create(&runner, 5, &[("path", "f")]).await);
    assert_eq!(tus(&runner, Method::PATCH, &upload, &content(0), b"123456").await.0, 413);
    let plain = [("Upload-Offset", "0".to_owned())];
    assert_eq!(tus(&runner, Method::PATCH, &upload, &plain, b"1").await.0, 415);
    assert_eq!(offset(&tus(&runner, Method::HEAD, &upload, &[], b"").await), 0);
    assert_eq!(tus(&runner, Method::DELETE, &upload, &[], b"").await.0, 204);
    assert_eq!(tus(&runner, Method::HEAD, &upload, &[], b"").await.0, 404);

    // Nothing at all, and all of it at once.
    let empty = create(&runner, 0, &[("path", "empty")]).await;
    assert_eq!((empty.0, offset(&empty)), (201, 0));
    let whole =
        [content(0), vec![("Upload-Length", "3".to_owned()), metadata(&[("filename", "all")])]]
            .concat();
    let whole = tus(&runner, Method::POST, "/uploads", &whole, b"abc").await;
    assert_eq!((whole.0, offset(&whole)), (201, 3));
    let mut left = names(&runner, "");
    left.sort();
    assert_eq!(left, ["all", "empty"]);

    // Its folder is gone, and so is it.
    std::fs::create_dir(runner.workspace().join("d")).unwrap();
    let upload = location(&create(&runner, 5, &[("path", "d/f")]).await);
    std::fs::remove_dir_all(runner.workspace().join("d")).unwrap();
    assert_eq!(tus(&runner, Method::PATCH, &upload, &content(0), b"12345").await.0, 404);
}

#[tokio::test]
async fn no_more_uploads_are_under_way_than_are_allowed() {
    let runner = Runner::start().await;
    let mut open = Vec::new();
    for n in 0..64 {
        open.push(location(&create(&runner, 1, &[("path", &format!("f{n}"))]).await));
    }
    let told = create(&runner, 1, &[("path", "one more")]).await;
    assert_eq!((told.0, &told.2["code"]), (429, &json!("RATE_LIMITED")));
    // One that is done makes room.
    assert_eq!(tus(&runner, Method::PATCH, &open[0], &content(0), b"x").await.0, 204);
    location(&create(&runner, 1, &[("path", "one more")]).await);
}

#[tokio::test]
async fn what_a_killed_runner_left_long_ago_is_removed_by_the_next() {
    let mut runner = Runner::start().await;
    let digits = |digit: &str| format!(".staithe-{}.tmp", digit.repeat(32));
    let (old, young) = (digits("a"), digits("b"));
    for name in [&old, &young] {
        std::fs::write(runner.workspace().join(name), "a part").unwrap();
    }
    let days_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(49);
    let file = std::fs::File::options().write(true).open(runner.workspace().join(&old)).unwrap();
    file.set_modified(days_ago).unwrap();
    runner.terminate().await;
    let mut other = spawn(runner.dir.path(), |_| {});
    let is_gone = async || (!runner.workspace().join(&old).exists()).then_some(());
    eventually("the old one is gone", is_gone).await;
    assert!(runner.workspace().join(&young).exists());
    other.kill().unwrap();
    other.wait().unwrap();
}
