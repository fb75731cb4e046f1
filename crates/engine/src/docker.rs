//! The docker engine: sandboxes made of containers, by any Docker or Podman API from 1.41 on.
//!
//! What it made it finds again by labels alone:
//!
//! | label | what |
//! |---|---|
//! | `staithe.session`, `.generation`, `.owner`, `.image`, `.config`, `.pool` | see the crate |
//! | `staithe.token` | the folder under `DATA/run/` that is shared with this sandbox |
//! | `staithe.network`, `staithe.workspace` | the network made for it, and its workspace |
//! | `staithe.line` | how its runner is reached |
//!
//! The runner is process 1: a static program, mounted read-only, that needs nothing of the image. Its
//! key comes on stdin, at every start.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bollard::Docker;
use futures_util::stream::BoxStream;
use staithe_protocol::{Progress, SandboxId, runner::SOCKET_NAME};
use tokio::sync::{OnceCell, broadcast};

use crate::{
    Capabilities, Engine, EngineFailed, Isolation, LABEL_OWNER, Labels, Line, Sandbox,
    SandboxExited, SandboxSpec, SandboxState, Stats, chain::chain,
};

mod alive;
mod archives;
mod body;
mod builds;
mod call;
mod client;
mod containers;
mod create;
mod host;
mod image_store;
mod images;
mod look;
mod networks;
mod probe;
mod seed;
mod settings;
mod stats;
mod streams;
mod subnets;
mod sweep;

pub use settings::{DockerConfig, ExtraMount, LineChoice, Pull, SandboxShape};

use body::LineKind;
use call::{Failure, call};
use probe::Facts;

/// Exits that a slow listener may be behind before it misses some.
const EXITS_KEPT: usize = 1024;
/// How long reading a log may take: a fault waits for it.
const LOG_LIMIT: Duration = Duration::from_secs(10);

/// The engine. Clones share everything.
#[derive(Clone)]
pub struct DockerEngine(Arc<Inner>);

struct Inner {
    config: DockerConfig,
    docker: Docker,
    host: host::Host,
    facts: Facts,
    line: LineKind,
    isolation: Isolation,
    capabilities: Capabilities,
    /// `DATA/run`.
    run_root: PathBuf,
    exits: Arc<broadcast::Sender<SandboxExited>>,
    following: tokio::task::AbortHandle,
    /// Names and tokens that are being made: no sweep takes what belongs to them.
    under_way: Mutex<UnderWayNames>,
    /// Addresses of networks that are being made.
    reserved: Mutex<Vec<subnets::Range>>,
    seeded: OnceCell<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// What an engine answered when it was only asked what it is.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Where it is.
    pub address: String,
    pub capabilities: Capabilities,
    /// Where it keeps its data, when that is a folder that can be seen from here.
    pub data_root: Option<PathBuf>,
    /// The default image, and whether it is there.
    pub image_is_there: bool,
    /// Its clock, as RFC 3339 has it.
    pub system_time: Option<String>,
}

impl DockerEngine {
    /// Connects, and asks once what the engine can do. [`EngineFailed::Unavailable`] when it doesn't
    /// answer or is too old.
    pub async fn open(config: DockerConfig) -> Result<Self, EngineFailed> {
        let host = host::Host::find(&config.host, &host::Surroundings::here())?;
        let run_root = config.data_dir.join("run");
        private_dir(&run_root).map_err(|error| {
            unavailable(
                format!("the folder {} can't be made: {error}", run_root.display()),
                "Let the server's user write its data directory",
            )
        })?;
        let docker = client::open(&host, &run_root)?;
        let facts = probe::ask(&docker, &host).await?;
        let line = probe::decide_line(config.line, &host, &config.sandbox);
        let exits = Arc::new(broadcast::channel(EXITS_KEPT).0);
        let follow = streams::follow(docker.clone(), config.owner.clone(), Arc::clone(&exits));
        let following = tokio::spawn(follow).abort_handle();
        Ok(Self(Arc::new(Inner {
            isolation: probe::isolation(&facts, line, &config.sandbox),
            capabilities: probe::capabilities(&facts, &host, line, &config.sandbox),
            config,
            docker,
            host,
            facts,
            line,
            run_root,
            exits,
            following,
            under_way: Mutex::default(),
            reserved: Mutex::default(),
            seeded: OnceCell::new(),
        })))
    }

