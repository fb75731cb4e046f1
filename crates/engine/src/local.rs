//! The local engine: sandboxes made of what the kernel grants an ordinary user, where there is no
//! Docker.
//!
//! ```text
//! DATA/sandboxes/NAME/sandbox.json   what it is, and its first process; written atomically
//!                    /launch.json    what the launcher was last asked for
//!                    /tier.json      what the launcher reached
//!                    /run/           shared with the sandbox: runner.sock, state/
//!                    /log            what the first process printed
//!     /workspaces/NAME/              the workspace, which outlives the sandbox
//! ```
//!
//! The launcher is the runner's own binary (`runner launch SPEC`); it and all below it live on when
//! the server dies, and are found again by their files. A process is known by its number, its start
//! time and the machine's boot, so that a number used again is never mistaken for it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use staithe_protocol::{Progress, SandboxId};
use tokio::{
    sync::{OwnedMutexGuard, broadcast},
    task::spawn_blocking,
};

use crate::{
    Capabilities, Engine, EngineFailed, Isolation, Labels, Line, Sandbox, SandboxExited,
    SandboxSpec, SandboxState, Stats,
};

mod isolation;
mod launch;
mod log;
mod processes;
mod record;
mod removal;
mod stopping;

use processes::Process;
use record::{Layout, Record};

/// Longest path of a unix socket that the kernel takes.
const LONGEST_SOCKET_PATH: usize = 107;
/// Exits that a slow listener may be behind before it misses some.
const EXITS_KEPT: usize = 1024;

/// How strongly sandboxes are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The strongest that can be had here.
    #[default]
    Auto,
    /// Own namespaces and root, Landlock, seccomp.
    Namespaces,
    /// Landlock and seccomp on the host's root.
    Landlock,
    /// No walls.
    None,
}

/// What of the network sandboxes reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// What the host reaches.
    #[default]
    Host,
    /// Themselves at most.
    None,
}

/// Settings of the local engine.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Where sandboxes and workspaces are kept.
    pub data_dir: PathBuf,
    /// The runner's binary.
    pub runner: PathBuf,
    pub tier: Tier,
    pub network: Network,
    /// Further paths of the host that sandboxes can read, at the same place.
    pub read_only_paths: Vec<PathBuf>,
    /// Most processes in a sandbox.
    pub pids_limit: u64,
    /// Size of a sandbox's `/tmp`, and of its `/dev/shm`.
    pub tmpfs_bytes: u64,
}

/// The engine. Clones share everything.
#[derive(Clone)]
pub struct LocalEngine(Arc<Inner>);

struct Inner {
    config: LocalConfig,
    layout: Layout,
    /// The tier that was reached when it was tried.
    tier: Tier,
    isolation: Isolation,
    exits: broadcast::Sender<SandboxExited>,
    /// One turn at a time for each name.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// First processes whose end is awaited by a task already.
    watched: Mutex<HashSet<Process>>,
}

impl LocalEngine {
    /// Opens the data directory and tries out what isolation can be had: blocks for some tens of
    /// milliseconds. [`EngineFailed::Unavailable`] when the runner can't be run or a tier that was
    /// asked for by name can't be had.
    pub fn new(mut config: LocalConfig) -> Result<Self, EngineFailed> {
        config.runner = config.runner.canonicalize().map_err(|e| {
            unavailable(
                format!("the runner {} can't be found: {e}", config.runner.display()),
                "build it with `cargo build -p staithe-runner`, or set its path",
            )
        })?;
        let layout = Layout::open(&config.data_dir).map_err(|e| {
            unavailable(
                format!("the directory {} can't be used: {e}", config.data_dir.display()),
                "let the server's user write there, or choose another data_dir",
            )
        })?;
        let reached = isolation::probe(&config, &layout)?;
        Ok(Self(Arc::new(Inner {
            tier: reached.tier,
            isolation: isolation::describe(&reached),
            layout,
            config,
            exits: broadcast::channel(EXITS_KEPT).0,
            turns: Mutex::default(),
            watched: Mutex::default(),
        })))
    }

