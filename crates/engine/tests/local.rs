//! The local engine with the real launcher: real processes, namespaces and files.
//!
//! The runner's place is taken by a shell script of the test's, `serve.sh` in the workspace.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, process::Command, time::Duration};

use futures_util::StreamExt;
use staithe_engine::{
    Engine, EngineFailed, Labels, Line, SandboxSpec, SandboxState,
    local::{LocalConfig, LocalEngine, Network, Tier},
};
use staithe_protocol::SandboxId;
use tokio::time::{Instant, timeout};

use stage::{LONG, Stage, count, eventually, odd_sleep, runner, spec, stubborn};

mod stage;

async fn state(engine: &LocalEngine, name: &str) -> Option<SandboxState> {
    let labels = Labels::from([("name".to_owned(), name.to_owned())]);
    engine.find(&labels).await.unwrap().first().map(|s| s.state)
}

#[tokio::test]
async fn a_sandbox_is_made_found_started_stopped_and_removed() {
    let stage = Stage::new(Tier::Auto);
    let engine = stage.engine();
    assert_eq!(engine.isolation().tier, "namespaces");
    let all = Labels::from([("all".to_owned(), "yes".to_owned())]);
    assert_eq!(engine.find(&all).await.unwrap(), []);

    let made = engine.create(&spec("one")).await.unwrap();
    assert_eq!(made.state, SandboxState::Stopped);
    assert_eq!(engine.find(&all).await.unwrap(), std::slice::from_ref(&made));
    let other = Labels::from([("all".to_owned(), "no".to_owned())]);
    assert_eq!(engine.find(&other).await.unwrap(), []);
    let taken = engine.create(&spec("one")).await;
    assert!(matches!(taken, Err(EngineFailed::NameTaken(name)) if name == "one"));

    let workspace = stage.workspace("one");
    fs::write(
        workspace.join("serve.sh"),
        "read key; echo \"$key $GREETING\" > got; touch /run/staithe/runner.sock; sleep 1000",
    )
    .unwrap();
    engine.start(&made.id, "the key").await.unwrap();
    engine.start(&made.id, "the key").await.unwrap();
    assert_eq!(state(&engine, "one").await, Some(SandboxState::Running));
    let Line::Unix(socket) = engine.line(&made.id).await.unwrap() else { panic!("no socket") };
    eventually("the socket is at the line", || socket.exists()).await;
    assert_eq!(fs::read_to_string(workspace.join("got")).unwrap(), "the key hello\n");
    let stats = engine.stats(&made.id).await.unwrap();
    assert!(stats.processes >= 1 && stats.memory_bytes > 0, "{stats:?}");

    engine.stop(&made.id, Duration::ZERO).await.unwrap();
    engine.stop(&made.id, Duration::ZERO).await.unwrap();
    assert_eq!(state(&engine, "one").await, Some(SandboxState::Stopped));
    assert_eq!(engine.stats(&made.id).await.unwrap().processes, 0);
    engine.remove(&made.id, false).await.unwrap();
    engine.remove(&made.id, false).await.unwrap();
    assert_eq!(state(&engine, "one").await, None);
    assert!(workspace.join("got").exists(), "a workspace outlives its sandbox");
    engine.remove(&made.id, true).await.unwrap();
    assert!(!workspace.exists());
    assert!(matches!(engine.stats(&made.id).await, Err(EngineFailed::NotFound(_))));
}

