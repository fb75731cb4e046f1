//! A storm: clients stream commands while the server is killed again and again; then the log is compared
//! with what one shell that ran them once and in order would have done.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};

use super::delete;
use crate::{
    ENGINE,
    common::{Client, Dice, PROMPT, Server, client::run_frame, newest},
};

/// A whole storm.
const STORM_LIMIT: Duration = Duration::from_secs(150);
/// Commands that one client has under way.
const WINDOW: usize = 12;

/// How hard it blows.
#[derive(Clone, Copy)]
pub(super) struct Storm {
    pub(super) sessions: usize,
    pub(super) clients: usize,
    pub(super) commands: usize,
    pub(super) kills: usize,
}

/// Clients stream commands while the server is killed again and again; then everything is compared.
pub(super) async fn weather(storm: Storm) {
    let mut dice = Dice::thrown();
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let mut sessions = Vec::new();
    for _ in 0..storm.sessions {
        sessions.push(Begun::new(&server).await);
    }
    let progress =
        Arc::new(Progress { commands: storm.commands, kills: storm.kills, ..Progress::default() });
    let mut workers = JoinSet::new();
    for session in &sessions {
        for name in 0..storm.clients {
            workers.spawn(Worker::new(session, &server, name, progress.clone()).work());
        }
    }
    let all = storm.sessions * storm.clients * storm.commands;
    let begun = Instant::now();
    let mut killed_at = Vec::new();
    for kill in 0..storm.kills {
        let gusts = storm.kills + 1;
        progress.await_a_moment(&mut dice, all * kill / gusts, all / gusts).await;
        progress.killed.fetch_add(1, Ordering::Relaxed);
        server.kill9();
        killed_at.push(progress.observed.load(Ordering::Relaxed));
        server.restart().await;
    }
    eprintln!("killed when so many were observed: {killed_at:?}");
    assert!(killed_at.iter().all(|observed| *observed < all), "each kill came into the work");
    let joined = timeout(STORM_LIMIT, workers.join_all()).await.expect("the work comes to an end");
    eprintln!("{all} commands, {} kills: {:?}", storm.kills, begun.elapsed());
    for session in &sessions {
        let mine: Vec<_> = joined.iter().filter(|worker| worker.sid == session.sid).collect();
        let log = server.events(&session.sid).await;
        session.shell_lives_on(&server).await;
        compare(session, &log, &mine, &server).await;
    }
    for session in &sessions {
        delete(&server, &session.sid).await;
    }
    server.nothing_is_left().await;
}

/// How far the work is, and how far it may go: the kills come into it, not after it.
#[derive(Default)]
struct Progress {
    /// Of each client.
    commands: usize,
    kills: usize,
    killed: AtomicUsize,
    observed: AtomicUsize,
}

impl Progress {
    /// How many of its commands a client may have sent by now.
    fn allowed(&self) -> usize {
        self.commands * (self.killed.load(Ordering::Relaxed) + 1) / (self.kills + 1)
    }

    /// A point in time: after so much more work or a short while, whichever comes first; perhaps at
    /// once.
    async fn await_a_moment(&self, dice: &mut Dice, from: usize, span: usize) {
        let threshold = from + usize::try_from(dice.below(span as u64)).unwrap();
        let patience = Duration::from_micros(dice.below(600_000));
        let begun = Instant::now();
        let mut look = interval(Duration::from_millis(1));
        while begun.elapsed() < patience && self.observed.load(Ordering::Relaxed) < threshold {
            look.tick().await;
        }
    }
}

/// A session with a shell that can be told from any other.
struct Begun {
    sid: String,
    token: String,
    shell: String,
    epoch: Value,
}

/// What makes the shell its own: a variable, a counter and a directory.
const SETUP: &str = "mkdir -p d0 d1 d2 d3; cd d0; KEPT=kept-$RANDOM$RANDOM; N=0; \
                     ORDER=/workspace/order.txt; : > $ORDER; echo $$ $KEPT";

