//! Joins stdin and stdout to a runner's socket: the line of a server that shares no folder with the
//! sandbox, but can start a program in it.
//!
//! Two threads that block: nothing waits in a buffer, and nothing is polled.

use std::{
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    io::Errno,
    stdio::{stdin, stdout},
};
use tokio::time::Instant;

use crate::{cli::Bridge, fault::Fault, prepare::hide};

/// Bytes moved at once.
const BUFFER: usize = 64 * 1024;
/// How often it is looked whether the socket is there.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Moves bytes both ways until both are at their end.
pub fn main(told: &Bridge) -> ExitCode {
    match run(told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.say(),
    }
}

fn run(told: &Bridge) -> Result<(), Fault> {
    hide()?; // the key comes through here
    let socket = connect(&told.socket, Instant::now() + told.connect_timeout)
        .map_err(|error| Fault::os(format!("can't reach {}", told.socket.display()), error))?;
    let broken = |error| Fault::os("the line broke", error);
    let inward = socket.try_clone().map_err(broken)?;
    thread::Builder::new()
        .spawn(move || {
            // However stdin ends, the runner is told that no more comes.
            drop(copy(stdin(), inward.as_fd()));
            drop(inward.shutdown(Shutdown::Write));
        })
        .map_err(broken)?;
    copy(socket.as_fd(), stdout()).map_err(broken)?;
    // The runner says no more, but may listen. The kernel says when it doesn't, or when we are done.
    wait_for(socket.as_fd(), PollFlags::empty()).map_err(|errno| broken(errno.into()))
}

/// Connects, as soon as somebody listens.
#[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
fn connect(path: &Path, until: Instant) -> io::Result<UnixStream> {
    loop {
        match try_connect(path) {
            Ok(socket) => return Ok(socket),
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

/// A path of any length is reached through its folder.
fn try_connect(path: &Path) -> io::Result<UnixStream> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let beside = format!("/proc/self/fd/{}", folder.as_raw_fd());
    UnixStream::connect(Path::new(&beside).join(name))
}

/// Copies until the end. Whoever went away has heard enough: that is an end, too.
fn copy(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match rustix::io::read(&from, &mut buffer) {
            Ok(0) | Err(Errno::CONNRESET | Errno::IO) => return Ok(()),
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => {
                wait_for(from.as_fd(), PollFlags::IN)?;
                continue;
            }
            Err(errno) => return Err(errno.into()),
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            match rustix::io::write(&to, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for(to.as_fd(), PollFlags::OUT)?,
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Waits until something can be done with a file, or its other end is gone.
fn wait_for(file: BorrowedFd<'_>, what: PollFlags) -> Result<(), Errno> {
    loop {
        match poll(&mut [PollFd::from_borrowed_fd(file, what)], None) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}
