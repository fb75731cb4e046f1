//! The command line. Pure.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, slice::Iter, time::Duration};

/// What `--help` says.
pub const HELP: &str = "\
The program inside a Staithe sandbox.

Usage:
  staithe-runner serve (--socket-dir DIR | --listen ADDR:PORT)… --workspace DIR --state-dir DIR --key-stdin
  staithe-runner PORT --working-dir DIR [option]…
  staithe-runner bridge --socket PATH [--connect-timeout-ms N]
  staithe-runner launch …        start it in a sandbox of its own
  staithe-runner --help | --version

Options of serve:
  --socket-dir DIR   where runner.sock is made
  --open-socket      every user may connect to it, who can reach its folder
  --listen ADDR:PORT serve on TCP, too, or instead; ADDR is a number, not a name
  --workspace DIR    the folder that commands start in and file operations stay in
  --state-dir DIR    for outputs of commands; what an earlier runner left there is wiped
  --user SPEC        become this user for good: NAME, UID, NAME:GROUP or UID:GID; needs root
  --key-stdin        read the session's key from the first line of stdin (required)
  --no-key           ask nobody for a key, instead
  --reach DIR        what the sandbox API may reach; DIR of --workspace unless told
  --set-up           set git and plugins up before anybody is let in
  --plugin NAME      a plugin to begin with; may be repeated
Folders that are missing are made.

Options of PORT, by which it is a sandbox's whole server (the sandbox API of OpenHands). The key that
clients send as X-Session-API-Key is taken from the environment: SESSION_API_KEY; without it nobody is
asked for one, and requests of web pages are refused. VSCODE_PORT (PORT + 1 without it),
NO_CHANGE_TIMEOUT_SECONDS and INIT_PLUGIN_TIMEOUT count as well. Connections are refused until all is
set up.
  --working-dir DIR  where commands start; made if missing, and given to the user (required)
  --plugins NAME…    of agent_skills, jupyter, vscode, browser
  --username NAME    who commands and files are run and written as: openhands unless told; made if missing
  --user-id N        the number of a user that is made: 1000 unless told
  --[no-]enable-browser       with or without the browser: with it unless told
  --browsergym-eval-env NAME  refused: it needs a server of its own
  --host ADDR        0.0.0.0 unless told
  --confine          no file outside the working directory is read or written by a request
  --state-dir DIR    for outputs of commands

Options of bridge, which joins stdin and stdout to a runner's socket:
  --socket PATH            the socket
  --connect-timeout-ms N   how long to wait for it; 30000 unless told

Exit codes: 64 wrong use, 71 the system refused, 78 what was asked for can't be had here.
";

/// How long `bridge` waits for the socket unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What `serve` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    pub socket_dir: Option<PathBuf>,
    pub open_socket: bool,
    pub listen: Option<SocketAddr>,
    pub workspace: PathBuf,
    pub state_dir: PathBuf,
    pub user: Option<String>,
    /// Nobody is asked for a key.
    pub no_key: bool,
    /// What the sandbox API may reach, if not the workspace.
    pub reach: Option<PathBuf>,
    /// Git and plugins are set up before anybody is let in.
    pub set_up: bool,
    pub plugins: Vec<String>,
}

/// What `bridge` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    pub socket: PathBuf,
    pub connect_timeout: Duration,
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
    #[error("{0} {1:?} is no {2}")]
    Value(&'static str, OsString, &'static str),
}

/// Reads what follows `serve`.
pub fn serve(arguments: &[OsString]) -> Result<Serve, Wrong> {
    let (mut socket_dir, mut workspace, mut state_dir) = (None, None, None);
    let (mut listen, mut user) = (None, None);
    let (mut key_stdin, mut open_socket) = (false, false);
    let (mut no_key, mut reach, mut set_up, mut plugins) = (false, None, false, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--socket-dir") => socket_dir = Some(path(&mut arguments, "--socket-dir")?),
            Some("--workspace") => workspace = Some(path(&mut arguments, "--workspace")?),
            Some("--state-dir") => state_dir = Some(path(&mut arguments, "--state-dir")?),
            Some("--listen") => {
                listen = Some(parsed(&mut arguments, "--listen", "ADDR:PORT")?);
            }
            Some("--user") => user = Some(parsed(&mut arguments, "--user", "text")?),
            Some("--key-stdin") => key_stdin = true,
            Some("--no-key") => no_key = true,
            Some("--reach") => reach = Some(path(&mut arguments, "--reach")?),
            Some("--set-up") => set_up = true,
            Some("--plugin") => plugins.push(parsed(&mut arguments, "--plugin", "text")?),
            Some("--open-socket") => open_socket = true,
            _ => return Err(Wrong::Unknown(argument.clone())),
        }
    }
    if key_stdin == no_key {
        return Err(Wrong::Missing("--key-stdin"));
    }
    if socket_dir.is_none() && (listen.is_none() || open_socket) {
        return Err(Wrong::Missing("--socket-dir"));
    }
    Ok(Serve {
        socket_dir,
        open_socket,
        listen,
        workspace: workspace.ok_or(Wrong::Missing("--workspace"))?,
        state_dir: state_dir.ok_or(Wrong::Missing("--state-dir"))?,
        user,
        no_key,
        reach,
        set_up,
        plugins,
    })
}

