//! Why the program can't do what it was started for: one line on stderr and an exit code.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

/// Wrong use, as in sysexits.h.
pub const USAGE: u8 = 64;
/// The operating system refused.
pub const OS: u8 = 71;
/// What was asked for can't be had here.
pub const CONFIG: u8 = 78;

/// A reason to end at once.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    pub code: u8,
    text: String,
}

impl Fault {
    /// The command line asks for what isn't there.
    pub fn config(text: impl Into<String>) -> Self {
        Self { code: CONFIG, text: text.into() }
    }

    /// Something that ought to work failed.
    pub fn os(what: impl Display, error: impl Into<io::Error>) -> Self {
        Self { code: OS, text: format!("{what}: {}", error.into()) }
    }

    /// The command line can't be read.
    pub fn usage(wrong: impl Display) -> Self {
        let text = format!("{wrong}; `staithe-runner --help` tells the usage");
        Self { code: USAGE, text }
    }

    /// Says it, and gives the exit code. It stays one line whatever a path contains.
    pub fn say(&self) -> ExitCode {
        let line = self.text.replace(char::is_control, " ");
        drop(writeln!(io::stderr(), "staithe-runner: {line}")); // nowhere else to say so
        ExitCode::from(self.code)
    }
}
