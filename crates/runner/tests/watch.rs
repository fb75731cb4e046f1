//! Each rule of watching, with a real runner.

mod common;
mod mirror;

use std::{fs, path::Path, process::Command};

use common::Runner;
use mirror::{Client, Watcher, short};
use serde_json::json;
use staithe_protocol::watch::Change;

fn sh(folder: &Path, script: &str) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(folder).status();
    assert!(status.expect("a shell").success(), "{script}");
}

/// What one script causes to be told, in short; the end of it is a file that is made last.
async fn told(watcher: &mut Watcher, folder: &Path, script: &str) -> Vec<Change> {
    sh(folder, script);
    let changes = until_end(watcher, folder).await;
    changes.into_iter().filter(|change| change.path != "end").collect()
}

async fn until_end(watcher: &mut Watcher, folder: &Path) -> Vec<Change> {
    fs::write(folder.join("end"), "").unwrap();
    let mut changes = watcher.until(|change| short(change) == "create end").await;
    fs::remove_file(folder.join("end")).unwrap();
    changes.extend(watcher.until(|change| short(change) == "delete end").await);
    changes
}

/// In any order.
fn shorts(changes: &[Change]) -> Vec<String> {
    let mut shorts: Vec<String> = changes.iter().map(short).collect();
    shorts.sort();
    shorts
}

/// A watcher that has listed nothing, and the workspace.
async fn watched(runner: &Runner) -> (Watcher, std::path::PathBuf) {
    let mut watcher = Watcher::open(runner, "", json!({})).await;
    let first = watcher.next().await;
    assert!(first.resync && first.seq == 0 && first.changes.is_empty());
    (watcher, runner.workspace())
}

#[tokio::test]
async fn what_happens_to_one_path_in_a_short_time_is_told_once() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    sh(&work, "echo 1 >old; echo 1 >gone; echo 1 >again");
    until_end(&mut watcher, &work).await;
    let script = "echo 1 >new; echo 2 >>new; chmod 600 new
        echo 1 >nothing; rm nothing; mkdir -p never/was; rm -r never
        echo 2 >old; echo 3 >>old
        echo 2 >gone; rm gone
        rm again; echo other >again";
    let changes = told(&mut watcher, &work, script).await;
    assert_eq!(shorts(&changes), ["create new", "delete gone", "modify again", "modify old"]);
    let new = changes.iter().find(|change| change.path == "new").unwrap();
    let version = "sha256:8a67faf9e4ac51d4eb2edc8a7a8e2f4d8f3ee5e8b22f9f3d5e5e2b4b8f8e9f3b";
    assert_eq!((new.size, new.mode, &*new.origin), (Some(4), Some(0o600), "shell"));
    assert_eq!(new.version.as_ref().map(String::len), Some(version.len()));
}

#[tokio::test]
async fn moves_are_joined_and_chains_are_one() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    sh(&work, "mkdir d e; echo 1 >a; echo 2 >x; echo 3 >y; echo 4 >d/f; echo 5 >target");
    until_end(&mut watcher, &work).await;
    let script = "mv a b; mv b c; mv x t; mv y x; mv t y; mv d e/d; mv e/d/f e/d/g; echo >>e/d/g
        echo new >.tmp; mv .tmp target; mv nowhere . 2>&- || :; mv c /tmp/$$; rm /tmp/$$";
    let changes = told(&mut watcher, &work, script).await;
    assert_eq!(
        shorts(&changes),
        ["delete a", "modify target", "modify x", "modify y", "rename d e/d", "rename e/d/f e/d/g"],
    );
    let changes = told(&mut watcher, &work, "echo >e/d/inner; mv e/d z; echo >z/inner2").await;
    assert_eq!(shorts(&changes), ["create z/inner", "create z/inner2", "rename e/d z"]);
    let changes = told(&mut watcher, &work, "mv z/g z/h; mv z/h last").await;
    assert_eq!(shorts(&changes), ["rename z/g last"]);
    let changes = told(&mut watcher, &work, "mkdir one two; mv one three; mv two one").await;
    assert_eq!(shorts(&changes), ["create one", "create three"]);
}

#[tokio::test]
async fn a_client_that_listed_in_between_is_never_wrong() {
    let runner = Runner::start().await;
    let mut client = Client::join(&runner).await;
    let work = runner.workspace();
    sh(&work, "mkdir -p a/b; echo 1 >a/b/c");
    client.settle("").await;
    sh(&work, "mv a t; echo >ghost");
    client.mirror.list("", &mut client.line).await;
    assert!(client.mirror.things.contains_key("ghost") && client.mirror.things.contains_key("t/b"));
    sh(&work, "mv t a; rm ghost");
    client.settle("").await;
    assert!(client.mirror.things.contains_key("a/b/c"));
}
