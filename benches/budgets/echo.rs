//! Row 4: an `echo` through WebSocket, server, link, shell and back, beside the same `echo` typed into
//! a terminal.

use std::{
    io::{Read, Write},
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{Client, Row, Server, ms, quantile, runtime};

const ROUNDS: usize = 500;

pub(crate) fn echo() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let id = server.session();
    let runtime = runtime();
    let mut terminal = Terminal::open();
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let mut client = Client::join(&server, &id).await;
        client.run("echo warm").await;
        for round in 0..ROUNDS {
            floors.push(terminal.echo(round));
            let began = Instant::now();
            client.run("echo x").await;
            times.push(began.elapsed());
        }
    });
    let at = |sample: &mut [Duration], share| quantile(sample, share);
    let (floor50, floor99) = (at(&mut floors, 0.5), at(&mut floors, 0.99));
    let (p50, p99) = (at(&mut times, 0.5), at(&mut times, 0.99));
    vec![Row {
        what: "`echo` through WebSocket, server, link, shell and back (each way durable)",
        floor: format!("typed into a pty: p50 {}, p99 {}", ms(floor50), ms(floor99)),
        measured: format!(
            "p50 {} (floor + {}), p99 {} (floor + {}), {ROUNDS} rounds",
            ms(p50),
            ms(p50.saturating_sub(floor50)),
            ms(p99),
            ms(p99.saturating_sub(floor99))
        ),
        budget: "≤ floor + 2 ms p50, + 10 ms p99",
    }]
}

/// An interactive bash on a terminal of its own.
struct Terminal {
    pty: pty_process::blocking::Pty,
    _child: Killed,
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Terminal {
    fn open() -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal can be had");
        let child = pty_process::blocking::Command::new("bash")
            .args(["--norc", "--noprofile", "--noediting", "-i"])
            .env("PS1", "")
            .spawn(pts)
            .expect("bash starts");
        let mut terminal = Self { pty, _child: Killed(child) };
        terminal.echo(ROUNDS + 1); // the first one waits for bash to come up
        terminal
    }

    /// Types an echo and waits for what it prints (the second time that the text comes: the first is
    /// the terminal's own echo of the typing).
    fn echo(&mut self, round: usize) -> Duration {
        let wanted = format!("x{round}y\r\n");
        let began = Instant::now();
        writeln!(self.pty, "echo x{round}'y'").expect("the terminal takes it");
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
            let count = self.pty.read(&mut buffer).expect("the terminal answers");
            seen.extend_from_slice(&buffer[..count]);
        }
        began.elapsed()
    }
}
