//! The docker engine on a real engine: attach or create, own, wake, isolate, leave nothing behind.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, time::Duration};

use futures_util::{StreamExt, future::join_all};
use serde_json::json;
use staithe_engine::{
    Engine, EngineFailed, LABEL_CONFIG, LABEL_POOL, LABEL_SESSION, Labels, SandboxSpec,
    SandboxState,
    docker::{DockerEngine, LineChoice, SandboxShape},
};
use staithe_protocol::SandboxId;
use tokio::time::timeout;

use docker_stage::{BASE, LONG, Stage, docker, shape, talk};

mod docker_stage;

async fn state(engine: &DockerEngine, spec: &SandboxSpec) -> Option<SandboxState> {
    let labels = Labels::from([(LABEL_SESSION.to_owned(), spec.session.unwrap().to_string())]);
    engine.find(&labels).await.unwrap().first().map(|sandbox| sandbox.state)
}

#[tokio::test]
async fn a_sandbox_is_made_found_started_woken_and_removed_with_all_that_is_its_own() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    assert_eq!(state(&engine, &spec).await, None);
    let made = engine.create(&spec).await.unwrap();
    assert_eq!(made.state, SandboxState::Stopped);
    assert_eq!(engine.find(&stage.all()).await.unwrap(), std::slice::from_ref(&made));
    let taken = engine.create(&spec).await;
    assert!(matches!(taken, Err(EngineFailed::NameTaken(_))), "{taken:?}");

    engine.start(&made.id, &spec.key).await.unwrap();
    engine.start(&made.id, &spec.key).await.unwrap();
    let mut first = talk(&engine, &made.id, &spec.key).await;
    assert_eq!(
        first.says("echo $GREETING; pwd; echo kept > file; touch /installed").await,
        "hello\n/workspace"
    );
    let stats = engine.stats(&made.id).await.unwrap();
    assert!(stats.processes >= 2 && stats.memory_bytes > 0, "{stats:?}");
    assert_eq!(stats.memory_limit, 512 << 20);

    engine.pause(&made.id).await.unwrap();
    engine.pause(&made.id).await.unwrap();
    assert_eq!(state(&engine, &spec).await, Some(SandboxState::Paused));
    engine.start(&made.id, &spec.key).await.unwrap();
    assert_eq!(first.says("cat file").await, "kept", "a pause cuts no line");

    engine.stop(&made.id, Duration::from_secs(5)).await.unwrap();
    engine.stop(&made.id, Duration::ZERO).await.unwrap();
    assert_eq!(state(&engine, &spec).await, Some(SandboxState::Stopped));
    assert_eq!(engine.stats(&made.id).await.unwrap().processes, 0);
    engine.start(&made.id, &spec.key).await.unwrap();
    let mut second = talk(&engine, &made.id, &spec.key).await;
    assert_ne!(first.hello.epoch, second.hello.epoch);
    assert_eq!(second.says("cat file; ls /installed").await, "kept\n/installed");

    engine.remove(&made.id, false).await.unwrap();
    engine.remove(&made.id, false).await.unwrap();
    assert_eq!(state(&engine, &spec).await, None);
    assert_eq!(stage.left(), [format!("volume {}", spec.name)], "a workspace outlives its sandbox");
    let (again, mut third) = stage.start(&engine, &spec).await;
    assert_eq!(third.says("cat file; ls /installed 2>&1 | wc -l").await, "kept\n1");
    engine.remove(&again, true).await.unwrap();
    assert_eq!(stage.left(), Vec::<String>::new());
    assert!(matches!(engine.stats(&again).await, Err(EngineFailed::NotFound(_))));
}

