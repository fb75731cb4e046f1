//! The configuration in the words of those who are told it.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use staithe_actors::{Limits, SandboxSettings, Secrets, Settings, models::Models, settings};

use crate::{
    config::{Config, OnChangedSettings, OverLimit, PoolEntry, Sandbox, SuspendBy},
    front::{ArchiveLimits, FrontSettings},
    guard::Guard,
    proxy::settings::ProxySettings,
};

pub(super) fn guard_of(config: &Config) -> Guard {
    Guard::new(
        config.server.listen.ip().is_loopback(),
        config.server.allowed_hosts.clone(),
        config.server.allowed_origins.clone(),
        config.limits.requests_per_second,
        config.limits.request_burst,
    )
}

pub(super) fn front_settings(
    config: &Config,
    shown: String,
    proxy: ProxySettings,
) -> FrontSettings {
    FrontSettings {
        sign_in_ttl: config.auth.sign_in_ttl.0,
        session_token_ttl: config.auth.session_token_ttl.0,
        git_tokens_for: config.git.tokens_for,
        max_body: usize::try_from(config.server.max_body.0).unwrap_or(usize::MAX),
        max_upload: config.core.file_uploads_max_file_size_mb.saturating_mul(1024 * 1024),
        archives: ArchiveLimits {
            entries: config.limits.archive_max_entries,
            bytes: config.limits.archive_max_unpacked.0,
            ratio: config.limits.archive_max_ratio,
        },
        shown_config: shown,
        keep_sandboxes: config.sandbox.keep_runtime_alive,
        proxy,
        allowed_images: config.sandbox.allowed_images.clone(),
        most: config.sandbox.docker.most(),
    }
}

pub(super) fn actor_settings(
    config: &Config,
    owner: String,
    engine: &str,
    secrets: Secrets,
    models: Arc<dyn Models>,
) -> anyhow::Result<Settings> {
    let sandbox = &config.sandbox;
    let secret_env = sandbox
        .secret_env
        .iter()
        .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
    let env = sandbox.runtime_startup_env_vars.clone().into_iter().chain(secret_env).collect();
    Ok(Settings {
        owner,
        sandbox: SandboxSettings {
            name_prefix: sandbox.name_prefix.clone(),
            // The local engine has no images.
            image: (engine != "local").then(|| sandbox.image().to_owned()),
            env,
            timeout: sandbox.timeout.0,
            no_change_timeout: sandbox.no_change_timeout.0,
            max_output: sandbox.max_output.0,
            start_timeout: sandbox.start_timeout.0,
            stop_grace: sandbox.stop_grace.0,
            recreate_on_changed_settings: sandbox.on_changed_settings
                == OnChangedSettings::Recreate,
            idle_after: some(sandbox.idle_after.0),
            suspend_by: match sandbox.suspend_by {
                SuspendBy::Stop => settings::SuspendBy::Stop,
                SuspendBy::Pause => settings::SuspendBy::Pause,
                SuspendBy::None => settings::SuspendBy::None,
            },
            max_age: some(sandbox.max_session_age.0),
            keep_after_exit: sandbox.keep_after_exit,
            reconcile_every: sandbox.reconcile_every.0,
            pool: pool_of(sandbox),
            services: config.services(),
        },
        limits: Limits {
            max_sessions: config.limits.max_sessions,
            max_sessions_per_user: match config.limits.max_sessions_per_user {
                0 => config.limits.max_sessions,
                most => most,
            },
            max_starting: match config.limits.max_starting {
                0 => 2 * std::thread::available_parallelism().map_or(1, usize::from),
                most => most,
            },
            queue: config.limits.over_limit == OverLimit::Queue,
            max_waiting: config.limits.max_waiting,
            max_queued_actions: config.limits.max_queued_actions,
            max_builds: config.sandbox.image.max_builds,
        },
        secrets,
        agent: config.agent.settings(),
        models,
        git: settings::GitSettings {
            clone_timeout: config.git.clone_timeout.0,
            credentials: config.git.credentials(),
        },
        mcp: config.mcp_settings().map_err(|faults| anyhow::anyhow!("{}", faults.join("; ")))?,
    })
}

/// A time; none when it is zero, which means "no limit" in the configuration.
fn some(span: Duration) -> Option<Duration> {
    (!span.is_zero()).then_some(span)
}

fn pool_of(sandbox: &Sandbox) -> Vec<settings::PoolSize> {
    let size =
        |entry: &PoolEntry| settings::PoolSize { image: entry.image.clone(), size: entry.size };
    sandbox.docker.pool.iter().filter(|entry| entry.size > 0).map(size).collect()
}
