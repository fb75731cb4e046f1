//! The runner as a sandbox's whole server, started as the reference's is (§8.1):
//! `staithe-runner PORT --working-dir DIR --plugins … --username NAME --user-id N`.
//!
//! It makes the user and the folder, then becomes `staithe-runner serve`: so the session's key leaves
//! the environment before any other program runs, and all that follows is what every runner does.
//!
//! | file | what |
//! |---|---|
//! | `cli` (pure) | the command line |
//! | `users` (pure) | the lines of `/etc/passwd` and its like that are missing |
//! | `ground` | puts them there, makes the folder |
//! | `begin` | what happens in the shell and of plugins before anybody is let in |

mod begin;
pub mod cli;
mod ground;
mod users;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
};

use rustix::{pipe::pipe, process::geteuid, stdio::dup2_stdin};

pub use self::begin::begin;
use self::cli::Alone;
use crate::{cli::HELP, fault::Fault};

/// The variable that the key comes in.
const KEY: &str = "SESSION_API_KEY";
/// What a `run` waits for without new output, in seconds.
pub const NO_CHANGE: &str = "NO_CHANGE_TIMEOUT_SECONDS";
/// The longest key that fits into a pipe for sure, in bytes.
const MOST_KEY: usize = 4095;

/// Starts it.
pub fn main(arguments: &[OsString]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return match io::stdout().write_all(HELP.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let told = match cli::read(arguments) {
        Ok(told) => told,
        Err(wrong) => return Fault::usage(wrong).say(),
    };
    let Err(fault) = start(&told);
    fault.say()
}

fn start(told: &Alone) -> Result<std::convert::Infallible, Fault> {
    if let Some(name) = &told.eval_env {
        let text = "is not served: evaluation environments of BrowserGym need its own server";
        return Err(Fault::config(format!("--browsergym-eval-env {name:?} {text}")));
    }
    let key = std::env::var(KEY).unwrap_or_default();
    if key.len() > MOST_KEY || key.contains('\n') {
        return Err(Fault::config(format!("{KEY} is too long or has more than one line")));
    }
    let address = std::net::SocketAddr::new(told.host, told.port);
    if key.is_empty() {
        note(&format!(
            "WARNING: {KEY} is not set, so everybody who reaches {address} can run commands here"
        ));
    }
    let is_root = geteuid().is_root();
    ground::prepare(told, is_root, &note)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg("serve").arg("--listen").arg(address.to_string()).env_remove(KEY);
    command.arg("--workspace").arg(&told.working_dir);
    command.arg("--state-dir").arg(told.state_dir.clone().unwrap_or_else(|| state_dir(told)));
    command.arg("--set-up");
    if is_root {
        command.args(["--user", &told.username]);
    }
    if !told.confine {
        command.args(["--reach", "/"]);
    }
    for plugin in told.wanted() {
        command.args(["--plugin", plugin]);
    }
    if key.is_empty() {
        command.arg("--no-key");
    } else {
        command.arg("--key-stdin");
        hand_over(&key).map_err(|error| Fault::os("can't hand the key over", error))?;
    }
    Err(Fault::os("can't begin to serve", command.exec()))
}

/// Puts the key where `serve` reads it.
fn hand_over(key: &str) -> io::Result<()> {
    let (read, write) = pipe()?;
    io::Write::write_all(&mut std::fs::File::from(write), format!("{key}\n").as_bytes())?;
    dup2_stdin(&read)?;
    Ok(())
}

/// A folder for outputs that no other user of the machine can have made.
fn state_dir(told: &Alone) -> PathBuf {
    let uid = geteuid().as_raw();
    let name = format!("staithe-runner-{}", told.port);
    if uid == 0 {
        PathBuf::from("/run").join(name)
    } else {
        std::env::temp_dir().join(format!("{name}-{uid}"))
    }
}

/// A line on stderr.
fn note(text: &str) {
    drop(writeln!(io::stderr(), "staithe-runner: {text}")); // nowhere else to say so
}