#[tokio::test]
async fn of_ten_attempts_at_once_one_makes_it_and_the_others_look_again() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let outcomes = join_all((0..10).map(|_| engine.create(&spec))).await;
    let made: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(made.len(), 1, "{outcomes:#?}");
    for outcome in &outcomes {
        assert!(matches!(outcome, Ok(_) | Err(EngineFailed::NameTaken(_))), "{outcome:?}");
    }
    engine.start(&made[0].id, &spec.key).await.unwrap();
    let mut talk = talk(&engine, &made[0].id, &spec.key).await;
    assert_eq!(talk.says("echo up").await, "up", "nobody took its network or folder away");
    engine.remove(&made[0].id, true).await.unwrap();
    assert_eq!(stage.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_ours_is_neither_used_nor_removed() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    docker(&["create", "--name", &spec.name, BASE, "true"]);
    let foreign = engine.create(&spec).await;
    assert!(matches!(foreign, Err(EngineFailed::Foreign { .. })), "{foreign:?}");
    assert_eq!(engine.find(&stage.all()).await.unwrap(), []);
    let refused = engine.remove(&SandboxId(spec.name.clone()), true).await;
    assert!(matches!(refused, Err(EngineFailed::Foreign { .. })), "{refused:?}");
    assert_eq!(
        docker(&["ps", "-aq", "--filter", &format!("name={}", spec.name)]).lines().count(),
        1
    );
    docker(&["rm", "-f", &spec.name]);
    assert_eq!(stage.left(), Vec::<String>::new(), "the attempt left nothing");
}