    /// Waits until nobody else works on this sandbox.
    async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(name.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// The record of a sandbox that must be there.
    async fn record(&self, id: &SandboxId) -> Result<Record, EngineFailed> {
        if !record::is_name(&id.0) {
            return Err(EngineFailed::NotFound(id.clone()));
        }
        let (layout, name) = (self.0.layout.clone(), id.0.clone());
        let found = off_thread(move || layout.load(&name)).await;
        found.map_err(failed("read", &id.0))?.ok_or_else(|| EngineFailed::NotFound(id.clone()))
    }

    /// Sees to it that the end of a running sandbox is told.
    fn watch(&self, name: &str, process: &Process) {
        if self.begin_watch(process) {
            let (engine, name, process) = (self.clone(), name.to_owned(), process.clone());
            tokio::spawn(async move {
                process.ended().await;
                engine.tell_exit(&name, &process, None);
            });
        }
    }

    /// False when another task watches it already.
    fn begin_watch(&self, process: &Process) -> bool {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(process.clone())
    }

    fn tell_exit(&self, name: &str, process: &Process, code: Option<i32>) {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(process);
        tracing::info!(sandbox = name, code, "sandbox ended");
        let exited = SandboxExited {
            id: SandboxId(name.to_owned()),
            name: name.to_owned(),
            code,
            out_of_memory: false,
        };
        drop(self.0.exits.send(exited)); // nobody listening is no failure
    }

    /// Stops a sandbox whose turn it is.
    async fn stop_now(&self, record: &Record, grace: Duration) -> Result<(), EngineFailed> {
        let Some(process) = &record.process else { return Ok(()) };
        stopping::stop(process, &record.marker, grace).await.map_err(failed("stop", &record.name))
    }
}

#[async_trait]
impl Engine for LocalEngine {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn isolation(&self) -> Isolation {
        self.0.isolation.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            facts: vec![("tier".to_owned(), self.0.isolation.tier.clone())],
            ..Capabilities::default()
        }
    }

