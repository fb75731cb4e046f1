//! One bash on one terminal, from its start to its end.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{sync::oneshot, time::Instant};

use super::{
    line,
    pty::Pty,
    scan::{Nonces, Scanner},
    stage,
};
use crate::reap::Reaper;

/// Most bytes of input that wait for a program to read them.
const MOST_INPUT: usize = 1024 * 1024;

/// A running shell.
pub struct Live {
    pub pty: Pty,
    pub pid: Pid,
    pub exit: oneshot::Receiver<i64>,
    pub scanner: Scanner,
    pub nonces: Nonces,
    /// The last exit code: `$?`.
    pub status: i64,
    /// `$-` as last told.
    pub flags: String,
    /// It has said how it stands for the first time.
    pub ready: bool,
    pub started: Instant,
    /// How it ended, and until when its last output may come.
    pub ended: Option<(i64, Instant)>,
    /// Its terminal is closed: nothing more will come.
    pub hung_up: bool,
    input: Vec<u8>,
}

/// What a shell is started with.
pub struct Start<'a> {
    pub bash: &'a Path,
    pub cwd: &'a str,
}

impl Live {
    /// Starts a shell; it says its first `end` mark when it is ready.
    pub fn start(start: &Start<'_>, reaper: &Reaper) -> io::Result<Self> {
        let pty = Pty::open()?;
        let child = Command::new("/proc/self/exe")
            .arg(stage::WORD)
            .arg(start.bash)
            .args(["--noprofile", "--norc", "--noediting", "-i"])
            .envs([
                ("PS1", ""),
                ("PS2", ""),
                ("PROMPT_COMMAND", ""),
                ("TERM", "xterm-256color"),
                ("PAGER", "cat"),
                ("GIT_PAGER", "cat"),
                ("PWD", start.cwd),
            ])
            .env_remove("HISTFILE")
            .env_remove("BASH_ENV")
            .env_remove("OLDPWD")
            .current_dir(start.cwd)
            .stdin(Stdio::from(pty.slave()?))
            .stdout(Stdio::from(pty.slave()?))
            .stderr(Stdio::from(pty.slave()?))
            .spawn()?;
        let pid =
            Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)).ok_or(io::ErrorKind::NotFound)?;
        let mut live = Self {
            pty,
            pid,
            exit: reaper.exit_of(pid),
            scanner: Scanner::default(),
            nonces: Nonces::default(),
            status: 0,
            flags: String::new(),
            ready: false,
            started: Instant::now(),
            ended: None,
            hung_up: false,
            input: Vec::new(),
        };
        live.renew_nonces()?;
        live.type_in(line::init(&live.nonces).as_bytes());
        Ok(live)
    }

    /// New nonces for the next command.
    pub fn renew_nonces(&mut self) -> io::Result<()> {
        self.nonces = Nonces {
            begin: nonce()?,
            old_prompt: std::mem::take(&mut self.nonces.prompt),
            prompt: nonce()?,
            end: nonce()?,
            answer: String::new(),
        };
        self.scanner.expect(&self.nonces);
        Ok(())
    }

    /// Asks the shell how things stand.
    pub fn ask(&mut self) -> io::Result<()> {
        self.nonces.answer = nonce()?;
        self.scanner.expect(&self.nonces);
        self.pty.make_sane()?;
        self.type_in(line::question(&self.nonces).as_bytes());
        Ok(())
    }

    /// Whether the shell itself is in the foreground.
    pub fn is_in_front(&self) -> bool {
        self.pty.foreground() == Some(self.pid)
    }

    /// Types; says whether there was room.
    pub fn type_in(&mut self, bytes: &[u8]) -> bool {
        if self.input.len() + bytes.len() > MOST_INPUT {
            return false;
        }
        self.input.extend_from_slice(bytes);
        self.write_input();
        true
    }

    /// Writes typed input as far as the terminal takes it.
    pub fn write_input(&mut self) {
        while !self.input.is_empty() {
            match self.pty.write(&self.input) {
                Ok(written) => drop(self.input.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.input.clear(), // the terminal is closed
            }
        }
    }

    /// Throws away input that nobody has read.
    pub fn forget_input(&mut self) {
        self.input.clear();
        self.pty.flush_input();
    }

    /// Sends a signal to what runs in the foreground. `SIGKILL` and the like are only for programs:
    /// the shell itself gets none but `SIGINT`.
    pub fn signal(&self, signal: Signal) {
        let Some(front) = self.pty.foreground() else { return };
        if front == self.pid {
            kill_process_group(front, Signal::INT).ok();
        } else {
            kill_process_group(front, signal).ok();
        }
    }

    /// Ends the shell and what runs in the foreground.
    pub fn kill(&self) {
        if let Some(front) = self.pty.foreground().filter(|front| *front != self.pid) {
            kill_process_group(front, Signal::KILL).ok();
        }
        if self.ended.is_none() {
            // Its background jobs get SIGHUP from the kernel when the session's leader is gone.
            kill_process(self.pid, Signal::KILL).ok();
        }
    }

    /// What happens next on the terminal.
    pub async fn happening(&mut self) -> Happening {
        let exited = async {
            match self.ended {
                None => (&mut self.exit).await.unwrap_or(-1),
                Some(_) => std::future::pending().await,
            }
        };
        let readable = async {
            if self.hung_up {
                std::future::pending::<()>().await;
            }
            drop(self.pty.readable().await);
        };
        let writable = async {
            if self.input.is_empty() || self.hung_up {
                std::future::pending::<()>().await;
            }
            drop(self.pty.writable().await);
        };
        tokio::select! {
            biased;
            () = readable => Happening::Readable,
            () = writable => Happening::Writable,
            status = exited => Happening::Exited(status),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.kill();
    }
}

/// See [`Live::happening`].
pub enum Happening {
    Readable,
    Writable,
    Exited(i64),
}

/// 128 random bits in hexadecimal digits.
pub fn nonce() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Where bash is: as `STAITHE_BASH` says, in the `PATH`, or in the usual places.
pub fn find_bash() -> Option<PathBuf> {
    if let Some(told) = std::env::var_os("STAITHE_BASH") {
        return Some(PathBuf::from(told)).filter(|bash| bash.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].map(PathBuf::from);
    let in_path =
        std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bash"));
    in_path.chain(usual).find(|bash| {
        bash.is_file() && rustix::fs::access(bash, rustix::fs::Access::EXEC_OK).is_ok()
    })
}
