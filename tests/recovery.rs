//! The server, or a sandbox, ends as by a power cut: nothing acknowledged is lost, nothing is done twice,
//! nobody misses an event, nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Client, Dice, PROMPT, Server, client::run_frame, newest, processes};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};

/// A sandbox that was killed is there again within this time.
const BACK_AGAIN: Duration = Duration::from_secs(15);
/// A whole storm.
const STORM_LIMIT: Duration = Duration::from_secs(150);
/// Commands that one client has under way.
const WINDOW: usize = 12;

/// How hard it blows.
#[derive(Clone, Copy)]
struct Storm {
    sessions: usize,
    clients: usize,
    commands: usize,
    kills: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_commands_of_four_clients_survive_twenty_kills() {
    weather(Storm { sessions: 1, clients: 4, commands: 250, kills: 20 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_sessions_side_by_side_survive_kills() {
    weather(Storm { sessions: 4, clients: 1, commands: 60, kills: 6 }).await;
}

#[tokio::test]
async fn a_killed_sandbox_is_replaced_and_what_it_ran_gets_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    client.run("keep", "echo kept > file; V=lost").await;
    for (name, victim) in [("runner", " serve "), ("launcher", " launch ")] {
        let cause = begin_something_long(&mut client, name).await;
        let found = server.sandboxes();
        let victims = found.into_iter().filter(|pid| processes::command(*pid).contains(victim));
        let victims: Vec<_> = victims.collect();
        assert_eq!(victims.len(), 1, "one {name}");
        processes::kill(victims[0]);
        back_again(&mut client, cause).await;
        let next = client.run(&format!("next-{name}"), "cat file; echo \"[$V]\"").await;
        assert_eq!(next["content"], "kept\n[]", "the workspace stays, the shell is a new one");
    }
    delete_leaves_nothing(&mut server, &sid).await;
}

#[tokio::test]
async fn server_and_sandbox_killed_together_come_back_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path()).await;
    let (sid, token) = server.session().await;
    let mut client = Client::connect(&server, &sid, &token, -1).await;
    let cause = begin_something_long(&mut client, "both").await;
    server.kill9();
    server.sandboxes().into_iter().for_each(processes::kill);
    server.restart().await;
    let mut client = Client::connect(&server, &sid, &token, client.cursor).await;
    back_again(&mut client, cause).await;
    assert_eq!(client.run("next", "echo again").await["content"], "again");
    delete_leaves_nothing(&mut server, &sid).await;
}

#[tokio::test]
async fn sigterm_puts_sessions_to_sleep_and_a_join_wakes_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path()).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let (sid, token) = server.session().await;
        let mut client = Client::connect(&server, &sid, &token, -1).await;
        client.run("a", "echo before > file").await;
        sessions.push((sid, token, client));
    }
    assert!(server.sandboxes().len() >= 3, "each has processes of its own");
    assert_eq!(server.sigterm().await, Some(0));
    server.nothing_is_left().await;
    server.restart().await;
    for (sid, token, before) in sessions {
        assert_eq!(server.json(&format!("/api/sessions/{sid}")).await["phase"], "suspended");
        let mut client = Client::connect(&server, &sid, &token, before.cursor).await;
        server.phase(&sid, "ready", BACK_AGAIN).await;
        assert_eq!(client.run("b", "cat file").await["content"], "before");
        delete(&server, &sid).await;
    }
    server.nothing_is_left().await;
    assert_eq!(server.sigterm().await, Some(0));
}

/// Starts a command that does not end; the id of its action.
async fn begin_something_long(client: &mut Client, name: &str) -> Value {
    client.send_run(name, "echo begun; sleep 300").await;
    let printed = |frame: &Value| {
        frame["type"] == "partial" && frame["text"].as_str().is_some_and(|t| t.contains("begun"))
    };
    client.until(PROMPT, printed).await["cause"].clone()
}

/// Sees `starting`, an error for the command that ran, and `ready`.
async fn back_again(client: &mut Client, cause: Value) {
    let (mut starting, mut ready, mut answered) = (false, false, false);
    let begun = Instant::now();
    while !(starting && ready && answered) {
        let left = BACK_AGAIN.checked_sub(begun.elapsed()).expect("back again in time");
        let frame = client.recv_json(left).await.unwrap();
        let event = &frame["event"];
        starting |= event["extras"]["phase"] == "starting";
        ready |= starting && event["extras"]["phase"] == "ready";
        if event["cause"] == cause && event["observation"].is_string() {
            assert_eq!(event["observation"], "error", "{event}");
            assert_eq!(event["extras"]["error_id"], "AGENT_ERROR$ACTION_INTERRUPTED", "{event}");
            answered = true;
        }
    }
    eprintln!("back again after {:?}", begun.elapsed());
}

async fn delete(server: &Server, sid: &str) {
    let (status, _, body) = server.delete(&format!("/api/sessions/{sid}"), &[]).await;
    assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
}

async fn delete_leaves_nothing(server: &mut Server, sid: &str) {
    delete(server, sid).await;
    server.nothing_is_left().await;
    assert_eq!(server.sigterm().await, Some(0));
    server.nothing_is_left().await;
}

/// Clients stream commands while the server is killed again and again; then everything is compared.
async fn weather(storm: Storm) {
    let mut dice = Dice::thrown();
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path()).await;
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
