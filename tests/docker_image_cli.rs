//! `staithe image …` on a real engine: what a person does from building to removing, and Ctrl-C.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use common::{PROMPT, docker, processes};
use serde_json::{Value, json};

/// A data directory and a configuration; the images go with it.
struct Place {
    dir: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        let text = format!(
            "[server]\ndata_dir = \"{}\"\n[sandbox]\nbase_container_image = \"{}\"\n[sandbox.docker]\nhost = \"{}\"\n\
             pull = \"never\"\n[sandbox.image]\nrepository = \"{}\"\n{more}",
            dir.path().join("data").display(),
            docker::IMAGE,
            docker::host(),
            docker::repository(),
        );
        fs::write(&config, text).unwrap();
        Self { dir, config }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_staithe"));
        command.arg("image").args(words).arg("--config").arg(&self.config).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    #[track_caller]
    fn text(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[words, &["--json"]].concat())).unwrap()
    }

    /// An image whose last line is this one.
    #[track_caller]
    fn build(&self, line: &str) -> Value {
        let line = format!("echo {line} {} > /made", std::process::id());
        self.json(&["build", "--extra-deps", &line])
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Names of all that it has on the engine.
    fn there(&self) -> Vec<String> {
        let owner = docker::owner(&self.data()).unwrap();
        let label = format!("label=staithe.owner={owner}");
        let words = ["images", "--filter", &label, "--format", "{{.Repository}}:{{.Tag}}"];
        docker::docker(&words).lines().map(str::to_owned).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(owner) = docker::owner(&self.data()) {
            docker::remove_all(&owner);
        }
    }
}

#[test]
fn a_person_builds_looks_explains_prunes_and_removes() {
    let place = Place::new("keep = 0\n");
    let one = place.build("one");
    assert_eq!(one["built_from"], "scratch");
    let two = place.build("two");
    assert_eq!(two["built_from"], "lock", "only the line is new: {two}");
    assert_eq!((&one["lock"], &one["versioned"]), (&two["lock"], &two["versioned"]));
    assert_eq!(place.there().len(), 4);

    let all = place.json(&["ls"]);
    let stages: Vec<&str> =
        all.as_array().unwrap().iter().map(|image| image["stage"].as_str().unwrap()).collect();
    assert_eq!(stages.iter().filter(|stage| **stage == "source").count(), 2, "{all}");
    let shown = place.text(&["ls"]);
    assert!(shown.contains(two["source"].as_str().unwrap()), "{shown}");

    let told =
        place.json(&["explain", one["source"].as_str().unwrap(), "--extra-deps", "echo three"]);
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{told}");
    assert_eq!(
        (&changes[0]["field"], &changes[0]["after"]),
        (&json!("extra_deps"), &json!("echo three"))
    );
    assert_eq!(told["rebuilds_from"], "lock");
    let words = place.text(&["explain", one["source"].as_str().unwrap()]);
    assert!(words.contains("+ ") || words.contains("- "), "{words}");
    let bill = place.text(&["explain", one["source"].as_str().unwrap(), "--sbom", "-"]);
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let purls = bill["components"].as_array().unwrap();
    assert!(purls.iter().any(|it| it["name"] == "ripgrep"), "what the recipe installed: {bill}");

    let text = fs::read_to_string(&place.config).unwrap().replace("keep = 0", "keep = 1");
    fs::write(&place.config, text).unwrap();
    let line = format!("echo two {} > /made", std::process::id());
    let plan = place.json(&["prune", "--dry-run", "--extra-deps", &line]);
    assert_eq!(plan[0]["name"], one["source"], "{plan}");
    assert_eq!(place.there().len(), 4, "nothing went");
    place.text(&["prune", "--extra-deps", &line]);
    assert_eq!(place.there().len(), 3);
    assert_eq!(place.json(&["prune", "--extra-deps", &line]), json!([]), "once is enough");

    let foreign = place.run(&["rm", docker::IMAGE]);
    assert_eq!(foreign.status.code(), Some(64), "only what is ours is removed");
    for name in ["source", "lock", "versioned"] {
        place.text(&["rm", two[name].as_str().unwrap()]);
    }
    assert_eq!(place.there(), Vec::<String>::new());
}

