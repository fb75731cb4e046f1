//! One run of the sandbox's own git: never by a shell, with nothing that asks, shows pages or starts other
//! programs, until it ends, says too much, or takes too long.

use std::{
    ffi::{OsStr, OsString},
    io::Write as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use staithe_protocol::git::{GitCode, GitDenied};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, sync::Semaphore, time::timeout};

use super::parse::last_lines;
use crate::{
    environment::PATH,
    shell::{Shells, program::is_program},
};

/// The longest that one run takes.
const LONGEST: Duration = Duration::from_secs(30);
/// Runs at once; others wait.
const MOST_AT_ONCE: usize = 4;
/// What is kept of a complaint, in bytes, and what is told of it.
const MOST_COMPLAINT: usize = 16 * 1024;
const MOST_TOLD: usize = 1024;

/// Who may run git now.
pub struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(MOST_AT_ONCE))
    }
}

/// Stronger than what any configuration says: no program of a repository's choice is started, output has
/// one form, and a workspace of another user's is as good as one's own.
const SETTINGS: [&str; 9] = [
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "color.ui=false",
    "log.showSignature=false",
    "diff.external=",
    "submodule.recurse=false",
    "gc.auto=0",
];

/// Set for every run. It takes no locks that the user's own git would meet, asks nobody, and reaches no
/// network.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("LC_ALL", "C"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "false"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "false"),
    ("GIT_LITERAL_PATHSPECS", "1"),
];

/// How much of the output is wanted.
#[derive(Clone, Copy)]
pub(super) enum Most {
    /// So many bytes; more is an error.
    Fail(usize),
    /// So many bytes; what comes after them is cut off.
    Cut(usize),
}

/// What a run said.
pub(super) struct Said {
    pub output: Vec<u8>,
    pub complaint: Vec<u8>,
    /// 0 is good; −1 after a cut.
    pub code: i64,
    pub cut: bool,
}

impl Said {
    /// Git's refusal as ours.
    pub(super) fn refusal(&self) -> GitDenied {
        let complaint = String::from_utf8_lossy(&self.complaint);
        if complaint.contains("not a git repository")
            || complaint.contains("must be run in a work tree")
        {
            let text = "Neither this folder nor one above it in the workspace is a git repository with files.";
            return GitDenied::new(GitCode::NotARepository, text);
        }
        let lines = last_lines(&self.complaint, MOST_TOLD);
        GitDenied::new(GitCode::Failed, format!("git ended with {}: {lines}", self.code))
    }

    /// The output of a run that went well.
    pub(super) fn good(self) -> Result<Vec<u8>, GitDenied> {
        if self.code == 0 || self.cut { Ok(self.output) } else { Err(self.refusal()) }
    }
}

/// Git in a folder that is held open.
pub(super) struct Git<'a> {
    pub shells: &'a Shells,
    pub turns: &'a Turns,
    pub folder: OwnedFd,
    /// Repositories above it are none of ours.
    pub workspace: String,
}

/// A process group that ends with this value, unless it ended before.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            kill_process_group(leader, Signal::KILL).ok(); // it may have gone
        }
    }
}

