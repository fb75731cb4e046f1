//! What was found out, before anybody judges it. Pure.

use std::{io::ErrorKind, path::PathBuf};

use crate::config::{EngineChoice, Pull};

/// A call of the system that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub kind: ErrorKind,
    pub words: String,
}

/// Something that can't be used: why, and what to do.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub cause: String,
    pub remedy: String,
}

/// A file system's room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub free: u64,
    pub total: u64,
    /// Files that can be made; none where that has no limit.
    pub free_files: Option<u64>,
}

/// A server that wrote down that it runs, and whose process is there.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub pid: u32,
    pub url: String,
}

/// The data directory, or where it would be made.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    pub path: PathBuf,
    pub is_there: bool,
    /// Why nothing can be made or written there.
    pub refused: Option<Refused>,
    /// Files of a server before that can't be opened: name and owner.
    pub closed: Vec<(String, String)>,
    pub space: Option<Space>,
    /// Name of a file system on which databases are not safe.
    pub remote: Option<&'static str>,
    pub running: Option<Running>,
    /// Length of the longest socket's path that an engine would make in it.
    pub longest_socket: usize,
}

/// What came of running the runner where it would be kept.
#[derive(Clone, Debug)]
pub(crate) enum RunnerTried {
    Runs,
    /// There was no place for it.
    NotPlaced(String),
    /// The system refuses to run it.
    Refused {
        words: String,
        noexec: bool,
    },
    /// It ran and went wrong.
    Failed(String),
}

/// What came of listening at an address.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The check's name.
    pub check: &'static str,
    /// The key of the configuration.
    pub key: &'static str,
    pub address: std::net::SocketAddr,
    pub refused: Option<Refused>,
}

/// What docker's address led to.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// Nothing says where it is.
    NoAddress(Trouble),
    /// No socket is at that path.
    Missing,
    /// The socket, or a folder above it, is closed to us.
    Denied(Denied),
    /// A socket is there and nobody listens.
    NobodyListens,
    /// It takes connections and says nothing.
    Hangs {
        seconds: u64,
    },
    /// It answers, and can't be used.
    Unusable(Trouble),
    Answers(Box<Answers>),
}

/// A socket that is closed to us.
#[derive(Clone, Debug, Default)]
pub(crate) struct Denied {
    /// Who we are.
    pub user: String,
    /// The socket itself; none when a folder above it is closed.
    pub socket: Option<SocketOwner>,
}

/// Whose socket it is.
#[derive(Clone, Debug)]
pub(crate) struct SocketOwner {
    pub owner: String,
    pub group: String,
    pub mode: u32,
    /// We are in that group by its list, but this process is not yet.
    pub listed: bool,
}

/// The image that sessions would be made of.
#[derive(Clone, Debug)]
pub(crate) struct SandboxImage {
    pub name: String,
    pub is_there: bool,
    /// It is built here, not fetched.
    pub is_built: bool,
}

/// What docker said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub facts: Vec<(String, String)>,
    pub lacks: Vec<String>,
    /// Whether it can pause, and whether the configuration wants that.
    pub can_pause: bool,
    pub wants_pause: bool,
    pub image: SandboxImage,
    pub pull: Pull,
    /// Where it keeps its data, when that is seen from here.
    pub data_root: Option<(PathBuf, Option<Space>)>,
    /// Seconds by which its clock is ahead of ours.
    pub ahead: Option<i64>,
}

/// Docker, where it was looked for.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    /// `unix:///var/run/docker.sock`; empty when nothing says where it is.
    pub address: String,
    pub reach: Reach,
}

impl Docker {
    pub(crate) fn answers(&self) -> bool {
        matches!(self.reach, Reach::Answers(_))
    }
}

/// What came of trying a local sandbox.
#[derive(Clone, Debug)]
pub(crate) enum Local {
    /// There was nothing to try it with.
    NotTried(String),
    Failed(Trouble),
    Works {
        tier: String,
        exposes: Vec<String>,
        /// Why this kernel may refuse user namespaces.
        hint: Option<Trouble>,
    },
}

/// The engines that were looked at: those that the choice leaves open.
#[derive(Clone, Debug)]
pub(crate) struct Engines {
    pub choice: EngineChoice,
    pub docker: Option<Docker>,
    pub local: Option<Local>,
}
