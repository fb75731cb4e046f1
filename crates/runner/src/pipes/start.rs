//! The start of a pipe's program, and its three streams.

use std::{
    cell::RefCell,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    process::Command,
    rc::Rc,
    task::{Context, Poll},
};

use staithe_protocol::pipe::{MOST_WORDS, PipeCode, PipeDenied, PipeStart};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite},
    net::unix::pipe,
    sync::watch,
    task::spawn_local,
};

use crate::{
    environment,
    plugins::{
        program::{Program, command, find, find_in},
        tail::Tail,
    },
    shell::{Ground, program::is_program},
};

/// A program that was started.
pub(super) struct Live {
    pub program: Program,
    stderr: Rc<RefCell<Tail>>,
    /// Turns true once nothing more comes on stderr.
    silent: watch::Receiver<bool>,
}

/// What its stream carries.
pub(super) struct Io {
    pub stdin: Stdin,
    pub stdout: pipe::Receiver,
}

/// A program's stdin. Its shutdown closes it, and what a program does not want to read is nobody's fault.
pub(super) struct Stdin(Option<pipe::Sender>);

impl Live {
    /// The end of its stderr, once nothing more comes or `patience` is over.
    pub(super) async fn last_words(&self, patience: impl Future<Output = ()>) -> String {
        let mut silent = self.silent.clone();
        tokio::select! {
            _ = silent.wait_for(|silent| *silent) => {}
            () = patience => {}
        }
        self.stderr.borrow_mut().lines()
    }
}

fn denied(code: PipeCode, reason: impl Into<String>) -> PipeDenied {
    PipeDenied { code, reason: reason.into() }
}

/// Starts it.
pub(super) fn start(ground: &Ground, start: &PipeStart) -> Result<(Live, Io), PipeDenied> {
    check(start)?;
    let workspace = Path::new(&ground.workspace);
    let cwd = start.cwd.as_ref().map_or(workspace.to_owned(), |cwd| workspace.join(cwd));
    if !cwd.is_dir() {
        return Err(denied(PipeCode::NotStarted, format!("not a folder: {}", cwd.display())));
    }
    let name = start.argv.first().map_or("", String::as_str);
    let file = program(ground, start, &cwd, name).ok_or_else(|| {
        let reason = format!("The sandbox has no program {name} that its user may start.");
        denied(PipeCode::NoProgram, reason)
    })?;
    let mut command = command(ground, &file);
    command.args(&start.argv[1..]).envs(&start.env).env("PWD", &cwd).current_dir(&cwd);
    run(ground, command).map_err(|error| {
        denied(PipeCode::NotStarted, format!("The program {name} can't be started: {error}."))
    })
}

fn check(start: &PipeStart) -> Result<(), PipeDenied> {
    let malformed = |reason: String| denied(PipeCode::Malformed, reason);
    let words = start.argv.iter().chain(&start.cwd);
    let variables = start.env.iter().map(|(name, value)| name.len() + value.len());
    let length: usize = words.clone().map(String::len).chain(variables).map(|l| l + 1).sum();
    let is_empty = start.argv.first().is_none_or(String::is_empty);
    if is_empty || length > MOST_WORDS || words.clone().any(|word| word.contains('\0')) {
        return Err(malformed(format!("argv, env, cwd: 1 to {MOST_WORDS} bytes without NUL")));
    }
    environment::check(&start.env).map_err(malformed)
}

fn program(ground: &Ground, start: &PipeStart, cwd: &Path, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(cwd.join(name)).filter(|file| is_program(file));
    }
    match start.env.get("PATH") {
        Some(path) => find_in(&OsString::from(path), name),
        None => find(ground, [name]),
    }
}

fn run(ground: &Ground, mut command: Command) -> io::Result<(Live, Io)> {
    let (stdin, ours_in) = io::pipe()?;
    let (ours_out, stdout) = io::pipe()?;
    let (ours_err, stderr) = io::pipe()?;
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let stdin = Stdin(Some(pipe::Sender::from_owned_fd(ours_in.into())?));
    let stdout = pipe::Receiver::from_owned_fd(ours_out.into())?;
    let said = pipe::Receiver::from_owned_fd(ours_err.into())?;
    let program = Program::spawn(ground, command)?;
    let stderr = Rc::new(RefCell::new(Tail::default()));
    let (tell, silent) = watch::channel(false);
    spawn_local({
        let stderr = Rc::clone(&stderr);
        async move {
            listen(said, &stderr).await;
            tell.send_replace(true);
        }
    });
    Ok((Live { program, stderr, silent }, Io { stdin, stdout }))
}

async fn listen(mut said: pipe::Receiver, tail: &RefCell<Tail>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = said.read(&mut buffer).await {
        tail.borrow_mut().push(&buffer[..length]);
        // A program that complains without end must not keep everything else from its turn.
        tokio::task::yield_now().await;
    }
}

impl AsyncWrite for Stdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(pipe) = &mut self.0 else { return Poll::Ready(Ok(bytes.len())) };
        match Pin::new(pipe).poll_write(context, bytes) {
            // What it still prints is heard to its end.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.0 = None;
                Poll::Ready(Ok(bytes.len()))
            }
            other => other,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}
