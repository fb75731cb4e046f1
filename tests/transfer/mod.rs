//! Parts, uploads that are cut, archives, and `staithe cp`, through the whole server.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use data_encoding::BASE64;
use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, interval},
};

use crate::{
    ENGINE,
    common::{Server, http::Answer},
};

/// From a session's making until it is ready.
const LIMIT: Duration = Duration::from_mins(1);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(20);
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const CONTENT: (&str, &str) = ("content-type", "application/offset+octet-stream");

pub(crate) async fn stage(dir: &Path) -> (Server, String) {
    let server = Server::start_on(ENGINE, dir, &[]).await;
    let (id, _) = server.session().await;
    server.phase(&id, "ready", LIMIT).await;
    (server, id)
}

pub(crate) fn header(answer: &Answer, name: &str) -> String {
    answer.1.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.2).unwrap_or_default()
}

/// Makes an upload; its address.
pub(crate) async fn create(server: &Server, id: &str, path: &str, length: u64) -> String {
    let metadata = format!("path {}", BASE64.encode(path.as_bytes()));
    let length = length.to_string();
    let headers = [TUS, ("upload-length", length.as_str()), ("upload-metadata", metadata.as_str())];
    let address = format!("/api/sessions/{id}/uploads");
    let made = server.request(Method::POST, &address, &headers, vec![]).await;
    assert_eq!(made.0, 201, "{:?}", json_of(&made));
    header(&made, "location")
}

/// How much has come; waits until the sandbox can be asked.
pub(crate) async fn offset(server: &Server, upload: &str) -> u64 {
    let begun = Instant::now();
    let mut look = interval(LOOK);
    loop {
        look.tick().await;
        let head = server.request(Method::HEAD, upload, &[TUS], vec![]).await;
        if head.0 == 200 {
            return header(&head, "upload-offset").parse().unwrap();
        }
        assert!(head.0 == 503 && begun.elapsed() < LIMIT, "{}", head.0);
    }
}

/// Begins a `PATCH` by hand, so that it can be cut wherever it pleases.
pub(crate) async fn patch(server: &Server, upload: &str, offset: u64, length: u64) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
         Content-Type: {}\r\nContent-Length: {length}\r\nUpload-Offset: {offset}\r\nConnection: close\r\n\r\n",
        server.address(),
        server.token,
        CONTENT.1,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|n| n.to_le_bytes()[usize::from(n % 5 == 0)] ^ 0x5a).collect()
}

#[tokio::test]
async fn parts_of_a_file_are_of_the_version_that_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id) = stage(dir.path()).await;
    let file = format!("/api/sessions/{id}/files/f");
    assert_eq!(server.put(&file, &[], b"0123456789".to_vec()).await.0, 200);
    let part = server.get(&file, &[("range", "bytes=2-4")]).await;
    assert_eq!((part.0, part.2.as_slice()), (206, b"234".as_slice()));
    assert_eq!(header(&part, "content-range"), "bytes 2-4/10");
    let tag = header(&part, "etag");
    let head = server.request(Method::HEAD, &file, &[], vec![]).await;
    assert_eq!((head.0, header(&head, "content-length"), head.2.len()), (200, "10".to_owned(), 0));
    assert_eq!(
        (header(&head, "etag"), header(&head, "accept-ranges")),
        (tag.clone(), "bytes".to_owned())
    );
    let beyond = server.get(&file, &[("range", "bytes=99-")]).await;
    assert_eq!((beyond.0, header(&beyond, "content-range")), (416, "bytes */10".to_owned()));
    assert_eq!(server.get(&file, &[("if-none-match", tag.as_str())]).await.0, 304);
    let meant = [("range", "bytes=8-"), ("if-range", tag.as_str())];
    assert_eq!(server.get(&file, &meant).await.2, b"89");
    assert_eq!(server.put(&file, &[("x-force", "true")], b"another".to_vec()).await.0, 200);
    let whole = server.get(&file, &meant).await;
    assert_eq!((whole.0, whole.2.as_slice()), (200, b"another".as_slice()));
}