impl Begun {
    async fn new(server: &Server) -> Self {
        let (sid, token) = server.session().await;
        let mut client = Client::connect(server, &sid, &token, -1).await;
        let shell = client.run("setup", SETUP).await["content"].as_str().unwrap().to_owned();
        let epoch = epoch(server, &sid).await;
        Self { sid, token, shell, epoch }
    }

    /// The same process, the same variables, the same runner.
    async fn shell_lives_on(&self, server: &Server) {
        let mut client = Client::connect(server, &self.sid, &self.token, -1).await;
        let seen = client.run("same-shell", "echo $$ $KEPT").await;
        assert_eq!(seen["content"], self.shell.as_str());
        assert_eq!(epoch(server, &self.sid).await, self.epoch);
    }
}

async fn epoch(server: &Server, sid: &str) -> Value {
    let session = server.json(&format!("/api/admin/sessions/{sid}")).await;
    session["sandbox"]["epoch"].clone()
}

/// One client, that comes back with its cursor and asks again for what it has no answer to.
struct Worker {
    address: String,
    sid: String,
    token: String,
    commands: Vec<(String, String)>,
    /// How many of them have been sent at least once.
    sent: usize,
    /// The answers by `ref`.
    answered: BTreeMap<String, i64>,
    /// Each event that was received.
    events: Vec<Value>,
    /// Observations of own actions.
    observed: usize,
    joins: usize,
    progress: Arc<Progress>,
}

impl Worker {
    fn new(begun: &Begun, server: &Server, name: usize, progress: Arc<Progress>) -> Self {
        Self {
            address: server.address().to_owned(),
            sid: begun.sid.clone(),
            token: begun.token.clone(),
            commands: (0..progress.commands).map(|number| command(name, number)).collect(),
            sent: 0,
            answered: BTreeMap::new(),
            events: Vec::new(),
            observed: 0,
            joins: 0,
            progress,
        }
    }

    async fn work(mut self) -> Self {
        while self.observed < self.commands.len() {
            let mut client = self.join().await;
            self.joins += 1;
            let unanswered = self.commands[..self.sent].iter();
            for (name, command) in unanswered.filter(|(name, _)| !self.answered.contains_key(name))
            {
                client.send_json(&run_frame(name, command)).await;
            }
            while self.observed < self.commands.len() {
                let end = self.progress.allowed().min(self.answered.len() + WINDOW);
                for (name, command) in &self.commands[self.sent.min(end)..end] {
                    client.send_json(&run_frame(name, command)).await;
                }
                self.sent = self.sent.max(end);
                match client.recv_json(PROMPT).await {
                    Ok(frame) => self.note(&frame),
                    Err(error) if error.to_string().contains("nothing came") => panic!("{error}"),
                    Err(_) => break,
                }
            }
        }
        self
    }

    /// Comes back as soon as the server is there.
    async fn join(&self) -> Client {
        let cursor = newest(&self.events);
        let begun = Instant::now();
        let mut again = interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            match Client::try_connect(&self.address, &self.sid, &self.token, cursor, None).await {
                Ok(client) => return client,
                Err(error) => assert!(begun.elapsed() < PROMPT, "{error:#}"),
            }
        }
    }

    fn note(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap() {
            "event" => {
                let event = frame["event"].clone();
                if event["observation"].is_string() && self.caused(&event) {
                    self.observed += 1;
                    self.progress.observed.fetch_add(1, Ordering::Relaxed);
                }
                self.events.push(event);
            }
            "done" => {
                let name = frame["ref"].as_str().unwrap().to_owned();
                let id = frame["event_id"].as_i64().unwrap();
                let before = self.answered.insert(name, id);
                assert!(before.is_none_or(|before| before == id), "two answers: {frame}");
            }
            "denied" | "unavailable" | "failed" => panic!("{frame}"),
            _ => {}
        }
    }

    /// Whether an observation answers one of this client's own commands.
    fn caused(&self, event: &Value) -> bool {
        let cause =
            event["cause"].as_u64().and_then(|id| self.events.get(usize::try_from(id).ok()?));
        let command = cause.and_then(|action| action["args"]["command"].as_str());
        command.is_some_and(|command| self.commands.iter().any(|(_, own)| own == command))
    }
}

