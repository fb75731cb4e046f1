//! From the start to the end: the key, the connections, the signals.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::{
    fs::{Access, Mode, OFlags, access, open},
    io::Errno,
    process::{Signal, getpid, set_child_subreaper},
    stdio::{dup2_stdin, stdin},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    signal::unix::{SignalKind, signal},
    task::LocalSet,
    time::Instant,
};

use crate::{
    alone,
    api::Api,
    app::App,
    cli::Serve,
    environment::{Facts, PATH, changes},
    fault::Fault,
    files::Files,
    http,
    lines::Lines,
    listen::{Doors, Guest},
    prepare::{Prepared, prepare},
    reap::{Reaper, descendants},
    shell::{
        Ground, Shells,
        live::nonce,
        program::{Dialect, find, is_program},
        running::Identity,
        spool::Spools,
    },
    uploads,
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
        Err(fault) => fault.say(),
    }
}

fn run(told: &Serve) -> Result<(), Fault> {
    let prepared = prepare(told)?;
    // What a shell leaves behind becomes ours, so that it can be ended with us. As process 1 it does
    // so anyway, and where it can't be asked for, only programs that hide outlive us.
    set_child_subreaper(Some(getpid())).ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(FILE_THREADS)
        .thread_keep_alive(THREAD_REST)
        .build()
        .map_err(|error| Fault::os("can't begin", error))?;
    let served = LocalSet::new().block_on(&runtime, serve(told, prepared));
    runtime.shutdown_background();
    served
}

/// The first line of stdin, which then is empty for ever.
fn read_key() -> Result<String, Fault> {
    let unread = |errno| Fault::os("can't read the key", errno);
    let mut text = String::new();
    loop {
        let mut byte = [0];
        match rustix::io::read(stdin(), &mut byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => text.push(char::from(byte[0])),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(unread(errno)),
        }
        if text.len() as u64 > MOST_KEY {
            return Err(Fault::config("the key is too long"));
        }
    }
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(unread)?;
    dup2_stdin(&null).map_err(unread)?;
    match text.trim_end_matches('\r') {
        "" => Err(Fault::config("no key came on stdin")),
        key => Ok(key.to_owned()),
    }
}

async fn serve(told: &Serve, prepared: Prepared) -> Result<(), Fault> {
    let began = Instant::now();
    let broken = |error| Fault::os("can't begin", error);
    // First the signals: as process 1 there is no other way to be told to end.
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let key = tokio::select! {
        // Nobody knows this one, and nobody is asked.
        key = std::future::ready(nonce()), if told.no_key => {
            key.map_err(|error| Fault::os("can't begin", error))?
        }
        key = tokio::task::spawn_blocking(read_key), if !told.no_key => {
            key.map_err(|lost| Fault::os("can't read the key", io::Error::other(lost)))??
        }
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let app = Rc::new(start(told, &prepared, &key, began)?);
    app.uploads.take_up(&told.state_dir).map_err(broken)?;
    tokio::task::spawn_local(uploads::expire(Rc::clone(&app)));
    if told.set_up {
        tokio::select! {
            ready = alone::begin(&app, told) => ready?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
    let doors = Doors::open(prepared.listeners).map_err(broken)?;
    loop {
        tokio::select! {
            guest = doors.accept() => match guest {
                Ok(Guest::Unix(stream)) => connect(&app, stream),
                Ok(Guest::Tcp(stream)) => connect(&app, stream),
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

fn start(told: &Serve, prepared: &Prepared, key: &str, began: Instant) -> Result<App, Fault> {
    let unusable = |what: &'static str| {
        move |error: io::Error| Fault::config(format!("the {what} can't be used: {error}"))
    };
    let workspace = told.workspace.canonicalize().map_err(unusable("workspace"))?;
    let files = Files::open(&workspace).map_err(unusable("workspace"))?;
    let spools = Spools::new(&told.state_dir).map_err(unusable("state folder"))?;
    let state_dir = told.state_dir.canonicalize().map_err(unusable("state folder"))?;
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    let program = find(&path.unwrap_or_else(|| PATH.into()));
    let dialect = program.as_ref().map_or(Dialect::Bash, |shell| shell.dialect);
    let is_plain = |path: &Path| path.to_str().is_some_and(|p| !p.contains(char::is_control));
    let is_taken = state_dir.to_str().is_some_and(|dir| dialect.takes(dir));
    if !is_plain(&workspace) || !is_plain(&state_dir) || !is_taken {
        return Err(Fault::config("a folder's path is too long or can't be typed"));
    }
    let env = changes(&Facts {
        variable: &|name| std::env::var_os(name),
        is_dir: &|dir| dir.is_dir(),
        is_program: &|file| is_program(file),
        became: prepared.became,
        entry: prepared.entry.as_ref(),
        workspace: &workspace,
        shell: program.as_ref().map(|shell| shell.path.as_path()),
        temporary: temporary(&state_dir).as_deref(),
    });
    let lines = Rc::new(Lines::default());
    let shells = Shells::start(Ground {
        program,
        env,
        configured: RefCell::default(),
        workspace: files.workspace().to_owned(),
        state_dir: state_dir.clone(),
        identity: Identity::here(prepared.entry.as_ref(), prepared.became),
        reaper: Reaper::start().map_err(|error| Fault::os("can't begin", error))?,
        lines: Rc::clone(&lines),
        spools: RefCell::new(spools),
        began,
        ending: Cell::new(false),
    });
    let epoch = nonce().map_err(|error| Fault::os("can't begin", error))?;
    let mut app = App::new(key, epoch, shells, files, lines, Api::new(state_dir, no_change_ms()));
    app.ports.keep_own(told.listen.map(|address| address.port()));
    app.is_open = told.no_key;
    if let Some(reach) = &told.reach {
        app.reach = Arc::new(Files::open(reach).map_err(unusable("folder of --reach"))?);
    }
    Ok(app)
}

/// How long the sandbox API's `run` waits without new output, in milliseconds.
fn no_change_ms() -> u64 {
    const SECONDS: u64 = 10;
    let told = std::env::var(alone::NO_CHANGE).ok().and_then(|seconds| seconds.parse().ok());
    told.unwrap_or(SECONDS).saturating_mul(1000)
}

/// A folder of ours for temporary files where the image has none that can be used.
fn temporary(state_dir: &Path) -> Option<PathBuf> {
    let usual = Path::new("/tmp");
    if usual.is_dir() && access(usual, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return None;
    }
    let ours = state_dir.join("tmp");
    drop(std::fs::create_dir(&ours)); // an earlier runner may have made it
    ours.is_dir().then_some(ours)
}

fn connect(app: &Rc<App>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
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
