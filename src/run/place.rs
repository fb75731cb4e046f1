//! The server that a command uses: the one that is named, the one that runs on the data directory, or one of its own
//! within this process.

use std::{
    fs::OpenOptions,
    net::{SocketAddr, TcpStream},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

use super::wire::{RunFailed, Server};
use crate::{
    admin_cli,
    boot::{self, Embedded, Ready},
    cli::{DataDir, Files, run::Place},
    config::{Config, load},
    telemetry,
};

/// How long a token that the command signs for itself holds.
const TOKEN_TTL: Duration = Duration::from_hours(24);
/// How long the server of the data directory may take to answer a connection.
const KNOCK: Duration = Duration::from_secs(2);
/// The log of a server within a command, in the data directory; begun anew with each.
const LOG: &str = "run.log";

/// A server that is used.
pub(super) struct Found {
    pub(super) server: Server,
    pub(super) own: Option<Own>,
}

/// A server within this process.
pub(super) struct Own {
    pub(super) ready: Ready,
    end: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Own {
    /// Ends it, with its sandboxes as `serve` would; returns when it has ended.
    pub(super) async fn end(self) -> Result<(), RunFailed> {
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
pub(super) enum Start {
    Always,
    /// Where there is a data directory of one that ran before.
    IfServedBefore,
}

/// Finds a server, or starts one.
pub(super) async fn find(place: &Place, start_when: Start) -> Result<Found, RunFailed> {
    let usage = |error: anyhow::Error| RunFailed::Usage(format!("{error:#}"));
    let reach = |data_dir: &DataDir| {
        let reached = admin_cli::reach(&place.url, &place.token, data_dir, TOKEN_TTL);
        let (url, token) = reached.map_err(usage)?;
        Ok(Found { server: Server::new(&url, token)?, own: None })
    };
    if place.url.is_some() {
        return reach(&DataDir { data_dir: place.data_dir.clone() });
    }
    let free = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let files = Files {
        config: place.config.clone(),
        listen: free,
        sandbox_listen: free,
        data_dir: place.data_dir.clone(),
        engine: place.engine,
    };
    let config = load::load(files.config.as_deref(), &files.overrides());
    let config = config.map_err(|denied| RunFailed::Usage(denied.to_string()))?;
    let data_dir =
        load::data_dir(&config).map_err(|denied| RunFailed::Usage(denied.to_string()))?;
    let served_before = data_dir.join("server.json").exists();
    if is_served(&data_dir) || (start_when == Start::IfServedBefore && !served_before) {
        return reach(&DataDir { data_dir: Some(data_dir) });
    }
    let shown = load::show(files.config.as_deref(), &files.overrides());
    let shown = shown.map_err(|denied| RunFailed::Usage(denied.to_string()))?;
    let own = start(config, shown, &data_dir).await?;
    let server = Server::new(&own.ready.url, own.ready.token.clone())?;
    Ok(Found { server, own: Some(own) })
}

/// Whether a server runs on a data directory and answers.
fn is_served(data_dir: &Path) -> bool {
    let Ok(word) = std::fs::read(data_dir.join("server.json")) else { return false };
    let word: Value = serde_json::from_slice(&word).unwrap_or_default();
    let address = word["url"].as_str().and_then(|url| url.strip_prefix("http://")?.parse().ok());
    // One that is served on all addresses answers on the loopback.
    let address = address.map(|address: SocketAddr| {
        if address.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        } else {
            address
        }
    });
    // Its number may be another program's by now; the connection decides.
    address.is_some_and(|address| TcpStream::connect_timeout(&address, KNOCK).is_ok())
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