    /// Where it is looked for, as it is shown: `unix:///var/run/docker.sock`. `host` is the
    /// configured one.
    pub fn address(host: &str) -> Result<String, EngineFailed> {
        Ok(host::Host::find(host, &host::Surroundings::here())?.shown())
    }

    /// Only asks what the engine is: makes nothing, starts nothing. The sockets of a connection by
    /// ssh are put straight into `config.data_dir`, for the caller to remove.
    pub async fn probe(config: &DockerConfig, image: &str) -> Result<Probed, EngineFailed> {
        let host = host::Host::find(&config.host, &host::Surroundings::here())?;
        let docker = client::open(&host, &config.data_dir)?;
        let facts = probe::ask(&docker, &host).await?;
        let line = probe::decide_line(config.line, &host, &config.sandbox);
        let info = call(config.deadline, docker.info()).await.unwrap_or_default();
        let root = info.docker_root_dir.map(PathBuf::from);
        let here = matches!(host, host::Host::Unix(_)) && line == LineKind::Socket;
        Ok(Probed {
            address: host.shown(),
            capabilities: probe::capabilities(&facts, &host, line, &config.sandbox),
            data_root: root.filter(|root| here && root.is_dir()),
            image_is_there: call(config.deadline, docker.inspect_image(image)).await.is_ok(),
            system_time: info.system_time,
        })
    }

    fn deadline(&self) -> Duration {
        self.0.config.deadline
    }

    /// Marks a name as being made, until what is returned is dropped.
    fn begin(&self, names: &[&str]) -> UnderWay {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.now.extend(names.iter().cloned());
        if under_way.sweeps > 0 {
            under_way.since.extend(names.iter().cloned());
        }
        UnderWay { engine: Arc::clone(&self.0), names }
    }

    fn is_under_way(&self, name: &str) -> bool {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).now.contains(name)
    }

    /// Begins a sweep: what is being made now, and what is begun until it ends, is left alone by it.
    fn begin_sweep(&self) -> Sweeping {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.sweeps += 1;
        let now = under_way.now.clone();
        under_way.since.extend(now);
        Sweeping(Arc::clone(&self.0))
    }
}

/// See [`Inner::under_way`].
#[derive(Default)]
struct UnderWayNames {
    now: HashSet<String>,
    /// What was under way at any time of the sweeps that go on.
    since: HashSet<String>,
    sweeps: usize,
}

struct Sweeping(Arc<Inner>);

impl Sweeping {
    fn spares(&self, name: &str) -> bool {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).since.contains(name)
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.sweeps -= 1;
        if under_way.sweeps == 0 {
            under_way.since.clear();
        }
    }
}

