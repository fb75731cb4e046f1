//! The composition root: the only file that names concrete engines, stores and where actors run.

mod announce;
mod told;

use std::{
    fs::{self, DirBuilder},
    net::{SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix::Actor;
use actix_web::{App, HttpServer, dev::ServerHandle, middleware, web};
use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use staithe_actors::{
    Secrets, SessionManager,
    images::maker::ImageMaker,
    mail,
    session_manager::messages::{Drain, Reconcile},
};
use staithe_agent::{genai::Wire, settings::ModelSettings};
use staithe_engine::{
    Engine, EngineFailed,
    docker::DockerEngine,
    local::{LocalConfig, LocalEngine, Network, Tier},
};
use staithe_store::{SqliteStore, Store};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    assets::Assets,
    auth::{keys::Keys, sign_in::SignIns},
    cli::Serve,
    config::{Config, EngineChoice, SuspendBy, load},
    front::{EngineView, Front, IsolationView},
    guard,
    images::{maker::Maker, ways::Ways, workshop::Workshop},
    links::Links,
    models::book::{Adapter, Book},
    overview::{self, Overview},
    proxy, routes, telemetry,
};

pub use self::announce::{Embedded, Ready};
use self::{
    announce::{Caller, announce, asked_to_end, ready, withdraw},
    told::{actor_settings, front_settings, guard_of},
};

/// The runner, built by `build.rs`.
static RUNNER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/staithe-runner"));
/// Threads that serve HTTP and sockets.
const WORKERS: usize = 2;
/// Between two rounds of small housekeeping.
const UPKEEP: Duration = Duration::from_secs(30);
/// A connection whose peer takes nothing for so long is dead. Long, because a slow client is never
/// disconnected for slowness (design §3).
const USER_TIMEOUT_MS: u32 = 15 * 60 * 1000;

/// Runs the server until it is asked to end.
pub fn run(config: Config, serve: &Serve) -> anyhow::Result<()> {
    telemetry::init(&config.log)?;
    let shown = load::show(serve.config.as_deref(), &serve.overrides())?;
    let caller = if serve.ready_json { Caller::Program } else { Caller::Person };
    actix::System::new().block_on(serve_until_asked(config, shown, caller))
}

/// Runs a server on this thread until `embedded` asks it to end. `shown` is the configuration as people see it.
pub fn run_within(config: Config, shown: String, embedded: Embedded) -> anyhow::Result<()> {
    actix::System::new().block_on(serve_until_asked(config, shown, Caller::Command(embedded)))
}

async fn serve_until_asked(config: Config, shown: String, caller: Caller) -> anyhow::Result<()> {
    let started = Instant::now();
    let metrics = metrics()?;
    let data_dir = data_dir(&config)?;
    let control = bind(config.server.listen, "server.listen")?;
    let sandbox = bind(config.server.sandbox_listen, "server.sandbox_listen")?;
    let store = SqliteStore::open(&data_dir).context("the store can't be opened")?;
    let keys = keys(&config, &data_dir)?;
    let owner = owner_of(&data_dir)?;
    let engine = engine(&config, &data_dir, &owner).await?;
    let view = engine_view(&*engine);
    say_what_holds(&view);
    let maker = image_maker(&config, &*engine, &data_dir, &owner)?;
    let ports = [control.local_addr()?.port(), sandbox.local_addr()?.port()];
    let reachable = config.ports_that_sandboxes_reach(engine.kind(), ports);
    let secrets = Secrets::new(config.secrets());
    let book = Arc::new(Book::open(&config, &data_dir, secrets.clone(), adapter())?);
    book.say_default();
    let mut settings =
        actor_settings(&config, owner, engine.kind(), secrets.clone(), book.clone())?;
    settings.sandbox.services.ports.withheld.extend(&reachable);
    settings.sandbox.services.ports.owned_only = !reachable.is_empty();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let (manager, registry) = SessionManager::load(shared, engine, maker, settings)
        .await
        .context("the sessions can't be read")?;
    let manager = manager.start();
    let url = format!("http://{}", control.local_addr()?);
    let front = web::Data::new(Front {
        manager: manager.clone(),
        registry,
        keys,
        sign_ins: SignIns::new(config.limits.sign_in_attempts_per_minute),
        guard: guard_of(&config),
        assets: Assets::load()?,
        settings: front_settings(&config, shown, config.proxy(ports, reachable)),
        engine: view,
        models: book,
        links: Links::open(&data_dir)?,
        overview: Overview::default(),
        presence: Arc::default(),
        secrets,
        metrics,
        started,
        draining: watch::Sender::new(false),
    });
    let server = http_server(front.clone(), control)?;
    let sandbox_url = format!("http://{}", sandbox.local_addr()?);
    let sandbox_server = proxy::start(front.clone(), sandbox)?;
    let handles = [server.handle()];
    let mut servers = tokio::spawn(async move { tokio::try_join!(server, sandbox_server) });
    let ready = ready(&front, url, sandbox_url)?;
    let asked = announce(&front, ready, &data_dir, caller, started)?;
    if let Err(error) = mail::ask(&manager, Reconcile).await? {
        tracing::error!(error, "the first reconcile pass failed");
    }
    let upkeep = actix::spawn(upkeep(front.clone()));
    let asked = tokio::select! {
        asked = asked => asked,
        ended = &mut servers => ended?.context("an HTTP server ended by itself").map(|_| "an HTTP server")?,
        () = manager_ends(&manager) => anyhow::bail!("the session manager is gone; whoever started this server starts it again"),
    };
    withdraw(&data_dir, asked);
    upkeep.abort();
    drain(&front, &handles, config.server.drain_timeout.0).await;
    tokio::task::spawn_blocking(move || store.shutdown()).await?;
    tracing::info!("ended");
    Ok(())
}

/// What people who start the server should know of this machine and this build.
fn say_what_holds(view: &EngineView) {
    tracing::info!(engine = view.kind, tier = view.isolation.tier, exposes = ?view.isolation.exposes, "sandboxes are isolated so far");
    if let Some(why) = Assets::without_libraries() {
        tracing::warn!(
            why,
            "the page's terminal and editor are plainer: this build is without their libraries; build with Node 20 and npm"
        );
    }
}

/// Where everything is kept; made when it isn't there.
fn data_dir(config: &Config) -> anyhow::Result<PathBuf> {
    let data_dir = load::data_dir(config)?;
    make_dir(&data_dir)?;
    Ok(data_dir)
}

fn metrics() -> anyhow::Result<PrometheusHandle> {
    let metrics = PrometheusBuilder::new().install_recorder().context("metrics can't be set up")?;
    metrics::gauge!("staithe_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(metrics)
}

fn keys(config: &Config, data_dir: &Path) -> anyhow::Result<Keys> {
    let (access, operator) = (&config.auth.access_token, &config.auth.operator_token);
    Ok(Keys::load(data_dir, &config.core.jwt_secret, access.clone(), operator.clone())?)
}

fn engine_view(engine: &dyn Engine) -> EngineView {
    let isolation = engine.isolation();
    let capabilities = engine.capabilities();
    EngineView {
        kind: engine.kind().to_owned(),
        isolation: IsolationView {
            tier: isolation.tier,
            protects: isolation.protects,
            exposes: isolation.exposes,
        },
        facts: capabilities.facts,
        lacks: capabilities.lacks,
        pause: capabilities.pause,
        pool: capabilities.pool,
    }
}

pub(crate) fn make_dir(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("the data directory {} can't be made", dir.display()))
}

/// Whether a server has a data directory now.
pub(crate) fn is_held(dir: &Path) -> std::io::Result<bool> {
    staithe_store::sqlite::is_held(dir)
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("{key}: {address} can't be listened on; another program has it, or it is not this machine's")
    })
}

