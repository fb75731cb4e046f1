//! A kill storm on docker: under load, server, runners, containers and the engine itself are killed again
//! and again; nothing acknowledged is lost, nothing is done twice, nothing is left over.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Client, Dice, EngineKind, PROMPT, Server, client::run_frame, docker, http::ask};
use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep_until, timeout},
};

/// Sessions under load.
const SESSIONS: usize = 10;
/// Commands that one client has under way.
const WINDOW: usize = 4;
/// From a kill until every session is ready again, at the longest (docs/guarantees.md, G3).
const BOUND: Duration = Duration::from_mins(1);
/// Within this time a kill is noticed by all; an answer before may be of the one that dies.
const NOTICED: Duration = Duration::from_millis(200);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    /// Process 1 of a sandbox.
    Runner,
    /// A container, by hand: `docker rm -f`.
    Container,
    Server,
    /// The engine, and with it every container.
    Dockerd,
}

/// How often each is killed: `STAITHE_STORM`, or 20.
fn kills() -> usize {
    std::env::var("STAITHE_STORM").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_of_everything() {
    let mut dice = Dice::thrown();
    let dir = tempfile::tempdir().unwrap();
    let env = [
        ("STAITHE__LIMITS__REQUESTS_PER_SECOND", "100000"),
        ("STAITHE__LIMITS__REQUEST_BURST", "100000"),
        ("STAITHE__SANDBOX__RECONCILE_EVERY", "5s"),
    ];
    let mut server = Server::start_on(EngineKind::Docker, dir.path(), &env).await;
    let load = Arc::new(Load::default());
    let mut workers = JoinSet::new();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let (sid, token) = server.session().await;
        sessions.push(sid.clone());
        workers.spawn(Worker::new(&server, sid, token, load.clone()).work());
    }
    *load.token.lock().unwrap() = server.token.clone();
    all_ready(&server, &sessions).await;
    let mut recovered: BTreeMap<Victim, Vec<Duration>> = BTreeMap::new();
    for victim in [Victim::Runner, Victim::Container] {
        // The others go on meanwhile, so the next kill need not wait.
        let mut watched = JoinSet::new();
        for _ in 0..kills() {
            moment(&mut dice, &load).await;
            let sid = one_that_runs(&server, &sessions, &mut dice).await;
            kill_in(victim, &sid);
            watched.spawn(ready_again(server.address().to_owned(), load.clone(), sid));
        }
        recovered.insert(victim, watched.join_all().await);
    }
    for victim in [Victim::Server, Victim::Dockerd] {
        for _ in 0..kills() {
            moment(&mut dice, &load).await;
            let killed = Instant::now();
            match victim {
                Victim::Server => kill_server(&mut server, &load).await,
                _ => kill_dockerd().await,
            }
            all_ready(&server, &sessions).await;
            recovered.entry(victim).or_default().push(killed.elapsed());
        }
    }
    load.ends.store(true, Ordering::Relaxed);
    let done = timeout(PROMPT * 2, workers.join_all()).await.expect("the work comes to an end");
    for (victim, mut times) in recovered {
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        eprintln!(
            "{victim:?}: {} kills, ready again p50 {:?} p99 {:?}",
            times.len(),
            at(50),
            at(99)
        );
    }
    let commands: usize = done.iter().map(|worker| worker.acknowledged.len()).sum();
    let starts = load.started_again.load(Ordering::Relaxed);
    eprintln!("{commands} commands were acknowledged; {starts} failed sessions were started again");
    assert!(commands > 5 * SESSIONS * kills(), "there was load: {commands}");
    for worker in &done {
        compare(&server, worker).await;
    }
    records_equal_the_engine(&server, &sessions).await;
    for sid in &sessions {
        let (status, ..) = server.delete(&format!("/api/sessions/{sid}"), &[]).await;
        assert_eq!(status, 204, "{sid}");
    }
    server.nothing_is_left().await;
    let run = server.dir().join("run");
    assert_eq!(std::fs::read_dir(run).unwrap().count(), 0, "no folder is left");
}

/// What the workers share.
#[derive(Default)]
struct Load {
    ends: AtomicBool,
    observed: AtomicUsize,
    started_again: AtomicUsize,
    /// An operator's, of the server's newest run.
    token: Mutex<String>,
}

/// A point in time in the middle of the work.
async fn moment(dice: &mut Dice, load: &Load) {
    let from = load.observed.load(Ordering::Relaxed);
    let more = usize::try_from(dice.below(40)).unwrap() + 1;
    let patience = Instant::now() + Duration::from_millis(dice.below(1500));
    let mut look = interval(Duration::from_millis(2));
    while load.observed.load(Ordering::Relaxed) < from + more && Instant::now() < patience {
        look.tick().await;
    }
}

