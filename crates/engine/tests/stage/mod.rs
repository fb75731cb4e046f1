//! What the tests of the local engine share.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use staithe_engine::{
    Engine, Labels, SandboxSpec,
    local::{LocalConfig, LocalEngine, Network, Tier},
};
use staithe_protocol::{Generation, SandboxId, SessionId, api::Resources};
use tempfile::TempDir;
use tokio::time::Instant;

/// What nothing here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The runner's binary: `STAITHE_TEST_RUNNER`, or built once.
pub(crate) fn runner() -> &'static Path {
    static RUNNER: OnceLock<PathBuf> = OnceLock::new();
    RUNNER.get_or_init(|| {
        if let Some(path) = std::env::var_os("STAITHE_TEST_RUNNER") {
            return path.into();
        }
        let output = Command::new(env!("CARGO"))
            .args(["build", "-p", "staithe-runner", "--bin", "staithe-runner"])
            .arg("--message-format=json")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the runner does not build");
        let text = String::from_utf8(output.stdout).unwrap();
        let messages = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let executable = |m: serde_json::Value| m["executable"].as_str().map(PathBuf::from);
        messages.filter_map(executable).next_back().expect("cargo names the executable")
    })
}

/// A data directory, and a stand-in for the runner that serves by script.
pub(crate) struct Stage {
    pub(crate) dir: TempDir,
    pub(crate) tier: Tier,
    pub(crate) network: Network,
}

impl Stage {
    pub(crate) fn new(tier: Tier) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let command = r#""command":["/bin/bash","serve.sh"]"#;
        let script = format!(
            "#!/bin/sh\nsed -i 's|\"command\":null|{command}|' \"$2\"\nexec {} \"$@\"\n",
            runner().display()
        );
        let path = dir.path().join("runner");
        install(&script, &path);
        Self { dir, tier, network: Network::Host }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn config(&self) -> LocalConfig {
        LocalConfig {
            data_dir: self.data(),
            runner: self.dir.path().join("runner"),
            tier: self.tier,
            network: self.network,
            read_only_paths: Vec::new(),
            pids_limit: 500,
            tmpfs_bytes: 16 << 20,
        }
    }

    pub(crate) fn engine(&self) -> LocalEngine {
        LocalEngine::new(self.config()).unwrap()
    }

    pub(crate) fn workspace(&self, name: &str) -> PathBuf {
        self.data().join("workspaces").join(name)
    }

    /// Makes a sandbox that runs this script, and starts it.
    pub(crate) async fn run(&self, engine: &LocalEngine, name: &str, script: &str) -> SandboxId {
        let sandbox = engine.create(&spec(name)).await.unwrap();
        fs::write(self.workspace(name).join("serve.sh"), script).unwrap();
        engine.start(&sandbox.id, "the key").await.unwrap();
        sandbox.id
    }

    /// What a script that ends by itself has written to `out`.
    pub(crate) async fn output(&self, engine: &LocalEngine, name: &str, script: &str) -> String {
        let done = self.workspace(name).join("done");
        let id = self.run(engine, name, &format!("({script}) >out 2>&1; touch done")).await;
        eventually("the script is done", || done.exists()).await;
        engine.stop(&id, Duration::ZERO).await.unwrap();
        fs::read_to_string(self.workspace(name).join("out")).unwrap()
    }
}

pub(crate) fn spec(name: &str) -> SandboxSpec {
    SandboxSpec {
        name: name.to_owned(),
        session: Some(SessionId::generate()),
        workspace: None,
        generation: Generation(1),
        labels: Labels::from([("name".to_owned(), name.to_owned()), ("all".into(), "yes".into())]),
        image: None,
        resources: Resources::default(),
        key: "the key".to_owned(),
        env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
    }
}

/// Writes a program, by another process: were it open for writing here while another test's thread
/// forks, it could not be run until that child has gone on (ETXTBSY).
fn install(script: &str, path: &Path) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    install.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many processes of the host have this word on their command line.
pub(crate) fn count(word: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|e| fs::read(e.path().join("cmdline")).ok());
    lines.filter(|l| l.split(|b| *b == 0).any(|argument| argument == word.as_bytes())).count()
}

/// Seconds that nobody else sleeps for.
pub(crate) fn odd_sleep() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("8{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A first process that ignores requests to end, with a daemonised, environment-less grandchild.
pub(crate) fn stubborn(word: &str) -> String {
    format!(
        "trap '' TERM INT; (setsid env -i sleep {word} </dev/null >/dev/null 2>&1 &)\n\
         (setsid sleep {word} &) \n touch ready; while :; do read -t 1 x <> <(:); done"
    )
}
