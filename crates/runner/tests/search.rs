//! Search in a real runner's workspace.

mod common;

use std::{
    collections::BTreeSet,
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{KEY, Runner, eventually};
use hyper::Method;
use serde_json::{Value, json};
use staithe_protocol::{files::FileOp, runner::KEY_HEADER, search::Found};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn put(work: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = work.join(name);
    std::fs::create_dir_all(path.parent().expect("as it was made")).expect("as it was made");
    std::fs::write(path, content).expect("as it was made");
}

/// All lines of an answer but the last, and the last.
async fn search(runner: &Runner, kind: &str, body: &Value) -> (Vec<Found>, Value) {
    let key = [(KEY_HEADER, KEY)];
    let path = format!("/search/{kind}");
    let (status, headers, body) = runner.http(Method::POST, &path, &key, body.to_string()).await;
    let text = String::from_utf8(body.to_vec()).expect("as it was made");
    assert_eq!(status, 200, "{text}");
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let mut found: Vec<Found> =
        text.lines().map(|line| serde_json::from_str(line).expect("a result")).collect();
    let done = found.pop().expect("a last line");
    found.retain(|found| !matches!(found, Found::Progress { .. }));
    assert!(matches!(done, Found::Done { .. }), "{done:?}");
    (found, serde_json::to_value(done).expect("as it was made"))
}

fn places(found: &[Found]) -> Vec<String> {
    let of = |found: &Found| match found {
        Found::Match { path, line, .. } => format!("{path}:{line}"),
        Found::Context { path, line, .. } => format!("{path}-{line}"),
        Found::Name { path, .. } => path.clone(),
        other => panic!("no result: {other:?}"),
    };
    found.iter().map(of).collect()
}

async fn refused(runner: &Runner, path: &str, body: &Value) -> (u16, String) {
    let (status, told) = runner.post(path, body).await;
    (status.as_u16(), told["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn lines_are_found_in_the_files_that_are_wanted() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    put(&work, "a.rs", "fn main() {\n    needle();\n}\n");
    put(&work, "src/b.rs", "Needle needle\n");
    put(&work, "src/c.txt", "needle");
    put(&work, "target/d.rs", "needle");
    put(&work, ".hidden/e.rs", "needle");
    put(&work, ".git/f.rs", "needle");
    put(&work, ".gitignore", "target/\n");
    put(&work, "bin", b"needle\0");
    let ask = |more: Value| {
        let mut body = json!({ "query": "needle" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (found, done) = search(&runner, "content", &ask(json!({}))).await;
    assert_eq!(places(&found), ["a.rs:2", "src/b.rs:1", "src/c.txt:1"]);
    assert_eq!(
        (&done["results"], &done["files"], &done["searched"]),
        (&3.into(), &3.into(), &4.into())
    );
    assert_eq!((&done["skipped_binary"], &done["truncated"]), (&1.into(), &Value::Null));
    for (more, wanted) in [
        (json!({ "include": ["*.rs"], "exclude": ["/src"] }), vec!["a.rs:2"]),
        (json!({ "include": ["src"] }), vec!["src/b.rs:1", "src/c.txt:1"]),
        (
            json!({ "path": "src", "case": "sensitive", "include": ["*.{rs,md}"] }),
            vec!["src/b.rs:1"],
        ),
        (
            json!({ "hidden": true, "include": ["*.rs"] }),
            vec![".hidden/e.rs:1", "a.rs:2", "src/b.rs:1"],
        ),
        (json!({ "ignored": true, "include": ["target"] }), vec!["target/d.rs:1"]),
        (json!({ "context": 1, "include": ["a.rs"] }), vec!["a.rs-1", "a.rs:2", "a.rs-3"]),
        (json!({ "query": "n.+e\\(", "regex": true }), vec!["a.rs:2"]),
        (json!({ "query": "need", "whole_word": true }), vec![]),
        (json!({ "max_results": 1 }), vec!["a.rs:2"]),
    ] {
        let (found, _) = search(&runner, "content", &ask(more.clone())).await;
        assert_eq!(places(&found), wanted, "{more}");
    }
    let (_, done) = search(&runner, "content", &ask(json!({ "max_results": 1 }))).await;
    assert_eq!(done["truncated"], "results");
}

#[tokio::test]
async fn names_are_found_by_letters_and_by_globs() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    for name in ["src/main.rs", "src/domain/mail.rs", "docs/manual.md", "Cargo.toml"] {
        put(&work, name, "");
    }
    let (found, done) = search(&runner, "names", &json!({ "query": "main.rs" })).await;
    let best = found.iter().max_by_key(|found| match found {
        Found::Name { score, .. } => *score,
        other => panic!("{other:?}"),
    });
    let Some(Found::Name { path, positions, .. }) = best else { panic!("{found:?}") };
    assert_eq!((path.as_str(), positions[0]), ("src/main.rs", 4));
    assert_eq!(done["searched"], 7);
    let (found, _) = search(&runner, "names", &json!({ "query": "**/*.rs" })).await;
    assert_eq!(places(&found), ["src/domain/mail.rs", "src/main.rs"]);
    let (found, done) = search(&runner, "names", &json!({ "query": "ma", "limit": 1 })).await;
    assert!(
        found
            .iter()
            .any(|found| matches!(found, Found::Name { path, .. } if path == "src/main.rs"))
    );
    assert_eq!(done["truncated"], "results");
}

#[tokio::test]
async fn what_can_not_be_searched_is_refused() {
    let runner = Runner::start().await;
    for body in [
        json!({ "query": "" }),
        json!({ "query": "(", "regex": true }),
        json!({ "query": "a\nb" }),
        json!({ "query": "x", "include": ["[a"] }),
    ] {
        let refused = refused(&runner, "/search/content", &body).await;
        assert_eq!(refused, (400, "search.bad_query".to_owned()), "{body}");
    }
    let outside = json!({ "query": "x", "path": "../.." });
    assert_eq!(
        refused(&runner, "/search/content", &outside).await,
        (400, "OUTSIDE_WORKSPACE".into())
    );
    let unknown = json!({ "query": "x", "no": 1 });
    assert_eq!(refused(&runner, "/search/content", &unknown).await.0, 400);
    assert_eq!(refused(&runner, "/search/other", &json!({})).await.0, 404);
    let key = [(KEY_HEADER, KEY)];
    assert_eq!(runner.http(Method::GET, "/search/names", &key, "").await.0, 405);
    assert_eq!(runner.http(Method::POST, "/search/names", &[], "{}").await.0, 403);
}

#[tokio::test]
async fn no_exchange_of_folders_leads_a_search_outside() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    let outside = runner.dir.path().join("outside");
    put(&outside, "d/secret-name", "secret content");
    put(&work, "d/inside", "inside content");
    symlink(&outside, work.join("link")).unwrap();
    symlink(outside.join("d/secret-name"), work.join("file")).unwrap();
    symlink(outside.join("d"), runner.dir.path().join("swap")).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (over, work, swap) = (Arc::clone(&over), work.clone(), runner.dir.path().join("swap"));
        move || {
            let mut swaps = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &swap,
                    rustix::fs::CWD,
                    work.join("d"),
                    exchange,
                )
                .unwrap();
                swaps += 1;
            }
            swaps
        }
    });
    let mut seen = 0;
    for _ in 0..300 {
        let (found, _) = search(&runner, "content", &json!({ "query": "content" })).await;
        assert!(places(&found).iter().all(|place| place == "d/inside:1"), "{found:?}");
        seen += found.len();
        let (found, _) = search(&runner, "names", &json!({ "query": "**" })).await;
        let names = places(&found);
        assert!(!names.iter().any(|name| name.contains("secret")), "{names:?}");
    }
    over.store(true, Ordering::Relaxed);
    let swaps = swapping.join().unwrap();
    assert!(seen > 0 && swaps > 300, "{seen} found in {swaps} swaps");
}

