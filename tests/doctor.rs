//! `staithe doctor` against what new users trip over: the real binary, without a Docker daemon.
//!
//! What it says is in `tests/doctor/*.txt`; `STAITHE_BLESS=1 cargo test --test doctor` writes them anew.
//! Read them: they are what a new user reads.

#[path = "doctor/stage.rs"]
mod stage;

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::UnixListener,
    },
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use staithe_testkit::{FakeDockerd, docker::Fault, eventually};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use stage::{Stage, needs_root};

const IMAGE: &str = "nikolaik/python-nodejs:python3.12-nodejs22";

/// A docker that can do all that the shipped configuration asks.
fn good_docker(stage: &Stage) -> FakeDockerd {
    let docker = FakeDockerd::start();
    docker.set_info("SystemTime", Value::Null); // its clock stands still
    let root = stage.path("docker-data");
    fs::create_dir_all(&root).expect("a folder");
    docker.add_image(IMAGE);
    docker.set_info("DockerRootDir", json!(root));
    docker.set_info("CgroupVersion", json!("2"));
    docker
}

#[tokio::test]
async fn no_docker_is_told_with_its_address() {
    let stage = Stage::new();
    let config = stage.docker_at(&stage.path("docker.sock"));
    let said = stage.run(stage.command(&[], &config, &["--engine", "docker"])).await;
    said.is("no-docker", 1);
}

#[tokio::test]
async fn without_docker_the_local_engine_is_looked_at() {
    let stage = Stage::new();
    let config = stage.docker_at(&stage.path("docker.sock"));
    let said = stage.run(stage.command(&[], &config, &[])).await;
    assert!(said.text.contains("local.sandbox"), "{}", said.text);
    said.without_local().is("no-docker-auto", 0);
}

