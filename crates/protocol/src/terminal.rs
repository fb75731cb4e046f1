//! Terminals in a sandbox: programs on terminals of their own, which clients share.
//!
//! On a client's WebSocket a terminal is opened or followed by `terminal.open`; what its program prints
//! then comes in binary messages, and what the client types goes in binary messages. All numbers are
//! big-endian:
//!
//! ```text
//! client → server   terminal: u32 │ input bytes (at most MAX_INPUT)
//! server → client   terminal: u32 │ place: u64 │ output bytes
//!
//! place, highest bit clear   live: where in all that the program printed the first of these bytes is
//! place, highest bit set     replay: the other 63 bits say where the live bytes go on
//! ```
//!
//! A replay is announced by `terminal {event: "replay", offset, bytes, cols, rows}` and is `bytes` long,
//! in one or more messages. It begins with a full reset (`ESC c`): written to a terminal emulator of this
//! size, it leaves it as the program's own output up to `offset` would have. Live bytes are the program's,
//! verbatim. Between the runner and the server the same messages have no terminal number, since each
//! stream is one terminal's.
//!
//! A client that comes back names the place it had (`from`, and the `epoch` that it was told). What is
//! missing comes as live bytes while the runner's ring of [`RING`] bytes has it, else as a replay. A
//! client that reads too slowly for that ring gets a replay, too; nobody else notices.

use serde::{Deserialize, Serialize};

/// Bytes of output that are kept of each terminal.
pub const RING: usize = 1024 * 1024;
/// Most bytes of input in one message, and that wait for one program.
pub const MAX_INPUT: usize = 256 * 1024;
/// In a place: these bytes are a replay.
pub const REPLAY: u64 = 1 << 63;
/// Most columns and rows.
pub const MAX_SIZE: u16 = 1000;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 200;
/// The longest command, in bytes, all its words together.
pub const MAX_COMMAND: usize = 32 * 1024;

/// Who may type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Driving {
    /// Every editor, until one asks to drive alone.
    #[default]
    Free,
    /// One editor at a time: who types first drives until it lets go.
    One,
}

/// How a runner keeps terminals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TerminalSettings {
    /// Most terminals at once, ended ones that are still kept among them.
    pub max: u32,
    pub driver: Driving,
    /// How long an ended terminal is kept for who comes late, in milliseconds.
    pub keep_ended_ms: u64,
    /// From the hang-up to the kill, in milliseconds.
    pub grace_ms: u64,
}

impl Default for TerminalSettings {
    /// For a runner that no server has told anything yet.
    fn default() -> Self {
        Self { max: 32, driver: Driving::Free, keep_ended_ms: 600_000, grace_ms: 2000 }
    }
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TerminalSize {
    pub cols: u16,
    pub rows: u16,
}

/// What runs on a new terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum TerminalCommand {
    /// A line for the account's shell.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

/// How a new terminal is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTerminal {
    /// Absent: the program's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Absent: the account's shell, as somebody gets it who opens a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<TerminalCommand>,
    /// Absolute, or within the workspace; absent: the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Absent: 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cols: Option<u16>,
    /// Absent: 24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u16>,
}

/// How a program on a terminal ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TerminalExit {
    /// As shells say it: 128 and the signal when one ended it.
    pub code: i64,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i64>,
}

/// A terminal as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TerminalInfo {
    /// Unique within the epoch.
    pub id: u32,
    /// Of the runner: with another one, this terminal is gone.
    pub epoch: String,
    pub name: String,
    /// As the program set it; empty when it did not.
    pub title: String,
    #[serde(flatten)]
    pub size: TerminalSize,
    /// All bytes that came from the program so far.
    pub offset: u64,
    /// The oldest place that a client may come back to.
    pub oldest: u64,
    pub driving: Driving,
    /// The client that drives alone, by the name that its own `opened` told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Clients that follow it.
    pub followers: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<TerminalExit>,
}

/// All terminals, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TerminalList {
    pub terminals: Vec<TerminalInfo>,
}

