//! The step between our process and the shell's: a session and a terminal of its own.
//!
//! It runs as a re-exec of our own binary, because code between `fork` and `exec` would be unsafe.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

/// The word after the program's name that leads here.
pub const WORD: &str = "terminal";

/// Makes stdin the controlling terminal of a new session and becomes `program`.
pub fn main(program_and_arguments: &[OsString]) -> ExitCode {
    let error = become_program(program_and_arguments);
    drop(writeln!(io::stderr(), "staithe-runner: the program can't be started: {error}"));
    ExitCode::from(127)
}

fn become_program(words: &[OsString]) -> io::Error {
    let Some((program, arguments)) = words.split_first() else {
        return io::ErrorKind::InvalidInput.into();
    };
    if let Err(error) = rustix::process::setsid() {
        return error.into();
    }
    if let Err(error) = rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()) {
        return error.into();
    }
    Command::new(program).args(arguments).exec()
}
