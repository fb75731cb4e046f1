//! Questions to the workspace's repositories: a real runner, and the machine's own git.

mod common;

use std::{
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use common::{KEY, Runner, eventually};
use hyper::Method;
use serde_json::Value;
use staithe_protocol::runner::KEY_HEADER;

/// Git as a user would run it, alone from this machine's own settings.
fn git(dir: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(words)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git is there: apt-get install git");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn ask(runner: &Runner, path: &str) -> (u16, Value) {
    let key = [(KEY_HEADER, KEY)];
    let (status, _, body) = runner.http(Method::GET, path, &key, "").await;
    (status.as_u16(), serde_json::from_slice(&body).expect("JSON"))
}

async fn told(runner: &Runner, path: &str) -> Value {
    let (status, told) = ask(runner, path).await;
    assert_eq!(status, 200, "{path}: {told}");
    told
}

async fn refused(runner: &Runner, path: &str) -> (u16, String) {
    let (status, told) = ask(runner, path).await;
    let code = told["code"].as_str().unwrap_or_else(|| panic!("{path}: {told}")).to_owned();
    (status, code)
}

/// A workspace that is a repository with one commit.
async fn with_commit() -> (Runner, PathBuf) {
    let runner = Runner::start().await;
    let work = runner.workspace();
    git(&work, &["init", "--quiet"]);
    std::fs::write(work.join("a.txt"), "one\ntwo\nthree\n").expect("our own file");
    std::fs::write(work.join("b.txt"), "b\n").expect("our own file");
    std::fs::write(work.join(".gitignore"), "*.log\n").expect("our own file");
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    (runner, work)
}

#[tokio::test]
async fn a_status_tells_all_that_differs() {
    let (runner, work) = with_commit().await;
    let head = git(&work, &["rev-parse", "HEAD"]);
    std::fs::write(work.join("a.txt"), "one\n2\nthree\n").unwrap();
    git(&work, &["mv", "b.txt", "c \"d\"\n.txt"]);
    std::fs::write(work.join("x.log"), "ignored").unwrap();
    std::fs::create_dir(work.join("new")).unwrap();
    std::fs::write(work.join("new/ünew"), "u").unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff");
    std::fs::write(work.join(odd), "o").unwrap();
    let status = told(&runner, "/git/status").await;
    assert_eq!(status["branch"], "main");
    assert_eq!(status["head"], head.as_str());
    assert_eq!(status["repository"], "");
    assert_eq!(status["operation"], Value::Null);
    let entry = |path: &str| {
        let entries = status["entries"].as_array().unwrap();
        entries.iter().find(|entry| entry["path"] == path).unwrap_or_else(|| panic!("{status}"))
    };
    assert_eq!(entry("a.txt")["unstaged"], "modified");
    assert_eq!(entry("c \"d\"\n.txt")["staged"], "renamed");
    assert_eq!(entry("c \"d\"\n.txt")["from"], "b.txt");
    assert_eq!(entry("new/ünew")["unstaged"], "untracked");
    assert_eq!(entry("odd\u{fffd}")["lossy"], true);
    assert_eq!(status["entries"].as_array().unwrap().len(), 4, "{status}");
}

#[tokio::test]
async fn changes_count_lines_of_untracked_files_too() {
    let (runner, work) = with_commit().await;
    std::fs::write(work.join("a.txt"), "one\n2\nthree\nfour\n").unwrap();
    std::fs::remove_file(work.join("b.txt")).unwrap();
    std::fs::write(work.join("new"), "1\n2\n3").unwrap();
    std::fs::write(work.join("image"), b"\0\x01").unwrap();
    let changes = told(&runner, "/git/changes").await;
    let shown: Vec<_> = changes["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            format!("{} {} {} {} {}", f["path"], f["change"], f["added"], f["deleted"], f["binary"])
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#""a.txt" "modified" 2 1 false"#,
            r#""b.txt" "deleted" 0 1 false"#,
            r#""image" "untracked" null null true"#,
            r#""new" "untracked" 3 0 false"#,
        ]
    );
    assert_eq!((changes["added"].as_u64(), changes["deleted"].as_u64()), (Some(5), Some(2)));
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "second"]);
    assert_eq!(told(&runner, "/git/changes").await["files"], Value::Array(vec![]));
    let against = told(&runner, "/git/changes?base=HEAD~1").await;
    assert_eq!(against["files"].as_array().unwrap().len(), 4);
    assert_eq!(against["base"], git(&work, &["rev-parse", "HEAD~1"]).as_str());
}

