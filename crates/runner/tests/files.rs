//! File operations over the line and as streams.

mod common;

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{KEY, Line, Runner, check};
use hyper::Method;
use serde_json::{Value, json};
use staithe_protocol::{
    Action, Observation,
    files::{FileCode, FileDenied, FileDone},
    runner::KEY_HEADER,
};

async fn op(line: &mut Line, op: Value) -> Result<FileDone, FileDenied> {
    line.file(serde_json::from_value(op).expect("an operation")).await
}

#[track_caller]
fn refused(result: Result<FileDone, FileDenied>, code: FileCode) -> FileDenied {
    match result {
        Err(denied) if denied.code == code => denied,
        other => panic!("not {code:?}: {other:?}"),
    }
}

#[tokio::test]
async fn content_is_kept_byte_for_byte_with_mode_and_version() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let made = op(&mut line, json!({ "op": "create", "path": "/workspace/d/a.txt", "content": "x", "create_parents": true })).await.unwrap();
    assert_eq!(made.path, "d/a.txt");
    assert_eq!(made.previous_version.as_deref(), Some("absent"));
    let file = runner.workspace().join("d/a.txt");
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o664);
    refused(
        op(&mut line, json!({ "op": "create", "path": "d/a.txt", "content": "y" })).await,
        FileCode::Exists,
    );

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o751)).unwrap();
    let written = op(&mut line, json!({ "op": "write", "path": "d/a.txt", "content": "AP8=", "encoding": "base64", "if_match": made.version })).await.unwrap();
    assert_eq!((written.previous_version, written.racy), (made.version, None));
    assert_eq!(std::fs::read(&file).unwrap(), [0, 255]);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o751);
    let read = op(&mut line, json!({ "op": "read", "path": "d/a.txt" })).await.unwrap();
    assert_eq!(
        (read.content.as_deref(), read.size, read.mode),
        (Some("AP8="), Some(2), Some(0o751))
    );
    assert_eq!(read.version, written.version);
    assert!(
        std::fs::read_dir(file.parent().unwrap()).unwrap().count() == 1,
        "nothing was left over"
    );
}

#[tokio::test]
async fn a_part_of_a_file_can_be_read() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    std::fs::write(runner.workspace().join("f"), "0123456789").unwrap();
    for (offset, length, part) in [(2, 3, "234"), (8, 9, "89"), (20, 1, "")] {
        let read =
            op(&mut line, json!({ "op": "read", "path": "f", "offset": offset, "length": length }))
                .await
                .unwrap();
        assert_eq!(read.content.as_deref(), Some(part));
    }
    let big = std::fs::File::create(runner.workspace().join("big")).unwrap();
    big.set_len(17 * 1024 * 1024).unwrap();
    refused(op(&mut line, json!({ "op": "read", "path": "big" })).await, FileCode::TooLarge);
    let read =
        op(&mut line, json!({ "op": "read", "path": "big", "offset": 16_777_216, "length": 2 }))
            .await
            .unwrap();
    assert!(read.version.unwrap().starts_with("stat:17825792-"));
    assert_eq!(read.content.as_deref(), Some("\0\0"));
}

#[tokio::test]
async fn a_change_on_an_old_version_is_a_conflict_that_tells_the_new_one() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let first =
        op(&mut line, json!({ "op": "create", "path": "f", "content": "a\nb\n" })).await.unwrap();
    refused(
        op(&mut line, json!({ "op": "write", "path": "f", "content": "" })).await,
        FileCode::PreconditionRequired,
    );
    std::fs::write(runner.workspace().join("f"), "by the shell\n").unwrap();
    for change in [
        json!({ "op": "write", "path": "f", "content": "", "if_match": first.version }),
        json!({ "op": "patch", "path": "f", "edits": [], "if_match": first.version }),
        json!({ "op": "delete", "path": "f", "if_match": first.version }),
        json!({ "op": "rename", "path": "f", "to": "g", "if_match": first.version }),
    ] {
        let denied = refused(op(&mut line, change).await, FileCode::Conflict);
        assert_eq!(denied.current_content.as_deref(), Some("by the shell\n"));
        assert!(denied.current_version.unwrap().starts_with("sha256:"));
    }
    let forced =
        op(&mut line, json!({ "op": "write", "path": "f", "content": "1\n2\n3\n", "force": true }))
            .await
            .unwrap();
    let patched = op(&mut line, json!({ "op": "patch", "path": "f", "if_match": forced.version, "edits": [{ "start": 1, "end": 2, "text": "zwei\n" }] })).await.unwrap();
    assert_eq!(std::fs::read_to_string(runner.workspace().join("f")).unwrap(), "1\nzwei\n3\n");
    op(&mut line, json!({ "op": "delete", "path": "f", "if_match": patched.version }))
        .await
        .unwrap();
    let gone = refused(
        op(
            &mut line,
            json!({ "op": "write", "path": "f", "content": "", "if_match": patched.version }),
        )
        .await,
        FileCode::Conflict,
    );
    assert_eq!(gone.current_version.as_deref(), Some("absent"));
    let again = op(&mut line, json!({ "op": "delete", "path": "f" })).await.unwrap();
    assert_eq!(again.already_absent, Some(true));
}