/// The engine that was asked for. `auto` takes docker when it answers.
async fn engine(config: &Config, data_dir: &Path, owner: &str) -> anyhow::Result<Arc<dyn Engine>> {
    match config.sandbox.engine {
        EngineChoice::Docker => Ok(Arc::new(docker_engine(config, data_dir, owner).await?)),
        EngineChoice::Local => local_engine(config, data_dir),
        EngineChoice::Auto => match docker_engine(config, data_dir, owner).await {
            Ok(engine) => Ok(Arc::new(engine)),
            Err(error @ EngineFailed::Unavailable { .. }) => {
                tracing::info!(%error, "no docker: the local engine is used");
                local_engine(config, data_dir)
            }
            Err(error) => Err(error.into()),
        },
    }
}

pub(crate) async fn docker_engine(
    config: &Config,
    data_dir: &Path,
    owner: &str,
) -> Result<DockerEngine, EngineFailed> {
    let (runner, hash) = place_runner(data_dir).map_err(|error| EngineFailed::Unsupported {
        cause: format!("{error:#}"),
        remedy: "Let the server's user write its data directory".to_owned(),
    })?;
    let engine = DockerEngine::open(config.docker(owner, data_dir, runner, hash)).await?;
    for lack in engine.capabilities().lacks {
        tracing::warn!(lack, "the engine can't do all that the configuration asks");
    }
    Ok(engine)
}