#[tokio::test]
async fn a_diff_is_unified_bounded_and_of_one_file_if_wished() {
    let (runner, work) = with_commit().await;
    std::fs::write(work.join("a.txt"), "one\n2\nthree\n").unwrap();
    std::fs::write(work.join("b.txt"), "B\n").unwrap();
    std::fs::write(work.join("new file"), "new\n").unwrap();
    let one = told(&runner, "/git/diff?file=a.txt&context=0").await;
    let diff = one["diff"].as_str().unwrap();
    assert!(diff.contains("--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@"), "{diff}");
    assert!(diff.ends_with("-two\n+2\n") && !diff.contains("b.txt"), "{diff}");
    let all = told(&runner, "/git/diff").await["diff"].as_str().unwrap().to_owned();
    assert!(all.contains("+2\n") && all.contains("+B\n") && !all.contains("new file"), "{all}");
    let untracked = told(&runner, "/git/diff?file=new%20file").await;
    assert!(untracked["diff"].as_str().unwrap().ends_with("@@ -0,0 +1 @@\n+new\n"), "{untracked}");
    let cut = told(&runner, "/git/diff?most=100").await;
    let text = cut["diff"].as_str().unwrap();
    assert_eq!(cut["truncated"], true);
    assert!(text.len() <= 100 && text.ends_with('\n') && all.starts_with(text), "{text}");
    std::fs::write(work.join("b.txt"), b"\0\0").unwrap();
    assert_eq!(told(&runner, "/git/diff?file=b.txt").await["binary"], true);
}

