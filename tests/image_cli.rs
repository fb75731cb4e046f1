//! `staithe image build --build-folder` and wrong input: all that needs no engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn staithe(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_staithe"))
        .arg("image")
        .args(words)
        .args(["--data-dir", dir.join("data").to_str().unwrap()])
        .env("STAITHE__SANDBOX__DOCKER__HOST", "unix:///nowhere/docker.sock")
        .output()
        .unwrap()
}

/// Every file of a folder with its bytes and mode.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, (fs::read(&path).unwrap(), mode));
            }
        }
    }
    found
}

/// The source name of what these words write into a folder.
fn written(dir: &Path, folder: &str, words: &[&str]) -> String {
    let folder = dir.join(folder);
    let all = [&["build", "--json", "--build-folder", folder.to_str().unwrap()], words].concat();
    let output = staithe(dir, &all);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    let names: Value = serde_json::from_slice(&output.stdout).unwrap();
    names["source"].as_str().unwrap().to_owned()
}

#[test]
fn a_build_folder_is_the_same_to_the_byte_and_needs_no_engine() {
    let dir = tempfile::tempdir().unwrap();
    let words = [
        "--base-image",
        "registry.example:5000/team/debian:12@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "--plugins",
        "jupyter,vscode,browser",
        "--extra-deps",
        "echo 'it is'\necho \"$A\" \\\\",
        "--build-arg",
        "A=b c",
        "--user",
        "dev:1000",
    ];
    let first = written(dir.path(), "a", &words);
    let second = written(dir.path(), "b", &words);
    assert_eq!(first, second);
    let (a, b) = (files(&dir.path().join("a")), files(&dir.path().join("b")));
    assert_eq!(a, b);
    assert!(a.contains_key(Path::new("Dockerfile")), "{:?}", a.keys());
    // Once more into the same folder: nothing is added, nothing is different.
    assert_eq!(written(dir.path(), "a", &words), first);
    assert_eq!(files(&dir.path().join("a")), a);
    let script = String::from_utf8(a[Path::new("config.sh")].0.clone()).unwrap();
    let tag = first.rsplit(':').next().unwrap();
    assert!(script.contains(&format!("DOCKER_IMAGE_SOURCE_TAG={tag}\n")), "{script}");
}

#[test]
fn each_flag_changes_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let base: &[&str] = &["--base-image", "debian:12"];
    let plain = written(dir.path(), "plain", base);
    let mut seen = BTreeMap::from([(plain, "nothing".to_owned())]);
    for (number, more) in [
        &["--plugins", "jupyter"][..],
        &["--extra-deps", "true"],
        &["--extra-deps", "false"],
        &["--build-arg", "A=1"],
        &["--platform", "linux/arm64"],
        &["--system", "dnf"],
        &["--user", "dev:1000"],
        &["--tools-image", "debian:12"],
        &["--base-image", "debian:13"],
    ]
    .into_iter()
    .enumerate()
    {
        let words = if more[0] == "--base-image" { more.to_vec() } else { [base, more].concat() };
        let name = written(dir.path(), &number.to_string(), &words);
        let before = seen.insert(name, format!("{more:?}"));
        assert_eq!(before, None, "{more:?} has the name of another");
    }
    // What the reference's command line is called with.
    let folder = dir.path().join("old");
    let output = staithe(
        dir.path(),
        &["build", "--base_image", "debian:12", "--build_folder", folder.to_str().unwrap()],
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_input_and_a_missing_engine_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("thesis.txt"), "mine").unwrap();
    for (words, code, says) in [
        (&["build", "--plugins", "emacs"][..], 64, "emacs is no plugin"),
        (&["build", "--base-image", "A B"], 64, "base_container_image"),
        (&["build", "--platform", "amd64"], 64, "sandbox.platform"),
        (&["build", "--user", "root:0"], 64, "NAME:UID"),
        (&["build", "--build-arg", "1x=y"], 64, "1x"),
        (&["build", "--builder", "make"], 64, "--builder"),
        (&["build", "--system", "pacman"], 64, "--system"),
        (&["build", "--extra-deps", "@/nowhere/lines"], 64, "/nowhere/lines"),
        (&["build", "--plugins", "vscode", "--base-image", "alpine:3"], 1, "musl"),
        (&["build", "--base-image", "debian:12"], 69, "nowhere"),
        (&["ls"], 69, "nowhere"),
        (&["explain"], 69, "nowhere"),
        (&["prune", "--dry-run"], 69, "nowhere"),
        (
            &["build", "--base-image", "debian:12", "--build-folder", mine.to_str().unwrap()],
            1,
            "thesis.txt",
        ),
    ] {
        let musl = dir.path().join("musl");
        let folder = ["--build-folder", musl.to_str().unwrap()];
        let words = if says == "musl" { [words, &folder].concat() } else { words.to_vec() };
        let output = staithe(dir.path(), &words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
    }
    assert_eq!(fs::read_to_string(mine.join("thesis.txt")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 1, "nothing was written beside it");
}
