//! Starting: what the launcher is asked for, and waiting until it has done it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{
    LocalConfig, LocalEngine, Network, Tier, failed,
    isolation::TierReport,
    log, off_thread,
    processes::{MARKER, Process},
    record::{Layout, Record, make_private, write_private},
    removal,
};
use crate::EngineFailed;

/// A launch takes some ten milliseconds; a machine that needs so long is not well.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often the launcher's report is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Lines of the log that an error tells.
const LINES_TOLD: usize = 5;
/// Longest name of a host that the kernel takes.
const LONGEST_HOSTNAME: usize = 63;

/// The launcher's `spec.json`; the runner's `launch::Spec` reads it.
#[derive(Serialize)]
pub(super) struct LaunchSpec<'a> {
    workspace: PathBuf,
    run_dir: PathBuf,
    hostname: &'a str,
    network: Network,
    tier: Tier,
    read_only_paths: &'a [PathBuf],
    hidden_paths: [&'a Path; 1],
    tmpfs_bytes: u64,
    pids_limit: u64,
    env: BTreeMap<String, String>,
    tier_report: PathBuf,
    probe: bool,
    command: Option<Vec<String>>,
}

impl<'a> LaunchSpec<'a> {
    /// For a run of a sandbox.
    fn run(config: &'a LocalConfig, layout: &'a Layout, tier: Tier, record: &'a Record) -> Self {
        let mut env = record.env.clone();
        env.insert(MARKER.to_owned(), record.marker.clone());
        Self {
            workspace: layout.workspace(&record.name),
            run_dir: layout.run_dir(&record.name),
            hostname: &record.name[..record.name.len().min(LONGEST_HOSTNAME)],
            tier,
            env,
            tier_report: layout.tier_report(&record.name),
            probe: false,
            ..Self::probe(config, layout, Path::new(""))
        }
    }

    /// For a try that runs nothing, in a directory of its own.
    pub(super) fn probe(config: &'a LocalConfig, layout: &'a Layout, dir: &Path) -> Self {
        Self {
            workspace: dir.join("workspace"),
            run_dir: dir.join("run"),
            hostname: "probe",
            network: config.network,
            tier: config.tier,
            read_only_paths: &config.read_only_paths,
            hidden_paths: [layout.root()],
            tmpfs_bytes: config.tmpfs_bytes,
            pids_limit: config.pids_limit,
            env: BTreeMap::new(),
            tier_report: dir.join("tier.json"),
            probe: true,
            command: None,
        }
    }
}

/// Launches a stopped sandbox and waits until all walls stand around its first process.
pub(super) async fn start(
    engine: &LocalEngine,
    mut record: Record,
    key: &str,
) -> Result<(), EngineFailed> {
    let name = record.name.clone();
    let config = &engine.0.config;
    let log = prepare(engine, &record).await.map_err(failed("prepare", &name))?;
    let mut child = spawn(config, &engine.0.layout.launch_spec(&name), &log)
        .map_err(failed("launch", &name))?;
    let key_line = child.stdin.take();
    let Some(Ok(process)) = child.id().map(Process::find) else {
        return Err(told(engine, &name, "the launcher ended at once").await);
    };
    tell_when_ended(engine, &name, &process, child);

    // The record first, then the key: a runner whose server died in between gets no key and ends, so
    // that nothing runs that no record tells of.
    record.process = Some(process.clone());
    let layout = engine.0.layout.clone();
    let run = async {
        let (saving, saved) = (layout.clone(), record.clone());
        off_thread(move || saving.save(&saved)).await?;
        if let Some(mut line) = key_line {
            // A launcher that is gone already says why in its log.
            let _gone = line.write_all(format!("{key}\n").as_bytes()).await;
        }
        stands(&layout.tier_report(&name), &process).await
    };
    match run.await {
        Ok(true) => Ok(()),
        Ok(false) => {
            engine.stop_now(&record, Duration::ZERO).await?;
            Err(told(engine, &name, "the launcher ended at once").await)
        }
        Err(e) => {
            engine.stop_now(&record, Duration::ZERO).await?;
            Err(failed("start", &name)(e))
        }
    }
}

/// Writes the launcher's spec and clears what the last run left. The log, opened.
async fn prepare(engine: &LocalEngine, record: &Record) -> io::Result<fs::File> {
    let (engine, record) = (engine.clone(), record.clone());
    off_thread(move || {
        let inner = &engine.0;
        let spec = LaunchSpec::run(&inner.config, &inner.layout, inner.tier, &record);
        let layout = &inner.layout;
        write_private(&layout.launch_spec(&record.name), &serde_json::to_vec(&spec)?)?;
        // The sandbox could write in there: nothing of it is trusted to be what it was.
        removal::remove_tree(&layout.run_dir(&record.name))?;
        make_private(&layout.run_dir(&record.name))?;
        match fs::remove_file(layout.tier_report(&record.name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        log::open(&layout.log(&record.name))
    })
    .await
}

/// Runs the launcher, with nothing of the server's environment. It begins its own session, and lives
/// on when this process ends.
fn spawn(config: &LocalConfig, spec: &Path, log: &fs::File) -> io::Result<Child> {
    Command::new(&config.runner)
        .arg("launch")
        .arg(spec)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
}

/// Reaps the launcher in the end, and tells how it ended.
fn tell_when_ended(engine: &LocalEngine, name: &str, process: &Process, mut child: Child) {
    engine.begin_watch(process);
    let (engine, name, process) = (engine.clone(), name.to_owned(), process.clone());
    tokio::spawn(async move {
        let code = child.wait().await.ok().and_then(shell_code);
        engine.tell_exit(&name, &process, code);
    });
}

/// A status as a shell says it.
fn shell_code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

/// Waits for the launcher's report: true when it is there, false when the launcher has ended first.
async fn stands(report: &Path, launcher: &Process) -> io::Result<bool> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        let alive = launcher.is_alive(); // before the look: a report is written before the end
        if TierReport::read(report).is_some() {
            return Ok(true);
        }
        if !alive {
            return Ok(false);
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A failed start, with what the launcher had to say.
async fn told(engine: &LocalEngine, name: &str, what: &str) -> EngineFailed {
    let path = engine.0.layout.log(name);
    let lines = off_thread(move || log::tail(&path, LINES_TOLD)).await.unwrap_or_default();
    failed("start", name)(io::Error::other(format!("{what}: {}", lines.join(" / "))))
}