#[tokio::test]
async fn a_socket_without_permission_names_its_owner_and_ours() {
    needs_root("running as another user");
    let stage = Stage::new();
    let socket = stage.path("docker.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).expect("its mode");
    let data = stage.path("data");
    fs::create_dir(&data).expect("a folder");
    chown(&data, Some(65534), Some(65534)).expect("its owner");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let config = stage.docker_at(&socket);
    let said = stage.run(stage.command(&nobody, &config, &["--engine", "docker"])).await;
    said.is("no-permission", 1);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_told() {
    let stage = Stage::new();
    let socket = stage.path("docker.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let config = stage.docker_at(&socket);
    let said = stage.run(stage.command(&[], &config, &["--engine", "docker"])).await;
    said.is("nobody-listens", 1);
}

#[tokio::test]
async fn a_docker_that_hangs_does_not_hang_the_doctor() {
    let stage = Stage::new();
    let docker = good_docker(&stage);
    docker.fail_always("GET /version", Fault::Hang);
    let config = stage.docker_at(&docker.socket());
    let said = stage.run(stage.command(&[], &config, &["--engine", "docker"])).await;
    said.hiding(&docker.host(), "unix://SOCKET").is("docker-hangs", 1);
}

#[tokio::test]
async fn an_old_docker_is_told_what_is_needed() {
    let stage = Stage::new();
    let docker = good_docker(&stage);
    docker.set_api_version("1.30");
    let config = stage.docker_at(&docker.socket());
    let said = stage.run(stage.command(&[], &config, &["--engine", "docker"])).await;
    said.hiding(&docker.host(), "unix://SOCKET").is("old-docker", 1);
}

#[tokio::test]
async fn all_is_well_with_the_oldest_docker_that_will_do() {
    let stage = Stage::new();
    let docker = good_docker(&stage);
    docker.set_info("SystemTime", json!(jiff::Timestamp::now().to_string()));
    let config = stage.docker_at(&docker.socket());
    let said = stage.run(stage.command(&[], &config, &[])).await;
    said.hiding(&docker.host(), "unix://SOCKET").is("all-well", 0);
    let asked = docker.requests();
    assert!(asked.iter().all(|request| request.method == "GET"), "it only asks: {asked:?}");
}

#[tokio::test]
async fn what_docker_can_not_do_is_a_warning_each() {
    let stage = Stage::new();
    let docker = FakeDockerd::start();
    let behind = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    docker.set_info("SystemTime", json!(behind.to_string()));
    docker.set_info("DockerRootDir", json!(stage.path("none")));
    docker.set_info("SwapLimit", json!(false));
    docker.set_info("PidsLimit", json!(false));
    docker.set_info("SecurityOptions", json!(["name=rootless"]));
    let host = docker.host();
    let config = stage.config(&format!(
        "[server]\nlisten = \"0.0.0.0:0\"\n[auth]\naccess_token = \"a-token-for-tests\"\n\
         [sandbox]\nsuspend_by = \"pause\"\n[sandbox.docker]\nhost = \"{host}\"\ndisk = \"1GiB\"\n"
    ));
    let said = stage.run(stage.command(&[], &config, &["--listen", "0.0.0.0:0"])).await;
    said.hiding(&host, "unix://SOCKET").is("weak-docker", 0);
}

/// Mounts a small disk on `$0` for this process alone, then does `$1` to it and goes on.
const ON_A_DISK: &str =
    "mount -t tmpfs -o \"$1\" staithe \"$0\" && eval \"$2\" && shift 2 && exec \"$@\"";

#[tokio::test]
async fn a_full_disk_is_told() {
    needs_root("mounting a small disk");
    let stage = Stage::new();
    let docker = good_docker(&stage);
    let disk = stage.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let (at, data) = (disk.display().to_string(), disk.join("data").display().to_string());
    let fill = "! head -c 2m /dev/zero 2>/dev/null >\"$0/fill\"";
    let around = ["unshare", "-m", "sh", "-c", ON_A_DISK, &at, "size=1m", fill];
    let config = stage.docker_at(&docker.socket());
    let said = stage.run(stage.command(&around, &config, &["--data-dir", &data])).await;
    said.hiding(&docker.host(), "unix://SOCKET").is("full-disk", 1);
}

#[tokio::test]
async fn a_disk_from_which_nothing_is_run_is_told() {
    needs_root("mounting a disk");
    let stage = Stage::new();
    let docker = good_docker(&stage);
    let disk = stage.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let (at, data) = (disk.display().to_string(), disk.join("data").display().to_string());
    let around = ["unshare", "-m", "sh", "-c", ON_A_DISK, &at, "noexec,size=4g", "true"];
    let config = stage.docker_at(&docker.socket());
    let said = stage.run(stage.command(&around, &config, &["--data-dir", &data])).await;
    said.hiding(&docker.host(), "unix://SOCKET").is("noexec", 1);
}

#[tokio::test]
async fn unknown_keys_are_told_with_their_file() {
    let stage = Stage::new();
    let config =
        stage.config("[server]\nlisten_on = \"127.0.0.1:1\"\n[sandbox]\nengin = \"docker\"\n");
    let mut command = stage.command(&[], &config, &[]);
    command.env("STAITHE__LIMITS__MAX_SESSION", "5");
    stage.run(command).await.is("unknown-keys", 1);
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_told() {
    let stage = Stage::new();
    let config = stage.config(
        "[server]\nlisten = \"0.0.0.0:3000\"\n[core]\njwt_secret = \"short\"\n[sandbox.docker]\n\
         extra_mounts = [{ source = \"/\", target = \"/host\", read_only = false }]\n",
    );
    let said = stage.run(stage.command(&[], &config, &["--listen", "0.0.0.0:3000"])).await;
    said.is("wrong-config", 1);
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_one_line() {
    let stage = Stage::new();
    let config = stage.config("[server\nlisten = 1\n");
    stage.run(stage.command(&[], &config, &[])).await.is("no-toml", 1);
}

#[tokio::test]
async fn json_has_a_remedy_for_all_that_is_not_ok() {
    let stage = Stage::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let config = stage.docker_at(&stage.path("docker.sock"));
    let arguments = ["--json", "--engine", "docker", "--listen", &address];
    let said = stage.run(stage.command(&[], &config, &arguments)).await;
    assert_eq!(said.code, Some(1));
    let findings: Vec<Value> = serde_json::from_str(&said.text).expect("JSON");
    for finding in &findings {
        let mut keys: Vec<_> = finding.as_object().expect("an object").keys().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["check", "found", "remedy", "status"]);
        assert_eq!(finding["status"] == "ok", finding["remedy"].is_null(), "{finding}");
    }
    let of = |check: &str| findings.iter().find(|it| it["check"] == check).expect("a finding");
    assert_eq!(of("listen")["status"], "fail");
    assert_eq!(of("listen")["found"], format!("{address} is in use by another program"));
    assert_eq!(of("docker.answer")["status"], "fail");
}

#[tokio::test]
async fn a_server_that_runs_there_is_no_fault() {
    let stage = Stage::new();
    let data = stage.path("data");
    let mut server = Command::new(stage.binary())
        .args(["serve", "--ready-json", "--engine", "local", "--listen", "127.0.0.1:0"])
        .args(["--sandbox-listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a server");
    let lines = BufReader::new(server.stdout.take().expect("its stdout"));
    let ready = lines.lines().next_line().await.expect("it is read").expect("it is ready");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    let url = ready["url"].as_str().expect("its address");
    let address = url.trim_start_matches("http://");
    let config = stage.config("");
    let arguments = ["--engine", "local", "--listen", address];
    let said = stage.run(stage.command(&[], &config, &arguments)).await;
    let pid = server.id().expect("it runs");
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.contains(&format!("process {pid} at {url}")), "{}", said.text);
    assert!(said.text.contains(&format!("{address} is in use while the server runs")));
}

#[tokio::test]
async fn interrupted_it_leaves_nothing() {
    let stage = Stage::new();
    let docker = good_docker(&stage);
    docker.fail_always("GET /version", Fault::Hang);
    let config = stage.docker_at(&docker.socket());
    let data = stage.path("data");
    fs::create_dir(&data).expect("a folder");
    let mut doctor = stage.command(&[], &config, &[]).spawn().expect("it runs");
    eventually("docker is asked", || docker.routes().iter().any(|it| it == "GET /version")).await;
    let pid = doctor.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
    assert_eq!(fs::read_dir(&data).expect("a folder").count(), 1, "it tries something there");
    kill_process(pid, Signal::TERM).expect("it is asked to end");
    let ended = doctor.wait().await.expect("it ends");
    assert_eq!(ended.code(), Some(130));
    assert_eq!(fs::read_dir(&data).expect("a folder").count(), 0);
}
