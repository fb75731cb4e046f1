//! Any image: with bash, with a plain shell, with another user, with no shell at all, empty, read-only;
//! each by a socket and by an exec. Sessions are the product's; files work in all of them.

#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

use serde_json::json;
use staithe_engine::{
    Engine,
    docker::{LineChoice, SandboxShape},
};
use staithe_protocol::Observation;

use docker_stage::{Stage, docker, shape};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod docker_stage;

/// What an image has, and who runs in it.
struct Image {
    name: &'static str,
    shell: bool,
    uid: &'static str,
}

const IMAGES: &[Image] = &[
    Image { name: "staithe-test/base:1", shell: true, uid: "0" },
    Image { name: "staithe-test/busybox:1", shell: true, uid: "0" },
    Image { name: "staithe-test/odd:1", shell: true, uid: "4711" },
    Image { name: "staithe-test/scratch:1", shell: false, uid: "0" },
];

/// How sandboxes are made.
fn shapes() -> [(&'static str, LineChoice, SandboxShape); 5] {
    let read_only = SandboxShape { read_only_rootfs: true, ..shape() };
    let other_user = SandboxShape { user: "1234:1234".into(), ..shape() };
    let cut_off = SandboxShape { network: "none".into(), ..shape() };
    [
        ("as shipped", LineChoice::Auto, shape()),
        ("read-only", LineChoice::Auto, read_only.clone()),
        ("another user", LineChoice::Auto, other_user),
        ("by exec, cut off", LineChoice::Exec, cut_off),
        ("by exec, read-only", LineChoice::Exec, read_only),
    ]
}

#[tokio::test]
async fn every_image_serves_files_and_whatever_shell_it_has() {
    for (how, line, shape) in shapes() {
        for image in IMAGES {
            let what = format!("{} {how}", image.name);
            eprintln!("{what}");
            let mut stage = Stage::new();
            stage.line = line;
            stage.shape = shape.clone();
            let uid = if shape.user == "auto" { image.uid } else { "1234" };
            let engine = stage.engine().await;
            let spec = stage.spec(image.name);
            let (id, mut talk) = stage.start(&engine, &spec).await;
            let made = json!({ "op": "create", "path": "d/file", "content": "text\n", "create_parents": true });
            talk.file(made).await.unwrap();
            let read = talk.file(json!({ "op": "read", "path": "d/file" })).await.unwrap();
            assert_eq!(read["content"], "text\n", "{what}");
            if image.shell {
                works(&mut talk, &what, uid).await;
            } else {
                let Observation::Error(error) = talk.act("echo hi").await else {
                    panic!("{what}: a command ran without a shell");
                };
                assert!(error.content.contains("no shell"), "{what}: {error:?}");
            }
            let stat = talk.file(json!({ "op": "stat", "path": "d/file" })).await.unwrap();
            assert_eq!(
                stat["entry"]["size"].as_u64().or(stat["size"].as_u64()),
                Some(5),
                "{what}: {stat}"
            );
            let owner = docker(&["exec", &id.0, "/.staithe/bin/staithe-runner", "--version"]);
            assert!(owner.starts_with("staithe-runner"), "{what}: the runner is where it was put");
            engine.remove(&id, true).await.unwrap();
            assert_eq!(stage.left(), Vec::<String>::new(), "{what}");
        }
    }
}

/// A shell that keeps what it was told, says how commands ended, and is interrupted.
async fn works(talk: &mut docker_stage::Talk, what: &str, uid: &str) {
    assert_eq!(talk.says("id -u").await, uid, "{what}");
    let said = talk.says("cat d/file; cd d; V=kept; f() { echo $V-$1; }").await;
    assert_eq!(said, "text", "{what}");
    let told = talk.run("f x; pwd; false").await;
    assert_eq!((told.content.as_str(), told.exit_code), ("kept-x\n/workspace/d", 1), "{what}");
    assert_eq!(told.metadata.working_dir.as_deref(), Some("/workspace/d"), "{what}");
    let told = talk.run("for i in 1 2\ndo\n  echo $i\ndone; exit 3").await;
    assert!(told.content.starts_with("1\n2"), "{what}: {told:?}");
    assert_eq!(talk.says("echo there is another shell").await, "there is another shell", "{what}");
    assert_ne!(talk.run("echo 'never closed").await.exit_code, 0, "{what}");
    assert_eq!(talk.says("echo still here").await, "still here", "{what}");
}