/// What is told to those who follow a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TerminalNews {
    /// First of all. The size is the one that holds where the stream begins.
    Opened {
        #[serde(flatten)]
        info: TerminalInfo,
        /// The name of this client, as `driver` tells it.
        you: String,
    },
    /// So many bytes of a replay come next; then the live bytes from `offset` on.
    Replay {
        offset: u64,
        bytes: u64,
        #[serde(flatten)]
        size: TerminalSize,
    },
    /// The size that holds for the bytes after it.
    Size {
        offset: u64,
        #[serde(flatten)]
        size: TerminalSize,
    },
    /// The program's title or the terminal's name is another one.
    Title { title: String, name: String },
    /// Who drives alone; none: every editor may type.
    Driver {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        driver: Option<String>,
    },
    /// The program ended. Its last byte was sent before.
    Exit {
        #[serde(flatten)]
        exit: TerminalExit,
        offset: u64,
    },
    /// Input was not taken: `bytes` of it, all of one message.
    Refused { code: String, reason: String, bytes: u64 },
    /// Nothing more comes: the terminal is not there any more, or can't be reached.
    Gone { code: String, reason: String },
}

/// Why something was not done with a terminal; what the runner answers beside the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct TerminalDenied {
    pub code: TerminalCode,
    pub reason: String,
}

/// Stable codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminalCode {
    /// What was asked for can't be read or is out of bounds.
    #[serde(rename = "terminal.malformed")]
    Malformed,
    /// There is no such terminal (any more).
    #[serde(rename = "terminal.unknown")]
    Unknown,
    /// The runner is another one than that of the terminal.
    #[serde(rename = "terminal.other_epoch")]
    OtherEpoch,
    /// `from` lies beyond what the program printed.
    #[serde(rename = "terminal.beyond_end")]
    BeyondEnd,
    /// As many terminals are open as may be.
    #[serde(rename = "terminal.too_many")]
    TooMany,
    /// The program can't be started.
    #[serde(rename = "terminal.not_started")]
    NotStarted,
    /// Its program has ended.
    #[serde(rename = "terminal.ended")]
    Ended,
    /// Another client drives.
    #[serde(rename = "terminal.not_driver")]
    NotDriver,
    /// The program does not read, and what waits for it is as much as may wait.
    #[serde(rename = "terminal.input_full")]
    InputFull,
    /// This client may only watch.
    #[serde(rename = "terminal.watch_only")]
    WatchOnly,
    /// This socket does not follow the terminal.
    #[serde(rename = "terminal.not_followed")]
    NotFollowed,
    /// This socket follows it already.
    #[serde(rename = "terminal.followed_already")]
    FollowedAlready,
}

impl TerminalCode {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "terminal.malformed",
            Self::Unknown => "terminal.unknown",
            Self::OtherEpoch => "terminal.other_epoch",
            Self::BeyondEnd => "terminal.beyond_end",
            Self::TooMany => "terminal.too_many",
            Self::NotStarted => "terminal.not_started",
            Self::Ended => "terminal.ended",
            Self::NotDriver => "terminal.not_driver",
            Self::InputFull => "terminal.input_full",
            Self::WatchOnly => "terminal.watch_only",
            Self::NotFollowed => "terminal.not_followed",
            Self::FollowedAlready => "terminal.followed_already",
        }
    }
}

/// What a client asks of a terminal that is there, by its name as a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum TerminalAsk {
    Resize {
        #[serde(flatten)]
        size: TerminalSize,
        /// None: a request that belongs to no client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
    },
    Rename {
        name: String,
    },
    /// To drive alone, or no more to.
    Drive {
        client: String,
        drive: bool,
        /// Whoever drives now does no more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        take: bool,
    },
    /// To end its program; of an ended one, to forget it.
    Close {},
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_is_told() {
        for code in [
            TerminalCode::Malformed,
            TerminalCode::Unknown,
            TerminalCode::OtherEpoch,
            TerminalCode::BeyondEnd,
            TerminalCode::TooMany,
            TerminalCode::NotStarted,
            TerminalCode::Ended,
            TerminalCode::NotDriver,
            TerminalCode::InputFull,
            TerminalCode::WatchOnly,
            TerminalCode::NotFollowed,
            TerminalCode::FollowedAlready,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