/// Who builds images for sessions; none where nothing is to be built.
fn image_maker(
    config: &Config,
    engine: &dyn Engine,
    data_dir: &Path,
    owner: &str,
) -> anyhow::Result<Option<Arc<dyn ImageMaker>>> {
    if !config.sandbox.builds_images() {
        return Ok(None);
    }
    let Some(images) = engine.images() else {
        tracing::warn!(
            engine = engine.kind(),
            "this engine has no images: what sandbox.plugins need must be on this machine, and sandbox.runtime_extra_deps is not followed"
        );
        return Ok(None);
    };
    let ways = Ways::of(config, owner, data_dir)?;
    let workshop = Arc::new(Workshop::new(images, ways));
    let maker = Maker::new(workshop, &config.sandbox).map_err(anyhow::Error::msg)?;
    Ok(Some(Arc::new(maker)))
}

pub(crate) fn local_engine(config: &Config, data_dir: &Path) -> anyhow::Result<Arc<dyn Engine>> {
    if config.sandbox.suspend_by == SuspendBy::Pause {
        anyhow::bail!(
            "sandbox.suspend_by: the local engine can't pause a sandbox; set it to \"stop\" or \"none\""
        );
    }
    if !config.sandbox.workspace_mount_path.is_empty() {
        anyhow::bail!(
            "sandbox.workspace_mount_path: the local engine can't mount a folder; use docker, or set it to \"\""
        );
    }
    let local = &config.sandbox.local;
    let tier = match local.tier.as_str() {
        "namespaces" => Tier::Namespaces,
        "landlock" => Tier::Landlock,
        "none" => Tier::None,
        _ => Tier::Auto,
    };
    let network = if local.network == "none" { Network::None } else { Network::Host };
    let engine = LocalEngine::new(LocalConfig {
        data_dir: data_dir.to_owned(),
        runner: place_runner(data_dir)?.0,
        tier,
        network,
        read_only_paths: local.read_only_paths.clone(),
        pids_limit: local.pids_limit,
        tmpfs_bytes: local.tmpfs_size.0,
    })
    .context("the local engine can't be used")?;
    Ok(Arc::new(engine))
}

