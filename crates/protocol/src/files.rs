//! File operations in a workspace: what may be asked, what is answered, and the codes of refusal.
//!
//! Shapes, versions and codes are those of the reference, §12.2 and §12.5. Paths are relative to the
//! workspace, POSIX; a leading `/workspace/` is taken off.

use serde::{Deserialize, Serialize};

/// The largest content that one operation carries, in bytes, before base64. Larger ones are streamed.
pub const MAX_INLINE_CONTENT: u64 = 16 * 1024 * 1024;
/// The longest path, in bytes (Linux's `PATH_MAX`).
pub const MAX_PATH: usize = 4096;
/// The longest name of one path component, in bytes (Linux's `NAME_MAX`).
pub const MAX_NAME: usize = 255;
/// Files above this size, in bytes, have a version made of size, time and inode: reading them whole
/// for a hash would cost more than it tells.
pub const MAX_HASHED: u64 = 16 * 1024 * 1024;

/// How `content` is written in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The text itself.
    #[default]
    Utf8,
    /// Standard base64 with padding.
    Base64,
}

/// One replacement of whole lines: lines `start..end`, 0-based, `end` not included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LineEdit {
    /// First line replaced.
    pub start: u64,
    /// Line after the last one replaced.
    pub end: u64,
    /// What stands there afterwards, newline included where one is wanted.
    pub text: String,
}

/// One operation on files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum FileOp {
    /// The content of a file; `offset` and `length` in bytes choose a part.
    Read {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
    },
    /// A new file; one that exists already is refused with `EXISTS`.
    Create {
        path: String,
        content: String,
        #[serde(default)]
        encoding: Encoding,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        #[serde(default)]
        create_parents: bool,
    },
    /// The whole content of a file, byte for byte. An existing file needs `if_match` or `force`.
    Write {
        path: String,
        content: String,
        #[serde(default)]
        encoding: Encoding,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
        #[serde(default)]
        force: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        #[serde(default)]
        create_parents: bool,
    },
    /// A change of the version named by `if_match`: replacements of lines, or a unified diff of this
    /// one file whose hunks fit exactly. One of both.
    Patch {
        path: String,
        if_match: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edits: Option<Vec<LineEdit>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<String>,
    },
    /// A file or folder goes. A file needs `if_match` or `force`; a folder with content `recursive`.
    Delete {
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
        #[serde(default)]
        recursive: bool,
        #[serde(default)]
        force: bool,
    },
    /// A file or folder gets another name.
    Rename {
        path: String,
        to: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
        #[serde(default)]
        overwrite: bool,
    },
    /// A new folder.
    Mkdir {
        path: String,
        #[serde(default)]
        parents: bool,
    },
    /// What is known of one path.
    Stat { path: String },
    /// What a folder holds, `depth` levels deep (1 is the folder itself).
    List {
        #[serde(default)]
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        depth: Option<u32>,
        /// Patterns as in a `.gitignore` of this folder; what they match is left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ignore: Vec<String>,
        /// Files are told with their versions, as long as less than 64 MiB has to be read for them.
        #[serde(default)]
        versions: bool,
    },
}

impl FileOp {
    /// Whether it changes anything; a viewer may not ask for it then.
    pub fn mutates(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Stat { .. } | Self::List { .. })
    }
}

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    File,
    Dir,
    Symlink,
    /// A socket, a pipe, a device.
    Other,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// Relative to the workspace.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: EntryType,
    /// In bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: f64,
    /// The permission bits.
    pub mode: u32,
    /// Its version, where one was asked for (`stat`, `list` with `versions`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The answer to a file operation that was carried out. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileDone {
    /// The path, relative to the workspace, resolved.
    pub path: String,
    /// The version now: `sha256:<hex>`, `stat:<size>-<mtime_ns>-<inode>`, `dir` or `absent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// For `stat` and `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Entry>>,
    /// For `list`: more entries were there than one answer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// For `delete`: there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub already_absent: Option<bool>,
    /// The file changed between the check and the rename: somebody else wrote too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub racy: Option<bool>,
}

/// Why a file operation was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FileCode {
    BadMessage,
    OutsideWorkspace,
    NotFound,
    Exists,
    IsDirectory,
    NotDirectory,
    NotEmpty,
    Conflict,
    PreconditionRequired,
    TooLarge,
    PermissionDenied,
    NoSpace,
    RateLimited,
    RuntimeNotReady,
    RuntimeUnavailable,
    Timeout,
    AgentBusy,
    Internal,
}

impl FileCode {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadMessage => "BAD_MESSAGE",
            Self::OutsideWorkspace => "OUTSIDE_WORKSPACE",
            Self::NotFound => "NOT_FOUND",
            Self::Exists => "EXISTS",
            Self::IsDirectory => "IS_DIRECTORY",
            Self::NotDirectory => "NOT_DIRECTORY",
            Self::NotEmpty => "NOT_EMPTY",
            Self::Conflict => "CONFLICT",
            Self::PreconditionRequired => "PRECONDITION_REQUIRED",
            Self::TooLarge => "TOO_LARGE",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NoSpace => "NO_SPACE",
            Self::RateLimited => "RATE_LIMITED",
            Self::RuntimeNotReady => "RUNTIME_NOT_READY",
            Self::RuntimeUnavailable => "RUNTIME_UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::AgentBusy => "AGENT_BUSY",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A refused file operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct FileDenied {
    pub code: FileCode,
    /// What was wrong, in words.
    pub message: String,
    /// For `CONFLICT`: the version that is there (`absent` when nothing is).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<String>,
    /// For `CONFLICT`: the content that is there, up to 1 MiB of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_content: Option<String>,
    /// For `NOT_FOUND`: where it is now, if it was seen to be renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

impl FileDenied {
    /// A refusal with nothing beside code and message.
    pub fn new(code: FileCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            current_version: None,
            current_content: None,
            moved_to: None,
        }
    }
}
