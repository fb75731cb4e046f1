//! What the product's tests share: the real binary on real sockets and on either engine, a small HTTP
//! client, a `WebSocket` client that keeps its cursor, and processes as the kernel sees them. Every wait
//! has a limit. A test program takes it in with
//! `#[expect(dead_code, unreachable_pub, reason = "…")] mod common;`.

pub mod client;
pub mod docker;
pub mod http;
pub mod processes;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};

pub use self::client::Client;

/// The longest that a thing which ought to be prompt may take on a loaded machine.
pub const PROMPT: Duration = Duration::from_secs(30);
/// From exec to the line that says "ready", and from SIGTERM to the end.
const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(40);
/// Between two looks at something that tells nobody.
const LOOK: Duration = Duration::from_millis(20);

/// Which engine makes a server's sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Local,
    /// The tests' own daemon: see [`docker`].
    Docker,
    /// The docker engine on a fake daemon, whose address the test sets.
    Fake,
}

impl EngineKind {
    /// As the command line and `/health` have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Docker | Self::Fake => "docker",
        }
    }
}

/// A server: the real binary, its data directory and its address, which outlive its process.
pub struct Server {
    engine: EngineKind,
    dir: PathBuf,
    env: Vec<(String, String)>,
    /// `http://127.0.0.1:PORT`, the same after a restart.
    pub url: String,
    pub sandbox_url: String,
    pub login_url: String,
    /// An operator's, of the newest run.
    pub token: String,
    process: Child,
    sessions: Mutex<BTreeSet<String>>,
}

