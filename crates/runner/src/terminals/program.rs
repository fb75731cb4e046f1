//! The program on a terminal: which one, in what environment, and its start and end.

use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    process::{Pid, Signal, WaitStatus, kill_process},
    termios::Winsize,
};
use staithe_protocol::terminal::{
    MAX_COMMAND, NewTerminal, TerminalCode, TerminalCommand, TerminalDenied, TerminalSize,
};
use tokio::sync::oneshot;

use crate::{
    reap::session_of,
    shell::{
        Ground,
        pty::{Master, pair},
        stage,
    },
};

/// The longest name that is made of a command, in characters.
const MOST_OF_A_COMMAND: usize = 40;

/// A program that runs on a terminal.
pub struct Live {
    pub master: Master,
    /// The leader of the terminal's session.
    pub pid: Pid,
    is_shell: bool,
}

/// What is started.
pub struct Launch {
    words: Vec<OsString>,
    cwd: PathBuf,
    is_shell: bool,
    pub name: String,
}

/// The kernel's words for a size.
pub fn winsize(size: TerminalSize) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 }
}

fn denied(code: TerminalCode, reason: impl Into<String>) -> TerminalDenied {
    TerminalDenied { code, reason: reason.into() }
}

impl Launch {
    /// What a new terminal shall run, if that can be had here.
    pub fn of(new: &NewTerminal, ground: &Ground) -> Result<Self, TerminalDenied> {
        let workspace = Path::new(&ground.workspace);
        let cwd = new.cwd.as_ref().map_or(workspace.to_owned(), |cwd| workspace.join(cwd));
        let has_nul = |text: &str| text.contains('\0');
        if new.cwd.as_deref().is_some_and(has_nul) || !cwd.is_dir() {
            let reason = format!("not a folder: {}", cwd.display());
            return Err(denied(TerminalCode::NotStarted, reason));
        }
        let words: Vec<OsString> = match &new.command {
            None => vec![shell(ground)?],
            Some(TerminalCommand::Line(line)) => {
                vec![shell(ground)?, "-c".into(), line.into()]
            }
            Some(TerminalCommand::Words(words)) => words.iter().map(Into::into).collect(),
        };
        let length: usize = words.iter().map(|word| word.len() + 1).sum();
        let texts = words.iter().map(|word| word.as_encoded_bytes());
        if words.first().is_none_or(|word| word.is_empty())
            || length > MAX_COMMAND
            || texts.clone().any(|text| text.contains(&0))
        {
            let reason = format!("command: 1 to {MAX_COMMAND} bytes without NUL");
            return Err(denied(TerminalCode::Malformed, reason));
        }
        let name = new.name.clone().unwrap_or_else(|| name_of(new, &words));
        Ok(Self { words, cwd, is_shell: new.command.is_none(), name })
    }

    /// Starts it. What tells of its end must be asked for before anything is awaited.
    pub fn start(
        &self,
        size: TerminalSize,
        ground: &Ground,
    ) -> io::Result<(Live, oneshot::Receiver<WaitStatus>)> {
        let (master, slave) = pair(winsize(size))?;
        let child = self
            .command(ground)
            .current_dir(&self.cwd)
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(OwnedFd::try_clone(&slave)?))
            .stderr(Stdio::from(slave))
            .spawn()?;
        let pid =
            Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)).ok_or(io::ErrorKind::NotFound)?;
        Ok((Live { master, pid, is_shell: self.is_shell }, ground.reaper.end_of(pid)))
    }

    fn command(&self, ground: &Ground) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg(stage::WORD).args(&self.words);
        command.envs([("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]);
        let configured = ground.configured.borrow();
        let says = |name: &str| {
            let told = configured.get(name).is_some_and(|value| !value.is_empty());
            told || std::env::var_os(name).is_some_and(|value| !value.is_empty())
        };
        // Without any, programs show no character beyond ASCII, and terminals of today have them all.
        if !["LC_ALL", "LC_CTYPE", "LANG"].into_iter().any(says) {
            command.env("LANG", "C.UTF-8");
        }
        for (name, value) in &ground.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        for name in ["OLDPWD", "LINES", "COLUMNS", "_"] {
            command.env_remove(name);
        }
        command.envs(&*configured).env("PWD", &self.cwd);
        command
    }
}

/// The account's shell: interactive by its terminal, and no login shell, whose files would set the
/// `PATH` anew that the image has.
fn shell(ground: &Ground) -> Result<OsString, TerminalDenied> {
    let configured = ground.configured.borrow().get("SHELL").map(OsString::from);
    let account = ground.env.iter().find(|(name, _)| *name == "SHELL");
    configured
        .or_else(|| account.and_then(|(_, shell)| shell.clone()))
        .or_else(|| std::env::var_os("SHELL"))
        .filter(|shell| crate::shell::program::is_program(Path::new(shell)))
        .or_else(|| ground.program.as_ref().map(|program| program.path.clone().into()))
        .ok_or_else(|| denied(TerminalCode::NotStarted, "there is no shell here"))
}

fn name_of(new: &NewTerminal, words: &[OsString]) -> String {
    let text = if let Some(TerminalCommand::Line(line)) = &new.command {
        line.clone()
    } else {
        let program = words.first().map(Path::new).and_then(Path::file_name);
        program.unwrap_or_default().to_string_lossy().into_owned()
    };
    let text: String = text.replace(char::is_control, " ");
    text.chars().take(MOST_OF_A_COMMAND).collect()
}

impl Live {
    /// Whether it does something: any program does, and a shell when another one is in the foreground.
    pub fn is_busy(&self) -> bool {
        !self.is_shell || self.master.foreground().is_some_and(|group| group != self.pid)
    }

    /// Tells what runs here that its terminal is gone: the program and what is in the foreground. Their
    /// groups, for [`kill`](Self::kill).
    pub fn hang_up(&self) -> Vec<Pid> {
        let groups: Vec<Pid> =
            [Some(self.pid), self.master.foreground()].into_iter().flatten().collect();
        let those = session_of(self.pid, &groups);
        for signal in [Signal::HUP, Signal::CONT] {
            for pid in &those {
                kill_process(*pid, signal).ok(); // it may have ended meanwhile
            }
        }
        groups
    }

    /// Kills what is left of these groups.
    pub fn kill(&self, groups: &[Pid]) {
        for pid in session_of(self.pid, groups) {
            kill_process(pid, Signal::KILL).ok(); // it may have ended meanwhile
        }
    }
}
