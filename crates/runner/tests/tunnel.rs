//! Tunnels to what listens in the sandbox, and which ports are told of.
#![expect(clippy::unwrap_used, reason = "what can't be had ends the test")]

mod common;

use std::net::SocketAddr;

use common::{KEY, PATIENCE, Runner, eventually};
use http_body_util::Empty;
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use staithe_protocol::{
    port::{Port, PortSettings},
    runner::{Answer, Call, FromRunner, KEY_HEADER},
    services::Services,
    tunnel::PROTOCOL,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

type Tunnel = TokioIo<hyper::upgrade::Upgraded>;

/// Opens a tunnel; the status instead where there is none.
async fn open(runner: &Runner, port: u16) -> Result<Tunnel, u16> {
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(runner.connect().await)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = Request::get(format!("/tunnel/{port}"))
        .header(KEY_HEADER, KEY)
        .header("connection", "upgrade")
        .header("upgrade", PROTOCOL)
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = send.send_request(request).await.unwrap();
    match response.status().as_u16() {
        101 => Ok(TokioIo::new(hyper::upgrade::on(response).await.unwrap())),
        status => Err(status),
    }
}

async fn send(tunnel: &mut Tunnel, bytes: &[u8]) {
    for piece in bytes.chunks(60_000) {
        tunnel.write_u16(u16::try_from(piece.len()).unwrap()).await.unwrap();
        tunnel.write_all(piece).await.unwrap();
    }
    tunnel.flush().await.unwrap();
}

/// Everything up to the frame that ends; none when it was broken off.
async fn receive(tunnel: &mut Tunnel) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let reading = async {
        loop {
            let length = usize::from(tunnel.read_u16().await.ok()?);
            if length == 0 {
                return Some(());
            }
            let start = all.len();
            all.resize(start + length, 0);
            tunnel.read_exact(&mut all[start..]).await.ok()?;
        }
    };
    timeout(PATIENCE, reading).await.expect("it ends")?;
    Some(all)
}

async fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept()).await.expect("it connects").unwrap().0
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    let runner = Runner::start().await;
    let (listener, port) = listen("127.0.0.1:0").await;
    let mut tunnel = open(&runner, port).await.unwrap();
    let mut program = accept(&listener).await;
    send(&mut tunnel, b"question").await;
    tunnel.write_u16(0).await.unwrap();
    let mut asked = String::new();
    timeout(PATIENCE, program.read_to_string(&mut asked)).await.unwrap().unwrap();
    assert_eq!(asked, "question");
    program.write_all(b"late answer").await.unwrap();
    drop(program);
    assert_eq!(receive(&mut tunnel).await.as_deref(), Some(&b"late answer"[..]));

    let mut tunnel = open(&runner, port).await.unwrap();
    let mut program = accept(&listener).await;
    program.write_all(b"I speak first").await.unwrap();
    program.shutdown().await.unwrap();
    assert_eq!(receive(&mut tunnel).await.as_deref(), Some(&b"I speak first"[..]));
    send(&mut tunnel, b"still here").await;
    tunnel.write_u16(0).await.unwrap();
    let mut heard = String::new();
    timeout(PATIENCE, program.read_to_string(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, "still here");
}

