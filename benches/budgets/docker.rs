//! The docker engine beside docker's own client: cold start, a claim from the pool, attaching to what runs,
//! to what was stopped, to what was paused. Needs `STAITHE_TEST_DOCKER`, as the tests do.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    start::ratio,
    support::{Client, Row, Server, ms, quantile, runtime},
};

const ROUNDS: usize = 15;
const IMAGE: &str = "staithe-test/base:1";
/// The same limits as the shipped configuration has.
const LIMITS: [&str; 14] = [
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--pids-limit",
    "2048",
    "--memory",
    "4g",
    "--memory-swap",
    "4g",
    "--cpus",
    "2",
    "--shm-size",
    "256m",
];

/// All rows; none, with a word on stderr, where there is no engine to measure.
pub(crate) fn rows() -> Vec<Row> {
    let Ok(host) = std::env::var("STAITHE_TEST_DOCKER") else {
        eprintln!(
            "STAITHE_TEST_DOCKER names no engine: the docker rows are left out (tests/support/docker up images)"
        );
        return Vec::new();
    };
    vec![cold(&host), claim(&host), attach(&host), wake(&host, "stop"), wake(&host, "pause")]
}

/// Runs the client; how long it took.
fn docker(host: &str, arguments: &[&str]) -> Duration {
    let began = Instant::now();
    let status = Command::new("docker")
        .args(["--host", host])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("docker's client is there");
    assert!(status.success(), "docker {arguments:?}");
    began.elapsed()
}

fn settings(host: &str) -> Vec<(&str, &str)> {
    vec![
        ("STAITHE__SANDBOX__DOCKER__HOST", host),
        ("STAITHE__SANDBOX__DOCKER__PULL", "never"),
        ("STAITHE__SANDBOX__RUNTIME_CONTAINER_IMAGE", IMAGE),
        // Waiting for a phase asks often.
        ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "100000"),
        ("STAITHE__LIMITS__REQUEST_BURST", "100000"),
    ]
}

/// From the request for a session to the answer of its first command.
fn first_answer(server: &Server, runtime: &tokio::runtime::Runtime) -> (String, Duration) {
    let began = Instant::now();
    let id = server.session();
    runtime.block_on(async { Client::join(server, &id).await.run("echo ready").await });
    (id, began.elapsed())
}

fn row(what: &'static str, floor: (&str, Duration), p50: Duration, budget: &'static str) -> Row {
    Row {
        what,
        floor: format!("{}: {}", floor.0, ms(floor.1)),
        measured: format!("{} (p50 of {ROUNDS}) = {:.2} × floor", ms(p50), ratio(p50, floor.1)),
        budget,
    }
}

/// The floor ends when the command has been answered; removing it is not measured on either side.
fn cold(host: &str) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_on("docker", dir.path(), &settings(host));
    let runtime = runtime();
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("staithe-bench-{}-{round}", std::process::id());
        let run = [&["run", "--name", &name][..], &LIMITS, &[IMAGE, "echo", "ready"]].concat();
        floors.push(docker(host, &run));
        docker(host, &["rm", "--force", &name]);
        let (id, time) = first_answer(&server, &runtime);
        times.push(time);
        server.request("DELETE", &format!("/api/sessions/{id}"), "");
    }
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    let what = "a session on docker to its first command answered (cold, its own network)";
    row(
        what,
        ("`docker run` of the same with the same limits, on the default network", floor),
        p50,
        "≤ 1.3 × floor",
    )
}

