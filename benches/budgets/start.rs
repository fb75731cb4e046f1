//! Rows 1 to 3: starting the server, the runner, a session.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{Client, Row, Server, ms, quantile, resident_mib, runtime};

const ROUNDS: usize = 15;
/// As in the design's budget: everything within one file system, no network.
const RUNNER: &str = concat!(env!("OUT_DIR_OF_STAITHE"), "/staithe-runner");

/// Server start to first answer, and what it holds then.
pub(crate) fn server() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut times = Vec::new();
    let mut resident = 0.0;
    for _ in 0..ROUNDS {
        let server = Server::start(dir.path());
        times.push(server.first_answer);
        resident = resident_mib(server.pid());
    }
    let p50 = quantile(&mut times, 0.5);
    vec![Row {
        what: "server start to first answer",
        floor: "–".into(),
        measured: format!("{} (p50 of {ROUNDS}), {resident:.1} MiB resident", ms(p50)),
        budget: "≤ 100 ms; ≤ 20 MiB",
    }]
}

/// The runner: exec to the first answer, resident, size.
pub(crate) fn runner() -> Vec<Row> {
    let mut times = Vec::new();
    let mut resident = 0.0;
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        let mut child = Command::new(RUNNER)
            .arg("serve")
            .args(["--socket-dir".as_ref(), dir.path().as_os_str()])
            .args(["--workspace".as_ref(), dir.path().as_os_str()])
            .args(["--state-dir".as_ref(), dir.path().join("state").as_os_str()])
            .arg("--key-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the runner starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(b"key\n").expect("it takes its key");
        drop(stdin);
        let socket = dir.path().join("runner.sock");
        let mut stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.write_all(b"GET /alive HTTP/1.1\r\nHost: r\r\n\r\n").expect("it takes a request");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("it answers");
        times.push(began.elapsed());
        resident = resident_mib(child.id());
        drop(child.kill());
        drop(child.wait());
    }
    let bytes = std::fs::metadata(RUNNER).map_or(0, |file| file.len());
    #[expect(clippy::cast_precision_loss, reason = "a file of a few MiB")]
    let size = bytes as f64 / 1024.0 / 1024.0;
    let p50 = quantile(&mut times, 0.5);
    vec![Row {
        what: "the runner",
        floor: "–".into(),
        measured: format!(
            "{} to its first answer (p50 of {ROUNDS}), {resident:.1} MiB resident idle, {size:.2} MiB",
            ms(p50)
        ),
        budget: "≤ 20 ms; ≤ 8 MiB; ≤ 4 MiB",
    }]
}

/// A session to its first answered command. The floor is a shell in fresh namespaces that runs the
/// same command; the row of the design is for the docker engine, see `docker`.
pub(crate) fn session() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let runtime = runtime();
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(shell_in_namespaces());
        let began = Instant::now();
        let id = server.session();
        runtime.block_on(async { Client::join(&server, &id).await.run("echo ready").await });
        times.push(began.elapsed());
    }
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    vec![Row {
        what: "a session (local engine) to its first command answered",
        floor: format!("`unshare` and an interactive bash running it: {}", ms(floor)),
        measured: format!("{} (p50 of {ROUNDS}) = {:.2} × floor", ms(p50), ratio(p50, floor)),
        budget: "≤ 1.3 × floor (given for docker)",
    }]
}

fn shell_in_namespaces() -> Duration {
    let began = Instant::now();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--pid", "--ipc", "--uts", "--fork"])
        .args(["--mount-proc", "bash", "--norc", "--noprofile", "-ic", "echo ready"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("util-linux is there");
    assert!(status.success(), "user namespaces can be had");
    began.elapsed()
}

pub(crate) fn ratio(measured: Duration, floor: Duration) -> f64 {
    measured.as_secs_f64() / floor.as_secs_f64()
}
