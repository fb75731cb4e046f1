//! A key that is typed into a terminal and comes back as its echo, through WebSocket, server, link and
//! pty, beside the same key in a pty alone.

use std::{
    io::{Read, Write},
    time::Duration,
};

use tokio::time::Instant;

use crate::support::{Client, Row, Server, ms, quantile, runtime};

const ROUNDS: usize = 2000;
/// Keys before it is measured.
const WARM: usize = 100;

pub(crate) fn key() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let id = server.session();
    let (mut pty, pts) = pty_process::blocking::open().expect("a terminal can be had");
    let mut child = pty_process::blocking::Command::new("cat").spawn(pts).expect("cat starts");
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        let mut client = Client::join(&server, &id).await;
        client.run("true").await; // the session is ready
        let terminal = client.open_terminal(&["cat"]).await;
        for round in 0..WARM + ROUNDS {
            let began = Instant::now();
            pty.write_all(b"x").expect("the terminal takes it");
            pty.read_exact(&mut [0]).expect("the terminal answers");
            let floor = began.elapsed();
            let began = Instant::now();
            client.type_in(terminal, b"x", 1).await;
            let time = began.elapsed();
            // A line of the terminal holds 4096 bytes.
            if round % 1000 == 999 {
                pty.write_all(b"\n").expect("the terminal takes it");
                let mut echo = vec![0; 1000 + 4];
                pty.read_exact(&mut echo).expect("the terminal answers");
                client.type_in(terminal, b"\n", 1000 + 4).await;
            }
            if round >= WARM {
                floors.push(floor);
                times.push(time);
            }
        }
    });
    drop(child.kill());
    drop(child.wait());
    let at = |sample: &mut [Duration], share| quantile(sample, share);
    let (floor50, floor99) = (at(&mut floors, 0.5), at(&mut floors, 0.99));
    let (p50, p99) = (at(&mut times, 0.5), at(&mut times, 0.99));
    vec![Row {
        what: "a key's echo through WebSocket, server, link and pty",
        floor: format!("a pty alone: p50 {}, p99 {}", ms(floor50), ms(floor99)),
        measured: format!(
            "p50 {} (floor + {}), p99 {} (floor + {}), {ROUNDS} keys",
            ms(p50),
            ms(p50.saturating_sub(floor50)),
            ms(p99),
            ms(p99.saturating_sub(floor99))
        ),
        budget: "≤ floor + 2 ms p50, + 10 ms p99",
    }]
}