    fn config_of(&self, _: &SandboxSpec) -> Option<String> {
        None
    }

    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed> {
        let layout = self.0.layout.clone();
        let records = off_thread(move || layout.all()).await.map_err(failed("list", "*"))?;
        let fits = |r: &&Record| labels.iter().all(|(key, value)| r.labels.get(key) == Some(value));
        Ok(records
            .iter()
            .filter(fits)
            .map(|record| {
                if let Some(process) = record.running() {
                    self.watch(&record.name, process);
                }
                record.sandbox()
            })
            .collect())
    }

    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        if !record::is_name(&spec.name) {
            return Err(unsupported(
                format!("{:?} is no name for a sandbox", spec.name),
                "use 1 to 100 of a-z, 0-9 and -",
            ));
        }
        if let Some(image) = &spec.image {
            return Err(no_images(image));
        }
        if self.0.layout.socket(&spec.name).as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(unsupported(
                "the path of the sandbox's socket would be too long for the kernel".to_owned(),
                "use a data_dir with a shorter path",
            ));
        }
        let _turn = self.turn(&spec.name).await;
        let (layout, record) = (self.0.layout.clone(), Record::new(spec));
        let made = off_thread(move || layout.create(&record).map(|()| record)).await;
        match made {
            Ok(record) => Ok(record.sandbox()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(EngineFailed::NameTaken(spec.name.clone()))
            }
            Err(e) => Err(failed("create", &spec.name)(e)),
        }
    }

    async fn ensure_image(
        &self,
        image: &str,
        _: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        Err(no_images(image))
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineFailed> {
        Err(no_images(image))
    }

    async fn pause(&self, _: &SandboxId) -> Result<(), EngineFailed> {
        Err(unsupported(
            "it can't freeze a sandbox".to_owned(),
            "set sandbox.suspend_by to \"stop\", or use the docker engine",
        ))
    }

    async fn claim(&self, id: &SandboxId, _: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        Err(EngineFailed::NotFound(id.clone()))
    }

    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed> {
        let _turn = self.turn(&id.0).await;
        let record = self.record(id).await?;
        if let Some(process) = record.running() {
            self.watch(&record.name, process);
            return Ok(());
        }
        // What an earlier run left behind, if its launcher was killed.
        self.stop_now(&record, Duration::ZERO).await?;
        launch::start(self, record, key).await
    }

    async fn stop(&self, id: &SandboxId, grace: Duration) -> Result<(), EngineFailed> {
        let _turn = self.turn(&id.0).await;
        let record = self.record(id).await?;
        self.stop_now(&record, grace).await
    }

    async fn remove(&self, id: &SandboxId, with_workspace: bool) -> Result<(), EngineFailed> {
        let turn = self.turn(&id.0).await;
        match self.record(id).await {
            Ok(record) => {
                self.stop_now(&record, Duration::ZERO).await?;
                let (layout, name) = (self.0.layout.clone(), record.name);
                let removed = off_thread(move || layout.remove(&name)).await;
                removed.map_err(failed("remove", &id.0))?;
            }
            Err(EngineFailed::NotFound(_)) => {}
            Err(e) => return Err(e),
        }
        drop(turn);
        if with_workspace { self.remove_workspace(&id.0).await } else { Ok(()) }
    }

    async fn logs(&self, id: &SandboxId, tail: usize) -> Result<Vec<String>, EngineFailed> {
        self.record(id).await?;
        let path = self.0.layout.log(&id.0);
        off_thread(move || log::tail(&path, tail)).await.map_err(failed("read the log of", &id.0))
    }

    async fn stats(&self, id: &SandboxId) -> Result<Stats, EngineFailed> {
        let record = self.record(id).await?;
        let stats = off_thread(move || Ok(record.running().map(Process::stats))).await;
        Ok(stats.map_err(failed("measure", &id.0))?.unwrap_or_default())
    }

    fn exits(&self) -> BoxStream<'static, SandboxExited> {
        crate::told(self.0.exits.subscribe())
    }

    async fn line(&self, id: &SandboxId) -> Result<Line, EngineFailed> {
        Ok(Line::Unix(self.0.layout.socket(&id.0)))
    }

    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed> {
        if !record::is_name(name) {
            return Ok(());
        }
        let _turn = self.turn(name).await;
        let (layout, owned) = (self.0.layout.clone(), name.to_owned());
        let removed = off_thread(move || layout.remove_workspace(&owned)).await;
        removed.map_err(failed("remove the workspace of", name))
    }

    async fn sweep(&self, _: &str, kept: &BTreeSet<String>) -> Result<Vec<String>, EngineFailed> {
        let layout = self.0.layout.clone();
        let all = off_thread(move || layout.all_workspaces()).await.map_err(failed("list", "*"))?;
        let mut removed = Vec::new();
        for name in all.into_iter().filter(|name| !kept.contains(name)) {
            self.remove_workspace(&name).await?;
            removed.push(format!("workspace {name}"));
        }
        Ok(removed)
    }
}

/// Runs what reads or writes files away from the thread that the actors share.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Names an operation that failed.
fn failed(operation: &'static str, name: &str) -> impl FnOnce(io::Error) -> EngineFailed {
    let name = name.to_owned();
    move |source| EngineFailed::Operation {
        operation,
        name,
        remedy: match source.kind() {
            io::ErrorKind::StorageFull => "free space under the data_dir",
            io::ErrorKind::PermissionDenied => "let the server's user own everything in data_dir",
            io::ErrorKind::TimedOut => "look at what the machine is busy with, then try again",
            _ => "look at the sandbox's log and at the server's, then try again",
        }
        .to_owned(),
        source,
    }
}

fn unavailable(cause: String, remedy: &str) -> EngineFailed {
    EngineFailed::Unavailable { engine: "local", cause, remedy: remedy.to_owned() }
}

fn no_images(image: &str) -> EngineFailed {
    unsupported(
        format!("it has no images, and {image} is asked for"),
        "use the docker engine, or ask for no image",
    )
}

fn unsupported(cause: String, remedy: &str) -> EngineFailed {
    EngineFailed::Unsupported { cause, remedy: remedy.to_owned() }
}

impl Record {
    /// The first process, when it lives.
    fn running(&self) -> Option<&Process> {
        self.process.as_ref().filter(|p| p.is_alive())
    }

    /// As the engine's callers see it.
    fn sandbox(&self) -> Sandbox {
        Sandbox {
            id: SandboxId(self.name.clone()),
            name: self.name.clone(),
            labels: self.labels.clone(),
            workspace: self.name.clone(),
            state: match self.running() {
                Some(_) => SandboxState::Running,
                None => SandboxState::Stopped,
            },
        }
    }
}