/// Threads of the runner that search now.
fn searching(runner: &Runner) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", runner.pid()))
        .expect("as it was made")
        .flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "search").count()
}

/// Begins a search and reads no more than its head and first result.
async fn begin(runner: &Runner) -> tokio::net::UnixStream {
    let mut socket = runner.connect().await;
    let body = json!({ "query": "x", "max_results": 10_000 }).to_string();
    let head = format!(
        "POST /search/content HTTP/1.1\r\nHost: x\r\n{KEY_HEADER}: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.expect("as it was made");
    socket
}

#[tokio::test]
async fn a_search_ends_when_nobody_reads_it_and_delays_no_file() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    // More than sockets and queues hold, so that every search waits for its reader.
    for number in 0..40 {
        put(&work, &format!("f{number}"), format!("{}\n", "x".repeat(900)).repeat(250));
    }
    let mut searches = Vec::new();
    for _ in 0..4 {
        searches.push(begin(&runner).await);
    }
    let mut first = [0; 1024];
    assert!(searches[0].read(&mut first).await.unwrap() > 0, "the first results come at once");
    eventually("two search", async || (searching(&runner) == 2).then_some(())).await;
    // Two wait; files are read and written all the same.
    let mut line = runner.line().await;
    let read = FileOp::Read { path: "f1".into(), offset: None, length: Some(5) };
    assert_eq!(line.file(read).await.unwrap().content.as_deref(), Some("xxxxx"));
    assert_eq!(searching(&runner), 2);
    drop(searches);
    eventually("no search is left", async || (searching(&runner) == 0).then_some(())).await;
    let (found, _) = search(&runner, "names", &json!({ "query": "f39" })).await;
    assert_eq!(places(&found), ["f39"]);
}

