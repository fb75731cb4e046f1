//! The WebSocket `staithe.v1`: text frames of JSON, each an object with `type`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentState, EventId, PhaseView, SessionId,
    files::{FileDone, FileOp},
    terminal::{TerminalCommand, TerminalInfo, TerminalNews},
    watch::{Batch, Interest},
};

/// The largest text message a client may send, in bytes, all its fragments together.
pub const MAX_CLIENT_MESSAGE: usize = 24 * 1024 * 1024;
/// The longest `ref`, in bytes.
pub const MAX_REF: usize = 200;

/// What the bearer may do in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads events, output and files.
    Viewer,
    /// Reads and acts, in one session.
    Editor,
    /// Makes sessions, and acts in those of its own.
    User,
    /// Acts in all sessions, and operates the server.
    Operator,
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}

/// From a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum ClientFrame {
    /// An action of the event vocabulary. `ref` is an idempotency key within the session: repeated,
    /// also after a reconnect or a restart of the server, it returns the first answer; with another
    /// action it is denied.
    #[serde(rename = "do")]
    Do {
        #[serde(rename = "ref")]
        reference: String,
        action: Value,
    },
    /// A file operation: `ref` and the fields of [`FileOp`].
    #[serde(rename = "file")]
    File {
        #[serde(rename = "ref")]
        reference: String,
        #[serde(flatten)]
        op: FileOp,
    },
    /// Watch the workspace's files: `files` frames with this `ref` come until `unwatch`. With the
    /// `epoch` and `seq` of the last one, what came since comes first. Watching neither wakes a session
    /// nor keeps it awake; it goes on by itself when its sandbox is back.
    #[serde(rename = "watch")]
    Watch {
        #[serde(rename = "ref")]
        reference: String,
        #[serde(flatten)]
        interest: Interest,
        #[serde(default)]
        epoch: Option<String>,
        #[serde(default)]
        seq: Option<u64>,
    },
    /// Ends a watch.
    #[serde(rename = "unwatch")]
    Unwatch {
        #[serde(rename = "ref")]
        reference: String,
    },
    /// Interrupt what runs in the foreground. Answered when `ref` is given.
    #[serde(rename = "interrupt")]
    Interrupt {
        #[serde(rename = "ref", default)]
        reference: Option<String>,
    },
    /// Follow a terminal: the one named by its number, or a new one. Its bytes come and go in binary
    /// messages ([`crate::terminal`]); `done {terminals: [it]}` answers, then `terminal` frames come.
    #[serde(rename = "terminal.open")]
    TerminalOpen {
        #[serde(rename = "ref")]
        reference: String,
        /// Absent: a new one. The fields below it are of new ones only.
        #[serde(default)]
        terminal: Option<u32>,
        /// Where the client is in its output; absent: the state comes as a replay.
        #[serde(default)]
        from: Option<u64>,
        /// The runner's epoch in which the client had it.
        #[serde(default)]
        epoch: Option<String>,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        command: Option<TerminalCommand>,
        #[serde(default)]
        cwd: Option<String>,
        #[serde(default)]
        cols: Option<u16>,
        #[serde(default)]
        rows: Option<u16>,
    },
    /// Another size, for all who follow. Answered when `ref` is given.
    #[serde(rename = "terminal.resize")]
    TerminalResize {
        #[serde(rename = "ref", default)]
        reference: Option<String>,
        terminal: u32,
        cols: u16,
        rows: u16,
    },
    /// End its program; with `kill: false` only follow it no more. An ended one is forgotten.
    #[serde(rename = "terminal.close")]
    TerminalClose {
        #[serde(rename = "ref")]
        reference: String,
        terminal: u32,
        #[serde(default = "yes")]
        kill: bool,
    },
    /// Follow it no more.
    #[serde(rename = "terminal.detach")]
    TerminalDetach {
        #[serde(rename = "ref")]
        reference: String,
        terminal: u32,
    },
    /// All terminals: `done {terminals}`.
    #[serde(rename = "terminal.list")]
    TerminalList {
        #[serde(rename = "ref")]
        reference: String,
    },
    /// Another name.
    #[serde(rename = "terminal.rename")]
    TerminalRename {
        #[serde(rename = "ref")]
        reference: String,
        terminal: u32,
        name: String,
    },
    /// Be the only one who types into a terminal that this socket follows; or no more.
    #[serde(rename = "terminal.drive")]
    TerminalDrive {
        #[serde(rename = "ref")]
        reference: String,
        terminal: u32,
        #[serde(default = "yes")]
        drive: bool,
        /// Also from another client that does; else that one has to let go first.
        #[serde(default)]
        take: bool,
    },
    /// Answered by `pong` with the same `nonce`.
    #[serde(rename = "ping")]
    Ping {
        #[serde(default)]
        nonce: Option<Value>,
    },
}

