//! What the tests of the docker engine share: a real engine, the static runner, and a line to it.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use staithe_engine::{
    Engine, LABEL_GENERATION, LABEL_OWNER, LABEL_SESSION, Labels, Line, SandboxSpec,
    docker::{DockerConfig, DockerEngine, LineChoice, Pull, SandboxShape},
};
use staithe_link::{Address, Link, LinkEvent, Stream};
use staithe_protocol::{
    Action, Generation, Observation, SandboxId, SessionId,
    action::Run,
    api::Resources,
    files::{FileCode, FileOp},
    observation::RunObservation,
    runner::{Answer, Call, Hello, Limits},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

/// What nothing here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// Debian with bash and git.
pub(crate) const BASE: &str = "staithe-test/base:1";

/// The address of the engine that tests may use.
pub(crate) fn address() -> String {
    std::env::var("STAITHE_TEST_DOCKER").expect(
        "STAITHE_TEST_DOCKER names no engine: run `tests/support/docker up` and `… images`, then set \
         it to unix:///run/staithe-docker.sock, or run `bash scripts/test docker`",
    )
}

/// The runner as the product embeds it: static, so that it runs in any image.
pub(crate) fn runner() -> &'static Path {
    Path::new(concat!(env!("OUT_DIR_OF_STAITHE"), "/staithe-runner"))
}

/// An installation of its own: nothing of it is left when it is dropped.
pub(crate) struct Stage {
    pub(crate) dir: TempDir,
    pub(crate) owner: String,
    pub(crate) shape: SandboxShape,
    pub(crate) line: LineChoice,
}

impl Stage {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        address(); // says what is missing before anything is made
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            dir: tempfile::tempdir().unwrap(),
            owner: format!("test-{}-{number}", std::process::id()),
            shape: shape(),
            line: LineChoice::Auto,
        }
    }

    pub(crate) fn config(&self) -> DockerConfig {
        DockerConfig {
            host: address(),
            owner: self.owner.clone(),
            name_prefix: format!("{}-", self.owner),
            data_dir: self.dir.path().to_owned(),
            runner: runner().canonicalize().unwrap(),
            runner_hash: format!("{:x}", runner().metadata().unwrap().len()),
            pull: Pull::Never,
            line: self.line,
            deadline: LONG,
            sandbox: self.shape.clone(),
        }
    }

    pub(crate) async fn engine(&self) -> DockerEngine {
        DockerEngine::open(self.config()).await.unwrap()
    }

    /// What a session of its own would ask for.
    pub(crate) fn spec(&self, image: &str) -> SandboxSpec {
        let session = SessionId::generate();
        SandboxSpec {
            name: format!("{}-{session}", self.owner),
            session: Some(session),
            workspace: None,
            generation: Generation(1),
            labels: [
                (LABEL_SESSION, session.to_string()),
                (LABEL_OWNER, self.owner.clone()),
                (LABEL_GENERATION, "1".to_owned()),
            ]
            .map(|(label, value)| (label.to_owned(), value))
            .into(),
            image: Some(image.to_owned()),
            resources: Resources::default(),
            key: "0123456789abcdef".to_owned(),
            env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
        }
    }

    pub(crate) fn all(&self) -> Labels {
        Labels::from([(LABEL_OWNER.to_owned(), self.owner.clone())])
    }

    /// A started sandbox and its line.
    pub(crate) async fn start(
        &self,
        engine: &DockerEngine,
        spec: &SandboxSpec,
    ) -> (SandboxId, Talk) {
        let made = engine.create(spec).await.unwrap();
        engine.start(&made.id, &spec.key).await.unwrap();
        let talk = talk(engine, &made.id, &spec.key).await;
        (made.id, talk)
    }

    /// Everything on the engine that carries this installation's label.
    pub(crate) fn left(&self) -> Vec<String> {
        let filter = format!("label={LABEL_OWNER}={}", self.owner);
        let mut left = Vec::new();
        for (kind, arguments) in [
            ("container", vec!["ps", "-a", "--format", "{{.Names}}"]),
            ("network", vec!["network", "ls", "--format", "{{.Name}}"]),
            ("volume", vec!["volume", "ls", "--format", "{{.Name}}"]),
        ] {
            let names = docker(&[&arguments[..], &["--filter", &filter]].concat());
            left.extend(names.lines().map(|name| format!("{kind} {name}")));
        }
        let run = self.dir.path().join("run");
        left.extend(
            std::fs::read_dir(run)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| format!("folder {}", e.path().display())),
        );
        left
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let filter = format!("label={LABEL_OWNER}={}", self.owner);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-fv"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm", "-f"]),
        ] {
            let found = docker(&[&list[..], &["--filter", &filter]].concat());
            for name in found.lines() {
                docker(&[&remove[..], &[name]].concat());
            }
        }
    }
}

