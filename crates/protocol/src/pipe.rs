//! A program in the sandbox as a stream of bytes: its stdin and stdout, for the server alone.
//!
//! | request | answer |
//! |---|---|
//! | `POST /pipes` with [`PipeStart`] | 201 [`PipeStarted`]: the program runs; or a [`PipeDenied`] |
//! | `GET /pipes/{id}` with `Upgrade: staithe-tunnel` | 101, then frames as in [`crate::tunnel`]: to stdin, from stdout; once for each pipe |
//! | `DELETE /pipes/{id}` | [`PipeEnd`]: the program was ended (SIGTERM, then SIGKILL) if it had not, and is forgotten |
//!
//! The program ends with its stream: when that is broken off, or both its directions are ended. One whose stream
//! nobody opens within [`OPENED_WITHIN_MS`] ends, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most bytes of words, variables and folder of one program together.
pub const MOST_WORDS: usize = 128 * 1024;
/// How long a program waits for its stream, in milliseconds.
pub const OPENED_WITHIN_MS: u64 = 10_000;

/// What is started: by itself, never by a shell; with the environment that commands have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipeStart {
    /// The program, as a path or as a name that the `PATH` knows, and its arguments.
    pub argv: Vec<String>,
    /// Set beside what commands have.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Seen from the workspace; none is the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// A program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeStarted {
    pub id: String,
}

/// A program has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeEnd {
    /// Its exit code: 128 and the signal if one ended it.
    pub code: i64,
    /// The last lines of its stderr.
    pub log: String,
}

/// Why there is no pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipeDenied {
    pub code: PipeCode,
    /// For people.
    pub reason: String,
}

/// The same, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipeCode {
    /// No words, too many of them, or some that no program can have.
    Malformed,
    /// There is no such program, or none that this user may start.
    NoProgram,
    /// The folder is none, or the system did not start it.
    NotStarted,
    /// Too many run.
    TooMany,
    /// No pipe has this id, or its stream is opened already.
    NotFound,
}
