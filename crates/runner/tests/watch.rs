//! Each rule of watching, with a real runner.

mod common;
mod mirror;

use std::{fs, path::Path, process::Command};

use common::{Runner, blocking, check, eventually, limits};
use hyper::Method;
use mirror::{Client, Watcher, equip, short};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use staithe_protocol::{
    Source,
    runner::{Answer, Call, KEY_HEADER},
    watch::{Change, WatchMode, WatchSettings},
};

fn sh(folder: &Path, script: &str) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(folder).status();
    assert!(status.expect("a shell").success(), "{script}");
}

/// What one script causes to be told, in short; the end of it is a file that is made last. The runner stands still
/// meanwhile: however long the script takes, it is looked at once.
async fn told(runner: &Runner, watcher: &mut Watcher, folder: &Path, script: &str) -> Vec<Change> {
    let pid = Pid::from_raw(runner.pid().cast_signed()).expect("a process");
    kill_process(pid, Signal::STOP).expect("it runs");
    sh(folder, script);
    kill_process(pid, Signal::CONT).expect("it stands still");
    let changes = until_end(watcher, folder).await;
    changes.into_iter().filter(|change| change.path != "end").collect()
}

async fn until_end(watcher: &mut Watcher, folder: &Path) -> Vec<Change> {
    fs::write(folder.join("end"), "").expect("a file");
    let mut changes = watcher.until(|change| short(change) == "create end").await;
    fs::remove_file(folder.join("end")).expect("it is there");
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
    let changes = told(&runner, &mut watcher, &work, script).await;
    assert_eq!(shorts(&changes), ["create new", "delete gone", "modify again", "modify old"]);
    let new = changes.iter().find(|change| change.path == "new").unwrap();
    let version = format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest("1\n2\n")));
    assert_eq!((new.size, new.mode, &*new.origin), (Some(4), Some(0o600), "shell"));
    assert_eq!(new.version, Some(version));
}

#[tokio::test]
async fn moves_are_joined_and_chains_are_one() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    sh(&work, "mkdir d e; echo 1 >a; echo 2 >x; echo 3 >y; echo 4 >d/f; echo 5 >target");
    until_end(&mut watcher, &work).await;
    let script = "mv a b; mv b c; mv x t; mv y x; mv t y; mv d e/d; mv e/d/f e/d/g; echo >>e/d/g
        echo new >.tmp; mv .tmp target; mv nowhere . 2>&- || :; mv c /tmp/$$; rm /tmp/$$";
    let changes = told(&runner, &mut watcher, &work, script).await;
    assert_eq!(
        shorts(&changes),
        ["delete a", "modify target", "modify x", "modify y", "rename d e/d", "rename e/d/f e/d/g"],
    );
    let changes =
        told(&runner, &mut watcher, &work, "echo >e/d/inner; mv e/d z; echo >z/inner2").await;
    assert_eq!(shorts(&changes), ["create z/inner", "create z/inner2", "rename e/d z"]);
    let changes = told(&runner, &mut watcher, &work, "mv z/g z/h; mv z/h last").await;
    assert_eq!(shorts(&changes), ["rename z/g last"]);
    let changes =
        told(&runner, &mut watcher, &work, "mkdir one two; mv one three; mv two one").await;
    assert_eq!(shorts(&changes), ["create one", "create three"]);
}

#[tokio::test]
async fn a_client_that_listed_in_between_is_never_wrong() {
    listed_in_between(WatchSettings::default()).await;
    let polled = WatchSettings { max_folders: 1, poll_every_ms: 700, ..WatchSettings::default() };
    listed_in_between(polled).await;
}

async fn listed_in_between(settings: WatchSettings) {
    let runner = Runner::start().await;
    equip(&mut runner.line().await, settings).await;
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

#[tokio::test]
async fn ignored_paths_are_not_told_and_their_rules_may_change() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    let script =
        "mkdir -p node_modules/x a/__pycache__ build; touch node_modules/x/y a/__pycache__/z
        touch a/f~ .g.swp build/one; printf '/build\n*.log\n!keep.log\n' >.gitignore
        touch x.log keep.log a/y.log";
    let changes = told(&runner, &mut watcher, &work, script).await;
    assert_eq!(shorts(&changes), ["create .gitignore", "create a", "create keep.log"]);
    let script = "printf '*.tmp\n!y.log\n' >a/.gitignore; touch a/p.tmp; echo >build/two";
    let changes = told(&runner, &mut watcher, &work, script).await;
    assert_eq!(shorts(&changes), ["create a/.gitignore", "create a/y.log"]);
    let changes = told(&runner, &mut watcher, &work, "echo '*.log' >.gitignore").await;
    assert_eq!(
        shorts(&changes),
        ["create build", "create build/one", "create build/two", "modify .gitignore"],
    );
    let changes = told(&runner, &mut watcher, &work, "echo >build/one; rm .gitignore").await;
    assert_eq!(
        shorts(&changes),
        ["create keep.log", "create x.log", "delete .gitignore", "modify build/one"],
    );
}