/// What a piece is of. The pieces of an answer are void once another event of the agent, or of its state, is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PartialKind {
    /// What a command prints.
    #[default]
    Output,
    /// What the model says.
    Answer,
    /// What it thinks first.
    Reasoning,
    /// The name of a tool that it begins to call.
    Call,
}

impl PartialKind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_output(&self) -> bool {
        *self == Self::Output
    }
}

/// To a client. Events are not here: they are stored encoded and sent as they are, as
/// `{"type":"event","event":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// Always first.
    Hello {
        session: SessionId,
        #[serde(flatten)]
        phase: PhaseView,
        agent_state: AgentState,
        /// The newest event's id; −1 when there is none.
        head: i64,
        role: Role,
        server: ServerName,
    },
    /// The cursor is older than the log keeps; the stream goes on from `oldest`.
    Expired { oldest: EventId },
    /// The command was taken; for an action, its event is durable.
    Done {
        #[serde(rename = "ref")]
        reference: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_id: Option<EventId>,
        /// For an interrupt: whether a command was running.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        running: Option<bool>,
        /// For a file operation.
        #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
        file: Option<Box<FileDone>>,
        /// For what was asked of terminals: the one that it was asked of, or all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terminals: Option<Vec<TerminalInfo>>,
    },
    /// The caller asked for what can't be. `ref` is absent when the frame had none that could be read.
    Denied {
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        code: String,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current_version: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current_content: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_to: Option<String>,
    },
    /// Not now; try again after so many seconds.
    Unavailable {
        #[serde(rename = "ref")]
        reference: String,
        code: String,
        reason: String,
        retry_after: u64,
    },
    /// Ours; `id` is found in the server's log.
    Failed {
        #[serde(rename = "ref")]
        reference: String,
        code: String,
        reason: String,
        id: String,
    },
    /// Output of a running command, or a model's answer, as it comes. `seq` grows by one with each such frame of a session
    /// and may jump where a slow client was spared; `offset` and `skipped` say which bytes.
    Partial {
        /// The action; null for a background job's output between commands. Of an answer: the newest event that the
        /// question saw.
        cause: Option<EventId>,
        /// Left out for output.
        #[serde(default, skip_serializing_if = "PartialKind::is_output")]
        kind: PartialKind,
        seq: u64,
        text: String,
        /// Where in the command's output, or in all of this kind of the answer, `text` begins, in bytes.
        offset: u64,
        /// Bytes left out directly before `text`.
        #[serde(default, skip_serializing_if = "is_zero")]
        skipped: u64,
    },
    /// Of a terminal that this socket follows; `ref` is that of its `terminal.open`.
    Terminal {
        terminal: u32,
        #[serde(rename = "ref")]
        reference: String,
        #[serde(flatten)]
        news: TerminalNews,
    },
    /// Changes of files, in their order; `seq` grows by one with each batch of an `epoch`. Told again,
    /// a change does no harm. With `resync` something was missed: list what you show, and go on from
    /// this `seq`.
    Files {
        #[serde(rename = "ref")]
        reference: String,
        #[serde(flatten)]
        batch: Batch,
    },
    /// Who looks at the session now, for those who joined with `presence=1`: all of it, at each change.
    Presence {
        /// Grows with each change.
        seq: u64,
        /// The `id` of whoever this is sent to.
        you: String,
        /// You first, then in the order in which they came; at most 50.
        people: Vec<Person>,
        /// How many more there are.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: u64,
    },
    /// Answer to `ping`.
    Pong {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<Value>,
    },
    /// The server goes away; reconnect after so many seconds.
    Draining { retry_after: u64 },
}

/// Somebody who has joined, by one socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Person {
    /// Of the socket, as `driver` of a terminal names it.
    pub id: String,
    /// The user's, or the link's by which they came.
    pub name: String,
    pub role: Role,
    /// RFC 3339.
    pub since: String,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerName {
    pub name: String,
    pub version: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn yes() -> bool {
    true
}
