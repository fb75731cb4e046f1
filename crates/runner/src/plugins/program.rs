//! A plugin's program: a process group of its own, its output in a log, its end known.

use std::{
    ffi::OsStr,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::watch,
    task::{JoinHandle, spawn_blocking, spawn_local},
    time::timeout,
};

use super::log::Log;
use crate::{
    reap::below,
    shell::{Ground, live::nonce, program::is_program},
};

/// A program that was asked to end gets this long.
const GRACE: Duration = Duration::from_secs(5);

/// In the environment of a program and of what it starts: whose they are. Some have sessions of their own and
/// outlive it, so that neither group nor parent tells.
const MARK: &str = "STAITHE_PLUGIN";

/// A running program; ended with [`Program::stop`], or when this program ends.
pub struct Program {
    pid: Pid,
    /// Of its own, as it stands in an environment.
    mark: String,
    exit: watch::Receiver<Option<i64>>,
    /// Of its output, where that goes to a log.
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it in the workspace, with the environment that commands have and what `command` adds.
    pub fn start(ground: &Ground, mut command: Command, log: &Rc<Log>) -> io::Result<Self> {
        let (read, write) = io::pipe()?;
        let output = pipe::Receiver::from_owned_fd(read.into())?;
        command
            .current_dir(&ground.workspace)
            .stdin(Stdio::null())
            .stdout(write.try_clone()?)
            .stderr(write);
        let mut program = Self::spawn(ground, command)?;
        program.reader = Some(spawn_local(read_all(output, Rc::clone(log))));
        Ok(program)
    }

    /// Starts what `command` says, in a process group of its own.
    pub fn spawn(ground: &Ground, mut command: Command) -> io::Result<Self> {
        if ground.ending.get() {
            return Err(io::Error::other("the sandbox ends"));
        }
        let mark = nonce()?;
        let child = command.env(MARK, &mark).process_group(0).spawn()?;
        drop(command); // and with it our ends of its pipes
        let pid =
            Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)).ok_or(io::ErrorKind::NotFound)?;
        let ended = ground.reaper.exit_of(pid);
        let (tell, exit) = watch::channel(None);
        spawn_local(async move { tell.send_replace(Some(ended.await.unwrap_or(-1))) });
        Ok(Self { pid, mark: format!("{MARK}={mark}"), exit, reader: None })
    }

    /// The exit code, once it ended: 128 and the signal if one ended it.
    pub async fn ended(&self) -> i64 {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(code) => code.unwrap_or(-1),
            Err(_) => -1,
        }
    }

    /// Ends it and everything that it started.
    pub async fn stop(&self) {
        let pid = self.pid;
        let all = spawn_blocking(move || below(pid)).await.unwrap_or_default();
        if self.exit.borrow().is_none() {
            kill_process_group(self.pid, Signal::TERM).ok();
            drop(timeout(GRACE, self.ended()).await); // one that is deaf is killed below
        }
        kill_process_group(self.pid, Signal::KILL).ok();
        let mark = self.mark.clone();
        let killed = spawn_blocking(move || {
            for process in below(getpid()) {
                if all.contains(&process) || has(process, &mark) {
                    kill_process(process, Signal::KILL).ok(); // it may have ended meanwhile
                }
            }
        });
        drop(killed.await); // it does not panic
        self.ended().await;
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// Whether a process was started with this in its environment.
fn has(process: Pid, variable: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{}/environ", process.as_raw_nonzero()));
    let environment = environment.unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|held| held == variable.as_bytes())
}

async fn read_all(mut output: pipe::Receiver, log: Rc<Log>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        log.push(&buffer[..length]);
        // A program that prints without end must not keep everything else from its turn.
        tokio::task::yield_now().await;
    }
}

/// A command with the environment of the session's commands.
pub fn command(ground: &Ground, program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, value) in &ground.env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(&*ground.configured.borrow());
    command.env("PWD", &ground.workspace).env_remove("OLDPWD");
    command
}

/// The first of these that is a program; a name without `/` is looked for in the `PATH`.
pub fn find<'a>(ground: &Ground, candidates: impl IntoIterator<Item = &'a str>) -> Option<PathBuf> {
    let path = path_of(ground);
    candidates.into_iter().find_map(|candidate| {
        if candidate.contains('/') {
            return Some(PathBuf::from(candidate)).filter(|file| is_program(file));
        }
        find_in(&path, candidate)
    })
}

/// The program of this name in a `PATH`.
pub fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

/// The `PATH` that commands have.
fn path_of(ground: &Ground) -> std::ffi::OsString {
    if let Some(path) = ground.configured.borrow().get("PATH") {
        return path.into();
    }
    let changed = ground.env.iter().find(|(name, _)| *name == "PATH");
    changed
        .and_then(|(_, value)| value.clone())
        .or_else(|| std::env::var_os("PATH"))
        .unwrap_or_default()
}
