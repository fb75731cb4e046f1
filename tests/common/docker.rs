//! The Docker daemon of the tests, through its own client: what a server has there, and its removal.
//!
//! Tests that need it are in programs whose names begin with `docker`; `bash scripts/test docker` runs
//! them.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// The image of the tests' sandboxes: Debian with bash and git.
pub const IMAGE: &str = "staithe-test/base:1";

/// A repository that no other test has, nor an earlier run that was cut off.
pub fn repository() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("staithe-test/built-{}-{number}", std::process::id())
}

/// The daemon's address.
///
/// # Panics
///
/// When there is none: a test that is not run must not look as if it had passed.
pub fn host() -> String {
    std::env::var("STAITHE_TEST_DOCKER").expect(
        "STAITHE_TEST_DOCKER names no Docker daemon. Run `bash scripts/test docker`; or run \
         `tests/support/docker up images` and set it to what `tests/support/docker env` prints",
    )
}

/// Settings of a server that uses this daemon.
pub fn settings() -> Vec<(String, String)> {
    let docker = |key: &str| format!("STAITHE__SANDBOX__DOCKER__{key}");
    vec![
        (docker("HOST"), host()),
        (docker("PULL"), "never".to_owned()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE".to_owned(), IMAGE.to_owned()),
    ]
}

/// Runs `docker` with these words; what it printed.
#[track_caller]
pub fn docker(words: &[&str]) -> String {
    let output = try_docker(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {said}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same, when it may fail.
pub fn try_docker(words: &[&str]) -> Output {
    let mut docker = Command::new("docker");
    // Whatever the surroundings say, it is this daemon.
    for name in ["DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
        docker.env_remove(name);
    }
    docker.args(["--host", &host()]).args(words).stdin(Stdio::null());
    docker.output().expect("docker's client is there: apt-get install docker.io")
}

/// The installation that made things, by its data directory: none before its first start.
pub fn owner(data_dir: &Path) -> Option<String> {
    let owner = fs::read_to_string(data_dir.join("installation")).ok()?;
    Some(owner.trim().to_owned())
}

/// Ids of an owner's containers, in whatever state.
pub fn containers(owner: &str) -> Vec<String> {
    labelled(&["ps", "--all", "--no-trunc"], owner)
}

/// Ids of an owner's networks.
pub fn networks(owner: &str) -> Vec<String> {
    labelled(&["network", "ls", "--no-trunc"], owner)
}

/// Names of an owner's volumes.
pub fn volumes(owner: &str) -> Vec<String> {
    labelled(&["volume", "ls"], owner)
}

#[track_caller]
fn labelled(list: &[&str], owner: &str) -> Vec<String> {
    let label = format!("label=staithe.owner={owner}");
    let found = docker(&[list, &["--quiet", "--filter", &label]].concat());
    found.split_whitespace().map(str::to_owned).collect()
}

/// Processes of this machine that are in one of these containers, also those that an exec started.
pub fn processes(containers: &[String]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inside = |pid: &u32| {
        // One that is gone, or only waits to be reaped, is in none.
        let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        containers.iter().any(|id| group.contains(id.as_str()))
            && !super::processes::command(*pid).is_empty()
    };
    pids.filter(inside).collect()
}

/// All that an owner has, in words.
pub fn described(owner: &str) -> Vec<String> {
    let shown = |kind: &str, ids: Vec<String>| {
        ids.into_iter().map(|id| format!("{kind} {id}")).collect::<Vec<_>>()
    };
    [
        shown("container", containers(owner)),
        shown("network", networks(owner)),
        shown("volume", volumes(owner)),
    ]
    .concat()
}

/// Removes all that an owner has. Best effort: it is called while a test may be failing.
pub fn remove_all(owner: &str) {
    let label = format!("label=staithe.owner={owner}");
    for (list, remove) in [
        (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
        (&["network", "ls"], &["network", "rm"]),
        (&["volume", "ls"], &["volume", "rm"]),
        (&["images", "--all"], &["rmi", "--force"]),
    ] {
        let found = try_docker(&[list, &["--quiet", "--filter", &label]].concat());
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let found: Vec<_> = found.split_whitespace().collect();
        if !found.is_empty() {
            try_docker(&[remove, &found].concat());
        }
    }
}