struct UnderWay {
    engine: Arc<Inner>,
    names: Vec<String>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.engine.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            under_way.now.remove(name);
        }
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn kind(&self) -> &'static str {
        "docker"
    }

    fn isolation(&self) -> Isolation {
        self.0.isolation.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities.clone()
    }

    fn images(&self) -> Option<Arc<dyn crate::images::Images>> {
        Some(Arc::new(image_store::DockerImages(self.clone())))
    }

    fn config_of(&self, spec: &SandboxSpec) -> Option<String> {
        let config = &self.0.config;
        Some(body::config_hash(&config.sandbox, spec, &config.runner_hash))
    }

    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed> {
        self.find_containers(labels).await
    }

    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        self.make(spec).await
    }

    async fn ensure_image(
        &self,
        image: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        self.have_image(image, progress).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineFailed> {
        self.image_is_there(image).await
    }

    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed> {
        self.start_container(id, key).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineFailed> {
        if !self.0.capabilities.pause {
            return Err(EngineFailed::Unsupported {
                cause: "it can't freeze a container (rootless on cgroup v1)".into(),
                remedy: "Set sandbox.suspend_by to \"stop\"".into(),
            });
        }
        match call(self.deadline(), self.0.docker.pause_container(&id.0)).await {
            Ok(()) => Ok(()),
            Err(Failure::NotFound(_)) => Err(EngineFailed::NotFound(id.clone())),
            // It is paused already, or ended meanwhile: only the former is what was asked for.
            Err(failure) => match self.look(id).await? {
                Some(found) if found.state == SandboxState::Paused => Ok(()),
                Some(_) => Err(failure.of("pause", &id.0)),
                None => Err(EngineFailed::NotFound(id.clone())),
            },
        }
    }

    async fn claim(&self, id: &SandboxId, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        self.rename(id, spec).await
    }

    async fn stop(&self, id: &SandboxId, grace: Duration) -> Result<(), EngineFailed> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: &SandboxId, with_workspace: bool) -> Result<(), EngineFailed> {
        self.remove_container(id, with_workspace).await
    }

    async fn logs(&self, id: &SandboxId, tail: usize) -> Result<Vec<String>, EngineFailed> {
        let lines = async { Ok(streams::logs(&self.0.docker, &id.0, tail).await) };
        match call(LOG_LIMIT.min(self.deadline()), lines).await {
            Ok(Ok(lines)) => Ok(lines),
            Ok(Err(Failure::NotFound(_))) => Err(EngineFailed::NotFound(id.clone())),
            Ok(Err(failure)) | Err(failure) => Err(failure.of("read the log of", &id.0)),
        }
    }

    async fn stats(&self, id: &SandboxId) -> Result<Stats, EngineFailed> {
        self.measure(id).await
    }

    fn exits(&self) -> BoxStream<'static, SandboxExited> {
        crate::told(self.0.exits.subscribe())
    }

    async fn line(&self, id: &SandboxId) -> Result<Line, EngineFailed> {
        let Some(found) = self.inspect(id).await? else {
            return Err(EngineFailed::NotFound(id.clone()));
        };
        match LineKind::of(found.label(body::LABEL_LINE)) {
            LineKind::Socket => {
                let token = found.label(body::LABEL_TOKEN).unwrap_or_default();
                Ok(Line::Unix(self.run_dir(token)?.join(SOCKET_NAME)))
            }
            LineKind::Tcp => self.tcp_line(id, &found).await,
            LineKind::Exec => Ok(Line::Dialed(Arc::new(streams::ExecDial {
                docker: self.0.docker.clone(),
                container: id.0.clone(),
                deadline: self.deadline(),
            }))),
        }
    }

    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed> {
        self.remove_volume(name).await
    }

    async fn sweep(
        &self,
        owner: &str,
        kept: &BTreeSet<String>,
    ) -> Result<Vec<String>, EngineFailed> {
        self.sweep_all(owner, kept).await
    }
}

impl DockerEngine {
    /// The folder that is shared with the sandbox of this token. A label is read from outside, so it is
    /// looked at before it becomes part of a path.
    fn run_dir(&self, token: &str) -> Result<PathBuf, EngineFailed> {
        let fine = !token.is_empty() && token.bytes().all(|b| b.is_ascii_hexdigit());
        if !fine {
            return Err(EngineFailed::Unsupported {
                cause: format!("the sandbox's label {} is no token of ours", body::LABEL_TOKEN),
                remedy: "Remove that container".into(),
            });
        }
        Ok(self.0.run_root.join(token))
    }

    /// Makes the folder that is shared. Only the server can get to it here, since the folder above is
    /// closed; in the sandbox anyone may write in it.
    fn make_run_dir(&self, token: &str) -> Result<PathBuf, EngineFailed> {
        let dir = self.run_dir(token)?;
        let make = || {
            fs::DirBuilder::new().recursive(true).mode(0o777).create(&dir)?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)) // whatever the umask
        };
        make().map_err(|error| io_failed("create", token, error))?;
        Ok(dir)
    }

    fn remove_run_dir(&self, token: &str) {
        let Ok(dir) = self.run_dir(token) else { return };
        match fs::remove_dir_all(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(dir = %dir.display(), error = chain(&error), "a shared folder is left over");
            }
        }
    }
}

fn private_dir(dir: &std::path::Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

fn io_failed(operation: &'static str, name: &str, source: io::Error) -> EngineFailed {
    EngineFailed::Operation {
        operation,
        name: name.to_owned(),
        remedy: "Let the server's user write its data directory, and free space there".into(),
        source,
    }
}

fn unavailable(cause: impl Into<String>, remedy: &str) -> EngineFailed {
    EngineFailed::Unavailable { engine: "docker", cause: cause.into(), remedy: remedy.to_owned() }
}

/// Whether labels are those of an installation.
fn is_of(labels: &std::collections::HashMap<String, String>, owner: &str) -> bool {
    labels.get(LABEL_OWNER).is_some_and(|value| value == owner)
}