impl Git<'_> {
    /// Runs it. When nobody waits any more, it and what it started are ended.
    pub(super) async fn run(&self, arguments: &[&str], most: Most) -> Result<Said, GitDenied> {
        let timed_out = |_| {
            let text = format!("git did not end in {} s.", LONGEST.as_secs());
            GitDenied::new(GitCode::TimedOut, text)
        };
        let run = async {
            let _turn = self.turns.0.acquire().await; // never closed
            self.run_now(arguments, most).await
        };
        timeout(LONGEST, run).await.map_err(timed_out)?
    }

    async fn run_now(&self, arguments: &[&str], most: Most) -> Result<Said, GitDenied> {
        let program = self.program()?;
        self.run_command(self.command(&program, arguments), &[], most).await
    }

    /// Runs a command of ours. `input` is small, and what it reads from its standard input when that is a pipe.
    pub(super) async fn run_command(
        &self,
        mut command: Command,
        input: &[u8],
        most: Most,
    ) -> Result<Said, GitDenied> {
        let broken = |error: std::io::Error| {
            GitDenied::new(GitCode::Failed, format!("git can't be run: {error}."))
        };
        let mut child = command.spawn().map_err(broken)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| broken(std::io::ErrorKind::NotFound.into()))?;
        let exit = self.shells.ground().reaper.exit_of(pid);
        let mut group = Group(Some(pid));
        if let Some(mut pipe) = child.stdin.take() {
            // Far less than a pipe holds, so it does not wait for a reader. One that has gone needs it no more.
            pipe.write_all(input).ok();
        }
        let (Some(output), Some(complaint)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(broken(std::io::ErrorKind::BrokenPipe.into()));
        };
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(broken)?;
        let complaint = pipe::Receiver::from_owned_fd(complaint.into()).map_err(broken)?;
        let (Most::Fail(bytes) | Most::Cut(bytes)) = most;
        let complaints =
            async { read_and_drop(complaint, MOST_COMPLAINT).await.map_err(End::Lost) };
        match tokio::try_join!(read_up_to(output, bytes), complaints) {
            Ok((output, complaint)) => {
                let code = exit.await.unwrap_or(-1);
                group.0 = None;
                Ok(Said { output, complaint, code, cut: false })
            }
            Err(End::Cut(output)) => match most {
                Most::Fail(most) => {
                    let text = format!("git's answer has more than {most} bytes.");
                    Err(GitDenied::new(GitCode::TooLarge, text))
                }
                Most::Cut(_) => Ok(Said { output, complaint: Vec::new(), code: -1, cut: true }),
            },
            Err(End::Lost(error)) => Err(broken(error)),
        }
    }

    /// The sandbox's git.
    pub(super) fn program(&self) -> Result<PathBuf, GitDenied> {
        let ground = self.shells.ground();
        let configured = ground.configured.borrow();
        let path = configured.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
        let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| PATH.into());
        let found = std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("git"))
            .find(|file| is_program(file));
        found.ok_or_else(|| {
            let text = "The sandbox has no program git. Install it there (Debian: apt-get install git), or use an image that has it.";
            GitDenied::new(GitCode::Missing, text)
        })
    }

    pub(super) fn command(&self, program: &PathBuf, arguments: &[&str]) -> Command {
        let ground = self.shells.ground();
        let mut command = Command::new(program);
        command.arg("--no-pager");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        for (name, value) in &ground.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(&*ground.configured.borrow());
        // What was set for the user's own git is not for ours.
        let is_of_git = |name: &OsStr| name.as_encoded_bytes().starts_with(b"GIT_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_git(name)) {
            command.env_remove(name);
        }
        for name in ground.configured.borrow().keys().filter(|name| is_of_git(OsStr::new(name))) {
            command.env_remove(name);
        }
        let above = std::path::Path::new(&self.workspace).parent().unwrap_or("/".as_ref());
        command
            .envs(ENVIRONMENT)
            .env("GIT_CEILING_DIRECTORIES", above)
            .current_dir(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Why reading ended before the output did.
enum End {
    /// There was more than this.
    Cut(Vec<u8>),
    Lost(std::io::Error),
}

/// Reads to the end, or so far.
async fn read_up_to(mut from: pipe::Receiver, most: usize) -> Result<Vec<u8>, End> {
    let mut read = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    (&mut from).take(limit).read_to_end(&mut read).await.map_err(End::Lost)?;
    if read.len() > most {
        read.truncate(most);
        return Err(End::Cut(read));
    }
    Ok(read)
}

/// Reads to the end and keeps the beginning.
async fn read_and_drop(mut from: pipe::Receiver, most: usize) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    (&mut from).take(limit).read_to_end(&mut read).await?;
    let mut rest = [0; 4096];
    while from.read(&mut rest).await? > 0 {}
    Ok(read)
}
