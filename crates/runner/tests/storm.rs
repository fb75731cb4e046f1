//! Storms: many files at a time cost bounded memory and a bounded number of frames, and the mirror is
//! right at the end.

mod common;
mod mirror;

use std::{fs, path::Path, process::Command};

use common::Runner;
use mirror::Client;
use tokio::time::Instant;

const FOLDERS: usize = 500;
const IN_EACH: usize = 100;
/// What watching 50,000 files may cost the runner, in bytes, storms and all.
const MOST_GROWTH: u64 = 24 * 1024 * 1024;
/// The most changes in one frame; only the last frame of a look may have fewer.
const IN_A_FRAME: usize = 200;
/// It is looked once things were quiet for 100 ms, or after a second.
const LOOKS_A_SECOND: usize = 10;

fn git(work: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"]).args(args);
    assert!(command.current_dir(work).status().expect("git").success(), "{args:?}");
}

/// Writes files, some of them in `node_modules`.
fn write(work: &Path, folders: std::ops::Range<usize>, prefix: &str, content: &str) {
    for folder in folders {
        let folder = work.join(format!("{prefix}{folder}"));
        fs::create_dir_all(&folder).expect("a folder");
        for file in 0..IN_EACH {
            fs::write(folder.join(format!("file-{file}.txt")), content).expect("a file");
        }
    }
}

/// Lets something happen that changes so many files while the client takes what it is told, until all
/// is quiet.
async fn during(client: &mut Client, changes: usize, storm: impl FnOnce() + Send + 'static) {
    let (began, batches) = (Instant::now(), client.mirror.batches);
    let mut storm = tokio::task::spawn_blocking(storm);
    loop {
        let batch = tokio::select! {
            done = &mut storm => break done.expect("the storm is done"),
            batch = client.watcher.next() => batch,
        };
        client.mirror.take(batch, &mut client.line).await;
    }
    client.settle("").await;
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("small") + 2;
    let frames = client.mirror.batches - batches;
    let most = changes / IN_A_FRAME + seconds * LOOKS_A_SECOND;
    assert!(frames <= most, "{frames} frames in {seconds} s for {changes} changes");
}

#[tokio::test]
async fn a_checkout_and_an_install_among_fifty_thousand_files_are_survived() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    write(&work, 0..FOLDERS, "folder-", "one\n");
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "one"]);
    git(&work, &["checkout", "-qb", "other"]);
    write(&work, 0..FOLDERS / 5, "folder-", "two\n");
    git(&work, &["commit", "-qam", "two"]);
    let idle = runner.resident();
    let mut client = Client::join(&runner).await;
    let grown = |what: &str| {
        let growth = runner.resident().saturating_sub(idle);
        assert!(growth <= MOST_GROWTH, "{what}: {growth} bytes");
    };
    client.settle("").await;
    grown("50,000 files known");

    let folder = work.clone();
    during(&mut client, 10_000, move || git(&folder, &["checkout", "-q", "main"])).await;
    grown("a checkout of 10,000");

    let folder = work.clone();
    during(&mut client, 2_020, move || {
        write(&folder, 0..200, "node_modules/package-", "module\n");
        write(&folder, 0..20, "built-", "outside\n");
    })
    .await;
    grown("an install of 20,000");

    let folder = work.clone();
    during(&mut client, 25_250, move || {
        for n in 0..FOLDERS / 2 {
            fs::remove_dir_all(folder.join(format!("folder-{n}"))).expect("it is there");
        }
        fs::rename(folder.join("folder-300"), folder.join("renamed")).expect("it is there");
    })
    .await;
    grown("a removal of 25,000");
}