#[tokio::test]
async fn another_branch_is_told_once() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    let git = "git -c user.name=a -c user.email=a@b -c init.defaultBranch=main";
    told(
        &runner,
        &mut watcher,
        &work,
        &format!("{git} init -q; echo 1 >f; {git} add f; {git} commit -qm 1"),
    )
    .await;
    let changes = told(&runner, &mut watcher, &work, &format!("{git} checkout -qb other")).await;
    assert_eq!(shorts(&changes), ["branch_changed .git/HEAD"]);
    let changes = told(
        &runner,
        &mut watcher,
        &work,
        &format!("echo 2 >f; {git} commit -qam 2; {git} checkout -q main"),
    )
    .await;
    let mut told = shorts(&changes);
    told.dedup(); // it may have taken a while
    assert_eq!(told, ["branch_changed .git/HEAD", "modify f"]);
}

#[tokio::test]
async fn links_are_entries_and_are_never_followed() {
    let runner = Runner::start().await;
    let outside = tempfile::tempdir().unwrap();
    let (mut watcher, work) = watched(&runner).await;
    let link = format!("ln -s {} link; mkdir d; ln -s d inner", outside.path().display());
    let changes = told(&runner, &mut watcher, &work, &link).await;
    assert_eq!(shorts(&changes), ["create d", "create inner", "create link"]);
    let script = format!("touch {}/secret link/other inner/f", outside.path().display());
    let changes = told(&runner, &mut watcher, &work, &script).await;
    assert_eq!(shorts(&changes), ["create d/f"]);
    let swap = format!("mv d e; ln -s {} d; echo >e/g", outside.path().display());
    let changes = told(&runner, &mut watcher, &work, &swap).await;
    assert_eq!(shorts(&changes), ["create d", "create e/g", "rename d e"]);
}