#[tokio::test]
async fn a_name_that_begins_like_anothers_is_another() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let (one, other) = (stage.spec(BASE), stage.spec(BASE));
    engine.create(&one).await.unwrap();
    let longer = SandboxSpec { name: format!("{}0", one.name), ..other };
    engine.create(&longer).await.unwrap();
    let labels = Labels::from([(LABEL_SESSION.to_owned(), one.session.unwrap().to_string())]);
    let found = engine.find(&labels).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, one.name);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_said_and_leaves_nothing() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec("staithe-test/nothing:1");
    assert!(!engine.has_image("staithe-test/nothing:1").await.unwrap());
    assert!(engine.has_image(BASE).await.unwrap());
    for outcome in [
        engine.create(&spec).await.map(drop),
        engine.ensure_image("staithe-test/nothing:1", &|_| {}).await,
    ] {
        let Err(EngineFailed::Image { remedy, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(remedy.contains("docker pull staithe-test/nothing:1"), "{remedy}");
    }
    assert_eq!(stage.left(), Vec::<String>::new());
}

#[tokio::test]
async fn the_end_of_a_sandbox_is_told_and_says_when_memory_ran_out() {
    let mut stage = Stage::new();
    stage.shape = SandboxShape { memory: 64 << 20, ..shape() };
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let mut exits = engine.exits();
    let (id, _talk) = stage.start(&engine, &spec).await;
    docker(&["kill", &id.0]);
    let exit = timeout(LONG, exits.next()).await.unwrap().unwrap();
    assert_eq!(
        (exit.id, exit.name, exit.code, exit.out_of_memory),
        (id.clone(), spec.name, Some(137), false)
    );
    assert!(engine.logs(&id, 10).await.unwrap().len() <= 10);
}

#[tokio::test]
async fn an_exec_is_a_line_as_good_as_a_socket() {
    let mut stage = Stage::new();
    stage.line = LineChoice::Exec;
    stage.shape = SandboxShape { network: "none".into(), ..shape() };
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (id, mut talk) = stage.start(&engine, &spec).await;
    assert_eq!(
        talk.says("echo one; printf '\\0\\1\\2two' | od -An -c | tr -s ' '").await,
        "one\n \\0 001 002 t w o"
    );
    let big = talk.run("head -c 50000 /dev/zero | tr '\\0' x").await;
    assert_eq!(big.content.len(), 50_000);
    let reply = talk.link.get("/alive").await.unwrap();
    assert_eq!(reply.status(), 200);
    engine.stop(&id, Duration::from_secs(1)).await.unwrap();
    engine.start(&id, &spec.key).await.unwrap();
    let mut again = docker_stage::talk(&engine, &id, &spec.key).await;
    assert_eq!(again.says("cat /sys/class/net/*/operstate | wc -l").await, "1", "loopback alone");
    engine.remove(&id, true).await.unwrap();
    assert_eq!(stage.left(), Vec::<String>::new());
}

#[tokio::test]
async fn the_runner_s_volume_is_filled_once() {
    let mut stage = Stage::new();
    stage.line = LineChoice::Exec;
    let engine = stage.engine().await;
    let outcomes = join_all((0..4).map(|_| async {
        let spec = stage.spec(BASE);
        stage.start(&engine, &spec).await.1.says("echo up").await
    }))
    .await;
    assert_eq!(outcomes, ["up"; 4]);
    let seeds = docker(&["ps", "-aq", "--filter", "label=staithe.kind=seed"]);
    assert_eq!(seeds, "", "no carrier is left");
}

#[tokio::test]
async fn a_mounted_workspace_belongs_to_whoever_owns_it() {
    let mut stage = Stage::new();
    let host = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(host.path(), Some(4321), Some(8765)).unwrap();
    stage.shape = SandboxShape {
        workspace_mount: Some(host.path().to_string_lossy().into_owned()),
        ..shape()
    };
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (id, mut talk) = stage.start(&engine, &spec).await;
    assert_eq!(
        talk.says("id -u; id -g; echo hi > made; grep CapEff /proc/self/status").await,
        "4321\n8765\nCapEff:\t0000000000000000"
    );
    talk.file(json!({"op": "create", "path": "by-file", "content": "x"})).await.unwrap();
    for name in ["made", "by-file"] {
        let file = fs::metadata(host.path().join(name)).unwrap();
        assert_eq!((file.uid(), file.gid()), (4321, 8765), "{name}");
    }
    engine.remove(&id, true).await.unwrap();
    assert!(host.path().join("made").exists(), "a folder of the host is never removed");
}

#[tokio::test]
async fn a_claim_gives_a_pool_s_sandbox_its_session_once() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let mut pooled = stage.spec(BASE);
    pooled.session = None;
    pooled.name = format!("{}-pool-1", stage.owner);
    pooled.labels.remove(LABEL_SESSION);
    pooled.labels.insert(LABEL_POOL.to_owned(), "1".to_owned());
    let (id, mut talk) = stage.start(&engine, &pooled).await;
    let (one, other) = (stage.spec(BASE), stage.spec(BASE));
    let claimed = engine.claim(&id, &one).await.unwrap();
    assert_eq!(claimed.name, one.name);
    assert_eq!(claimed.labels[LABEL_SESSION], one.session.unwrap().to_string());
    let late = engine.claim(&id, &other).await;
    assert!(matches!(late, Err(EngineFailed::NotFound(_))), "{late:?}");
    assert_eq!(talk.says("echo still").await, "still");
    let labels = Labels::from([(LABEL_SESSION.to_owned(), one.session.unwrap().to_string())]);
    assert_eq!(engine.find(&labels).await.unwrap(), std::slice::from_ref(&claimed));
    engine.remove(&id, true).await.unwrap();
    assert_eq!(stage.left(), Vec::<String>::new(), "with the workspace that it was made with");
}

#[tokio::test]
async fn a_sweep_takes_what_is_nobodys_and_nothing_else() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (_, mut talk) = stage.start(&engine, &spec).await;
    let owner = format!("staithe.owner={}", stage.owner);
    docker(&[
        "network",
        "create",
        "--label",
        &owner,
        "--subnet",
        "10.203.0.0/28",
        &format!("{}-lost", stage.owner),
    ]);
    docker(&["volume", "create", "--label", &owner, &format!("{}-lost", stage.owner)]);
    docker(&["volume", "create", "--label", &owner, &format!("{}-resting", stage.owner)]);
    fs::create_dir(stage.dir.path().join("run/00ff")).unwrap();
    let kept = BTreeSet::from([format!("{}-resting", stage.owner)]);
    let mut swept = engine.sweep(&stage.owner, &kept).await.unwrap();
    swept.sort();
    let lost = format!("{}-lost", stage.owner);
    assert_eq!(
        swept,
        ["folder 00ff".to_owned(), format!("network {lost}"), format!("volume {lost}")]
    );
    assert_eq!(engine.sweep(&stage.owner, &kept).await.unwrap(), Vec::<String>::new());
    assert_eq!(talk.says("echo still").await, "still");
}

