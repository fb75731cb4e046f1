//! Rows 6, 7 and 9: one event to a thousand sockets, ten thousand events to one that joins, and what those cost that
//! only wait.
//!
//! Floors are plain TCP: the same bytes, the same number of connections, the same readers.

use std::{
    io::Write,
    net::{TcpListener, TcpStream as Blocking},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::Instant,
};

use crate::{
    start::ratio,
    support::{Client, Row, Server, ms, quantile, resident_mib, runtime},
};

const SOCKETS: usize = 1000;
const ROUNDS: usize = 40;
/// Events that are replayed; each `think` is two, with what answers it.
const EVENTS: usize = 10_000;
const JOINS: usize = 15;
const IDLE_SESSIONS: usize = 200;
const IDLE_SOCKETS: usize = 4000;

/// A connection from which bytes are read and a mark is looked for.
struct Reader {
    stream: TcpStream,
    /// The end of what was read, in which a mark may have begun.
    tail: Vec<u8>,
    bytes: usize,
}

impl Reader {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket takes it");
        Self { stream, tail: Vec::new(), bytes: 0 }
    }

    /// Opens a WebSocket by hand: nothing is unpacked here that the floor would not unpack.
    async fn join(server: &Server, session: &str, query: &str) -> Self {
        let host = server.url.trim_start_matches("http://");
        let mut reader = Self::new(TcpStream::connect(host).await.expect("the server listens"));
        let request = format!(
            "GET /api/sessions/{session}/ws{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.token
        );
        reader.stream.write_all(request.as_bytes()).await.expect("the request is sent");
        reader
    }

    /// Reads until these bytes came.
    async fn until(&mut self, mark: &[u8]) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(at) = self.tail.windows(mark.len()).position(|window| window == mark) {
                self.tail.drain(..at + mark.len());
                return;
            }
            let keep = self.tail.len().saturating_sub(mark.len());
            self.tail.drain(..keep);
            let count = self.stream.read(&mut buffer).await.expect("the stream reads");
            assert!(count > 0, "the stream ended: {}", String::from_utf8_lossy(&self.tail));
            self.bytes += count;
            self.tail.extend_from_slice(&buffer[..count]);
        }
    }
}

/// Readers of their own tasks, which count when they have seen a round's mark.
struct Crowd {
    seen: Arc<AtomicUsize>,
    all: Arc<Notify>,
    size: usize,
}

/// What a round ends with; the same length in each.
fn mark(round: usize) -> String {
    format!("round-{round:06}")
}

impl Crowd {
    fn of(readers: Vec<Reader>) -> Self {
        let (seen, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let size = readers.len();
        for mut reader in readers {
            let (seen, all) = (Arc::clone(&seen), Arc::clone(&all));
            tokio::spawn(async move {
                for round in 0.. {
                    reader.until(mark(round).as_bytes()).await;
                    if (seen.fetch_add(1, Ordering::AcqRel) + 1) % size == 0 {
                        all.notify_one();
                    }
                }
            });
        }
        Self { seen, all, size }
    }

    async fn have(&self, round: usize) {
        while self.seen.load(Ordering::Acquire) < (round + 1) * self.size {
            self.all.notified().await;
        }
    }
}

/// So many connections of plain TCP: those that are written to, and their readers.
async fn plain(count: usize) -> (Vec<Blocking>, Vec<Reader>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let address = listener.local_addr().expect("it has an address");
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        readers.push(Reader::new(TcpStream::connect(address).await.expect("it listens")));
        let (writer, _) = listener.accept().expect("it is connected");
        writer.set_nodelay(true).expect("a socket takes it");
        writers.push(writer);
    }
    (writers, readers)
}

/// A server that lets one address in as often as it likes.
fn crowded(data_dir: &Path) -> Server {
    let most = "1000000";
    let limits =
        [("STAITHE__LIMITS__REQUESTS_PER_SECOND", most), ("STAITHE__LIMITS__REQUEST_BURST", most)];
    Server::start_on("local", data_dir, &limits)
}

/// A thought of a person, which is one event, and `null`, which answers it.
fn think(thought: &str) -> serde_json::Value {
    json!({ "action": "think", "args": { "thought": thought } })
}

