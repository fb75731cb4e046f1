//! The recipes for real: images with a Jupyter and a VS Code server on a Debian and on a busybox, by either builder,
//! made ahead by the command line; sessions start from them and build nothing, and what was installed answers.
//!
//! Needs the registries of Debian, Python and npm. Behind a proxy that signs anew, the authorities of this machine
//! are given to the build, and must not be in the image.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "recipes/mod.rs"]
mod recipes;

use std::{fs, path::Path, process::Command, time::Duration};

use common::{Client, EngineKind, PROMPT, Server, docker};
use serde_json::{Value, json};

/// A kernel gateway that runs a cell, and a VS Code server that asks for its token.
const PROBE: &str = include_str!("recipes/probe.py");
/// How a certificate begins in a file.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

fn config(dir: &Path, base: &str, builder: &str) -> std::path::PathBuf {
    let ca = recipes::authorities_in(dir);
    let config = dir.join("config.toml");
    let text = format!(
        "[sandbox]\nbase_container_image = \"{base}\"\nplugins = [\"agent_skills\", \"jupyter\", \"vscode\"]\n\
         [sandbox.docker]\nhost = \"{}\"\npull = \"never\"\n\
         [sandbox.image]\nrepository = \"{}\"\nbuilder = \"{builder}\"\n\
         tools_image = \"{}\"\nca_dir = \"{}\"\n",
        docker::host(),
        docker::repository(),
        docker::IMAGE,
        ca.display(),
    );
    fs::write(&config, text).unwrap();
    config
}

async fn works(base: &str, builder: &str) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), base, builder);
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let env = [
        ("STAITHE_CONFIG", config.to_str().unwrap()),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", ""),
        ("STAITHE__SANDBOX__DOCKER__MEMORY", "2GiB"),
    ];
    // Only so that the images are removed at the end, whatever happens.
    let server = Server::start_on(EngineKind::Docker, &data, &env).await;
    let began = tokio::time::Instant::now();
    let (file, at) = (config.clone(), data.clone());
    let built =
        tokio::task::spawn_blocking(move || recipes::image(&file, &at, &["build"])).await.unwrap();
    eprintln!("{base} by {builder}: built in {:?}", began.elapsed());
    assert_eq!(built["built_from"], "scratch", "{built}");
    let again = recipes::image(&config, &data, &["build"]);
    assert_eq!((&again["built_from"], &again["id"]), (&Value::Null, &built["id"]), "{again}");

    let (sid, token) = server.session().await;
    server.phase(&sid, "ready", PROMPT).await;
    let events = server.events(&sid).await;
    assert!(events.iter().all(|event| event["extras"]["step"] != "build"), "{events:?}");
    let path = format!("/api/sessions/{sid}/files/probe.py");
    let (status, _, body) = server.put(&path, &[], PROBE.as_bytes().to_vec()).await;
    assert!(status < 300, "{status} {}", String::from_utf8_lossy(&body));
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    let probe = "/opt/staithe/jupyter/bin/python /workspace/probe.py";
    let action = json!({ "action": "run", "args": { "command": probe, "blocking": true } });
    client.send_json(&json!({ "type": "do", "ref": "probe", "action": action })).await;
    let seen =
        client.until(Duration::from_mins(2), |frame| frame["event"]["observation"] == "run").await;
    let content = seen["event"]["content"].as_str().unwrap().to_owned();
    let answer: Value = serde_json::from_str(content.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{base} by {builder}: {content}"));
    assert_eq!(answer["cell"], "42", "{answer}");
    assert_eq!(answer["without_token"], 403, "{answer}");
    assert_eq!(answer["page"], 200, "{answer}");
    eprintln!("{base} by {builder}: {answer}");
    let made = client.run("skills", "ls /opt/staithe/sbom").await["content"].clone();
    assert!(made.as_str().unwrap().contains(".txt"), "{made}");

    let told = recipes::image(&config, &data, &["explain"]);
    let packages = told["packages"].as_u64().unwrap();
    assert!(told["there"] == true && packages > 80, "{packages} packages: {told}");
    eprintln!(
        "{base} by {builder}: {packages} packages, {} MB",
        told["size"].as_u64().unwrap() / 1_000_000
    );
    if recipes::authorities().is_some() {
        no_authority_in(built["source"].as_str().unwrap(), base);
    }
    server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    server.nothing_is_left().await;
}

/// A certificate that this machine has and the base hasn't is in no file of the image.
fn no_authority_in(image: &str, base: &str) {
    let all = fs::read_to_string(recipes::authorities().unwrap()).unwrap();
    let of_base =
        docker::try_docker(&["run", "--rm", base, "cat", "/etc/ssl/certs/ca-certificates.crt"]);
    let of_base = String::from_utf8_lossy(&of_base.stdout).into_owned();
    let bodies =
        all.split(CERTIFICATE).skip(1).filter_map(|one| one.lines().nth(1).map(str::to_owned));
    let tools = docker::docker(&[
        "run",
        "--rm",
        docker::IMAGE,
        "cat",
        "/etc/ssl/certs/ca-certificates.crt",
    ]);
    let Some(foreign) =
        bodies.into_iter().find(|line| !of_base.contains(line) && !tools.contains(line))
    else {
        eprintln!("this machine has no authority of its own");
        return;
    };
    // Every layer is in the tar as it is, so what is in a file of a layer is in the tar.
    let in_tar = |words: &str| {
        let save =
            format!("docker --host {} save {image} | grep -a -c -F -- '{words}'", docker::host());
        let found = Command::new("sh").arg("-c").arg(save).output().unwrap();
        String::from_utf8_lossy(&found.stdout).trim().parse::<u32>().unwrap()
    };
    assert!(in_tar("pkg:pypi/ipykernel@") > 0, "layers can be read");
    assert_eq!(in_tar(&foreign), 0, "an authority is in a layer");
    let history = docker::docker(&["history", "--no-trunc", image]);
    assert!(!history.contains(&foreign), "an authority is in the history");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debian_gets_jupyter_and_vscode_by_the_classic_builder() {
    works(docker::IMAGE, "classic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busybox_gets_jupyter_and_vscode_by_buildkit() {
    works("staithe-test/busybox:1", "buildkit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debian_gets_jupyter_and_vscode_by_buildkit() {
    works(docker::IMAGE, "buildkit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busybox_gets_jupyter_and_vscode_by_the_classic_builder() {
    works("staithe-test/busybox:1", "classic").await;
}
