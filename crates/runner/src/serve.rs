//! From the start to the end: the key, the socket, the connections, the signals.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io::{self, Write as _},
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::{
    fs::{Mode, OFlags, open, unlinkat},
    io::Errno,
    process::{
        DumpableBehavior, Signal, getpid, set_child_subreaper, set_dumpable_behavior, umask,
    },
    stdio::{dup2_stdin, stdin},
};
use staithe_protocol::runner::SOCKET_NAME;
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
    task::LocalSet,
    time::Instant,
};

use crate::{
    app::App,
    cli::Serve,
    files::Files,
    http,
    lines::Lines,
    reap::{Reaper, descendants},
    shell::{
        Ground, Shells,
        line::LONGEST_NAME,
        live::{find_bash, nonce},
        running::Identity,
        spool::Spools,
    },
};

/// Threads for file operations.
const FILE_THREADS: usize = 4;
/// They end when they had nothing to do for so long.
const THREAD_REST: Duration = Duration::from_secs(2);
/// At the end, everything gets this long to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether everything has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The longest key, in bytes.
const MOST_KEY: u64 = 4096;

/// Serves until a signal says to end.
pub fn main(told: &Serve) -> ExitCode {
    match run(told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "staithe-runner: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(told: &Serve) -> io::Result<()> {
    // No program in the sandbox may look into this process, where the key is.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // What a shell leaves behind becomes ours, so that it can be ended with us. As process 1 it does
    // so anyway, and where it can't be asked for, only programs that hide outlive us.
    set_child_subreaper(Some(getpid())).ok();
    let key = read_key()?;
    let listener = bind(&told.socket_dir)?;
    umask(Mode::from_raw_mode(0o002));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(FILE_THREADS)
        .thread_keep_alive(THREAD_REST)
        .build()?;
    LocalSet::new().block_on(&runtime, serve(told, &key, listener))?;
    runtime.shutdown_background();
    Ok(())
}

/// The first line of stdin, which then is empty for ever.
fn read_key() -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut byte = [0];
        if rustix::io::read(stdin(), &mut byte)? == 0 || byte[0] == b'\n' {
            break;
        }
        text.push(char::from(byte[0]));
        if text.len() as u64 > MOST_KEY {
            return Err(io::Error::other("the key is too long"));
        }
    }
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    match text.trim_end_matches('\r') {
        "" => Err(io::Error::other("no key came on stdin")),
        key => Ok(key.to_owned()),
    }
}

/// Makes the socket, for this user only. A path of any length is reached through its folder.
fn bind(dir: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let folder: OwnedFd =
        open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    match unlinkat(&folder, SOCKET_NAME, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    umask(Mode::from_raw_mode(0o177));
    let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd());
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(
    told: &Serve,
    key: &str,
    listener: std::os::unix::net::UnixListener,
) -> io::Result<()> {
    let began = Instant::now();
    let listener = UnixListener::from_std(listener)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = Rc::new(start(told, key, began)?);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connect(&app, stream),
                // Too many descriptors are open; some will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    app.shells.end();
    end().await;
    Ok(())
}

fn start(told: &Serve, key: &str, began: Instant) -> io::Result<App> {
    let workspace = told.workspace.canonicalize()?;
    let files = Files::open(&workspace)?;
    let spools = Spools::new(&told.state_dir)?;
    let state_dir = told.state_dir.canonicalize()?;
    let readable = |path: &Path| {
        path.to_str().is_some_and(|p| p.len() < LONGEST_NAME && !p.contains(char::is_control))
    };
    if !readable(&state_dir) || !readable(&workspace) {
        return Err(io::Error::other("a folder's path is too long or can't be typed"));
    }
    let lines = Rc::new(Lines::default());
    let shells = Shells::start(Ground {
        bash: find_bash(),
        workspace: files.workspace().to_owned(),
        state_dir,
        identity: Identity::here(),
        reaper: Reaper::start()?,
        lines: Rc::clone(&lines),
        spools: RefCell::new(spools),
        began,
        ending: Cell::new(false),
    });
    Ok(App::new(key, nonce()?, shells, files, lines))
}

fn connect(app: &Rc<App>, stream: UnixStream) {
    let app = Rc::clone(app);
    tokio::task::spawn_local(async move {
        let service = service_fn(move |request| {
            let app = Rc::clone(&app);
            async move { Ok::<_, Infallible>(http::answer(app, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .max_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        drop(connection.await); // whoever cut it knows
    });
}

/// Ends what runs here: everything that was ever started from this process.
async fn end() {
    // A stopped job must run to end. An interactive bash ignores SIGTERM, and ends by SIGHUP.
    for signal in [Signal::TERM, Signal::HUP, Signal::CONT] {
        kill_all(signal);
    }
    let deadline = Instant::now() + GRACE;
    while !descendants().is_empty() && Instant::now() < deadline {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    // One that is killed may leave children behind, which are ours then.
    let deadline = Instant::now() + GRACE;
    while !descendants().is_empty() && Instant::now() < deadline {
        kill_all(Signal::KILL);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn kill_all(signal: Signal) {
    for pid in descendants() {
        rustix::process::kill_process(pid, signal).ok(); // it may have ended meanwhile
    }
}
