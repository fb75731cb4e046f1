//! Engines: who makes, finds, starts, stops and removes sandboxes.
//!
//! An [`Engine`] knows nothing of sessions, actors or events. It owns no sandbox either: what it made
//! is found again by labels after any crash. The trait assumes neither a local file nor a local
//! socket: where a runner is reached is said by [`Line`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize};
use staithe_protocol::{Generation, Progress, SandboxId, SessionId, api::Resources};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::broadcast,
};

mod chain;
pub mod docker;
pub mod images;
pub mod local;

/// Label: the session that a sandbox belongs to.
pub const LABEL_SESSION: &str = "staithe.session";
/// Label: the attempt that made it.
pub const LABEL_GENERATION: &str = "staithe.generation";
/// Label: the installation that made it.
pub const LABEL_OWNER: &str = "staithe.owner";

/// Label: the image that was asked for.
pub const LABEL_IMAGE: &str = "staithe.image";
/// Label: a hash of the settings that it was made with.
pub const LABEL_CONFIG: &str = "staithe.config";
/// Label: a sandbox of the warm pool, by its number there. Labels can't be changed: one that was
/// claimed keeps it, and its session stands in its name.
pub const LABEL_POOL: &str = "staithe.pool";

/// Labels, matched exactly and all of them.
pub type Labels = BTreeMap<String, String>;

/// What a sandbox is made from.
#[derive(Clone, Debug)]
pub struct SandboxSpec {
    /// `prefix + session id`; at most one sandbox of a name exists.
    pub name: String,
    /// None for one of the warm pool.
    pub session: Option<SessionId>,
    pub generation: Generation,
    pub labels: Labels,
    /// The image; none for engines that have none.
    pub image: Option<String>,
    /// Instead of the engine's own limits.
    pub resources: Resources,
    /// The workspace that an earlier sandbox of this session used, as [`Sandbox::workspace`] told it.
    /// None: the one that belongs to the name.
    pub workspace: Option<String>,
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
    /// The engine's name of its workspace, which outlives it; to be kept in the session's record.
    pub workspace: String,
}

/// A sandbox as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// Made, never started or stopped since; `start` runs it.
    Stopped,
    /// Its first process lives.
    Running,
    /// All its processes are frozen; `start` lets them go on.
    Paused,
}

/// Where a sandbox's runner listens.
#[derive(Clone, Debug)]
pub enum Line {
    /// A unix socket.
    Unix(PathBuf),
    /// An address and port that the server reaches.
    Tcp(String),
    /// Streams that the engine opens.
    Dialed(Arc<dyn Dial>),
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens streams to a runner, through the engine.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync {
    /// One new connection to the runner.
    async fn dial(&self) -> io::Result<Box<dyn Stream>>;
}

/// Use of the machine by one sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Seconds of processor time used so far by the processes that live.
    pub cpu_seconds: f64,
    /// Resident bytes.
    pub memory_bytes: u64,
    pub processes: u64,
    /// Most bytes that it may use; 0: not limited, or not known.
    #[serde(default)]
    pub memory_limit: u64,
    /// Bytes received and sent over the network, as far as the engine counts them.
    #[serde(default)]
    pub network_rx: u64,
    #[serde(default)]
    pub network_tx: u64,
    /// Bytes on disk that are the sandbox's own, without its workspace, where the engine counts them.
    #[serde(default)]
    pub disk_bytes: u64,
}

/// Something that happened to a sandbox without being asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxExited {
    pub id: SandboxId,
    pub name: String,
    /// The exit status as a shell says it (128 + signal), when it is known.
    pub code: Option<i32>,
    /// It was killed because it used more memory than it may.
    pub out_of_memory: bool,
}

/// What an engine found out about itself at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What it is, as name and value: version, API, cgroup version, storage, runtimes, ….
    pub facts: Vec<(String, String)>,
    /// What the configuration asks that it can't do, in words, each with what happens instead.
    pub lacks: Vec<String>,
    /// Whether a sandbox can be frozen.
    pub pause: bool,
    /// Whether sandboxes can be started ahead and claimed.
    pub pool: bool,
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
    /// A sandbox of this name is there and is another installation's, or nobody's.
    #[error("a sandbox named {name} is there and is not ours: {cause}")]
    Foreign { name: String, cause: String },
    /// The image can't be had.
    #[error("the image {image} can't be had: {cause}")]
    Image { image: String, cause: String, remedy: String },
    /// The specification asks for what this engine hasn't got.
    #[error("this engine can't make it: {cause}")]
    Unsupported { cause: String, remedy: String },
    /// Of a sandbox or an image. Its fate may be unknown: look before anything else.
    #[error("could not {operation} {name}")]
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

    /// What it can do. Measured once, at the engine's start.
    fn capabilities(&self) -> Capabilities;

    /// What it does with images; none for engines that have none.
    fn images(&self) -> Option<Arc<dyn images::Images>> {
        None
    }

    /// The value of [`LABEL_CONFIG`] that a sandbox made now would carry; none for engines that don't
    /// keep it.
    fn config_of(&self, spec: &SandboxSpec) -> Option<String>;

    /// Every sandbox that carries all these labels, running or not, also those that another process
    /// made. Empty when there is none: that is no error.
    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed>;

    /// Makes a sandbox, stopped. Its workspace is made when it isn't there, and left alone when it is:
    /// a workspace outlives its sandbox. [`EngineFailed::NameTaken`] when the name exists; a failed
    /// call leaves nothing behind but, at most, what [`find`](Engine::find) finds.
    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed>;

    /// Has the image, fetching it when the settings allow that; does nothing when it is there.
    /// `progress` is told of complete layers and in words, at most a few times a second.
    async fn ensure_image(
        &self,
        image: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed>;

    /// Whether the image is there; true for engines that have none.
    async fn has_image(&self, image: &str) -> Result<bool, EngineFailed>;

    /// Runs a stopped sandbox, lets a paused one go on, does nothing to a running one. Returns when the
    /// first process lives, not when the runner answers. `key` is given to the runner.
    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed>;

    /// Freezes a running sandbox; [`EngineFailed::Unsupported`] where [`Capabilities::pause`] is false.
    async fn pause(&self, id: &SandboxId) -> Result<(), EngineFailed>;

    /// Gives a sandbox of the warm pool its session's name, atomically: of two claims one gets
    /// [`EngineFailed::NotFound`] or [`EngineFailed::NameTaken`].
    async fn claim(&self, id: &SandboxId, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed>;

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

    /// Where the runner of this started sandbox listens, whether or not it does yet.
    async fn line(&self, id: &SandboxId) -> Result<Line, EngineFailed>;

    /// Removes a workspace by the engine's name of it, or the one that belongs to a sandbox's name,
    /// when there is one.
    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed>;

    /// Removes what belongs to this installation (`owner`) and to no sandbox: networks, folders,
    /// volumes. Workspaces in `kept` stay, and those that belong to the names in `kept`. Tells what
    /// was removed.
    async fn sweep(
        &self,
        owner: &str,
        kept: &BTreeSet<String>,
    ) -> Result<Vec<String>, EngineFailed>;
}

/// Exits as they are told; a listener that was too slow has missed some, which are hints only.
fn told(exits: broadcast::Receiver<SandboxExited>) -> BoxStream<'static, SandboxExited> {
    let next = |mut exits: broadcast::Receiver<SandboxExited>| async {
        loop {
            match exits.recv().await {
                Ok(exited) => return Some((exited, exits)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    };
    stream::unfold(exits, next).boxed()
}