/// The client's answer.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").arg("-H").arg(address()).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn shape() -> SandboxShape {
    let capabilities = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETGID",
        "SETUID",
    ];
    SandboxShape {
        user: "auto".into(),
        capabilities: capabilities.map(str::to_owned).into(),
        pids_limit: 200,
        memory: 512 << 20,
        memory_swap: 0,
        cpus: 2.0,
        shm_size: 64 << 20,
        disk: 0,
        read_only_rootfs: false,
        network: "private".into(),
        network_pool: "10.202.0.0/16".into(),
        runtime: String::new(),
        gpus: 0,
        mounts: Vec::new(),
        devices: Vec::new(),
        allow_dangerous_mounts: false,
        tmpfs: BTreeMap::new(),
        ulimits: BTreeMap::from([("core".into(), (0, 0))]),
        workspace_mount: None,
        workspace: "/workspace".into(),
    }
}

/// A line to a runner that has said hello.
pub(crate) struct Talk {
    pub(crate) link: Link,
    pub(crate) hello: Hello,
    _events: mpsc::Receiver<LinkEvent>,
    count: u32,
}

/// Opens the line of a started sandbox.
pub(crate) async fn talk(engine: &DockerEngine, id: &SandboxId, key: &str) -> Talk {
    let address = match engine.line(id).await.unwrap() {
        Line::Unix(path) => Address::Unix(path),
        Line::Tcp(address) => Address::Tcp(address),
        Line::Dialed(dial) => Address::Dialed(Arc::new(move || {
            let dial = Arc::clone(&dial);
            Box::pin(async move { Ok(Box::new(dial.dial().await?) as Box<dyn Stream>) })
        })),
    };
    let (link, mut events) = Link::open(address, key);
    let first = timeout(LONG, events.recv()).await;
    let Ok(Some(LinkEvent::Up(hello))) = first else {
        let log = engine.logs(id, 20).await;
        panic!("no hello: {first:?}; log: {log:#?}");
    };
    Talk { link, hello, _events: events, count: 0 }
}

impl Talk {
    /// What becomes of a command.
    pub(crate) async fn act(&mut self, command: &str) -> Observation {
        self.count += 1;
        let run = Run { command: command.to_owned(), blocking: true, ..Run::default() };
        let limits = Limits { timeout_ms: 20_000, no_change_ms: 20_000, max_output: 60_000 };
        let call = Call::Act {
            key: self.count.to_string(),
            action: Action::Run(run),
            limits,
            source: None,
        };
        match self.link.call(call, LONG).await.unwrap() {
            Answer::Observed { observation } => *observation,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn run(&mut self, command: &str) -> RunObservation {
        match self.act(command).await {
            Observation::Run(observation) => observation,
            other => panic!("{command}: {other:?}"),
        }
    }

    /// What a command prints.
    pub(crate) async fn says(&mut self, command: &str) -> String {
        self.run(command).await.content
    }

    /// What becomes of a file operation.
    pub(crate) async fn file(
        &mut self,
        op: serde_json::Value,
    ) -> Result<serde_json::Value, FileCode> {
        let op: FileOp = serde_json::from_value(op).unwrap();
        match self.link.call(Call::File { op, origin: None }, LONG).await.unwrap() {
            Answer::FileDone { done } => Ok(serde_json::to_value(done).unwrap()),
            Answer::FileDenied { denied } => Err(denied.code),
            other => panic!("{other:?}"),
        }
    }
}
