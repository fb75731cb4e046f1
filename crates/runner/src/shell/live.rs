//! One shell on one terminal, from its start to its end.

use std::{
    collections::BTreeMap,
    io,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{sync::oneshot, time::Instant};

use super::{
    missed::{Before, Missed},
    program::{Dialect, Program},
    pty::Pty,
    scan::{Nonces, Scanner},
    stage,
};
use crate::{environment::Changes, reap::Reaper};

/// Most bytes of input that wait for a program to read them.
const MOST_INPUT: usize = 1024 * 1024;

/// A running shell.
pub struct Live {
    pub pty: Pty,
    pub pid: Pid,
    pub dialect: Dialect,
    pub exit: oneshot::Receiver<i64>,
    pub scanner: Scanner,
    pub nonces: Nonces,
    /// The last exit code: `$?`.
    pub status: i64,
    /// `$-` as last told.
    pub flags: String,
    /// It has said how it stands for the first time.
    pub ready: bool,
    /// A command was run in it.
    pub used: bool,
    /// It has said `end` and waits for this.
    waits_for: Option<String>,
    pub started: Instant,
    /// How it ended, and until when its last output may come.
    pub ended: Option<(i64, Instant)>,
    /// Its terminal is closed: nothing more will come.
    pub hung_up: bool,
    input: Vec<u8>,
}

/// What a shell is started with.
pub struct Start<'a> {
    pub program: &'a Program,
    pub cwd: &'a str,
    /// What the place makes of the environment.
    pub env: &'a Changes,
    /// What the server adds to it.
    pub configured: &'a BTreeMap<String, String>,
}

impl Start<'_> {
    /// The shell, by way of the step that gives it its terminal.
    fn command(&self) -> Command {
        let dialect = self.program.dialect;
        let mut command = Command::new("/proc/self/exe");
        command.arg(stage::WORD).arg(&self.program.path).args(dialect.arguments());
        command.env_remove("BASH_ENV").envs([
            ("TERM", "xterm-256color"),
            ("PAGER", "cat"),
            ("GIT_PAGER", "cat"),
        ]);
        for (name, value) in self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(self.configured).env("PWD", self.cwd);
        // A file that shells read at their start would come between them and us.
        for name in ["ENV", "HISTFILE", "OLDPWD", "PS1", "PS2", "PROMPT_COMMAND", "_"] {
            command.env_remove(name);
        }
        if dialect == Dialect::Bash {
            command.envs([("PS1", ""), ("PS2", ""), ("PROMPT_COMMAND", "")]);
        }
        command
    }
}

impl Live {
    /// Starts a shell; it says its first `end` mark when it is ready.
    pub fn start(start: &Start<'_>, reaper: &Reaper) -> io::Result<Self> {
        let pty = Pty::open()?;
        let child = start
            .command()
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
            dialect: start.program.dialect,
            exit: reaper.exit_of(pid),
            scanner: Scanner::default(),
            nonces: Nonces::default(),
            status: 0,
            flags: String::new(),
            ready: false,
            used: false,
            waits_for: None,
            started: Instant::now(),
            ended: None,
            hung_up: false,
            input: Vec::new(),
        };
        live.renew_nonces()?;
        live.type_in(live.dialect.init(&live.nonces).as_bytes());
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
        self.type_in(self.dialect.question(&self.nonces).as_bytes());
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

    /// Types what runs the command in `file`.
    pub fn type_command(&mut self, file: &str, traced: bool) {
        let mut words = self.waits_for.take().unwrap_or_default();
        words += &self.dialect.command(file, &self.nonces, self.status, traced);
        self.type_in(words.as_bytes());
    }

    /// The shell has said `end`: what was typed to the command and not read is forgotten.
    /// Lines of it that the terminal had no room for.
    pub fn said_end(&mut self) -> u64 {
        let lines = memchr::memchr_iter(b'\n', &self.input).count() as u64;
        self.input.clear();
        self.waits_for = self.dialect.go_on(&self.nonces);
        // A shell that waits reads it away, maybe at this very moment: half a line must not remain.
        if self.waits_for.is_none() {
            self.pty.flush_input();
        }
        lines
    }

    /// What was typed and not read is thrown away, as a terminal does at its interrupt key: the shell would run it as
    /// commands. Lines of it, at least: what the terminal held counts as one.
    pub fn drop_input(&mut self) -> u64 {
        let held = u64::from(self.pty.has_input());
        let lines = memchr::memchr_iter(b'\n', &self.input).count() as u64;
        self.input.clear();
        self.pty.flush_input();
        held + lines
    }

    /// Sends a signal to what runs in the foreground. The shell itself, whose jobs and variables go with it, gets none
    /// but `SIGINT`, and `SIGKILL` as the last one. Who may have missed it.
    pub fn interrupt(&self, signal: Signal) -> Option<Missed> {
        let before = Before::look(self.pid, self.pty.foreground());
        self.signal(before.front?, signal);
        before.sent(signal)
    }

    /// Types the interrupt key. Who may have missed it.
    pub fn press_interrupt(&mut self) -> Option<Missed> {
        let before = Before::look(self.pid, self.pty.foreground());
        self.type_in(&[3]);
        self.pty.has_input(); // the key is through the kernel now
        before.sent(Signal::INT)
    }

    /// Sends a signal to a group of the terminal.
    pub fn signal(&self, front: Pid, signal: Signal) {
        let is_shell = front == self.pid;
        kill_process_group(
            front,
            if is_shell && signal != Signal::KILL { Signal::INT } else { signal },
        )
        .ok();
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
