//! Engines: who makes, finds, starts, stops and removes sandboxes.
//!
//! An [`Engine`] knows nothing of sessions, actors or events. It owns no sandbox either: what it made
//! is found again by labels after any crash. The trait assumes neither a local file nor a local
//! socket: where a runner is reached is said by [`Line`].

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use staithe_protocol::{Generation, SandboxId, SessionId};

pub mod local;

/// Label: the session that a sandbox belongs to.
pub const LABEL_SESSION: &str = "staithe.session";
/// Label: the attempt that made it.
pub const LABEL_GENERATION: &str = "staithe.generation";
/// Label: the installation that made it.
pub const LABEL_OWNER: &str = "staithe.owner";

/// Labels, matched exactly and all of them.
pub type Labels = BTreeMap<String, String>;

/// What a sandbox is made from.
#[derive(Clone, Debug)]
pub struct SandboxSpec {
    /// `prefix + session id`; at most one sandbox of a name exists.
    pub name: String,
    pub session: SessionId,
    pub generation: Generation,
    pub labels: Labels,
    /// The image; none for engines that have none.
    pub image: Option<String>,
    /// Given to the runner, never visible in the sandbox's environment, arguments or files.
    pub key: String,
    /// Environment of the commands in the sandbox.
    pub env: BTreeMap<String, String>,
}

/// What an engine knows of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    pub id: SandboxId,
    pub name: String,
    pub labels: Labels,
    pub state: SandboxState,
}

/// A sandbox as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// Made, never started or stopped since; `start` runs it.
    Stopped,
    /// Its first process lives.
    Running,
}

/// Where a sandbox's runner listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A unix socket.
    Unix(PathBuf),
}

/// Use of the machine by one sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Seconds of processor time used so far by the processes that live.
    pub cpu_seconds: f64,
    /// Resident bytes.
    pub memory_bytes: u64,
    pub processes: u64,
}

/// Something that happened to a sandbox without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxExited {
    pub id: SandboxId,
    pub name: String,
    /// The exit status as a shell says it (128 + signal), when it is known.
    pub code: Option<i32>,
}

/// What an engine isolates here, truthfully.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// `container`, `namespaces`, `landlock` or `none`.
    pub tier: String,
    /// What a sandbox can't reach or do.
    pub protects: Vec<String>,
    /// What is not protected, and why.
    pub exposes: Vec<String>,
}

/// An engine's refusal or failure, named for what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineFailed {
    /// The engine can't be used at all now.
    #[error("the {engine} engine is unavailable: {cause}")]
    Unavailable { engine: &'static str, cause: String, remedy: String },
    /// There is no such sandbox.
    #[error("there is no sandbox {0}")]
    NotFound(SandboxId),
    /// A sandbox of this name is there already; look again.
    #[error("a sandbox named {0} is there already")]
    NameTaken(String),
    /// The specification asks for what this engine hasn't got.
    #[error("this engine can't make it: {cause}")]
    Unsupported { cause: String, remedy: String },
    /// The sandbox's fate may be unknown: look before anything else.
    #[error("could not {operation} sandbox {name}")]
    Operation {
        operation: &'static str,
        name: String,
        #[source]
        source: std::io::Error,
        remedy: String,
    },
}

/// The contract of all engines. Each method may be called at any time, in any order, also after the
/// server was killed between any two calls.
#[async_trait]
pub trait Engine: Send + Sync {
    /// `docker` or `local`.
    fn kind(&self) -> &'static str;

    /// What sandboxes are protected from here. Measured once, at the engine's start.
    fn isolation(&self) -> Isolation;

    /// Every sandbox that carries all these labels, running or not, also those that another process
    /// made. Empty when there is none: that is no error.
    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed>;

    /// Makes a sandbox, stopped. Its workspace is made when it isn't there, and left alone when it is:
    /// a workspace outlives its sandbox. [`EngineFailed::NameTaken`] when the name exists; a failed
    /// call leaves nothing behind but, at most, what [`find`](Engine::find) finds.
    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed>;

    /// Runs a stopped sandbox; does nothing to a running one. Returns when the first process lives,
    /// not when the runner answers. `key` is given to the runner.
    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed>;

    /// Ends every process of the sandbox: asks, waits `grace`, kills. Returns when all are gone.
    /// A stopped sandbox is left as it is.
    async fn stop(&self, id: &SandboxId, grace: Duration) -> Result<(), EngineFailed>;

    /// Removes a sandbox, stopping it first; `with_workspace` also the workspace. Removing what is
    /// not there is no error.
    async fn remove(&self, id: &SandboxId, with_workspace: bool) -> Result<(), EngineFailed>;

    /// The last `tail` lines that the sandbox's first process printed, oldest first; each at most
    /// 4 KiB.
    async fn logs(&self, id: &SandboxId, tail: usize) -> Result<Vec<String>, EngineFailed>;

    /// What it uses now; zeros for a stopped one.
    async fn stats(&self, id: &SandboxId) -> Result<Stats, EngineFailed>;

    /// Sandboxes that ended, from the call on, whoever ended them. A hint: a lost one does no harm,
    /// since whoever depends on a sandbox also watches its line.
    fn exits(&self) -> BoxStream<'static, SandboxExited>;

    /// Where the runner of this sandbox listens, whether or not it does yet.
    fn line(&self, id: &SandboxId) -> Line;

    /// Removes the workspace that belongs to a name, when there is one.
    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed>;
}