fn claim(host: &str) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("config.toml");
    let pool = format!("[sandbox.docker]\npool = [{{ image = \"{IMAGE}\", size = 1 }}]\n");
    std::fs::write(&config, pool).expect("a file");
    let config = config.to_string_lossy().into_owned();
    let mut settings = settings(host);
    settings.push(("STAITHE_CONFIG", &config));
    let server = Server::start_on("docker", dir.path(), &settings);
    let runtime = runtime();
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    let running = format!("staithe-bench-{}", std::process::id());
    docker(
        host,
        &[&["run", "--detach", "--name", &running][..], &LIMITS, &[IMAGE, "sleep", "3600"]]
            .concat(),
    );
    for _ in 0..ROUNDS {
        floors.push(docker(host, &["exec", &running, "echo", "ready"]));
        wait_for_pool(&server, &runtime);
        let (id, time) = first_answer(&server, &runtime);
        times.push(time);
        server.request("DELETE", &format!("/api/sessions/{id}"), "");
    }
    docker(host, &["rm", "--force", &running]);
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    row(
        "a session from the pool to its first command answered",
        ("`docker exec` in a running one", floor),
        p50,
        "p50 ≤ 30 ms",
    )
}

fn wait_for_pool(server: &Server, runtime: &tokio::runtime::Runtime) {
    eventually(runtime, "the pool is filled", || {
        let metrics = server.text("/metrics");
        let mut lines = metrics.lines().filter(|line| line.starts_with("staithe_pool_sandboxes{"));
        lines.any(|line| line.contains("available") && line.ends_with(" 1"))
    });
}

/// Looks again until it is so, without taking a processor from what it waits for.
fn eventually(runtime: &tokio::runtime::Runtime, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    }
}

/// A server that was killed comes back to a sandbox that runs: from its first answer to that of a command.
fn attach(host: &str) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(host);
    let runtime = runtime();
    let mut server = Server::start_on("docker", dir.path(), &settings);
    let (id, _) = first_answer(&server, &runtime);
    let name = format!("staithe-{id}");
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(docker(host, &["exec", &name, "echo", "ready"]));
        server.kill();
        server = Server::start_on("docker", dir.path(), &settings);
        let began = Instant::now();
        runtime.block_on(async { Client::join(&server, &id).await.run("echo ready").await });
        times.push(began.elapsed());
    }
    server.request("DELETE", &format!("/api/sessions/{id}"), "");
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    row(
        "attach to a running sandbox, first command answered",
        ("`docker exec` in it", floor),
        p50,
        "–",
    )
}

/// An idle session, woken by whoever joins.
fn wake(host: &str, by: &'static str) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = settings(host);
    settings
        .extend([("STAITHE__SANDBOX__IDLE_AFTER", "300ms"), ("STAITHE__SANDBOX__SUSPEND_BY", by)]);
    let server = Server::start_on("docker", dir.path(), &settings);
    let runtime = runtime();
    let (id, _) = first_answer(&server, &runtime);
    let name = format!("staithe-bench-{by}-{}", std::process::id());
    docker(
        host,
        &[&["run", "--detach", "--name", &name][..], &LIMITS, &[IMAGE, "sleep", "3600"]].concat(),
    );
    let (put, wake): (&[&str], &str) =
        if by == "stop" { (&["stop", "--time", "0"], "start") } else { (&["pause"], "unpause") };
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        docker(host, &[put, &[&name]].concat());
        floors.push(docker(host, &[wake, &name]) + docker(host, &["exec", &name, "echo", "ready"]));
        let path = format!("/api/sessions/{id}");
        eventually(&runtime, "it sleeps", || {
            server.request("GET", &path, "")["phase"] == "suspended"
        });
        let began = Instant::now();
        runtime.block_on(async { Client::join(&server, &id).await.run("echo ready").await });
        times.push(began.elapsed());
    }
    docker(host, &["rm", "--force", &name]);
    server.request("DELETE", &format!("/api/sessions/{id}"), "");
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    if by == "stop" {
        row(
            "wake a stopped sandbox, first command answered",
            ("`docker start` and `docker exec`", floor),
            p50,
            "–",
        )
    } else {
        row(
            "wake a paused sandbox, first command answered",
            ("`docker unpause` and `docker exec`", floor),
            p50,
            "–",
        )
    }
}