#[tokio::test]
async fn an_upload_goes_on_after_a_cut_and_after_the_servers_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, id) = stage(dir.path()).await;
    let content = bytes(3_000_000);
    let upload = create(&server, &id, "up", content.len() as u64).await;
    let first = [TUS, CONTENT, ("upload-offset", "0")];
    let first = server.request(Method::PATCH, &upload, &first, content[..1_000_000].to_vec()).await;
    assert_eq!((first.0, header(&first, "upload-offset")), (204, "1000000".to_owned()));
    let mut stream = patch(&server, &upload, 1_000_000, 2_000_000).await;
    stream.write_all(&content[1_000_000..2_000_000]).await.unwrap();
    drop(stream);

    server.kill9();
    server.restart().await;
    server.phase(&id, "ready", LIMIT).await;
    let came = offset(&server, &upload).await;
    assert!((1_000_000..=2_000_000).contains(&came), "{came}");
    let rest = content[usize::try_from(came).unwrap()..].to_vec();
    let at = came.to_string();
    let headers = [TUS, CONTENT, ("upload-offset", at.as_str())];
    let done = server.request(Method::PATCH, &upload, &headers, rest).await;
    assert_eq!((done.0, header(&done, "upload-offset")), (204, "3000000".to_owned()));
    let got = server.get(&format!("/api/sessions/{id}/files/up"), &[]).await;
    assert!(got.2 == content);
    assert_eq!(header(&got, "etag"), header(&done, "etag"));

    // A plain upload that is cut leaves what was there.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "PUT /api/sessions/{id}/files/up HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nX-Force: true\r\n\
         Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        server.address(),
        server.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    let wrong = [TUS, CONTENT, ("upload-offset", "1")];
    let refused = server.request(Method::PATCH, &upload, &wrong, vec![1]).await;
    assert_eq!((refused.0, &json_of(&refused)["code"]), (409, &json!("BAD_MESSAGE")));
    let got = server.get(&format!("/api/sessions/{id}/files/up"), &[]).await;
    assert!(got.2 == content, "half of a body is no file");
    let options =
        server.request(Method::OPTIONS, &format!("/api/sessions/{id}/uploads"), &[], vec![]).await;
    assert_eq!((options.0, header(&options, "tus-version")), (204, "1.0.0".to_owned()));
}