#[tokio::test]
async fn of_two_writers_on_one_version_one_wins() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let mut version =
        op(&mut line, json!({ "op": "create", "path": "f", "content": "" })).await.unwrap().version;
    symlink("f", runner.workspace().join("alias")).unwrap();
    for round in 0..50 {
        let mut begun = Vec::new();
        for (writer, path) in ["f", "alias", "./f"].iter().enumerate() {
            let op = json!({ "op": "write", "path": path, "content": format!("{round} {writer}"), "if_match": version });
            let op = serde_json::from_value(op).unwrap();
            begun.push(line.begin(staithe_protocol::runner::Call::File { op, origin: None }).await);
        }
        let mut won = 0;
        for id in begun {
            if let staithe_protocol::runner::Answer::FileDone { done } = line.answer(id).await {
                version = done.version;
                won += 1;
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
}

#[tokio::test]
async fn folders_are_made_listed_renamed_and_removed() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    refused(op(&mut line, json!({ "op": "mkdir", "path": "a/b" })).await, FileCode::NotFound);
    op(&mut line, json!({ "op": "mkdir", "path": "a/b", "parents": true })).await.unwrap();
    refused(op(&mut line, json!({ "op": "mkdir", "path": "a" })).await, FileCode::Exists);
    for path in ["Z", "y", "a/c", "a/b/d"] {
        op(&mut line, json!({ "op": "create", "path": path, "content": "1" })).await.unwrap();
    }
    let list = |depth: u32| json!({ "op": "list", "path": "", "depth": depth });
    let paths = |done: FileDone| -> Vec<String> {
        done.entries.unwrap().into_iter().map(|entry| entry.path).collect()
    };
    assert_eq!(paths(op(&mut line, list(1)).await.unwrap()), ["a", "y", "Z"]);
    assert_eq!(
        paths(op(&mut line, list(9)).await.unwrap()),
        ["a", "a/b", "a/b/d", "a/c", "y", "Z"]
    );
    refused(op(&mut line, json!({ "op": "list", "path": "y" })).await, FileCode::NotDirectory);
    refused(op(&mut line, json!({ "op": "read", "path": "a" })).await, FileCode::IsDirectory);
    refused(
        op(&mut line, json!({ "op": "rename", "path": "y", "to": "Z" })).await,
        FileCode::Exists,
    );
    op(&mut line, json!({ "op": "rename", "path": "y", "to": "Z", "overwrite": true }))
        .await
        .unwrap();
    op(&mut line, json!({ "op": "rename", "path": "a", "to": "e" })).await.unwrap();
    let stat = op(&mut line, json!({ "op": "stat", "path": "e" })).await.unwrap();
    assert_eq!(stat.version.as_deref(), Some("dir"));
    refused(op(&mut line, json!({ "op": "delete", "path": "e" })).await, FileCode::NotEmpty);
    op(&mut line, json!({ "op": "delete", "path": "e", "recursive": true })).await.unwrap();
    assert_eq!(paths(op(&mut line, list(9)).await.unwrap()), ["Z"]);
    refused(
        op(&mut line, json!({ "op": "delete", "path": "", "recursive": true })).await,
        FileCode::BadMessage,
    );
}

#[tokio::test]
async fn a_list_of_too_many_entries_is_cut_and_says_so() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for n in 0..10_050 {
        std::fs::write(runner.workspace().join(n.to_string()), "").unwrap();
    }
    let done = op(&mut line, json!({ "op": "list" })).await.unwrap();
    assert_eq!((done.truncated, done.entries.unwrap().len()), (Some(true), 10_000));
}

