//! `staithe run`, `staithe session` and `staithe replay`: an agent's work in the terminal.
//!
//! | file | what |
//! |---|---|
//! | `place`, `wire`, `socket` | which server, requests to it, a session's stream |
//! | `begin`, `follow` | a run |
//! | `course` | how it stands and what its end is worth |
//! | `style`, `lines`, `screen`, `show` | how it looks |
//! | `asked`, `typed` | what the person is asked about and types |
//! | `export`, `replay` | trajectories |

mod asked;
mod begin;
mod course;
mod export;
mod follow;
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

use self::wire::RunFailed;
use crate::cli::run::{Replay, Run, Session, SessionCommand};

/// Wrong use (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// No server (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

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
            ExitCode::from(code_of(&error))
        }
    }
}

fn code_of(error: &RunFailed) -> u8 {
    match error {
        RunFailed::Unreachable(_)
        | RunFailed::Cut(_)
        | RunFailed::Refused { status: 429 | 502..=504, .. } => UNAVAILABLE,
        RunFailed::Usage(_) | RunFailed::Refused { status: 400..=499, .. } => USAGE,
        RunFailed::Refused { .. } | RunFailed::Here(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_run_from_beginning_has_the_houses_codes() {
        let refused = |status| {
            code_of(&RunFailed::Refused { status, code: String::new(), detail: String::new() })
        };
        assert_eq!([401, 404, 409, 422].map(refused), [64; 4]);
        assert_eq!([429, 503].map(refused), [69; 2]);
        assert_eq!(refused(500), 1);
        assert_eq!(code_of(&RunFailed::cut("x")), 69);
        assert_eq!(code_of(&RunFailed::here("x")), 1);
    }
}