#[test]
fn a_changed_base_is_told_and_built_upon_when_that_is_wished() {
    let place = Place::new("rebuild = \"base\"\n");
    let base = format!("staithe-test/moving:{}", std::process::id());
    docker::docker(&["tag", "staithe-test/busybox:1", &base]);
    let words = ["--base-image", &base, "--extra-deps", "echo here > /made"];
    let build = |place: &Place| place.json(&[&["build"], &words[..]].concat());
    let first = build(&place);
    assert_eq!(build(&place)["built_from"], Value::Null);
    docker::docker(&["tag", "staithe-test/odd:1", &base]);
    let told = place.json(&[&["explain"], &words[..]].concat());
    assert_eq!(told["base_changed"], true, "{told}");
    let second = build(&place);
    docker::docker(&["rmi", &base]);
    assert_eq!(second["built_from"], "scratch", "{second}");
    assert_eq!(second["source"], first["source"], "the name is of what was asked");
    assert_ne!(second["id"], first["id"]);
    let user =
        ["image", "inspect", second["source"].as_str().unwrap(), "--format", "{{.Config.User}}"];
    assert_eq!(docker::docker(&user).trim(), "4711:4711", "who it ran as is kept");
}

#[test]
fn finished_stages_come_from_a_folder_when_the_engine_has_none() {
    let kept = tempfile::tempdir().unwrap();
    let more = format!("cache_dir = \"{}\"\n", kept.path().display());
    let place = Place::new(&more);
    let one = place.build("kept");
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 3, "all three stages");
    for name in ["source", "lock", "versioned"] {
        place.text(&["rm", one[name].as_str().unwrap()]);
    }
    let again = place.build("kept");
    assert_eq!(
        (&again["built_from"], &again["id"]),
        (&Value::Null, &one["id"]),
        "taken in: {again}"
    );
    place.text(&["rm", one["source"].as_str().unwrap()]);
    assert_eq!(place.build("other")["built_from"], "lock", "which is in the folder only");
}

#[tokio::test]
async fn ctrl_c_ends_a_build_and_leaves_nothing_half_made() {
    for builder in ["classic", "buildkit"] {
        let place = Place::new("");
        let line = format!("echo begun {}; sleep 611", std::process::id());
        let mut build = place
            .command(&["build", "--builder", builder, "--extra-deps", &line])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(build.stderr.take().unwrap()).lines();
        let began = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("sleep 611")));
        assert!(began.is_some(), "{builder}: the step was told");
        processes::interrupt(build.id());
        let rest: Vec<String> = said.map_while(Result::ok).collect();
        assert_eq!(build.wait().unwrap().code(), Some(130), "{builder}: {rest:?}");
        assert!(rest.iter().any(|line| line.contains("interrupted")), "{builder}: {rest:?}");
        assert!(sleep_ends().await, "{builder}: its step runs on");
        let owner = docker::owner(&place.data()).unwrap();
        // The engine ends a step's container a moment after its client is gone.
        let gone = common::eventually(PROMPT, || docker::containers(&owner).is_empty()).await;
        assert!(gone, "{builder}: {:?}", docker::containers(&owner));
        assert!(
            place.there().iter().all(|name| !name.contains("<none>")),
            "{builder}: {:?}",
            place.there()
        );
    }
}

/// Whether no process of this machine sleeps as the test's step does.
async fn sleep_ends() -> bool {
    let look = || {
        let found = Command::new("pgrep").args(["-fx", "sleep 611"]).output().unwrap();
        String::from_utf8_lossy(&found.stdout).lines().count()
    };
    common::eventually(PROMPT, || look() == 0).await
}

#[test]
fn two_at_once_make_one_build() {
    let place = Place::new("");
    let line = format!("sleep 2; date +%s%N > /made; echo {}", std::process::id());
    let run = || {
        let mut command = place.command(&["build", "--json", "--extra-deps", &line]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [run(), run()].map(|build| build.wait_with_output().unwrap());
    let told =
        both.each_ref().map(|output| serde_json::from_slice::<Value>(&output.stdout).unwrap());
    assert_eq!(told[0]["id"], told[1]["id"]);
    let made = told.iter().filter(|told| told["built_from"] != Value::Null).count();
    assert_eq!(made, 1, "{told:?}");
    let waited = both.iter().any(|output| {
        String::from_utf8_lossy(&output.stderr).contains("another process builds this image")
    });
    assert!(waited, "one of them waited");
    assert!(Path::new(&place.data()).join("images/locks").exists());
}
