//! Changes of a workspace's files, as they are told to clients (reference §12.4).
//!
//! Changes come in batches, each with the next `seq` of an `epoch`. A client that says the last `seq` it
//! has gets what came since; when that is not known any more, or the epoch is another one, it is told
//! `resync`: it lists again what it shows, and goes on from the `seq` that came with it.

use serde::{Deserialize, Serialize};

use crate::files::EntryType;

/// The most changes in one batch.
pub const MOST_IN_BATCH: usize = 200;
/// The most changes that are kept for those who come back.
pub const MOST_KEPT: usize = 4096;
/// The most patterns of one subscription, and the longest, in bytes.
pub const MOST_PATTERNS: usize = 64;
pub const MOST_PATTERN: usize = 1024;
/// The largest text that is told with its change, in bytes.
pub const MOST_CONTENT: u64 = 64 * 1024;

/// How a runner watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchSettings {
    /// What is not watched, as lines of a `.gitignore`.
    pub ignore: Vec<String>,
    /// Whether the workspace's own `.gitignore` files count.
    pub gitignore: bool,
    /// The most folders that are watched; with more, all is looked through instead. 0: what the kernel
    /// allows.
    pub max_folders: u32,
    /// The most files and folders that are known; what is beyond is not told of exactly.
    pub max_entries: u32,
    /// Between two looks where the kernel can't tell, in milliseconds.
    pub poll_every_ms: u64,
    /// How long watching goes on when nobody listens, in milliseconds.
    pub linger_ms: u64,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            ignore: USUALLY_IGNORED.map(str::to_owned).to_vec(),
            gitignore: true,
            max_folders: 0,
            max_entries: 500_000,
            poll_every_ms: 2000,
            linger_ms: 60_000,
        }
    }
}

/// Version control, what package managers bring, and what editors leave while they save.
pub const USUALLY_IGNORED: [&str; 14] = [
    ".git/",
    "node_modules/",
    "__pycache__/",
    ".DS_Store",
    "*~",
    "*.swp",
    "*.swo",
    "*.swx",
    "4913",
    ".#*",
    "\\#*#",
    ".goutputstream-*",
    "___jb_tmp___",
    "___jb_old___",
];

/// How changes are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WatchMode {
    /// The kernel tells.
    #[default]
    Inotify,
    /// Everything is looked at every few seconds.
    Poll,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeOp {
    Create,
    Modify,
    /// With all that was in it. The empty path is the workspace itself.
    Delete,
    /// What was at `from`, with all that is in it, is at `path`; what was at `path` is gone.
    Rename,
    /// The repository has another branch or commit checked out; `path` is its `.git/HEAD`.
    BranchChanged,
}

/// One change: what the path is since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    pub op: ChangeOp,
    /// Relative to the workspace.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What is there, or was there before it was deleted.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EntryType>,
    /// As file operations tell it. Left out where many files changed at once: ask by `stat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<f64>,
    /// The permission bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// `client:<socket>/<ref>`, `agent` or `shell`.
    pub origin: String,
    /// The text of `version`, where it was asked for and is at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Whether content comes with changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Content {
    #[default]
    None,
    /// That of small texts.
    Small,
}

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interest {
    /// Patterns such as `src/**`; none: everything. Folders that are renamed or deleted are told anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    #[serde(default)]
    pub content: Content,
}

impl Interest {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let paths = self.paths.as_deref().unwrap_or_default();
        if paths.len() > MOST_PATTERNS {
            return Some(format!("paths: at most {MOST_PATTERNS} patterns"));
        }
        let bad = paths.iter().any(|pattern| pattern.is_empty() || pattern.len() > MOST_PATTERN);
        bad.then(|| format!("paths: a pattern has 1 to {MOST_PATTERN} bytes"))
    }
}

/// One batch, as runner and server pass it on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Batch {
    pub epoch: String,
    /// Of this batch; with `resync`, what the list that is made now goes on from.
    pub seq: u64,
    pub mode: WatchMode,
    /// What was known is not enough: list again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resync: bool,
    /// More files are there than are known: changes may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    #[serde(default)]
    pub changes: Vec<Change>,
}
