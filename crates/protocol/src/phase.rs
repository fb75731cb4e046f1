//! What a session is doing, and why it failed. A second machine, apart from the agent's state.

use serde::{Deserialize, Serialize};

/// A session's phase. `-ing` is on the way, the others are at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A sandbox is being looked for, made or joined.
    Starting,
    /// The sandbox answers.
    Ready,
    /// The sandbox sleeps; a client or a request wakes it.
    Suspended,
    /// The sandbox is being ended.
    Stopping,
    /// The sandbox is gone; its workspace and its events are kept.
    Stopped,
    /// The sandbox could not be had; the fault says why.
    Failed,
}

impl Phase {
    /// Every phase, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Ready, Self::Suspended, Self::Stopping, Self::Stopped, Self::Failed];

    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A step of a start, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StartStep {
    /// Others are being started, or as many run as may; `position` tells how many starts come first.
    Queue,
    /// The engine is asked whether this session's sandbox is there already.
    Find,
    /// The image is fetched, because it is not there yet.
    Image,
    /// The image is built, because it is not there yet.
    Build,
    /// A new sandbox is made.
    Create,
    /// The sandbox is started.
    Start,
    /// A paused or stopped sandbox is woken.
    Wake,
    /// The line to its runner is opened.
    Connect,
    /// The runner is told what this session needs.
    Init,
}

impl StartStep {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Find => "find",
            Self::Image => "image",
            Self::Build => "build",
            Self::Create => "create",
            Self::Start => "start",
            Self::Wake => "wake",
            Self::Connect => "connect",
            Self::Init => "init",
        }
    }
}

/// Why a phase was entered, where that is not plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody used the session for as long as `sandbox.idle_after` says.
    Idle,
    /// The sandbox ran for as long as `sandbox.max_session_age` says.
    Age,
    /// The server is ending.
    Drain,
    /// The sandbox was made with other settings than those of now, and is kept.
    SettingsKept,
    /// The sandbox was made with other settings than those of now, and is made anew.
    SettingsChanged,
    /// The sandbox ended by itself or did not answer, and is had again.
    Restart,
    /// As many sessions run as may: it was not woken.
    Limits,
}

/// Why a session failed, in words that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// A stable code such as `sandbox.start_failed`.
    pub code: String,
    /// The step that failed, when a start failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StartStep>,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// The sandbox's last log lines, oldest first.
    #[serde(default)]
    pub log_tail: Vec<String>,
}

/// How far a long step of a start is: an image that is built or fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The image that it is about.
    pub image: String,
    /// The step that is under way, from 1; of a fetched image, the layers that are complete. 0: not known yet.
    pub number: u32,
    /// How many there are, as far as is known; 0: not known yet.
    pub of: u32,
    /// What is being done, one line.
    pub text: String,
    /// The last lines that it printed, oldest first; at most [`Progress::LINES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Whole seconds since the building or fetching began; whoever came late learns here how long it takes.
    pub seconds: u64,
}

impl Progress {
    /// Most lines that it carries.
    pub const LINES: usize = 5;
    /// Most characters of a line and of the text.
    pub const WIDTH: usize = 200;
}

/// A phase as it stands in frames, bodies and events: `phase` is a string, `step` or `fault` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PhaseView {
    /// The phase.
    pub phase: Phase,
    /// The step of a start, while `phase` is `starting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StartStep>,
    /// The fault, while `phase` is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The place in the queue of starts, from 1, while `step` is `queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// How far the step is, where it takes long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why, where it is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl PhaseView {
    /// A phase with nothing beside it.
    pub fn of(phase: Phase) -> Self {
        Self { phase, step: None, fault: None, position: None, progress: None, reason: None }
    }
}