#[tokio::test]
async fn links_are_followed_inside_and_never_outside() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let workspace = runner.workspace();
    let outside = runner.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::fs::create_dir(workspace.join("d")).unwrap();
    std::fs::write(workspace.join("d/f"), "inside").unwrap();
    symlink("../d/f", workspace.join("d/in")).unwrap();
    symlink("../../outside", workspace.join("d/out")).unwrap();
    symlink(&outside, workspace.join("abs")).unwrap();
    symlink("../outside/new", workspace.join("dangling")).unwrap();
    symlink("loop", workspace.join("loop")).unwrap();

    let read = op(&mut line, json!({ "op": "read", "path": "d/in" })).await.unwrap();
    assert_eq!(read.content.as_deref(), Some("inside"));
    op(&mut line, json!({ "op": "write", "path": "d/in", "content": "changed", "force": true }))
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(workspace.join("d/f")).unwrap(), "changed");
    assert!(workspace.join("d/in").is_symlink());

    for path in [
        "d/out/secret",
        "abs/secret",
        "d/out",
        "abs",
        "dangling",
        "../outside/secret",
        "/etc/passwd",
    ] {
        for op_name in ["read", "write", "patch", "list"] {
            let request = match op_name {
                "write" => {
                    json!({ "op": "write", "path": path, "content": "x", "force": true, "create_parents": true })
                }
                "patch" => json!({ "op": "patch", "path": path, "if_match": "x", "edits": [] }),
                name => json!({ "op": name, "path": path }),
            };
            let result = op(&mut line, request).await;
            let denied = result.expect_err(&format!("{op_name} {path}"));
            assert_eq!(denied.code, FileCode::OutsideWorkspace, "{op_name} {path}: {denied:?}");
        }
    }
    for request in [
        json!({ "op": "delete", "path": "d/out/secret", "force": true }),
        json!({ "op": "rename", "path": "d/out/secret", "to": "mine" }),
        json!({ "op": "rename", "path": "d/f", "to": "abs/f" }),
        json!({ "op": "mkdir", "path": "abs/new", "parents": true }),
        json!({ "op": "create", "path": "d/out/new", "content": "" }),
    ] {
        refused(op(&mut line, request).await, FileCode::OutsideWorkspace);
    }
    refused(op(&mut line, json!({ "op": "read", "path": "loop" })).await, FileCode::BadMessage);
    // A link itself may go; what it stands for stays.
    op(&mut line, json!({ "op": "delete", "path": "abs", "force": true })).await.unwrap();
    op(&mut line, json!({ "op": "delete", "path": "d", "recursive": true })).await.unwrap();
    let left: Vec<_> =
        std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"]);
}