/// Reads what follows `bridge`.
pub fn bridge(arguments: &[OsString]) -> Result<Bridge, Wrong> {
    let (mut socket, mut connect_timeout) = (None, CONNECT_TIMEOUT);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--socket") => socket = Some(path(&mut arguments, "--socket")?),
            Some("--connect-timeout-ms") => {
                let told: u32 = parsed(&mut arguments, "--connect-timeout-ms", "number")?;
                connect_timeout = Duration::from_millis(told.into());
            }
            _ => return Err(Wrong::Unknown(argument.clone())),
        }
    }
    Ok(Bridge { socket: socket.ok_or(Wrong::Missing("--socket"))?, connect_timeout })
}

fn path(arguments: &mut Iter<'_, OsString>, name: &'static str) -> Result<PathBuf, Wrong> {
    arguments.next().map(PathBuf::from).ok_or(Wrong::NoValue(name))
}

fn parsed<T: std::str::FromStr>(
    arguments: &mut Iter<'_, OsString>,
    name: &'static str,
    form: &'static str,
) -> Result<T, Wrong> {
    let value = arguments.next().ok_or(Wrong::NoValue(name))?;
    let parsed = value.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Wrong::Value(name, value.clone(), form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(Into::into).collect()
    }

    fn check(line: &str) -> Result<Serve, Wrong> {
        serve(&words(line))
    }

    #[test]
    fn all_options_are_taken_in_any_order() {
        let told = check(
            "--key-stdin --state-dir /s --workspace /w --open-socket --user 1:2 --socket-dir /r",
        )
        .unwrap();
        assert_eq!(told.workspace, PathBuf::from("/w"));
        assert_eq!(told.socket_dir, Some(PathBuf::from("/r")));
        assert_eq!(told.state_dir, PathBuf::from("/s"));
        assert_eq!((told.open_socket, told.user.as_deref()), (true, Some("1:2")));
        assert_eq!(told.listen, None);
        for address in ["0.0.0.0:7717", "[::]:7717"] {
            let line = format!("--key-stdin --state-dir /s --workspace /w --listen {address}");
            assert_eq!(check(&line).unwrap().listen, address.parse().ok());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let missing = check("--key-stdin --workspace /w --state-dir /s");
        assert_eq!(missing, Err(Wrong::Missing("--socket-dir")));
        let open = check("--key-stdin --workspace /w --state-dir /s --listen [::]:1 --open-socket");
        assert_eq!(open, Err(Wrong::Missing("--socket-dir")));
        assert_eq!(check("--workspace /w"), Err(Wrong::Missing("--key-stdin")));
        assert_eq!(check("--workspace"), Err(Wrong::NoValue("--workspace")));
        assert_eq!(check("--port 1"), Err(Wrong::Unknown("--port".into())));
        let name = check("--listen localhost:1").unwrap_err();
        assert_eq!(name.to_string(), r#"--listen "localhost:1" is no ADDR:PORT"#);
    }

    #[test]
    fn a_bridge_waits_half_a_minute_unless_told() {
        let told = bridge(&words("--socket /s")).unwrap();
        assert_eq!((told.socket, told.connect_timeout.as_secs()), (PathBuf::from("/s"), 30));
        let told = bridge(&words("--connect-timeout-ms 5 --socket /s")).unwrap();
        assert_eq!(told.connect_timeout.as_millis(), 5);
        assert_eq!(bridge(&[]), Err(Wrong::Missing("--socket")));
        assert!(bridge(&words("--socket /s --connect-timeout-ms -1")).is_err());
    }
}