#[tokio::test]
async fn what_is_broken_off_on_one_side_is_broken_off_on_the_other() {
    let runner = Runner::start().await;
    let (listener, port) = listen("[::1]:0").await;
    let mut tunnel = open(&runner, port).await.expect("the other loopback is tried, too");
    let mut program = accept(&listener).await;
    program.write_all(b"half").await.unwrap();
    program.set_zero_linger().unwrap();
    drop(program);
    assert_eq!(receive(&mut tunnel).await, None);

    let mut tunnel = open(&runner, port).await.unwrap();
    let mut program = accept(&listener).await;
    send(&mut tunnel, b"half").await;
    let mut four = [0; 4];
    program.read_exact(&mut four).await.unwrap();
    drop(tunnel);
    let end = timeout(PATIENCE, program.read(&mut four)).await.unwrap();
    assert!(end.is_err(), "a reset, not an end: {end:?}");

    // The same when our direction was ended before.
    let mut tunnel = open(&runner, port).await.unwrap();
    let mut program = accept(&listener).await;
    tunnel.write_u16(0).await.unwrap();
    tunnel.flush().await.unwrap();
    assert_eq!(timeout(PATIENCE, program.read(&mut four)).await.unwrap().unwrap(), 0);
    drop(tunnel);
    eventually("the program's next words are refused", async || {
        program.write_all(b"x").await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_listening_and_too_many_are_told() {
    let runner = Runner::start().await;
    let (listener, port) = listen("127.0.0.1:0").await;
    let mut tunnels = Vec::new();
    for _ in 0..512 {
        tunnels.push((open(&runner, port).await.unwrap(), accept(&listener).await));
    }
    assert_eq!(open(&runner, port).await.err(), Some(503));
    tunnels.truncate(500);
    let again = async || open(&runner, port).await.ok();
    drop(eventually("places are given back", again).await);
    drop((tunnels, listener));
    assert_eq!(open(&runner, port).await.err(), Some(502));
    for (path, expected) in [("/tunnel/0", 400), ("/tunnel/65536", 400), ("/tunnel/80", 400)] {
        let (status, ..) = runner.http(Method::GET, path, &[(KEY_HEADER, KEY)], "").await;
        assert_eq!(status, expected, "{path}");
    }
}

#[tokio::test]
async fn a_slow_program_slows_the_sender_and_costs_nothing() {
    let runner = Runner::start().await;
    let (listener, port) = listen("127.0.0.1:0").await;
    let mut tunnel = open(&runner, port).await.unwrap();
    let mut program = accept(&listener).await;
    let before = runner.resident();
    let frame = [&60_000_u16.to_be_bytes()[..], &vec![7; 60_000]].concat();
    let mut sent: u64 = 0;
    // Until nothing more is taken; nobody reads.
    while timeout(std::time::Duration::from_millis(500), tunnel.write_all(&frame)).await.is_ok() {
        sent += 60_000;
        assert!(sent < 1 << 30, "it takes all");
    }
    let grown = runner.resident().saturating_sub(before);
    assert!(grown < 1024 * 1024, "{grown} bytes more for {sent} that wait");
    let mut piece = vec![0; 65536];
    let mut got = 0;
    while got < sent {
        got += timeout(PATIENCE, program.read(&mut piece)).await.unwrap().unwrap() as u64;
    }
}

#[tokio::test]
async fn a_program_that_never_reads_does_not_keep_the_tunnel_of_a_server_that_has_gone() {
    let runner = Runner::start().await;
    let (listener, port) = listen("127.0.0.1:0").await;
    let mut tunnel = open(&runner, port).await.unwrap();
    let program = accept(&listener).await;
    let open_files = || {
        let listed = std::fs::read_dir(format!("/proc/{}/fd", runner.pid())).unwrap();
        listed.count()
    };
    let before = open_files();
    let frame = [&60_000_u16.to_be_bytes()[..], &vec![7; 60_000]].concat();
    // Until nothing more is taken; nobody reads.
    let stalled = std::time::Duration::from_millis(500);
    while timeout(stalled, tunnel.write_all(&frame)).await.is_ok() {}
    drop(tunnel);
    let given_back = async || (open_files() + 2 <= before).then_some(());
    eventually("both its sockets are closed", given_back).await;
    drop(program);
}

fn settings(withheld: Vec<u16>, owned_only: bool) -> Call {
    let ports = PortSettings { every_ms: 100, withheld, owned_only };
    Call::Equip { services: Services { ports, ..Services::default() } }
}

/// The newest list of ports that a line was told.
fn newest(news: &[FromRunner]) -> Option<&Vec<Port>> {
    news.iter().rev().find_map(|word| match word {
        FromRunner::Ports { ports } => Some(ports),
        _ => None,
    })
}

#[tokio::test]
async fn ports_of_the_sandboxs_programs_are_told_and_others_are_not() {
    let own: SocketAddr = {
        let (listener, port) = listen("127.0.0.1:0").await;
        drop(listener);
        ([127, 0, 0, 1], port).into()
    };
    let runner = Runner::start_with(|command| {
        command.args(["--listen", &own.to_string()]);
    })
    .await;
    let (_listener, foreign) = listen("127.0.0.1:0").await;
    let mut line = runner.line().await;
    assert_eq!(line.call(settings(vec![foreign], true)).await, Answer::Equipped {});
    let start = "python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\",0)); \
                 print(s.getsockname()[1],flush=True); time.sleep(600)' > port & \
                 while ! [ -s port ]; do :; done; cat port; echo $!";
    let ran = line.run(start).await;
    let mut words = ran.content.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
    let (port, pid) = (words.next().unwrap(), words.next().unwrap());
    let is_there = |ports: &Vec<Port>| ports.iter().any(|it| u32::from(it.port) == port);
    while !newest(&line.news).is_some_and(is_there) {
        line.take_one().await;
    }
    let ports = newest(&line.news).unwrap();
    assert_eq!(ports.len(), 1, "neither the runner's own nor the machine's: {ports:?}");
    assert_eq!((ports[0].pid, ports[0].program.is_some()), (Some(pid), true), "{ports:?}");
    assert_eq!(open(&runner, own.port()).await.err(), Some(403), "the runner's own");
    assert_eq!(open(&runner, foreign).await.err(), Some(403), "one that is withheld");

    let mut second = runner.line().await;
    second.take_one().await;
    assert_eq!(newest(&second.news), newest(&line.news), "a new line hears what is known");
    line.run(&format!("kill {pid}")).await;
    while newest(&line.news).is_none_or(is_there) {
        line.take_one().await;
    }
    assert_eq!(newest(&line.news), Some(&vec![]));
}
