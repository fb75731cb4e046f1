//! The command line. Pure.

use std::{ffi::OsString, path::PathBuf};

/// What `--help` says.
pub const HELP: &str = "\
The program inside a Staithe sandbox.

Usage:
  staithe-runner serve --socket-dir DIR --workspace DIR --state-dir DIR --key-stdin
  staithe-runner launch …        start it in a sandbox of its own
  staithe-runner --help | --version

Options of serve:
  --socket-dir DIR   where runner.sock is made
  --workspace DIR    the folder that commands start in and file operations stay in; it exists
  --state-dir DIR    for outputs of commands; wiped at the start
  --key-stdin        read the session's key from the first line of stdin (required)
";

/// What `serve` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    pub socket_dir: PathBuf,
    pub workspace: PathBuf,
    pub state_dir: PathBuf,
}

/// The command line is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("unknown argument {0:?}")]
    Unknown(OsString),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
}

/// Reads what follows `serve`.
pub fn serve(arguments: &[OsString]) -> Result<Serve, Wrong> {
    let (mut socket_dir, mut workspace, mut state_dir, mut key_stdin) = (None, None, None, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (place, name) = match argument.to_str() {
            Some("--socket-dir") => (&mut socket_dir, "--socket-dir"),
            Some("--workspace") => (&mut workspace, "--workspace"),
            Some("--state-dir") => (&mut state_dir, "--state-dir"),
            Some("--key-stdin") => {
                key_stdin = true;
                continue;
            }
            _ => return Err(Wrong::Unknown(argument.clone())),
        };
        *place = Some(PathBuf::from(arguments.next().ok_or(Wrong::NoValue(name))?));
    }
    if !key_stdin {
        return Err(Wrong::Missing("--key-stdin"));
    }
    Ok(Serve {
        socket_dir: socket_dir.ok_or(Wrong::Missing("--socket-dir"))?,
        workspace: workspace.ok_or(Wrong::Missing("--workspace"))?,
        state_dir: state_dir.ok_or(Wrong::Missing("--state-dir"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str) -> Result<Serve, Wrong> {
        let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
        serve(&words)
    }

    #[test]
    fn all_options_are_taken_in_any_order() {
        let told = check("--key-stdin --state-dir /s --workspace /w --socket-dir /r").unwrap();
        assert_eq!(told.workspace, PathBuf::from("/w"));
        assert_eq!(told.socket_dir, PathBuf::from("/r"));
        assert_eq!(told.state_dir, PathBuf::from("/s"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let missing = check("--key-stdin --workspace /w --state-dir /s");
        assert_eq!(missing, Err(Wrong::Missing("--socket-dir")));
        assert_eq!(check("--workspace /w"), Err(Wrong::Missing("--key-stdin")));
        assert_eq!(check("--workspace"), Err(Wrong::NoValue("--workspace")));
        assert_eq!(check("--port 1"), Err(Wrong::Unknown("--port".into())));
    }
}