/// One event to a thousand sockets.
pub(crate) fn fan_out() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = crowded(dir.path());
    let id = server.session();
    let (mut floors, mut times) = (Vec::new(), Vec::new());
    runtime().block_on(async {
        let mut client = Client::join(&server, &id).await;
        client.run("true").await;
        let mut readers = Vec::new();
        for _ in 0..SOCKETS {
            let mut reader = Reader::join(&server, &id, "").await;
            reader.until(b"\"type\":\"hello\"").await;
            readers.push(reader);
        }
        let crowd = Crowd::of(readers);
        let (mut writers, readers) = plain(SOCKETS).await;
        let floor = Crowd::of(readers);
        let (go, rounds) = std::sync::mpsc::channel::<Vec<u8>>();
        let writer = thread::spawn(move || {
            for frame in rounds {
                for socket in &mut writers {
                    socket.write_all(&frame).expect("the reader reads");
                }
            }
        });
        for round in 0..ROUNDS {
            let began = Instant::now();
            client.act(&think(&mark(round))).await;
            crowd.have(round).await;
            times.push(began.elapsed());
            let began = Instant::now();
            // As long as the event on the wire.
            go.send(format!("{:>260}", mark(round)).into_bytes()).expect("the writer lives");
            floor.have(round).await;
            floors.push(began.elapsed());
        }
        drop(go);
        writer.join().expect("the writer ends");
    });
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    vec![Row {
        what: "one event, durable, to 1,000 sockets of a session",
        floor: format!("the same bytes to 1,000 TCP sockets: {}", ms(floor)),
        measured: format!(
            "{} (p50 of {ROUNDS}) = {:.0} % of the floor's rate",
            ms(p50),
            100.0 / ratio(p50, floor)
        ),
        budget: "≥ 60 % of the floor's rate",
    }]
}

/// Ten thousand events to a client that joins.
pub(crate) fn replay() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = crowded(dir.path());
    let id = server.session();
    let (mut floors, mut times, mut size) = (Vec::new(), Vec::new(), 0);
    runtime().block_on(async {
        let mut client = Client::join(&server, &id).await;
        client.run("true").await;
        for round in 0..EVENTS / 2 {
            client.act(&think(&format!("{:>200}", mark(round)))).await;
        }
        let last = mark(EVENTS / 2 - 1);
        for _ in 0..JOINS {
            let began = Instant::now();
            let mut reader = Reader::join(&server, &id, "?after=-1").await;
            reader.until(last.as_bytes()).await;
            times.push(began.elapsed());
            size = reader.bytes;
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
            let address = listener.local_addr().expect("it has an address");
            let (bytes, end) = (size, last.clone());
            let writer = thread::spawn(move || {
                let mut bytes = vec![b'x'; bytes];
                bytes.extend_from_slice(end.as_bytes());
                let (mut socket, _) = listener.accept().expect("it is connected");
                socket.write_all(&bytes).expect("the reader reads");
            });
            let began = Instant::now();
            let stream = TcpStream::connect(address).await.expect("it listens");
            Reader::new(stream).until(last.as_bytes()).await;
            floors.push(began.elapsed());
            writer.join().expect("the writer ends");
        }
    });
    let (floor, p50) = (quantile(&mut floors, 0.5), quantile(&mut times, 0.5));
    vec![Row {
        what: "10,000 events to a client that joins",
        floor: format!("the same {size} bytes over TCP: {}", ms(floor)),
        measured: format!("{} (p50 of {JOINS}) = {:.1} × floor", ms(p50), ratio(p50, floor)),
        budget: "≤ 2 × floor",
    }]
}

/// What a session and a socket hold in the server while nothing happens.
pub(crate) fn idle() -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let server = crowded(dir.path());
    let (mut session, mut socket) = (0.0, 0.0);
    runtime().block_on(async {
        let first = server.session();
        Client::join(&server, &first).await.run("true").await;
        let before = resident_mib(server.pid());
        for _ in 0..IDLE_SESSIONS {
            let id = server.session();
            Client::join(&server, &id).await.run("true").await;
        }
        let between = resident_mib(server.pid());
        session = each(between - before, IDLE_SESSIONS);
        let mut readers = Vec::new();
        for _ in 0..IDLE_SOCKETS {
            let mut reader = Reader::join(&server, &first, "").await;
            reader.until(b"\"type\":\"hello\"").await;
            readers.push(reader);
        }
        socket = each(resident_mib(server.pid()) - between, IDLE_SOCKETS);
    });
    let row = |what, measured: String, budget| Row { what, floor: "–".into(), measured, budget };
    vec![
        row(
            "an idle session in the server (local engine, after one command)",
            format!("{session:.1} KiB each of {IDLE_SESSIONS}"),
            "≤ 32 KiB",
        ),
        row(
            "an idle socket",
            format!("{socket:.1} KiB each of {IDLE_SOCKETS} on one session"),
            "≤ 20 KiB",
        ),
    ]
}

/// KiB of each of so many.
fn each(mib: f64, count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let count = count as f64;
    mib * 1024.0 / count
}