#[tokio::test]
async fn what_it_cannot_make_is_refused_with_a_remedy() {
    let stage = Stage::new(Tier::None);
    let engine = stage.engine();
    let image = SandboxSpec { image: Some("debian".into()), ..spec("one") };
    let long = SandboxSpec { name: "x".repeat(101), ..spec("one") };
    let path = SandboxSpec { name: "../one".into(), ..spec("one") };
    for bad in [image, long, path] {
        match engine.create(&bad).await {
            Err(EngineFailed::Unsupported { remedy, .. }) => assert!(!remedy.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    let id = SandboxId("../workspaces".into());
    assert!(matches!(engine.start(&id, "").await, Err(EngineFailed::NotFound(_))));
    engine.remove(&id, true).await.unwrap();
    assert!(stage.data().join("workspaces").exists());
    assert_eq!(fs::read_dir(stage.data().join("sandboxes")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_stop_ends_the_whole_tree_however_stubborn() {
    for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
        let (stage, word) = (Stage::new(tier), odd_sleep());
        let engine = stage.engine();
        let id = stage.run(&engine, "one", &stubborn(&word)).await;
        let ready = stage.workspace("one").join("ready");
        eventually("it is ready", || ready.exists() && count(&word) == 2).await;
        engine.stop(&id, Duration::from_millis(50)).await.unwrap();
        assert_eq!(count(&word), 0, "{tier:?}");
        assert_eq!(state(&engine, "one").await, Some(SandboxState::Stopped));
        engine.remove(&id, true).await.unwrap();
    }
}

#[tokio::test]
async fn a_polite_sandbox_ends_within_its_grace_and_says_how() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let stage = Stage::new(tier);
        let engine = stage.engine();
        let mut exits = engine.exits();
        let script = "trap 'exit 7' TERM; touch ready; while :; do sleep 0.02; done";
        let id = stage.run(&engine, "one", script).await;
        eventually("it is ready", || stage.workspace("one").join("ready").exists()).await;
        engine.stop(&id, LONG).await.unwrap();
        let exited = timeout(LONG, exits.next()).await.unwrap().unwrap();
        assert_eq!((exited.id, exited.code), (id, Some(7)), "{tier:?}");
    }
}

#[tokio::test]
async fn an_engine_after_a_crash_finds_what_runs_and_stops_it() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let (stage, word) = (Stage::new(tier), odd_sleep());
        let id = stage.run(&stage.engine(), "one", &stubborn(&word)).await;
        eventually("it is ready", || count(&word) == 2).await;

        let second = stage.engine();
        let mut exits = second.exits();
        assert_eq!(state(&second, "one").await, Some(SandboxState::Running));
        second.start(&id, "another key").await.unwrap();
        assert_eq!(count(&word), 2, "a running sandbox is left as it is");
        second.stop(&id, Duration::ZERO).await.unwrap();
        assert_eq!(count(&word), 0, "{tier:?}");
        let exited = timeout(LONG, exits.next()).await.unwrap().unwrap();
        assert_eq!((exited.name.as_str(), exited.code), ("one", None));
        second.remove(&id, true).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_launcher_leaves_nothing_that_a_stop_does_not_end() {
    for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
        let (stage, word) = (Stage::new(tier), odd_sleep());
        let engine = stage.engine();
        let mut exits = engine.exits();
        let script = format!("(setsid sleep {word} &)\nsleep {word}");
        let id = stage.run(&engine, "one", &script).await;
        eventually("it is ready", || count(&word) == 2).await;
        kill(launcher_of(&stage, "one"));
        let exited = timeout(LONG, exits.next()).await.unwrap().unwrap();
        assert_eq!(exited.code, Some(128 + 9));
        engine.stop(&id, Duration::ZERO).await.unwrap();
        assert_eq!(count(&word), 0, "{tier:?}");
        engine.start(&id, "key").await.unwrap();
        eventually("it runs again", || count(&word) == 2).await;
        engine.remove(&id, true).await.unwrap();
        assert_eq!(count(&word), 0, "{tier:?}");
    }
}

/// The launcher's number, from the record.
fn launcher_of(stage: &Stage, name: &str) -> i32 {
    let record = record_of(stage, name);
    i32::try_from(record["process"]["pid"].as_i64().unwrap()).unwrap()
}

fn record_path(stage: &Stage, name: &str) -> PathBuf {
    stage.data().join("sandboxes").join(name).join("sandbox.json")
}

fn record_of(stage: &Stage, name: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(record_path(stage, name)).unwrap()).unwrap()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_stranger_with_the_same_number_is_spared() {
    let (stage, word) = (Stage::new(Tier::Namespaces), odd_sleep());
    let engine = stage.engine();
    let id = stage.run(&engine, "one", "sleep 1000").await;
    let mut record = record_of(&stage, "one");
    engine.stop(&id, Duration::ZERO).await.unwrap();

    let mut stranger = Command::new("sleep").arg(&word).spawn().unwrap();
    record["process"]["pid"] = stranger.id().into(); // with the launcher's start time
    fs::write(record_path(&stage, "one"), record.to_string()).unwrap();
    let engine = stage.engine();
    assert_eq!(state(&engine, "one").await, Some(SandboxState::Stopped));
    assert_eq!(engine.stats(&id).await.unwrap().processes, 0);
    engine.stop(&id, Duration::from_millis(10)).await.unwrap();
    engine.remove(&id, true).await.unwrap();
    assert_eq!(stranger.try_wait().unwrap(), None, "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_sandbox_sees_neither_the_servers_data_nor_other_workspaces() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let stage = Stage::new(tier);
        let engine = stage.engine();
        engine.create(&spec("other")).await.unwrap();
        fs::write(stage.workspace("other").join("secret"), "of another").unwrap();
        fs::write(stage.data().join("database"), "of the server").unwrap();
        let (other, data) = (stage.workspace("other"), stage.data());
        let script = format!(
            "cat {}/secret {}/database {}/sandboxes/one/sandbox.json /etc/shadow; \
             ls {} ..; env; tr '\\0' '\\n' </proc/self/environ; grep Cap /proc/self/status",
            other.display(),
            data.display(),
            data.display(),
            data.display(),
        );
        let output = stage.output(&engine, "one", &script).await;
        for secret in ["of another", "of the server", "root:", "database\n", "the key"] {
            assert!(!output.contains(secret), "{tier:?} shows {secret}: {output}");
        }
        assert!(output.contains("CapEff:\t0000000000000000"), "{output}");
        let mode = fs::metadata(&other).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }
}

#[tokio::test]
async fn without_a_network_there_is_no_route() {
    for tier in [Tier::Namespaces, Tier::Landlock] {
        let mut stage = Stage::new(tier);
        stage.network = Network::None;
        let engine = stage.engine();
        let script = "exec 3<>/dev/tcp/192.0.2.1/80 && echo reached";
        let output = stage.output(&engine, "one", script).await;
        assert!(!output.contains("reached") && !output.is_empty(), "{tier:?}: {output}");
        assert!(engine.isolation().protects.iter().any(|p| p.contains("No network")));
    }
}

#[tokio::test]
async fn files_made_inside_belong_to_the_server_and_go_with_the_workspace() {
    let stage = Stage::new(Tier::Namespaces);
    let engine = stage.engine();
    let script = "mkdir -p locked/in; echo x > locked/in/file; chmod 0 locked/in locked; id -u";
    assert_eq!(stage.output(&engine, "one", script).await, "1000\n");
    let made = fs::metadata(stage.workspace("one").join("locked")).unwrap();
    assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    engine.remove(&SandboxId("one".into()), true).await.unwrap();
    assert!(!stage.workspace("one").exists());
}

#[tokio::test]
async fn a_start_that_fails_tells_the_launchers_words_and_leaves_nothing_running() {
    let stage = Stage::new(Tier::Namespaces);
    let engine = stage.engine();
    let id = engine.create(&spec("one")).await.unwrap().id;
    fs::remove_dir(stage.workspace("one")).unwrap();
    match engine.start(&id, "key").await {
        Err(EngineFailed::Operation { operation: "start", source, remedy, .. }) => {
            let said = source.to_string();
            assert!(said.contains("staithe launcher: can't find"), "{said}");
            assert!(!remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(state(&engine, "one").await, Some(SandboxState::Stopped));
}

#[tokio::test]
async fn the_log_holds_what_the_first_process_printed() {
    let stage = Stage::new(Tier::Namespaces);
    let engine = stage.engine();
    let id = stage.run(&engine, "one", "seq 1 9; echo over >&2; touch done; sleep 1000").await;
    eventually("it is done", || stage.workspace("one").join("done").exists()).await;
    assert_eq!(engine.logs(&id, 3).await.unwrap(), ["8", "9", "over"]);
    engine.stop(&id, Duration::ZERO).await.unwrap();
    assert_eq!(engine.logs(&id, 1).await.unwrap(), ["over"]);
}

#[tokio::test]
async fn what_a_killed_server_left_half_made_is_cleared() {
    let stage = Stage::new(Tier::None);
    let draft = stage.data().join("sandboxes/.999999999-1-1");
    fs::create_dir_all(draft.join("run")).unwrap();
    stage.engine();
    assert!(!draft.exists());
}

#[tokio::test]
async fn an_engine_without_a_runner_says_so() {
    let stage = Stage::new(Tier::Auto);
    let config = LocalConfig { runner: "/not/there".into(), ..stage.config() };
    match LocalEngine::new(config).err() {
        Some(EngineFailed::Unavailable { engine: "local", cause, remedy }) => {
            assert!(cause.contains("/not/there") && !remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_starts_at_once_make_one_process_each() {
    let (stage, word) = (Stage::new(Tier::Namespaces), odd_sleep());
    let engine = stage.engine();
    let id = engine.create(&spec("one")).await.unwrap().id;
    fs::write(stage.workspace("one").join("serve.sh"), format!("exec sleep {word}")).unwrap();
    let starts = (0..8).map(|_| engine.start(&id, "key"));
    for started in futures_util::future::join_all(starts).await {
        started.unwrap();
    }
    eventually("it runs", || count(&word) > 0).await;
    assert_eq!(count(&word), 1);
    engine.stop(&id, Duration::ZERO).await.unwrap();
    assert_eq!(count(&word), 0);
}

#[tokio::test]
async fn the_real_runner_answers_on_its_line_and_ends_when_asked() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
        let stage = Stage::new(tier);
        let config = LocalConfig { runner: runner().to_owned(), ..stage.config() };
        let engine = LocalEngine::new(config).unwrap();
        let mut exits = engine.exits();
        let id = engine.create(&spec("one")).await.unwrap().id;
        // A sandbox may have made anything of the shared directory.
        fs::create_dir_all(stage.data().join("sandboxes/one/run/runner.sock/x")).unwrap();
        engine.start(&id, "the key").await.unwrap();
        let Line::Unix(socket) = engine.line(&id).await.unwrap() else { panic!("no socket") };
        let mut line = None;
        eventually("the runner listens", || {
            line = std::os::unix::net::UnixStream::connect(&socket).ok();
            line.is_some()
        })
        .await;
        let line = line.unwrap();
        line.set_nonblocking(true).unwrap();
        let mut line = tokio::net::UnixStream::from_std(line).unwrap();
        line.write_all(b"GET /nothing HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        timeout(LONG, line.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{tier:?}: {answer}");

        engine.stop(&id, LONG).await.unwrap();
        let exited = timeout(LONG, exits.next()).await.unwrap().unwrap();
        assert!(exited.code.is_some_and(|code| code < 128 + 9), "{tier:?}: {:?}", exited.code);
        engine.remove(&id, true).await.unwrap();
    }
}

/// Told, not judged: machines differ. Create and start, without the stand-in's shell and `sed`.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "a number for whoever runs it with --nocapture")]
async fn the_time_that_a_start_takes_is_told() {
    let stage = Stage::new(Tier::Auto);
    let began = Instant::now();
    let config = LocalConfig { runner: runner().to_owned(), ..stage.config() };
    let engine = LocalEngine::new(config).unwrap();
    let opened = began.elapsed();
    let mut times = Vec::new();
    for number in 0..15 {
        let spec = spec(&format!("number-{number}"));
        let began = Instant::now();
        let id = engine.create(&spec).await.unwrap().id;
        let created = began.elapsed();
        engine.start(&id, "key").await.unwrap();
        times.push((began.elapsed(), created));
        engine.remove(&id, true).await.unwrap();
    }
    times.sort();
    let (all, create) = times[times.len() / 2];
    eprintln!("engine opened in {opened:?}; create {create:?}, create and start {all:?} (median)");
}