/// A session that is ready now, and so has something to be killed.
async fn one_that_runs(server: &Server, sessions: &[String], dice: &mut Dice) -> String {
    loop {
        let sid = &sessions[usize::try_from(dice.below(SESSIONS as u64)).unwrap()];
        if server.json(&format!("/api/sessions/{sid}")).await["phase"] == "ready" {
            return sid.clone();
        }
        sleep_until(Instant::now() + Duration::from_millis(10)).await;
    }
}

/// It may be gone already: the one before may have been the same, and not been noticed yet.
fn kill_in(victim: Victim, sid: &str) {
    let name = format!("staithe-{sid}");
    if victim == Victim::Container {
        docker::try_docker(&["rm", "--force", &name]);
        return;
    }
    let pid = docker::try_docker(&["inspect", "--format", "{{.State.Pid}}", &name]).stdout;
    let pid: u32 = String::from_utf8_lossy(&pid).trim().parse().unwrap_or(0);
    if pid != 0 {
        common::processes::kill(pid);
    }
}

/// How long it takes until a session whose sandbox was killed has another that answers.
async fn ready_again(address: String, load: Arc<Load>, sid: String) -> Duration {
    let killed = Instant::now();
    loop {
        let token = load.token.lock().unwrap().clone();
        let path = format!("/api/sessions/{sid}/files");
        let answer = ask(&address, &token, Method::GET, &path, &[], Vec::new()).await;
        if answer.is_ok_and(|(status, ..)| status == 200) && killed.elapsed() > NOTICED {
            return killed.elapsed();
        }
        assert!(killed.elapsed() < BOUND, "{sid} is not ready within {BOUND:?}");
        sleep_until(Instant::now() + Duration::from_millis(10)).await;
    }
}

async fn kill_server(server: &mut Server, load: &Load) {
    server.kill9();
    server.restart().await;
    server.token.clone_into(&mut load.token.lock().unwrap());
}

async fn kill_dockerd() {
    let pid = std::fs::read_to_string("/run/staithe-docker.pid").unwrap();
    common::processes::kill(pid.trim().parse().unwrap());
    let up = tokio::task::spawn_blocking(|| {
        Command::new("tests/support/docker").arg("up").env_remove("STAITHE_TEST_DOCKER").status()
    });
    assert!(up.await.unwrap().unwrap().success(), "the engine is started again");
}

/// Waits until every session is ready and its sandbox answers.
async fn all_ready(server: &Server, sessions: &[String]) {
    let until = Instant::now() + BOUND;
    for sid in sessions {
        loop {
            let body = server.json(&format!("/api/sessions/{sid}")).await;
            if body["phase"] == "ready" && answers(server, sid).await {
                break;
            }
            assert!(Instant::now() < until, "not ready within {BOUND:?}: {body}");
            sleep_until(Instant::now() + Duration::from_millis(10)).await;
        }
    }
}

/// Whether the runner answers now.
async fn answers(server: &Server, sid: &str) -> bool {
    let (status, ..) = server.get(&format!("/api/sessions/{sid}/files"), &[]).await;
    status == 200
}

/// A client that comes back, asks again for what it has no answer to, and starts what has failed.
struct Worker {
    address: String,
    sid: String,
    token: String,
    load: Arc<Load>,
    next: usize,
    /// What was sent and has no answer yet.
    waiting: BTreeSet<String>,
    /// The answers by `ref`.
    acknowledged: BTreeMap<String, i64>,
    /// Exit codes of what was observed; none for what was interrupted.
    observed: BTreeMap<i64, Option<i64>>,
    cursor: i64,
}

impl Worker {
    fn new(server: &Server, sid: String, token: String, load: Arc<Load>) -> Self {
        Self {
            address: server.address().to_owned(),
            sid,
            token,
            load,
            next: 0,
            waiting: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            observed: BTreeMap::new(),
            cursor: -1,
        }
    }

    fn is_done(&self) -> bool {
        let ends = self.load.ends.load(Ordering::Relaxed);
        ends && self.waiting.is_empty() && self.under_way() == 0
    }

    fn under_way(&self) -> usize {
        self.acknowledged.values().filter(|id| !self.observed.contains_key(id)).count()
    }

    async fn work(mut self) -> Self {
        while !self.is_done() {
            let joined =
                Client::try_connect(&self.address, &self.sid, &self.token, self.cursor, None);
            let Ok(mut client) = joined.await else {
                sleep_until(Instant::now() + Duration::from_millis(20)).await;
                continue;
            };
            if client.hello["phase"] == "failed" {
                self.start_again().await;
            }
            for name in self.waiting.clone() {
                client.send_json(&run_frame(&name, &command(&name))).await;
            }
            while !self.is_done() {
                self.send_more(&mut client).await;
                match client.recv_json(PROMPT * 2).await {
                    Ok(frame) => self.note(&frame).await,
                    Err(error) if error.to_string().contains("nothing came") => {
                        panic!("{}: {error}; {:?} wait", self.sid, self.waiting)
                    }
                    Err(_) => break,
                }
            }
            self.cursor = client.cursor;
        }
        self
    }

