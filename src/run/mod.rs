//! `staithe run`, `staithe session` and `staithe replay`: an agent's work in the terminal.
//!
//! | file | what |
//! |---|---|
//! | `place`, `wire`, `socket` | which server, requests to it, a session's stream |
//! | `begin`, `follow`, `hints` | a run, and how to go on after it |
//! | `course` | how it stands and what its end is worth |
//! | `style`, `lines`, `screen`, `show` | how it looks |
//! | `asked`, `typed` | what the person is asked about and types |
//! | `export`, `replay` | trajectories |

mod asked;
mod begin;
mod course;
mod export;
mod follow;
mod hints;
mod lines;
mod place;
mod replay;
mod screen;
mod show;
mod socket;
mod style;
mod typed;
mod wire;

use std::process::ExitCode;

pub(crate) use self::{
    place::{Found, Start, find},
    wire::RunFailed,
};
use crate::cli::run::{Replay, Run, Session, SessionCommand};

/// `staithe run`
pub fn run(wanted: &Run) -> ExitCode {
    carry(begin::run(wanted))
}

/// `staithe session …`
pub fn session(session: &Session) -> ExitCode {
    match &session.command {
        SessionCommand::Export(wanted) => carry(export::run(wanted)),
    }
}

/// `staithe replay`
pub fn replay(wanted: &Replay) -> ExitCode {
    told(replay::run(wanted))
}

fn carry(work: impl Future<Output = Result<u8, RunFailed>>) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = told(runtime.block_on(work));
            // A thread that reads the terminal ends with the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => told(Err(RunFailed::here(error))),
    }
}

fn told(outcome: Result<u8, RunFailed>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("staithe: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