#[tokio::test]
async fn exchanging_a_folder_for_a_link_never_lets_a_read_or_a_write_out() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let workspace = runner.workspace();
    let outside = runner.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("f"), "OUTSIDE").unwrap();
    std::fs::create_dir(workspace.join("real")).unwrap();
    std::fs::write(workspace.join("real/f"), "inside").unwrap();
    symlink("../outside", workspace.join("evil")).unwrap();
    std::fs::create_dir(workspace.join("d")).unwrap();
    std::fs::write(workspace.join("d/f"), "inside").unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, workspace) = (Arc::clone(&stop), workspace.clone());
        move || {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            let (one, other) = (workspace.join("d"), workspace.join("evil"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let (mut inside, mut refused) = (0, 0);
    for round in 0..2000 {
        match op(&mut line, json!({ "op": "read", "path": "d/f" })).await {
            Ok(done) => {
                assert_ne!(done.content.as_deref(), Some("OUTSIDE"));
                inside += 1;
            }
            Err(denied) => {
                assert_eq!(denied.code, FileCode::OutsideWorkspace, "{denied:?}");
                refused += 1;
            }
        }
        if round % 10 == 0 {
            drop(
                op(
                    &mut line,
                    json!({ "op": "write", "path": "d/f", "content": "inside", "force": true }),
                )
                .await,
            );
            drop(op(&mut line, json!({ "op": "delete", "path": "d/g", "force": true })).await);
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(inside > 0 && refused > 0, "{inside} inside, {refused} refused");
    assert_eq!(std::fs::read_to_string(outside.join("f")).unwrap(), "OUTSIDE");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    check(&line.run("mkfifo p").await, 0, "");
    refused(op(&mut line, json!({ "op": "read", "path": "p" })).await, FileCode::BadMessage);
    for path in ["a\0b".to_owned(), "x".repeat(256), "x/".repeat(3000)] {
        refused(op(&mut line, json!({ "op": "read", "path": path })).await, FileCode::BadMessage);
    }
}

#[tokio::test]
async fn files_of_any_size_go_in_and_out_as_streams() {
    let runner = Runner::start().await;
    let bytes: Vec<u8> = (0..20 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[1] ^ 7).collect();
    let put = |headers: Vec<(&'static str, String)>, bytes: Vec<u8>| {
        let runner = &runner;
        async move {
            let mut all = vec![(KEY_HEADER, KEY)];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            let path = "/files/content?path=d%2Fbig+file&create_parents=true";
            let (status, _, body) = runner.http(Method::PUT, path, &all, bytes).await;
            (status.as_u16(), serde_json::from_slice::<Value>(&body).unwrap())
        }
    };
    let (status, done) = put(vec![("If-None-Match", "*".into())], bytes.clone()).await;
    assert_eq!((status, &done["path"]), (200, &json!("d/big file")), "{done}");
    let (status, denied) = put(vec![("If-None-Match", "*".into())], b"x".to_vec()).await;
    assert_eq!((status, &denied["code"]), (409, &json!("CONFLICT")));
    let (status, _) = put(vec![], b"x".to_vec()).await;
    assert_eq!(status, 428);

    let get = runner
        .http(Method::GET, "/files/content?path=d%2Fbig+file", &[(KEY_HEADER, KEY)], "")
        .await;
    assert_eq!(get.0, 200);
    assert!(get.2 == bytes, "the same bytes");
    let version = get.1["etag"].to_str().unwrap().to_owned();
    assert_eq!(json!(version.trim_matches('"')), done["version"]);
    let (status, _) = put(vec![("If-Match", version)], b"small".to_vec()).await;
    assert_eq!(status, 200);
    let (status, done) = put(vec![("X-Force", "true".into())], b"".to_vec()).await;
    assert_eq!((status, &done["size"]), (200, &json!(0)));
    let (status, ..) =
        runner.http(Method::GET, "/files/content?path=..%2Fx", &[(KEY_HEADER, KEY)], "").await;
    assert_eq!(status, 400);
    let entries = std::fs::read_dir(runner.workspace().join("d")).unwrap().count();
    assert_eq!(entries, 1, "nothing was left over");
}

#[tokio::test]
async fn the_actions_read_and_write_work_while_the_shell_is_busy() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    line.run("mkdir d; cd d").await;
    let busy = line.begin_run("echo go; read x").await;
    line.output_contains("go").await;
    let write = |args: Value| -> Action {
        serde_json::from_value(json!({ "action": "write", "args": args })).unwrap()
    };
    let read = |args: Value| -> Action {
        serde_json::from_value(json!({ "action": "read", "args": args })).unwrap()
    };
    let done = line.act(write(json!({ "path": "new/f", "content": "a\nb\nc" }))).await;
    assert!(matches!(done, Observation::Write(_)), "{done:?}");
    let file = runner.workspace().join("d/new/f");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\nb\nc");
    line.act(write(json!({ "path": "new/f", "content": "B", "start": 1, "end": 2 }))).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\nB\nc");
    let part = line.act(read(json!({ "path": "new/f", "start": 1, "end": 2 }))).await;
    assert_eq!(part.content(), "B\n");
    std::fs::write(runner.workspace().join("i.png"), [0x89, 0x50]).unwrap();
    let image = line.act(read(json!({ "path": "/workspace/i.png" }))).await;
    assert_eq!(image.content(), "data:image/png;base64,iVA=");
    std::fs::write(runner.workspace().join("bin"), [0xff]).unwrap();
    let cwd = runner.workspace().join("d");
    for (path, words) in [
        (
            "none",
            format!("File not found: none. Your current working directory is {}.", cwd.display()),
        ),
        ("../bin", "File could not be decoded as utf-8: ../bin.".to_owned()),
        ("new", "Path is a directory: new. You can only read files".to_owned()),
    ] {
        let wrong = line.act(read(json!({ "path": path }))).await;
        assert_eq!(wrong.content(), words);
    }
    let wrong = line.act(write(json!({ "path": "/etc/staithe", "content": "" }))).await;
    assert!(wrong.content().starts_with("Malformed paths not permitted: /etc/staithe"));
    line.type_in("").await;
    check(&line.ran(busy).await, 0, "go");
}