/// A client's command: it counts itself, leaves a line in a file and prints it; some change the
/// directory, some take a while.
fn command(client: usize, number: usize) -> (String, String) {
    let name = format!("c{client}-{number}");
    let further = match number % 20 {
        3 => format!("cd /workspace/d{}; ", number / 20 % 4),
        7 => "sleep 0.03; ".to_owned(),
        11 => "printf '%0200d\\n' 7 > /dev/null; ".to_owned(),
        _ => String::new(),
    };
    let line = format!("N=$((N+1)); {further}echo {name} $N >> $ORDER; echo {name} $N");
    (name, line)
}

/// The log against what one shell that runs it once and in order would do, and against what the
/// clients saw.
async fn compare(begun: &Begun, log: &[Value], workers: &[&Worker], server: &Server) {
    for (place, event) in log.iter().enumerate() {
        assert_eq!(event["id"], place, "ids are dense");
    }
    let mut order = String::new();
    let mut cwd = "/workspace/d0".to_owned();
    let mut counted = 0;
    let names: BTreeMap<&str, &str> = workers
        .iter()
        .flat_map(|worker| {
            worker.commands.iter().map(|(name, line)| (line.as_str(), name.as_str()))
        })
        .collect();
    let mut ids: BTreeMap<&str, i64> = BTreeMap::new();
    let observations = observations(log);
    for action in log.iter().filter(|event| event["action"] == "run") {
        let id = action["id"].as_i64().unwrap();
        let [observation] = observations.get(&id).map_or(&[][..], Vec::as_slice) else {
            panic!("not one observation: {action} {:?}", observations.get(&id));
        };
        assert_eq!(observation["observation"], "run", "{observation}");
        assert_eq!(observation["extras"]["exit_code"], 0, "{observation}");
        let line = action["args"]["command"].as_str().unwrap();
        let Some(name) = names.get(line) else { continue };
        assert_eq!(ids.insert(name, id), None, "{name} is in the log twice");
        counted += 1;
        let printed = format!("{name} {counted}");
        assert_eq!(observation["content"], printed.as_str());
        order += &printed;
        order.push('\n');
        if let Some((_, path)) = line.split_once("cd ") {
            path.split_once(';').unwrap().0.clone_into(&mut cwd);
        }
        assert_eq!(observation["extras"]["metadata"]["working_dir"], cwd.as_str(), "{name}");
    }
    assert_eq!(ids.len(), names.len(), "every command is in the log");
    for worker in workers {
        assert_eq!(worker.answered.len(), worker.commands.len(), "every command has its answer");
        for (name, id) in &worker.answered {
            assert_eq!(ids.get(name.as_str()), Some(id), "the answer to {name} names its event");
        }
        let own: Vec<_> = worker.commands.iter().map(|(name, _)| ids[name.as_str()]).collect();
        assert!(own.is_sorted(), "a client's commands keep their order");
        let seen = worker.events.len();
        assert!(worker.events == log[..seen], "a client saw another stream than the log");
        let mut rest =
            Client::connect(server, &begun.sid, &begun.token, newest(&worker.events)).await;
        let rest = rest.events_up_to(newest(log)).await;
        assert!(rest == log[seen..], "the rest of the stream");
    }
    let joins: Vec<_> = workers.iter().map(|worker| worker.joins).collect();
    eprintln!("{} events, joins {joins:?}", log.len());
    let path = format!("/api/sessions/{}/files/order.txt", begun.sid);
    let (status, _, file) = server.get(&path, &[]).await;
    assert_eq!(status, 200);
    assert!(file == order.as_bytes(), "executed exactly once, in the order of the log");
}

/// Observations by what they answer.
fn observations(log: &[Value]) -> BTreeMap<i64, Vec<&Value>> {
    let mut found: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for event in log.iter().filter(|event| event["observation"].is_string()) {
        if let Some(cause) = event["cause"].as_i64() {
            found.entry(cause).or_default().push(event);
        }
    }
    found
}