#[tokio::test]
async fn readers_that_read_nothing_do_not_hold_the_turns_of_others() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    for number in 0..40 {
        put(&work, &format!("f{number}"), format!("{}\n", "x".repeat(900)).repeat(250));
    }
    let mut stalled = Vec::new();
    for _ in 0..2 {
        stalled.push(begin(&runner).await);
    }
    eventually("two search", async || (searching(&runner) == 2).then_some(())).await;
    let (found, _) = search(&runner, "names", &json!({ "query": "f39" })).await;
    assert_eq!(places(&found), ["f39"]);
    // One of them was given up to make room. Who reads at last learns that there was more.
    let mut given_up = 0;
    for mut socket in stalled {
        let mut all = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while !all.ends_with(b"\r\n0\r\n\r\n") {
            let length = socket.read(&mut piece).await.unwrap();
            assert!(length > 0, "it ends as an answer does");
            all.extend_from_slice(&piece[..length]);
        }
        let all = String::from_utf8(all).unwrap();
        let done = all.lines().rfind(|line| line.starts_with('{')).unwrap();
        let done: Value = serde_json::from_str(done).unwrap();
        assert_eq!(done["type"], "done");
        given_up += usize::from(done["truncated"] == "time");
        // All that was counted was told.
        assert_eq!(done["results"], json!(all.matches("\"type\":\"match\"").count()));
    }
    assert!(given_up > 0);
}

#[tokio::test]
async fn lists_of_what_is_left_out_are_read_as_git_reads_them() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    let git = |words: &[&str], input: &str| {
        let mut child = Command::new("git")
            .args(words)
            .current_dir(&work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("git is there: apt-get install git");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet"], "");
    put(
        &work,
        ".gitignore",
        "*.o\n!keep.o\n/top\nbuild/\nlogs/**\n!logs/keep\n**/deep/x\na/**/z\n\\!odd\nt[ab]?\nsp\\ \nfoo/*\n!foo/bar\n# no\n",
    );
    put(&work, "sub/.gitignore", "*.txt\n!yes.txt\n/only\n!*.o\n");
    put(&work, ".git/info/exclude", "excluded\n");
    let files = [
        "a.o",
        "keep.o",
        "top",
        "sub/top",
        "build/x",
        "sub/build/y",
        "sub/deep/build",
        "logs/a/b",
        "logs/keep",
        "deep/x",
        "q/deep/x",
        "a/z",
        "a/b/c/z",
        "!odd",
        "tab",
        "tcc",
        "sp ",
        "foo/x",
        "foo/bar/y",
        "# no",
        "sub/n.txt",
        "sub/yes.txt",
        "sub/q/n.txt",
        "sub/only",
        "sub/q/only",
        "sub/b.o",
        "excluded",
        "sub/excluded/x",
        "plain",
    ];
    for file in files {
        put(&work, file, "x");
    }
    let listed = git(&["ls-files", "--others", "--exclude-standard", "-z"], "");
    let wanted: BTreeSet<String> =
        listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let body = json!({ "query": "**", "hidden": true, "limit": 10_000 });
    let (found, _) = search(&runner, "names", &body).await;
    let seen: BTreeSet<String> =
        places(&found).into_iter().filter(|path| work.join(path).is_file()).collect();
    assert_eq!(seen, wanted);
}
