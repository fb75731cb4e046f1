//! The server that a command uses: the one that is named, the one that runs on the data directory, or one of its own
//! within this process.

use std::{
    fs::OpenOptions,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::wire::{RunFailed, Server};
use crate::{
    admin_cli,
    boot::{self, Embedded, Ready},
    cli::{DataDir, Files, run::Place},
    config::{Config, load},
    served::{self, Standing},
    telemetry,
};

/// How long a token that the command signs for itself holds.
const TOKEN_TTL: Duration = Duration::from_hours(24);
/// How long a server that has the data directory may take to begin or to end, and how often it is looked for.
const BEGINNING: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);
/// The log of a server within a command, in the data directory; begun anew with each.
const LOG: &str = "run.log";

/// A server that is used.
pub(crate) struct Found {
    pub(crate) server: Server,
    pub(crate) own: Option<Own>,
}

/// A server within this process.
pub(crate) struct Own {
    pub(super) ready: Ready,
    end: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Own {
    /// Ends it, with its sandboxes as `serve` would; returns when it has ended.
    pub(crate) async fn end(self) -> Result<(), RunFailed> {
        drop(self.end);
        let ended = tokio::task::spawn_blocking(move || self.thread.join()).await;
        match ended.map_err(RunFailed::here)? {
            Ok(ended) => ended.map_err(|error| RunFailed::Here(format!("{error:#}"))),
            Err(_) => Err(RunFailed::Here("the server's thread panicked".to_owned())),
        }
    }
}

/// When a server of one's own is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Always,
    /// Where there is a data directory of one that ran before.
    IfServedBefore,
}

/// Finds a server, or starts one.
pub(crate) async fn find(place: &Place, start_when: Start) -> Result<Found, RunFailed> {
    if place.url.is_some() {
        return reach(place, place.data_dir.clone()).await;
    }
    let usage = |denied: load::ConfigDenied| RunFailed::Usage(denied.to_string());
    let files = files(place);
    let config = load::load(files.config.as_deref(), &files.overrides()).map_err(usage)?;
    let data_dir = load::data_dir(&config).map_err(usage)?;
    let late = Instant::now() + BEGINNING;
    loop {
        match served::look(&data_dir)
            .await
            .map_err(|error| RunFailed::Here(format!("{error:#}")))?
        {
            Standing::Serves(_) => return reach(place, Some(data_dir)).await,
            Standing::Silent(why) if Instant::now() > late => {
                let words = format!("{}: a server has it, but {why}", data_dir.display());
                return Err(RunFailed::Unreachable(words));
            }
            // It begins, or it ends.
            Standing::Silent(_) => {}
            Standing::Free => {
                let served_before = data_dir.join("keys.json").exists();
                if start_when == Start::IfServedBefore && !served_before {
                    return reach(place, Some(data_dir)).await; // says that there is none
                }
                let shown =
                    load::show(files.config.as_deref(), &files.overrides()).map_err(usage)?;
                let own = start(config, shown, &data_dir).await?;
                let server = Server::new(&own.ready.url, own.ready.token.clone())?;
                return Ok(Found { server, own: Some(own) });
            }
        }
        sleep(LOOK).await;
    }
}

/// The server that is named, or that of a data directory.
async fn reach(place: &Place, data_dir: Option<PathBuf>) -> Result<Found, RunFailed> {
    let reached =
        admin_cli::reach(&place.url, &place.token, &DataDir { data_dir }, TOKEN_TTL).await;
    let (url, token) = reached.map_err(|error| RunFailed::Usage(format!("{error:#}")))?;
    Ok(Found { server: Server::new(&url, token)?, own: None })
}

/// What a server of one's own is started with: on free ports.
fn files(place: &Place) -> Files {
    let free = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    Files {
        config: place.config.clone(),
        listen: free,
        sandbox_listen: free,
        data_dir: place.data_dir.clone(),
        engine: place.engine,
    }
}

async fn start(config: Config, shown: String, data_dir: &Path) -> Result<Own, RunFailed> {
    let failed = |error: anyhow::Error| RunFailed::Here(format!("{error:#}"));
    boot::make_dir(data_dir).map_err(failed)?;
    let path = data_dir.join(LOG);
    let log = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let log = log.map_err(|error| RunFailed::Here(format!("{}: {error}", path.display())))?;
    telemetry::init_to_file(&config.log, log).map_err(failed)?;
    let (tell, ready) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let embedded = Embedded { ready: tell, end: ends };
    let thread = thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || boot::run_within(config, shown, embedded))
        .map_err(RunFailed::here)?;
    if let Ok(ready) = ready.await {
        return Ok(Own { ready, end, thread });
    }
    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
    let why = match ended.map_err(RunFailed::here)? {
        Ok(Err(error)) => format!("{error:#}"),
        _ => format!("see {}", path.display()),
    };
    Err(RunFailed::Here(format!("no server could be started: {why}")))
}