#[tokio::test]
async fn what_is_run_of_an_image_with_the_owners_label_is_no_sandbox() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let (id, _talk) = stage.start(&engine, &stage.spec(BASE)).await;
    // As the classic builder's containers of a later stage, and what people run by hand, have it.
    let image = format!("staithe-test/built-{}:1", stage.owner);
    let base = format!("{}-base", stage.owner);
    docker(&["run", "--name", &base, BASE, "true"]);
    docker(&["commit", "--change", &format!("LABEL staithe.owner={}", stage.owner), &base, &image]);
    docker(&["rm", &base]);
    let by_hand = docker(&["run", "--detach", &image, "sleep", "60"]);
    let found = engine.find(&stage.all()).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.id).collect::<Vec<_>>(), [&id], "{found:?}");
    engine.sweep(&stage.owner, &BTreeSet::new()).await.unwrap();
    let running = docker(&["inspect", "--format", "{{.State.Running}}", by_hand.trim()]);
    assert_eq!(running.trim(), "true");
    docker(&["rm", "--force", by_hand.trim()]);
    docker(&["rmi", &image]);
    engine.remove(&id, true).await.unwrap();
}

#[tokio::test]
async fn other_settings_are_seen_by_their_label() {
    let mut stage = Stage::new();
    let spec = stage.spec(BASE);
    let first = stage.engine().await.config_of(&spec).unwrap();
    stage.shape = SandboxShape { pids_limit: 201, ..shape() };
    let engine = stage.engine().await;
    let second = engine.config_of(&spec).unwrap();
    assert_ne!(first, second);
    let mut labelled = spec.clone();
    labelled.labels.insert(LABEL_CONFIG.to_owned(), second.clone());
    let made = engine.create(&labelled).await.unwrap();
    assert_eq!(engine.find(&stage.all()).await.unwrap()[0].labels[LABEL_CONFIG], second);
    engine.remove(&made.id, true).await.unwrap();
}

#[tokio::test]
async fn a_lost_folder_and_a_lost_network_are_no_end() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (id, mut talk) = stage.start(&engine, &spec).await;
    talk.says("echo kept > file").await;
    engine.stop(&id, Duration::ZERO).await.unwrap();
    // A machine's restart clears what lies in memory; somebody prunes networks.
    fs::remove_dir_all(stage.dir.path().join("run")).unwrap();
    fs::create_dir(stage.dir.path().join("run")).unwrap();
    let filter = format!("label=staithe.owner={}", stage.owner);
    let network = docker(&["network", "ls", "-q", "--filter", &filter]);
    docker(&["network", "rm", network.trim()]);
    engine.start(&id, &spec.key).await.unwrap();
    let mut talk = docker_stage::talk(&engine, &id, &spec.key).await;
    assert_eq!(talk.says("cat file").await, "kept");
    engine.remove(&id, true).await.unwrap();
    assert_eq!(stage.left(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_sandbox_that_was_removed_by_hand_left_goes_with_the_next() {
    let stage = Stage::new();
    let engine = stage.engine().await;
    let spec = stage.spec(BASE);
    let (id, _talk) = stage.start(&engine, &spec).await;
    docker(&["rm", "-f", &id.0]);
    let (again, mut talk) = stage.start(&engine, &spec).await;
    assert_eq!(talk.says("echo up").await, "up");
    let filter = format!("label=staithe.owner={}", stage.owner);
    assert_eq!(docker(&["network", "ls", "-q", "--filter", &filter]).lines().count(), 1);
    engine.remove(&again, true).await.unwrap();
    let swept = engine.sweep(&stage.owner, &BTreeSet::new()).await.unwrap();
    assert!(swept.iter().all(|what| what.starts_with("folder ")), "{swept:?}");
    assert_eq!(stage.left(), Vec::<String>::new());
}