impl Server {
    /// Starts on free ports, with the local engine.
    pub async fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[]).await
    }

    /// Starts with environment variables, such as `STAITHE__LIMITS__MAX_SESSIONS`.
    pub async fn start_with(dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_on(EngineKind::Local, dir, env).await
    }

    /// Starts on an engine.
    pub async fn start_on(engine: EngineKind, dir: &Path, env: &[(&str, &str)]) -> Self {
        let own = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = match engine {
            EngineKind::Local | EngineKind::Fake => Vec::new(),
            EngineKind::Docker => docker::settings(),
        };
        // A test's own come last and win.
        let env: Vec<_> = settings.into_iter().chain(own).collect();
        let free = ["127.0.0.1:0", "127.0.0.1:0"];
        let launched = launch(engine, dir, &env, free).await;
        let (process, ready) = launched.unwrap_or_else(|why| panic!("the server: {why}"));
        let word = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self {
            engine,
            dir: dir.to_owned(),
            env,
            url: word("url"),
            sandbox_url: word("sandbox_url"),
            login_url: word("login_url"),
            token: word("token"),
            process,
            sessions: Mutex::default(),
        }
    }

    /// Ends the process as a power cut would.
    pub fn kill9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the process again on the same ports and data.
    pub async fn restart(&mut self) {
        let (control, sandbox) = (self.address().to_owned(), address(&self.sandbox_url).to_owned());
        let begun = Instant::now();
        loop {
            // A connection that somebody opened meanwhile may hold the port for a moment.
            match launch(self.engine, &self.dir, &self.env, [&control, &sandbox]).await {
                Ok((process, ready)) => {
                    self.process = process;
                    ready["token"].as_str().unwrap().clone_into(&mut self.token);
                    return;
                }
                Err(why) => assert!(begun.elapsed() < START_LIMIT, "the server again: {why}"),
            }
        }
    }

    /// Asks the process to end, without waiting for it.
    pub fn ask_to_end(&self) {
        processes::terminate(self.pid());
    }

    /// Asks the process to end and waits; the exit status's code.
    pub async fn sigterm(&mut self) -> Option<i32> {
        self.ask_to_end();
        self.ended().await
    }

    /// Waits for the process's end; the exit status's code.
    pub async fn ended(&mut self) -> Option<i32> {
        let begun = Instant::now();
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < END_LIMIT, "the server does not end");
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        address(&self.url)
    }

    /// What the server has written to its standard error, over all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("stderr.log")).unwrap_or_default()
    }

    /// Makes a session; its id, and a token that opens it alone.
    pub async fn session(&self) -> (String, String) {
        let (status, _, body) = self.post("/api/sessions", &[], &json!({})).await;
        let made: Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        (id, made["token"].as_str().unwrap().to_owned())
    }

    /// Waits until a session is in a phase; its body.
    pub async fn phase(&self, id: &str, phase: &str, limit: Duration) -> Value {
        let begun = Instant::now();
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            let body = self.json(&format!("/api/sessions/{id}")).await;
            if body["phase"] == phase {
                return body;
            }
            assert!(begun.elapsed() < limit, "{id} is not {phase} after {limit:?}: {body}");
        }
    }

    /// A GET whose answer is JSON.
    pub async fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.get(path, &[]).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// All events of a session, read page by page.
    pub async fn events(&self, id: &str) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let after = newest(&events);
            let path = format!("/api/sessions/{id}/events?after={after}&limit=1000");
            let page = self.json(&path).await;
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return events;
            }
        }
    }

    /// Living processes of this server's sandboxes.
    pub fn sandboxes(&self) -> Vec<u32> {
        match self.engine {
            EngineKind::Local => {
                let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
                processes::of_sandboxes(&self.dir, &sessions, self.pid())
            }
            EngineKind::Fake => Vec::new(),
            EngineKind::Docker => {
                let owner = docker::owner(&self.dir);
                docker::processes(&owner.map_or_else(Vec::new, |owner| docker::containers(&owner)))
            }
        }
    }

    /// What this server's sandboxes have left on the machine, in words: processes, and what the engine
    /// keeps.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = processes::described(&self.sandboxes());
        if self.engine == EngineKind::Docker {
            let owner = docker::owner(&self.dir);
            found.extend(owner.map_or_else(Vec::new, |owner| docker::described(&owner)));
        }
        found
    }

    /// Waits until no process of any sandbox lives.
    pub async fn nothing_runs(&self) {
        let gone = eventually(PROMPT, || self.sandboxes().is_empty()).await;
        assert!(gone, "still running: {:?}", processes::described(&self.sandboxes()));
    }

    /// Waits until nothing of any sandbox is left.
    pub async fn nothing_is_left(&self) {
        let gone = eventually(PROMPT, || self.leftovers().is_empty()).await;
        assert!(gone, "left over: {:?}", self.leftovers());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        match self.engine {
            EngineKind::Local => {
                for _ in 0..3 {
                    self.sandboxes().into_iter().for_each(processes::kill);
                }
            }
            EngineKind::Fake => {}
            EngineKind::Docker => {
                // What it had asked for when it was killed may be made a moment later.
                for owner in docker::owner(&self.dir).iter().cycle().take(3) {
                    docker::remove_all(owner);
                }
            }
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(30).collect();
            eprintln!("the server's last words:");
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// The cursor of who has these events, which begin with the first.
pub fn newest(events: &[Value]) -> i64 {
    i64::try_from(events.len()).unwrap() - 1
}

/// Looks until it is so; whether it came to be.
pub async fn eventually(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    let mut look = interval(LOOK);
    while begun.elapsed() < limit {
        look.tick().await;
        if is_so() {
            return true;
        }
    }
    false
}

/// Random numbers that the same seed gives again (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// From `STAITHE_SEED`, or from the clock; printed, so that a run can be had again.
    pub fn thrown() -> Self {
        let seed = std::env::var("STAITHE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            u64::from(now.unwrap().subsec_nanos())
        });
        eprintln!("STAITHE_SEED={seed}");
        Self(seed)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

/// Starts the binary and waits for its ready line.
async fn launch(
    engine: EngineKind,
    dir: &Path,
    env: &[(String, String)],
    [control, sandbox]: [&str; 2],
) -> Result<(Child, Value), String> {
    let log = File::options().create(true).append(true).open(dir.join("stderr.log")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_staithe"))
        .args(["serve", "--ready-json", "--engine", engine.word(), "--listen", control])
        .args(["--sandbox-listen", sandbox, "--data-dir"])
        .arg(dir)
        .envs(env.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).map(|_| line)
    });
    if let Ok(line) = timeout(START_LIMIT, line).await {
        let line = line.unwrap().unwrap();
        if let Ok(ready) = serde_json::from_str(&line) {
            return Ok((process, ready));
        }
    }
    drop(process.kill()); // which ends the reading, too
    let status = process.wait().unwrap();
    Err(format!("no ready line ({status}); see {}", dir.join("stderr.log").display()))
}
