//! What a workspace's git repositories say: answers of `/api/sessions/{id}/git/…`.
//!
//! Paths are relative to the repository's top folder; [`repository`](GitStatus::repository) says where that
//! is in the workspace. A path that is no UTF-8 has `\u{fffd}` where bytes could not be read, and `lossy`
//! beside it: it can't be asked for.

use serde::{Deserialize, Serialize};

use crate::files::Encoding;

/// Why git was not asked, or did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum GitCode {
    /// The sandbox has no program `git`.
    #[serde(rename = "git.missing")]
    Missing,
    /// Neither the folder nor one above it in the workspace is a repository.
    #[serde(rename = "git.not_a_repository")]
    NotARepository,
    /// That names no commit.
    #[serde(rename = "git.bad_ref")]
    BadRef,
    /// There is no such file at that commit.
    #[serde(rename = "git.not_found")]
    NotFound,
    /// More than one answer holds.
    #[serde(rename = "git.too_large")]
    TooLarge,
    /// Git did not end in time.
    #[serde(rename = "git.timed_out")]
    TimedOut,
    /// Something else is where a repository was to be.
    #[serde(rename = "git.exists")]
    Exists,
    /// Git refused; its last lines are told.
    #[serde(rename = "git.failed")]
    Failed,
}

impl GitCode {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "git.missing",
            Self::NotARepository => "git.not_a_repository",
            Self::BadRef => "git.bad_ref",
            Self::NotFound => "git.not_found",
            Self::TooLarge => "git.too_large",
            Self::TimedOut => "git.timed_out",
            Self::Exists => "git.exists",
            Self::Failed => "git.failed",
        }
    }

    /// The HTTP status that says the same.
    pub fn status(self) -> u16 {
        match self {
            Self::Missing | Self::NotARepository | Self::Exists => 409,
            Self::BadRef => 400,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::TimedOut => 504,
            Self::Failed => 422,
        }
    }
}

/// A question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct GitDenied {
    pub code: GitCode,
    pub message: String,
}

impl GitDenied {
    pub fn new(code: GitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GitChange {
    Added,
    Copied,
    Deleted,
    Modified,
    Renamed,
    /// A file became a symlink, or the like.
    TypeChanged,
    /// Both sides of a merge changed it.
    Unmerged,
    /// Git doesn't know it.
    Untracked,
}

/// What goes on in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GitOperation {
    Merge,
    Rebase,
    /// `git am`.
    Apply,
    CherryPick,
    Revert,
    Bisect,
}

/// A submodule's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitSubmodule {
    /// Another commit is checked out.
    pub commit_changed: bool,
    pub has_changes: bool,
    pub has_untracked: bool,
}

/// One path of a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitEntry {
    pub path: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lossy: bool,
    /// Between the last commit and the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<GitChange>,
    /// Between the index and the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstaged: Option<GitChange>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflicted: bool,
    /// For what was renamed or copied: from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodule: Option<GitSubmodule>,
}

/// `GET …/git/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitStatus {
    /// The repository's top folder, relative to the workspace; empty for the workspace itself.
    pub repository: String,
    /// The last commit; none before the first.
    pub head: Option<String>,
    /// None when no branch is checked out.
    pub branch: Option<String>,
    pub upstream: Option<String>,
    /// Commits that the upstream lacks.
    pub ahead: Option<u64>,
    /// Commits that only the upstream has.
    pub behind: Option<u64>,
    pub operation: Option<GitOperation>,
    pub entries: Vec<GitEntry>,
    /// More entries were there than one answer holds.
    pub truncated: bool,
}

/// One file of the changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitFileChange {
    pub path: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lossy: bool,
    pub change: GitChange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Lines; none for what is no text, or too large to count.
    pub added: Option<u64>,
    pub deleted: Option<u64>,
    pub binary: bool,
}

/// `GET …/git/changes`: what differs between a commit and the folder, untracked files included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitChanges {
    pub repository: String,
    /// The commit compared with; none before the first.
    pub base: Option<String>,
    pub files: Vec<GitFileChange>,
    /// Lines in all that are told.
    pub added: u64,
    pub deleted: u64,
    pub truncated: bool,
}

/// `GET …/git/diff`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitDiff {
    pub repository: String,
    pub base: Option<String>,
    /// A unified diff; whole lines. Untracked files are in it only if one is asked for.
    pub diff: String,
    /// Some bytes were no UTF-8.
    pub lossy: bool,
    /// There is more than was asked for.
    pub truncated: bool,
    /// Some file is no text and shown by name only.
    pub binary: bool,
}

/// `GET …/git/show`: a file as it is in a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitFile {
    pub repository: String,
    pub path: String,
    pub commit: String,
    pub content: String,
    pub encoding: Encoding,
    /// In bytes.
    pub size: u64,
}

/// One branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitBranch {
    /// Without `refs/heads/` or `refs/remotes/`.
    pub name: String,
    pub remote: bool,
    pub current: bool,
    pub commit: String,
    pub upstream: Option<String>,
    /// What git says of it and its upstream: `ahead 1, behind 2`, `gone`.
    pub track: Option<String>,
    /// Of the last commit, seconds since 1970.
    pub time: i64,
    /// The last commit's first line.
    pub subject: String,
}

/// `GET …/git/branches`: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitBranches {
    pub repository: String,
    pub branches: Vec<GitBranch>,
    pub truncated: bool,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCommit {
    pub commit: String,
    pub parents: Vec<String>,
    pub author: String,
    pub email: String,
    /// Seconds since 1970.
    pub authored: i64,
    pub committed: i64,
    pub subject: String,
    pub body: String,
}

/// `GET …/git/log`: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitLog {
    pub repository: String,
    pub commits: Vec<GitCommit>,
    /// Ask again with `skip` to go on.
    pub has_more: bool,
}

/// `GET …/git/repositories`: at most three folders deep in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitRepositories {
    /// Folders, relative to the workspace; empty for the workspace itself.
    pub repositories: Vec<String>,
    /// Not every folder was looked at.
    pub truncated: bool,
}
