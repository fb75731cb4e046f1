//! The line between server and runner: JSON texts on one WebSocket at [`LINK_PATH`], on the runner's
//! unix socket, opened with the header [`KEY_HEADER`].
//!
//! The runner speaks first ([`Hello`]); the server sends [`ToRunner::Request`]s and gets exactly one
//! [`FromRunner::Answer`] to each, in any order. Bulk (uploads, downloads, whole outputs) goes over
//! HTTP requests of their own on the same socket, whose flow control is the socket's:
//!
//! | request | meaning |
//! |---|---|
//! | `GET /files/content?path=` | the file's bytes; headers `ETag` (version), `Content-Length` |
//! | `PUT /files/content?path=&create_parents=` | headers `If-Match`, or `If-None-Match: *`, or `X-Force: true`; answers `FileDone` or `FileDenied` |
//! | `GET /output?key=` | all bytes that a command printed, from its spool |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Action, Observation, Source,
    files::{FileDenied, FileDone, FileOp},
    git::GitDenied,
    plugin::PluginState,
    port::Port,
    secret::Secret,
    services::Services,
};

/// Where the WebSocket is.
pub const LINK_PATH: &str = "/link";
/// The header that carries the session's key; the reference's name (§8.3).
pub const KEY_HEADER: &str = "X-Session-API-Key";
/// The socket's name in the directory that server and sandbox share.
pub const SOCKET_NAME: &str = "runner.sock";

/// First message of the runner on each line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// New with every start of the runner: results and shells of another epoch are gone.
    pub epoch: String,
    /// The runner's version.
    pub version: String,
    /// The workspace as seen in the sandbox.
    pub workspace: String,
    /// Keys of actions that the runner knows: running or finished, newest last.
    pub known_keys: Vec<String>,
}

/// Limits of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Hard limit, in milliseconds. For `run`: it then answers exit code −1 and goes on running.
    pub timeout_ms: u64,
    /// A non-blocking `run` without new output for so long answers exit code −1 and goes on running.
    pub no_change_ms: u64,
    /// Most bytes of output kept in an observation: half from the head, half from the tail.
    pub max_output: u64,
}

/// Where something runs in the foreground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreground {
    /// The session's shell.
    Shell,
    /// The kernel that runs cells.
    Kernel,
}

/// What the server asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Carry out a runnable action. `key` makes it idempotent: an action whose key is known is not
    /// run again; the call waits for, or returns, the first result.
    Act {
        key: String,
        action: Action,
        limits: Limits,
        /// Whose action it is, for those who watch files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Source>,
    },
    /// Send SIGINT to what runs in the foreground (as `C-c` would): there, or wherever something runs. Answers at once.
    Interrupt {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<Foreground>,
    },
    /// A file operation. `origin` names who asked, for those who watch: `client:<socket>/<ref>`.
    File {
        op: FileOp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<String>,
    },
    /// [`ServerInfo`].
    Info {},
    /// Sets the environment of the shells that start from now on, in place of an earlier one; the
    /// persistent shell is started anew if no command was run in it yet. Repeated, it does nothing
    /// more.
    Configure { env: BTreeMap<String, String> },
    /// Says how to serve beside commands; plugins that are wanted begin. Repeated, it does nothing more.
    Equip { services: Services },
    /// Clone a repository into a folder of the workspace. What is there is never overwritten. When nobody waits
    /// any more, it ends and leaves nothing.
    Clone { wish: CloneWish, timeout_ms: u64 },
}

/// A repository that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloneWish {
    /// http, https or ssh, without a password.
    pub url: String,
    /// A branch or tag; none: its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// For the URL's own host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
}

/// What git is given once, over a pipe that only the one run of it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub user: String,
    pub token: Secret,
}

/// A repository that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// Its folder in the workspace.
    pub folder: String,
    /// What is checked out; empty before a first commit.
    pub commit: String,
    /// It was there already, from the same URL, and is as it was.
    pub was_there: bool,
}

/// A call with its number; numbers are the server's, unique on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "made and sent at once, never kept in numbers")]
pub enum ToRunner {
    /// A call.
    Request {
        id: u64,
        #[serde(flatten)]
        call: Call,
    },
    /// The server no longer waits for this call. The action goes on; only the answer is not sent.
    Cancel { id: u64 },
}

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallFailed {
    /// `bad_request`, `unsupported`, `internal`.
    pub code: String,
    pub message: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To `act`.
    Observed { observation: Box<Observation> },
    /// To `interrupt`: whether a command was running.
    Interrupted { running: bool },
    /// To `file`.
    FileDone { done: FileDone },
    /// To `file`.
    FileDenied { denied: FileDenied },
    /// To `info`.
    Info { info: ServerInfo },
    /// To `configure`.
    Configured {},
    /// To `equip`.
    Equipped {},
    /// To `clone`.
    Cloned { cloned: Cloned },
    /// To `clone`.
    NotCloned { denied: GitDenied },
    /// To any call.
    Failed { error: CallFailed },
}

/// What the runner says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRunner {
    Hello(Hello),
    Answer {
        id: u64,
        #[serde(flatten)]
        answer: Answer,
    },
    /// Output as it comes. At most 4 MiB/s with a burst of 1 MiB are sent; what is more is counted in
    /// `skipped` and stands whole in the spool.
    Output {
        /// The action's key; none for a background job's output between commands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Where in the command's output `text` begins, in bytes.
        offset: u64,
        /// Never cuts a character; bytes that are not UTF-8 are replaced.
        text: String,
        /// Bytes left out directly before `text`.
        skipped: u64,
    },
    /// A plugin is in another state. All are told on each new line.
    Plugin {
        plugin: PluginState,
    },
    /// The ports that are listened on, all of them: when they were first looked for, whenever they change,
    /// and on each new line.
    Ports {
        ports: Vec<Port>,
    },
}

/// The state of the sandbox, as the reference's `/server_info` tells it (§8.2), with more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerInfo {
    /// Seconds since the runner began.
    pub uptime: f64,
    /// Seconds since the last action ended or output came.
    pub idle_time: f64,
    pub resources: Resources,
    /// Whether a command is running in the shell.
    #[serde(default)]
    pub busy: bool,
    /// The shell's directory, as its prompt last said.
    #[serde(default)]
    pub cwd: String,
}

/// Use of the machine by the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resources {
    /// Of one core, since the last time asked.
    pub cpu_percent: f64,
    pub memory: MemoryUse,
    pub disk: DiskUse,
    pub io: IoUse,
}

/// All processes in the sandbox together, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemoryUse {
    pub rss: u64,
    pub vms: u64,
    pub percent: f64,
}

/// The file system of the workspace, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskUse {
    pub total: u64,
    pub used: u64,
    pub free: u64,
    pub percent: f64,
}

/// Bytes read and written by the runner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IoUse {
    pub read_bytes: u64,
    pub write_bytes: u64,
}