#[tokio::test]
async fn who_did_it_is_told() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    let mut line = runner.line().await;
    let op = |op: serde_json::Value| serde_json::from_value(op).unwrap();
    for wanted in [
        json!({ "op": "create", "path": "p/q/a", "content": "1", "create_parents": true }),
        json!({ "op": "write", "path": "b", "content": "2", "force": true }),
        json!({ "op": "mkdir", "path": "c" }),
    ] {
        let origin = Some("client:s/1".to_owned());
        let answer = line.call(Call::File { op: op(wanted), origin }).await;
        assert!(matches!(answer, Answer::FileDone { .. }), "{answer:?}");
    }
    sh(&work, "echo >shell");
    let changes = until_end(&mut watcher, &work).await;
    for change in changes.iter().filter(|change| change.path != "end") {
        let origin = if change.path == "shell" { "shell" } else { "client:s/1" };
        assert_eq!(change.origin, origin, "{change:?}");
    }
    assert_eq!(changes.len(), 8, "{changes:?}");
    let origin = Some("client:s/2".to_owned());
    line.call(Call::File {
        op: op(json!({ "op": "delete", "path": "p", "recursive": true })),
        origin,
    })
    .await;
    let changes = watcher.until(|change| change.path == "p").await;
    assert!(changes.iter().all(|change| change.origin == "client:s/2"), "{changes:?}");

    for (source, origin) in [(Source::Agent, "agent"), (Source::User, "shell")] {
        let action = blocking(&format!("echo >by-{origin}; sleep 0.3"));
        let act = Call::Act { key: origin.into(), action, limits: limits(), source: Some(source) };
        let id = line.begin(act).await;
        let path = format!("by-{origin}");
        let changes = watcher.until(|change| change.path == path).await;
        assert_eq!(changes.last().unwrap().origin, origin);
        check(&line.ran(id).await, 0, "");
        until_end(&mut watcher, &work).await;
        eventually("the agent's last action is over", async || {
            fs::write(work.join("mark"), "").unwrap();
            let changes = watcher.until(|change| change.path == "mark").await;
            (changes.last()?.origin == "shell").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_reader_chooses_what_it_hears_and_comes_back_to_where_it_was() {
    let runner = Runner::start().await;
    let interest = json!({ "paths": ["src/**", "*.md"], "content": "small" });
    let mut watcher = Watcher::open(&runner, "", interest).await;
    let first = watcher.next().await;
    let work = runner.workspace();
    sh(
        &work,
        "mkdir src doc; echo text >src/a; echo no >doc/b; printf '\\377' >src/binary; echo >x.md
        head -c 70000 /dev/zero >src/large",
    );
    let changes = watcher.until(|change| change.path == "x.md").await;
    let told: Vec<_> = changes.iter().map(|c| (&*c.path, c.content.as_deref())).collect();
    let mut told = told;
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("src/a", Some("text\n")),
            ("src/binary", None),
            ("src/large", None),
            ("x.md", Some("\n"))
        ]
    );
    watcher.say(json!({})).await;
    sh(&work, "echo >doc/c");
    watcher.until(|change| change.path == "doc/c").await;
    drop(watcher);

    let back = format!("?epoch={}&since={}", first.epoch, first.seq);
    let mut again = Watcher::open(&runner, &back, json!({})).await;
    let here = again.next().await;
    assert_eq!((here.resync, here.seq, here.changes.len()), (false, first.seq, 0));
    let all = again.until(|change| change.path == "doc/c").await;
    assert_eq!(all.len(), 8, "each once: {all:?}");
    for unknown in
        [format!("?epoch=other&since={}", first.seq), format!("?epoch={}&since=99", first.epoch)]
    {
        let mut other = Watcher::open(&runner, &unknown, json!({})).await;
        let answer = other.next().await;
        assert!(answer.resync && answer.epoch == first.epoch, "{answer:?}");
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_nothing_and_lists_again() {
    let runner = Runner::start().await;
    let mut slow = Watcher::open(&runner, "", json!({})).await;
    let first = slow.next().await;
    let mut client = Client::join(&runner).await;
    let work = runner.workspace();
    for round in 0..12 {
        sh(
            &work,
            &format!(
                "mkdir r{round}; cd r{round}; for i in $(seq 800); do echo >a-long-name-$i; done"
            ),
        );
        client.settle(&format!("r{round}")).await;
    }
    let mut resynced = false;
    let mut last = first;
    while last.seq < client.mirror.seq {
        last = slow.next().await;
        resynced |= last.resync;
    }
    assert!(resynced, "it was too far behind");
}

#[tokio::test]
async fn watching_ends_a_while_after_the_last_reader_and_begins_anew() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    equip(&mut line, WatchSettings { linger_ms: 3000, ..WatchSettings::default() }).await;
    let mut watcher = Watcher::open(&runner, "", json!({})).await;
    let first = watcher.next().await;
    drop(watcher);
    let back = format!("?epoch={}&since={}", first.epoch, first.seq);
    let mut watcher = Watcher::open(&runner, &back, json!({})).await;
    assert!(!watcher.next().await.resync, "it lingered");
    drop(watcher);
    let inotify = format!("/proc/{}/fd", runner.pid());
    let count = || {
        let fds =
            fs::read_dir(&inotify).unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        fds.filter(|link| link.to_string_lossy().contains("inotify")).count()
    };
    assert_eq!(count(), 1);
    eventually("watching ends", async || (count() == 0).then_some(())).await;
    let mut watcher = Watcher::open(&runner, &back, json!({})).await;
    let anew = watcher.next().await;
    assert!(anew.resync && anew.epoch != first.epoch && anew.seq == 0, "{anew:?}");
}

#[tokio::test]
async fn the_workspace_itself_is_told_when_it_goes() {
    let runner = Runner::start().await;
    let (mut watcher, work) = watched(&runner).await;
    fs::rename(&work, work.with_file_name("elsewhere")).unwrap();
    watcher.until(|change| short(change) == "delete ").await;
}

#[tokio::test]
async fn without_enough_watches_everything_is_looked_at() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let few = WatchSettings { max_folders: 3, poll_every_ms: 50, ..WatchSettings::default() };
    equip(&mut line, few).await;
    let mut client = Client::join(&runner).await;
    let work = runner.workspace();
    sh(&work, "mkdir -p a/b/c/d; echo 1 >a/b/c/d/e");
    client.settle("").await;
    sh(&work, "echo 2 >a/b/c/d/e; mv a/b z; mkdir -p a/b; rm -rf z/c; ln -s x a/y");
    client.settle("").await;
    let mut watcher = Watcher::open(&runner, "", json!({})).await;
    assert_eq!(watcher.next().await.mode, WatchMode::Poll);
}

#[tokio::test]
async fn what_is_no_interest_is_refused() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let key = [(KEY_HEADER, common::KEY)];
    let (status, ..) = runner.http(Method::GET, "/watch?since=x", &key, "").await;
    assert_eq!(status, 400);
    let too_many = json!({ "paths": vec!["a"; 65] });
    let mut watcher = Watcher::open(&runner, "", too_many).await;
    assert!(watcher.is_closed().await);
    check(&line.run("echo lives").await, 0, "lives");
}