    async fn send_more(&mut self, client: &mut Client) {
        let ends = self.load.ends.load(Ordering::Relaxed);
        while !ends && self.waiting.len() + self.under_way() < WINDOW {
            let name = format!("n{}", self.next);
            self.next += 1;
            client.send_json(&run_frame(&name, &command(&name))).await;
            self.waiting.insert(name);
        }
    }

    async fn note(&mut self, frame: &Value) {
        let reference = frame["ref"].as_str().filter(|name| self.waiting.contains(*name));
        match (frame["type"].as_str().unwrap(), reference) {
            ("done", Some(name)) => {
                self.acknowledged.insert(name.to_owned(), frame["event_id"].as_i64().unwrap());
                self.waiting.remove(name);
            }
            // Not taken, with a code: a failed or stopping session. It is tried under another name.
            ("denied" | "unavailable" | "failed", Some(name)) => {
                self.waiting.remove(name);
                sleep_until(Instant::now() + Duration::from_millis(20)).await;
            }
            ("event", _) => self.note_event(&frame["event"]).await,
            _ => {}
        }
    }

    async fn note_event(&mut self, event: &Value) {
        if event["observation"] == "phase_changed" && event["extras"]["phase"] == "failed" {
            let fault = &event["extras"]["fault"];
            for key in ["code", "cause", "remedy"] {
                assert!(fault[key].as_str().is_some_and(|text| !text.is_empty()), "{event}");
            }
            self.start_again().await;
        }
        let Some(cause) = event["cause"].as_i64() else { return };
        if event["observation"].is_string() {
            let code = event["extras"]["exit_code"].as_i64();
            let before = self.observed.insert(cause, code);
            assert_eq!(before, None, "one observation for each action: {event}");
            self.load.observed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As a person would, who sees why it failed.
    async fn start_again(&self) {
        let operator = self.load.token.lock().unwrap().clone();
        let path = format!("/api/sessions/{}/start", self.sid);
        let sent = ask(&self.address, &operator, Method::POST, &path, &[], Vec::new()).await;
        // The server may be gone just now: whoever joins next sees the phase again.
        if sent.is_ok_and(|(status, ..)| status == 202) {
            self.load.started_again.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn command(name: &str) -> String {
    format!("echo {name} >> /workspace/done; sleep 0.1; echo {name}")
}

/// The log against what the client was told, and the workspace against the log.
async fn compare(server: &Server, worker: &Worker) {
    let log = server.events(&worker.sid).await;
    for (place, event) in log.iter().enumerate() {
        assert_eq!(event["id"], place, "ids are dense");
    }
    let (status, _, file) =
        server.get(&format!("/api/sessions/{}/files/done", worker.sid), &[]).await;
    assert_eq!(status, 200);
    let file = String::from_utf8(file).unwrap();
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for line in file.lines() {
        *lines.entry(line).or_default() += 1;
    }
    for (name, id) in &worker.acknowledged {
        let event = &log[usize::try_from(*id).unwrap()];
        assert_eq!(
            event["args"]["command"],
            command(name).as_str(),
            "what was acknowledged is there"
        );
        let runs = lines.get(name.as_str()).copied().unwrap_or(0);
        assert!(runs <= 1, "{name} was run {runs} times");
        if worker.observed[id] == Some(0) {
            assert_eq!(runs, 1, "{name} was told to have run");
        }
    }
}

/// Every session's sandbox is there once, and nothing else of ours.
async fn records_equal_the_engine(server: &Server, sessions: &[String]) {
    let (status, _, body) = server.post("/api/admin/reconcile", &[], &json!({})).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let (_, _, body) = server.post("/api/admin/reconcile", &[], &json!({})).await;
    let second: Value = serde_json::from_slice(&body).unwrap();
    for key in ["adopted", "reaped", "swept"] {
        assert_eq!(second[key], json!([]), "a second pass finds nothing to do: {second}");
    }
    let owner = docker::owner(server.dir()).unwrap();
    let label = format!("label=staithe.owner={owner}");
    let named = docker::docker(&[
        "ps",
        "--all",
        "--filter",
        &label,
        "--format",
        "{{.Label \"staithe.session\"}} {{.State}}",
    ]);
    let there: BTreeSet<String> = named.lines().map(str::to_owned).collect();
    let wanted: BTreeSet<String> = sessions.iter().map(|sid| format!("{sid} running")).collect();
    assert_eq!(there, wanted);
    assert_eq!(docker::networks(&owner).len(), SESSIONS);
    assert_eq!(docker::volumes(&owner).len(), SESSIONS);
    let folders = std::fs::read_dir(server.dir().join("run")).unwrap().count();
    assert_eq!(folders, SESSIONS);
}
