//! What may be asked of a [`Runtime`](super::Runtime), and what it tells its session.

use std::time::Duration;

use actix::Message;
use staithe_engine::Stats;
use staithe_link::Link;
use staithe_protocol::{
    Action, Fault, Generation, Observation, Progress, Reason, SandboxId, Source, StartStep,
    files::{FileDenied, FileDone, FileOp},
    git::GitDenied,
    plugin::PluginState,
    port::Port,
    runner::{CloneWish, Cloned, Foreground, Hello, Limits},
};
use tokio::time::Instant;

/// Sent by `Session`: have a sandbox. Repeated, it does nothing more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EnsureRuntime;

/// Sent by `Session`: end the sandbox. Completion is told by [`News::Stopped`]; repeated, the harsher
/// wish counts.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopRuntime {
    pub ending: Ending,
}

/// Sent by `Session`: see whether the sandbox still runs; one that doesn't is had again. Repeated, it
/// looks again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LookRuntime;

/// What becomes of a sandbox that is not wanted now, from the mildest to the harshest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Its processes are frozen as they are.
    Pause,
    /// Its processes end; it stays with what was installed in it.
    Stop,
    /// It is removed; its workspace stays.
    Remove,
    /// Nothing stays.
    Clear,
}

/// Sent by `AgentSession`: carry out a runnable action. `key` makes it safe to repeat on a runner of
/// the same epoch.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Observation, ActFailed>")]
pub struct Act {
    pub key: String,
    pub action: Action,
    pub limits: Limits,
    /// Whose action it is.
    pub source: Source,
}

/// Sent by `Session`: clone a repository into the workspace. It may be sent again: what is there stays.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Cloned, CloneFailed>")]
pub struct CloneRepository {
    pub wish: CloneWish,
    pub limit: Duration,
}

/// Why a repository is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloneFailed {
    /// It can't be had, or not so.
    #[error("{0}")]
    Denied(#[from] GitDenied),
    /// The line was cut; it may be tried again.
    #[error("the sandbox is not connected")]
    NotConnected,
    /// The runner refused or never answered.
    #[error("{0}")]
    Refused(String),
}

/// Why an action has no observation yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActFailed {
    /// There is no line now. On the same epoch the action may be sent again.
    #[error("the sandbox is not connected")]
    NotConnected,
    /// The runner refused or never answered.
    #[error("{0}")]
    Refused(String),
}

/// Sent by the front: a file operation.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<FileDone, FileDenied>")]
pub struct DoFile {
    pub op: FileOp,
    /// An idempotency key: a repetition of a change gets the first answer.
    pub reference: Option<String>,
    /// Who asked, for those who watch files: `client:<socket>/<ref>`.
    pub origin: Option<String>,
}

/// Sent by the front and by `AgentSession`: interrupt what runs in the foreground. Answers whether a command was running.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<bool, ActFailed>")]
pub struct InterruptCommand {
    /// There; none: wherever something runs.
    pub only: Option<Foreground>,
}

/// Sent by the front: the line, for bulk bytes.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Link, ActFailed>")]
pub struct GetLine;

/// Sent by the front and the proxy: the plugins as the runner last told of them; none without a line, when
/// nothing of it holds.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<PluginState>")]
pub struct GetPlugins;

/// Sent by the front: the ports that are listened on in the sandbox, as it last said; none while it rests.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Port>")]
pub struct GetPorts;

/// Sent by `Session`: whether something runs in the sandbox.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Activity, ActFailed>")]
pub struct GetActivity;

/// What goes on in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// A command runs.
    pub busy: bool,
    /// Since the last command ended or printed something.
    pub idle: Duration,
}

/// Sent by operators: what the sandbox uses.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Stats>")]
pub struct GetStats;

/// Sent by operators and the front: the last lines of the sandbox's own log.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<String>")]
pub struct GetLogs {
    pub tail: usize,
}

/// Sent by an attempt: key and workspace are those of a claimed sandbox, or the workspace is none any
/// more. True for all later attempts.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) struct NoteClaim {
    pub(super) key: String,
    pub(super) workspace: Option<String>,
}

/// What a runtime tells its session. Facts: they can't be denied, only be stale.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RuntimeNews {
    pub generation: Generation,
    pub news: News,
}

/// The news.
#[derive(Clone, Debug)]
pub enum News {
    /// Something of a start.
    Told(Told),
    /// The runner answers.
    Up { hello: Hello, sandbox: SandboxId },
    /// The line is cut; it may come back by itself.
    Cut,
    /// The sandbox ended by itself; it is being restarted.
    Restarting { cause: String },
    /// There is no sandbox, and there will be none without a new start.
    Failed(Fault),
    /// The sandbox was ended as wished.
    Stopped,
}

/// What is told while a sandbox is being had.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A step began.
    Step { step: StartStep, at: Instant },
    /// How far the step is, no more often than is good for the log of events.
    Progress(Progress),
    /// Something that a person may wonder about, at most once in a start.
    Noted(Reason),
    /// The engine's name of the workspace, which may outlive the sandbox.
    Workspace(String),
}