#[tokio::test]
async fn a_folder_comes_back_as_it_went_and_an_archive_that_leaves_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id) = stage(dir.path()).await;
    let base = format!("/api/sessions/{id}");
    for path in ["d/a", "d/b/c", "d/node_modules/x"] {
        let file = format!("{base}/files/{path}?create_parents=1");
        assert_eq!(server.put(&file, &[], path.as_bytes().to_vec()).await.0, 200);
    }
    for format in ["zip", "tar", "tar.zst"] {
        let packed =
            server.get(&format!("{base}/archive/d?format={format}&ignore=node_modules"), &[]).await;
        assert_eq!(packed.0, 200);
        let name = format!("attachment; filename*=UTF-8''d.{format}");
        assert_eq!(header(&packed, "content-disposition"), name);
        let target = format!("{base}/archive/back/{format}?format={format}");
        let back = server.put(&target, &[], packed.2.clone()).await;
        assert_eq!((back.0, &json_of(&back)["entries"]), (200, &json!(3)), "{}", json_of(&back));
        let got = server.get(&format!("{base}/files/back/{format}/b/c"), &[]).await;
        assert_eq!(got.2, b"d/b/c");
        let again = server.put(&target, &[], packed.2).await;
        assert_eq!((again.0, &json_of(&again)["code"]), (409, &json!("EXISTS")));
    }
    let mut archive = tar::Builder::new(Vec::new());
    let mut entry = tar::Header::new_gnu();
    entry.as_mut_bytes()[..6].copy_from_slice(b"../out");
    entry.set_size(1);
    entry.set_cksum();
    archive.append(&entry, &b"x"[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    let refused = server.put(&format!("{base}/archive/x?format=tar"), &[], archive).await;
    assert_eq!((refused.0, &json_of(&refused)["code"]), (403, &json!("OUTSIDE_WORKSPACE")));
    assert_eq!(server.get(&format!("{base}/archive?format=rar"), &[]).await.0, 400);
}

/// Runs `staithe cp`.
async fn cp(server: &Server, dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staithe"));
    command.arg("cp").args(arguments).current_dir(dir);
    command.args(["--url", &server.url, "--token", &server.token]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_vec();
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        drop(stdin.write_all(&input)); // who wants no input closes it
        drop(stdin);
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn cp_copies_files_and_folders_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id) = stage(dir.path()).await;
    let here = tempfile::tempdir().unwrap();
    let at = |path: &str| here.path().join(path);
    std::fs::create_dir_all(at("tree/sub")).unwrap();
    std::fs::write(at("tree/sub/f"), "deep").unwrap();
    std::os::unix::fs::symlink("sub/f", at("tree/link")).unwrap();
    std::fs::write(at("one.bin"), bytes(700_000)).unwrap();
    let there = |path: &str| format!("{id}:{path}");
    let run = async |arguments: &[&str], input: &[u8]| {
        let output = cp(&server, here.path(), arguments, input).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        output.stdout
    };
    let told = run(&["one.bin", "tree", &there("in/"), "--json"], b"").await;
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told[0]["bytes"], &told[1]["bytes"]), (&json!(700_000), &json!(4)));
    run(&[&there("in/one.bin"), "two.bin"], b"").await;
    assert!(std::fs::read(at("two.bin")).unwrap() == bytes(700_000));
    run(&["--session", &id, ":in/tree", "back"], b"").await;
    assert_eq!(std::fs::read_to_string(at("back/sub/f")).unwrap(), "deep");
    assert_eq!(std::fs::read_link(at("back/link")).unwrap(), Path::new("sub/f"));

    run(&["-", &there("note")], b"from stdin").await;
    assert_eq!(run(&[&there("note"), "-"], b"").await, b"from stdin");
    // What tells no length, or a wrong one, comes whole all the same.
    run(&["/dev/stdin", &there("note")], b"from a pipe").await;
    assert_eq!(run(&[&there("note"), "-"], b"").await, b"from a pipe");
    run(&["/proc/version", &there("note")], b"").await;
    assert_eq!(run(&[&there("note"), "-"], b"").await, std::fs::read("/proc/version").unwrap());
    let archive = run(&[&there("in/tree"), "-"], b"").await;
    run(&["-", &there("again/")], &archive).await;
    assert_eq!(run(&[&there("again/sub/f"), "-"], b"").await, b"deep");

    // A part of the same version is taken up; the rest of it comes.
    let head = server
        .request(Method::HEAD, &format!("/api/sessions/{id}/files/in/one.bin"), &[], vec![])
        .await;
    let tag = header(&head, "etag");
    let hash = <sha2::Sha256 as sha2::Digest>::digest(tag.as_bytes());
    let part = format!(".three.bin.{}.staithe-part", data_encoding::HEXLOWER.encode(&hash[..8]));
    std::fs::write(at(&part), [7; 1000]).unwrap();
    run(&[&there("in/one.bin"), "three.bin"], b"").await;
    let three = std::fs::read(at("three.bin")).unwrap();
    assert!(three[..1000] == [7; 1000] && three[1000..] == bytes(700_000)[1000..]);
    assert!(!at(&part).exists());
}

#[tokio::test]
async fn cp_says_what_it_could_not_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (server, id) = stage(dir.path()).await;
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("f"), "f").unwrap();
    let target = format!("{id}:f");
    let outside = format!("{id}:../f");
    for (arguments, code, words) in [
        (vec!["f", "g"], 64, "one side has to be in a session"),
        (vec!["f", "nobody:g"], 64, "is no session's id"),
        (vec!["f", ":g"], 64, "--session"),
        (vec!["none", &target], 1, "No such file"),
        (vec!["f", &outside], 1, "OUTSIDE_WORKSPACE"),
        (vec![&target, "new"], 1, "does not exist"),
    ] {
        let output = cp(&server, here.path(), &arguments, b"").await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
    assert_eq!(cp(&server, here.path(), &["f", &target], b"").await.status.code(), Some(0));
    let fails = cp(&server, here.path(), &["f", &target, "--on-conflict", "fail"], b"").await;
    assert_eq!(fails.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&fails.stderr).contains("CONFLICT"));
    let skips = cp(&server, here.path(), &["f", &target, "--on-conflict", "skip"], b"").await;
    assert_eq!(skips.status.code(), Some(0));
}