/// Puts the embedded runner where it can be executed, under the name of its content: one that a
/// running sandbox uses is never written over.
pub(crate) fn place_runner(data_dir: &Path) -> anyhow::Result<(PathBuf, String)> {
    let hash = env!("STAITHE_RUNNER_HASH").to_owned();
    let dir = data_dir.join("runner");
    make_dir(&dir)?;
    let path = dir.join(format!("staithe-runner-{hash}"));
    if fs::metadata(&path).is_ok_and(|file| file.len() == RUNNER.len() as u64) {
        return Ok((path, hash));
    }
    let draft = dir.join(format!("draft-{}", uuid::Uuid::new_v4().as_simple()));
    let place = || {
        fs::write(&draft, RUNNER)?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(&draft, &path)
    };
    place().with_context(|| format!("the runner can't be written to {}", dir.display()))?;
    Ok((path, hash))
}

/// This installation's id, made at the first start.
pub(crate) fn owner_of(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("installation");
    match fs::read_to_string(&path) {
        Ok(owner) if !owner.trim().is_empty() => Ok(owner.trim().to_owned()),
        _ => {
            let owner = uuid::Uuid::new_v4().as_simple().to_string();
            fs::write(&path, &owner).context("the data directory can't be written")?;
            Ok(owner)
        }
    }
}

/// Who asks models' providers. A machine that can't is one that serves everything else.
fn adapter() -> Box<Adapter> {
    let wire = Wire::new().map_err(|error| error.to_string());
    if let Err(error) = &wire {
        tracing::warn!(error, "models can't be asked");
    }
    Box::new(move |settings: &ModelSettings| {
        let wire = wire.as_ref().map_err(Clone::clone)?;
        staithe_agent::genai::connect(wire, settings).map_err(|error| error.to_string())
    })
}

fn http_server(
    front: web::Data<Front>,
    listener: TcpListener,
) -> anyhow::Result<actix_web::dev::Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(front.clone())
            .wrap(middleware::Compress::default())
            .wrap(middleware::from_fn(guard::stand))
            .configure(routes::configure)
    })
    .workers(WORKERS)
    .shutdown_timeout(3)
    .disable_signals()
    .on_connect(|connection, _| watch_connection(connection))
    .listen(listener)?;
    Ok(server.run())
}

/// Dead peers are noticed by the kernel: keep-alive probes for silent ones, a limit for those that
/// acknowledge nothing.
pub(crate) fn watch_connection(connection: &dyn std::any::Any) {
    use rustix::net::sockopt;
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
    let set = || {
        // Small frames go at once: waiting to join them (Nagle) costs 40 ms against delayed ACKs.
        sockopt::set_tcp_nodelay(stream, true)?;
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, Duration::from_mins(1))?;
        sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT_MS)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "a connection's keep-alive could not be set");
    }
}

async fn upkeep(front: web::Data<Front>) {
    let mut tick = tokio::time::interval(UPKEEP);
    let mut points = tokio::time::interval(overview::EVERY);
    points.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                front.guard.upkeep();
                front.sign_ins.upkeep();
                front.metrics.run_upkeep();
            }
            _ = points.tick() => front.overview.take(&front),
        }
    }
}

/// Returns when the manager's mailbox is closed.
async fn manager_ends(manager: &actix::Addr<SessionManager>) {
    let mut look = tokio::time::interval(Duration::from_millis(200));
    while manager.connected() {
        look.tick().await;
    }
}

/// Sockets are told, sessions end or are let go, then the servers stop.
async fn drain(front: &Front, servers: &[ServerHandle], limit: Duration) {
    let drained = async {
        let message = Drain { keep_sandboxes: front.settings.keep_sandboxes };
        if let Err(error) = mail::ask(&front.manager, message).await {
            tracing::error!(%error, "sessions could not be drained");
        }
        front.draining.send_replace(true);
        for server in servers {
            server.stop(true).await;
        }
    };
    tokio::select! {
        outcome = timeout(limit, drained) => {
            if outcome.is_err() {
                tracing::warn!(?limit, "draining took too long; the next start reconciles what is left");
            }
        }
        again = asked_to_end() => tracing::warn!(again, "asked again: not waiting for sessions"),
    }
}