#[tokio::test]
async fn files_branches_and_commits_of_the_past_are_shown() {
    let (runner, work) = with_commit().await;
    git(&work, &["checkout", "--quiet", "-b", "topic"]);
    std::fs::write(work.join("a.txt"), b"\xff").unwrap();
    git(&work, &["commit", "--quiet", "-am", "second\n\nwith a body\nof two lines"]);
    let old = told(&runner, "/git/show?file=a.txt&ref=main").await;
    assert_eq!((&old["content"], &old["encoding"]), (&"one\ntwo\nthree\n".into(), &"utf8".into()));
    let new = told(&runner, "/git/show?file=a.txt").await;
    assert_eq!((&new["content"], &new["encoding"]), (&"/w==".into(), &"base64".into()));
    assert_eq!(refused(&runner, "/git/show?file=none").await, (404, "git.not_found".into()));
    let branches = told(&runner, "/git/branches").await;
    let names: Vec<_> = branches["branches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (b["name"].as_str().unwrap(), b["current"].as_bool().unwrap()))
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&("topic", true)) && names.contains(&("main", false)));
    let log = told(&runner, "/git/log?limit=1").await;
    assert_eq!(log["has_more"], true);
    assert_eq!(log["commits"][0]["subject"], "second");
    assert_eq!(log["commits"][0]["body"], "with a body\nof two lines");
    assert_eq!(log["commits"][0]["email"], "ann@example.org");
    let rest = told(&runner, "/git/log?skip=1").await;
    assert_eq!(rest["commits"][0]["subject"], "first");
    assert_eq!((rest["commits"].as_array().unwrap().len(), &rest["has_more"]), (1, &false.into()));
    let of_file = told(&runner, "/git/log?file=b.txt").await;
    assert_eq!(of_file["commits"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn conflicts_and_what_goes_on_are_told() {
    let (runner, work) = with_commit().await;
    git(&work, &["checkout", "--quiet", "-b", "topic"]);
    std::fs::write(work.join("b.txt"), "theirs\n").unwrap();
    git(&work, &["commit", "--quiet", "-am", "theirs"]);
    git(&work, &["checkout", "--quiet", "main"]);
    std::fs::write(work.join("b.txt"), "ours\n").unwrap();
    git(&work, &["commit", "--quiet", "-am", "ours"]);
    let merged = Command::new("git").args(["merge", "topic"]).current_dir(&work).output().unwrap();
    assert!(!merged.status.success());
    let status = told(&runner, "/git/status").await;
    assert_eq!(status["operation"], "merge");
    assert_eq!(status["entries"][0]["path"], "b.txt");
    assert_eq!(status["entries"][0]["conflicted"], true);
    let changes = told(&runner, "/git/changes").await;
    assert_eq!(changes["files"].as_array().unwrap().len(), 1, "{changes}");
}

#[tokio::test]
async fn a_repository_without_a_commit_is_one_already() {
    let runner = Runner::start().await;
    let work = runner.workspace().join("deep/er");
    std::fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "--quiet"]);
    std::fs::write(work.join("f"), "1\n").unwrap();
    std::fs::create_dir(work.join("d")).unwrap();
    git(&work, &["add", "."]);
    let status = told(&runner, "/git/status?path=deep/er/d").await;
    assert_eq!((&status["head"], &status["repository"]), (&Value::Null, &"deep/er".into()));
    assert_eq!(status["entries"][0]["staged"], "added");
    let changes = told(&runner, "/git/changes?path=deep/er").await;
    assert_eq!(changes["files"][0]["change"], "added");
    assert_eq!((&changes["base"], &changes["added"]), (&Value::Null, &1.into()));
    let diff = told(&runner, "/git/diff?path=deep/er").await;
    assert!(diff["diff"].as_str().unwrap().ends_with("+1\n"), "{diff}");
    assert_eq!(told(&runner, "/git/log?path=deep/er").await["commits"], Value::Array(vec![]));
    let all = told(&runner, "/git/repositories").await;
    assert_eq!(all["repositories"], serde_json::json!(["deep/er"]));
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused_with_a_code() {
    let (runner, work) = with_commit().await;
    for bad in ["--output=x", "HEAD..main", "none", "a%0Ab", "HEAD:a.txt"] {
        let asked = format!("/git/changes?base={bad}");
        assert_eq!(refused(&runner, &asked).await, (400, "git.bad_ref".into()), "{bad}");
    }
    assert!(!work.join("x").exists());
    std::fs::create_dir(work.join("plain")).unwrap();
    assert_eq!(refused(&runner, "/git/status?path=../..").await, (400, "OUTSIDE_WORKSPACE".into()));
    assert_eq!(refused(&runner, "/git/status?path=none").await, (404, "NOT_FOUND".into()));
    let (status, _) = ask(&runner, "/git/diff?context=x").await;
    assert_eq!(status, 400);
    let (status, _) = ask(&runner, "/git/push").await;
    assert_eq!(status, 404);
    let key = [(KEY_HEADER, KEY)];
    assert_eq!(runner.http(Method::POST, "/git/status", &key, "").await.0, 405);
    assert_eq!(runner.http(Method::GET, "/git/status", &[], "").await.0, 403);
}

#[tokio::test]
async fn a_repository_above_the_workspace_is_none_of_ours() {
    let runner = Runner::start().await;
    git(runner.dir.path(), &["init", "--quiet"]);
    assert_eq!(refused(&runner, "/git/status").await, (409, "git.not_a_repository".into()));
}

#[tokio::test]
async fn a_sandbox_without_git_says_so() {
    let runner = Runner::start_with(|command| {
        command.env("PATH", "/nonexistent");
    })
    .await;
    let (status, told) = ask(&runner, "/git/status").await;
    assert_eq!((status, &told["code"]), (409, &"git.missing".into()));
    assert!(told["message"].as_str().unwrap().contains("apt-get install git"));
}

/// A git that writes down what it was given, and its own process, and then goes on for ever.
fn endless(dir: &Path) -> PathBuf {
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).expect("our own file");
    let script = "#!/bin/sh\nenv > \"$0.env\"\necho $$ > \"$0.tmp\"\nmv \"$0.tmp\" \"$0.pid\"\nwhile :; do sleep 1; done\n";
    std::fs::write(bin.join("git"), script).expect("our own file");
    std::fs::set_permissions(bin.join("git"), PermissionsExt::from_mode(0o755))
        .expect("our own file");
    bin
}

#[tokio::test]
async fn git_ends_with_all_it_started_when_nobody_waits_any_more() {
    let tools = tempfile::tempdir().unwrap();
    let bin = endless(tools.path());
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let runner = Runner::start_with(|command| {
        command.env("PATH", path).env("GIT_DIR", "/elsewhere");
    })
    .await;
    let mut socket = runner.connect().await;
    let request = format!("GET /git/status HTTP/1.1\r\nHost: x\r\n{KEY_HEADER}: {KEY}\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
    let pid = eventually("git runs", async || {
        std::fs::read_to_string(bin.join("git.pid")).ok()?.trim().parse::<u32>().ok()
    })
    .await;
    let environment = std::fs::read_to_string(bin.join("git.env")).unwrap();
    assert!(environment.contains("GIT_OPTIONAL_LOCKS=0\n"), "{environment}");
    assert!(!environment.contains("GIT_DIR="), "{environment}");
    let group = || {
        let groups = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (_, rest) = stat.rsplit_once(')')?;
            let mut words = rest.split_whitespace();
            let state = words.next()?.to_owned();
            let group: u32 = words.nth(1)?.parse().ok()?;
            (state != "Z").then_some(group)
        });
        groups.filter(|group| *group == pid).count()
    };
    assert!(group() > 0);
    drop(socket);
    eventually("git and what it started are gone", async || (group() == 0).then_some(())).await;
}
