//! Search in a workspace: what is looked for, and the lines of JSON that answer (`application/x-ndjson`).
//!
//! Results come as they are found; the last line is [`Found::Done`]. An answer without it was cut off.

use serde::{Deserialize, Serialize};

use crate::files::EntryType;

/// The longest query and the longest glob, in bytes.
pub const MAX_QUERY: usize = 4096;
/// The most globs of one kind.
pub const MAX_GLOBS: usize = 100;
/// The most results of one search.
pub const MAX_RESULTS: u32 = 10_000;
/// The most lines told before and after a match.
pub const MAX_CONTEXT: u32 = 20;

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// They do if the query has an upper case letter.
    #[default]
    Smart,
    Sensitive,
    Insensitive,
}

/// One search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Search {
    Content(ContentSearch),
    Names(NameSearch),
}

/// Lines of text files. Globs are those of `.gitignore`, and `{a,b}` beside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the wire")]
pub struct ContentSearch {
    /// A text, or a regular expression in Rust's syntax; it never goes beyond a line.
    pub query: String,
    pub regex: bool,
    pub case: Case,
    pub whole_word: bool,
    /// The folder to look in, relative to the workspace.
    pub path: String,
    /// If there are any, only files that match one, or lie in a folder that does.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// Names that begin with a dot, too. What git keeps in `.git` is never looked at.
    pub hidden: bool,
    /// What `.gitignore` and `.ignore` leave out, too.
    pub ignored: bool,
    /// Lines told before and after a match; at most [`MAX_CONTEXT`].
    pub context: u32,
    /// Lines that match in all; 1,000 if none is given.
    pub max_results: Option<u32>,
    /// And in one file.
    pub max_per_file: Option<u32>,
}

/// Files and folders by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NameSearch {
    /// A glob if it has `*`, `?` or `[`; else letters that are in the path, in this order.
    pub query: String,
    pub path: String,
    pub hidden: bool,
    pub ignored: bool,
    /// 100 if none is given.
    pub limit: Option<u32>,
}

/// Where in a line something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MatchRange {
    /// In the file's line, in bytes of UTF-8, from 0; the end is not included.
    pub start: u64,
    pub end: u64,
    /// In `text`, in UTF-16 code units, as JavaScript counts.
    pub text_start: u64,
    pub text_end: u64,
}

/// Why a search did not look at everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Truncated {
    /// As many results as were asked for.
    Results,
    /// As many files as one search looks at, in all or in one folder, or as deep as it goes.
    Files,
    Time,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Found {
    /// A line that matches.
    Match {
        /// Relative to the workspace.
        path: String,
        /// From 1.
        line: u64,
        /// The line, or the part of it around the first match.
        text: String,
        /// Bytes of the line that are left out before and after `text`.
        #[serde(default, skip_serializing_if = "is_zero")]
        cut_before: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        cut_after: u64,
        /// The matches that are in `text`.
        ranges: Vec<MatchRange>,
        /// Some bytes were no UTF-8, and stand as `\u{fffd}`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lossy: bool,
    },
    /// A line beside one that matches.
    Context {
        path: String,
        line: u64,
        text: String,
        /// Its end is left out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lossy: bool,
    },
    /// A path that matches. Better ones may follow: of all that are told, the `limit` with the highest
    /// scores are the result.
    Name {
        path: String,
        #[serde(rename = "entry")]
        kind: EntryType,
        score: i64,
        /// The letters of `path` that match, in UTF-16 code units.
        positions: Vec<u64>,
    },
    /// The search goes on; told now and then while nothing is found.
    Progress {
        /// Files or paths looked at.
        searched: u64,
    },
    /// The last line.
    Done {
        /// Lines or paths that matched.
        results: u64,
        /// Files with a match.
        files: u64,
        /// Files or paths looked at.
        searched: u64,
        /// Files passed over: no text, too large, not to be read.
        skipped_binary: u64,
        skipped_large: u64,
        unreadable: u64,
        truncated: Option<Truncated>,
        seconds: f64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a search was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SearchCode {
    #[serde(rename = "search.bad_query")]
    BadQuery,
    /// Too many searches wait already.
    #[serde(rename = "search.busy")]
    Busy,
}

impl SearchCode {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadQuery => "search.bad_query",
            Self::Busy => "search.busy",
        }
    }

    /// The HTTP status that says the same.
    pub fn status(self) -> u16 {
        match self {
            Self::BadQuery => 400,
            Self::Busy => 429,
        }
    }
}

/// A search that was not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct SearchDenied {
    pub code: SearchCode,
    pub message: String,
}
