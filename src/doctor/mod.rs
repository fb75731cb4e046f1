//! `staithe doctor`: everything that a new user trips over, with a remedy for each.
//!
//! `gather` finds out (`facts`), `judge` makes `finding`s of it, `report` shows them. Nothing
//! that it makes stays, and each look has a limit.

mod facts;
mod finding;
mod gather;
mod judge;
mod report;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use staithe_actors::{Secrets, models::Models};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    cli::Doctor,
    config::{Config, EngineChoice, load},
    models::book::Book,
};
use facts::{Engines, Local, RunnerTried, Running};
use finding::{Finding, Status};
use gather::{
    engines,
    machine::{self, Opened},
    scratch::Scratch,
};

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Something that a server needs is not there.
const FAILED: u8 = 1;
/// The command itself could not be carried out (`EX_SOFTWARE`).
const SOFTWARE: u8 = 70;
/// Interrupted, as shells say it.
const INTERRUPTED: u8 = 130;

/// Looks, and prints what was found.
pub fn run(doctor: &Doctor) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("staithe: {error}");
            return ExitCode::from(SOFTWARE);
        }
    };
    let findings = runtime.block_on(async {
        tokio::select! {
            findings = examine(doctor) => Some(findings),
            () = interrupted() => None,
        }
    });
    // What hangs in the system is not waited for.
    runtime.shutdown_background();
    findings.map_or(ExitCode::from(INTERRUPTED), |findings| show(&findings, doctor.json))
}

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn show(findings: &[Finding], json: bool) -> ExitCode {
    if json {
        match report::json(findings) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("staithe: {error}");
                return ExitCode::from(SOFTWARE);
            }
        }
    } else {
        print!("{}", report::text(findings, colour()));
    }
    match report::worst(findings) {
        Status::Fail => ExitCode::from(FAILED),
        Status::Ok | Status::Warn => ExitCode::SUCCESS,
    }
}

/// Colours are for terminals, and for those who did not refuse them (no-color.org).
fn colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !refused && std::io::stdout().is_terminal()
}

/// Returns when the terminal or a supervisor asks for the end; what was made is removed then.
async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut int), Ok(mut term)) = signals else { return std::future::pending().await };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}

async fn examine(doctor: &Doctor) -> Vec<Finding> {
    let file = doctor.files.config.as_deref();
    let loaded = load::load(file, &doctor.files.overrides()).and_then(|config| {
        let filter = tracing_subscriber::EnvFilter::try_new(&config.log.filter);
        filter.map_err(|error| load::ConfigDenied(vec![format!("log.filter: {error}")]))?;
        let dir = load::data_dir(&config)?;
        Ok((config, dir))
    });
    let mut findings;
    match loaded {
        Ok((config, dir)) => {
            let listeners = [
                ("server.listen", config.server.listen),
                ("server.sandbox_listen", config.server.sandbox_listen),
            ];
            let hosts = &config.server.allowed_hosts;
            findings = vec![
                judge::machine::config_is_good(file),
                judge::machine::exposure(listeners, hosts),
            ];
            findings.extend(examine_with(config, dir).await);
        }
        Err(denied) => {
            findings = judge::machine::config_faults(&denied.0, file);
            findings.extend(unconfigured());
            findings.push(judge::machine::rest_unknown());
        }
    }
    findings
}

/// What can be seen without a configuration.
fn unconfigured() -> [Finding; 2] {
    [
        judge::machine::clock(jiff::Timestamp::now().as_second()),
        judge::machine::open_files(machine::open_files()),
    ]
}

async fn examine_with(config: Config, dir: PathBuf) -> Vec<Finding> {
    let config = Arc::new(config);
    let model = {
        let (config, dir) = (Arc::clone(&config), dir.clone());
        bounded(move || default_model(&config, &dir)).await
    };
    let opened = {
        let config = Arc::clone(&config);
        bounded(move || machine::data_dir(&config, &dir)).await
    };
    let mut findings = Vec::new();
    let (mut scratch, mut runner, mut running) = (None, Err("the disk hangs".to_owned()), None);
    match opened {
        Some(opened) => {
            findings.extend(judge::machine::data_dir(&opened.facts));
            let Opened { facts, scratch: made, runner: placed } = opened;
            (scratch, runner, running) = (made, placed, facts.running);
        }
        None => findings.push(judge::machine::hangs(LIMIT.as_secs())),
    }
    findings.extend(model.map(judge::models::model));
    let choice = config.sandbox.engine;
    let (ran, docker) = tokio::join!(run_runner(runner), async {
        match choice {
            EngineChoice::Local => None,
            EngineChoice::Docker | EngineChoice::Auto => Some(engines::docker(&config).await),
        }
    });
    findings.push(judge::machine::runner(&ran));
    findings.extend(ports(&config, running.as_ref()));
    findings.extend(unconfigured());
    let taken =
        choice == EngineChoice::Docker || docker.as_ref().is_some_and(facts::Docker::answers);
    let local = if taken { None } else { Some(local(&config, scratch, &ran).await) };
    findings.extend(judge::engines::engines(&Engines { choice, docker, local }));
    findings
}

/// What a session uses that asks for no model. Makes nothing.
fn default_model(config: &Config, dir: &Path) -> Result<Option<String>, String> {
    let adapter = Box::new(|_: &_| Err("the doctor asks no model".to_owned()));
    let book = Book::open(config, dir, Secrets::default(), adapter);
    let book = book.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    Ok(book.default_for(""))
}

async fn run_runner(runner: Result<PathBuf, String>) -> RunnerTried {
    match timeout(LIMIT, machine::run(runner)).await {
        Ok(ran) => ran,
        Err(_) => RunnerTried::Failed(format!("it does not end within {} s", LIMIT.as_secs())),
    }
}

fn ports(config: &Config, running: Option<&Running>) -> [Finding; 2] {
    let server = &config.server;
    [
        machine::port("listen", "server.listen", server.listen),
        machine::port("sandbox_listen", "server.sandbox_listen", server.sandbox_listen),
    ]
    .map(|port| judge::machine::port(&port, running))
}

/// Tries the local engine where the runner runs.
async fn local(config: &Arc<Config>, scratch: Option<Scratch>, ran: &RunnerTried) -> Local {
    let (Some(scratch), RunnerTried::Runs) = (scratch, ran) else {
        return Local::NotTried("it needs the data directory, and the runner in it".to_owned());
    };
    let config = Arc::clone(config);
    let tried = bounded(move || engines::local(&config, scratch.path())).await;
    tried.unwrap_or_else(|| {
        Local::Failed(facts::Trouble {
            cause: format!("a sandbox that was tried does not end within {} s", LIMIT.as_secs()),
            remedy: "See what the machine is busy with, or use Docker".to_owned(),
        })
    })
}

/// Runs what may block on a thread of its own, and waits for it only so long.
async fn bounded<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(LIMIT, spawn_blocking(look)).await.ok()?.ok()
}
