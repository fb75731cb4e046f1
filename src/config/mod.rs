//! The configuration: its shape, its checks and its redacted form. Where the values come from is in
//! [`load`].

pub mod agent;
mod docker;
pub mod git;
pub mod image;
pub mod load;
pub mod mcp;
pub mod models;
mod plugins;
mod proxy;
mod services;
pub mod terminals;
pub mod units;
pub mod watch;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use staithe_image::inputs::{Download, Mirrors, SystemChoice};
use staithe_protocol::plugin::PluginStart;

use mcp::Mcp;
use terminals::Terminals;
use units::{Size, Span};

/// The effective configuration. Every field is documented in `config.toml`, which is its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub core: Core,
    pub server: Server,
    pub auth: Auth,
    pub limits: Limits,
    pub proxy: Proxy,
    pub sandbox: Sandbox,
    pub plugins: Plugins,
    pub agent: agent::Agent,
    pub models: BTreeMap<String, models::Group>,
    pub git: git::Git,
    pub mcp: Mcp,
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    pub jwt_secret: SecretString,
    pub master_key: SecretString,
    pub file_uploads_max_file_size_mb: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub sandbox_listen: SocketAddr,
    pub data_dir: PathBuf,
    pub allowed_origins: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub max_body: Size,
    pub drain_timeout: Span,
    pub control_url: String,
    pub sandbox_url: String,
    pub sandbox_domain: String,
    pub trusted_proxies: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub access_token: SecretString,
    pub operator_token: SecretString,
    pub sign_in_ttl: Span,
    pub session_token_ttl: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_sessions: usize,
    pub max_sessions_per_user: usize,
    pub max_starting: usize,
    pub over_limit: OverLimit,
    pub max_waiting: usize,
    pub max_queued_actions: usize,
    pub requests_per_second: u32,
    pub request_burst: u32,
    pub archive_max_entries: u64,
    pub archive_max_unpacked: Size,
    pub archive_max_ratio: u64,
    pub sign_in_attempts_per_minute: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    pub engine: EngineChoice,
    pub name_prefix: String,
    pub runtime_container_image: String,
    pub base_container_image: String,
    pub plugins: Vec<String>,
    pub runtime_extra_deps: String,
    pub platform: String,
    pub force_rebuild_runtime: bool,
    pub allowed_images: Vec<String>,
    pub workspace_mount_path: String,
    pub workspace_mount_path_in_sandbox: String,
    pub on_changed_settings: OnChangedSettings,
    pub idle_after: Span,
    pub suspend_by: SuspendBy,
    pub max_session_age: Span,
    pub keep_after_exit: bool,
    pub reconcile_every: Span,
    pub timeout: Span,
    pub no_change_timeout: Span,
    pub start_timeout: Span,
    pub stop_grace: Span,
    pub max_output: Size,
    pub keep_runtime_alive: bool,
    pub runtime_startup_env_vars: BTreeMap<String, String>,
    pub secret_env: BTreeMap<String, SecretString>,
    pub docker: Docker,
    pub image: Image,
    pub local: Local,
    pub terminals: Terminals,
    pub watch: watch::Watch,
}

/// What browsers may do with what runs in sandboxes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    pub allow_viewers: bool,
    pub max_connections: usize,
    pub max_header: Size,
    pub response_timeout: Span,
    pub idle_timeout: Span,
    pub wake_wait: Span,
    pub find_ports_every: Span,
    pub ignored_ports: Vec<u16>,
}

/// What happens to a start beyond the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverLimit {
    Queue,
    Deny,
}

/// What becomes of a found sandbox that was made with other settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChangedSettings {
    Keep,
    Recreate,
}

/// How an idle sandbox is put to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuspendBy {
    Stop,
    Pause,
    None,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    pub host: String,
    pub pull: Pull,
    pub call_timeout: Span,
    pub line: LineChoice,
    pub user: String,
    pub capabilities: Vec<String>,
    pub pids_limit: u64,
    pub memory: Size,
    pub memory_swap: Size,
    pub cpus: f64,
    pub most_memory: Size,
    pub most_cpus: f64,
    pub shm_size: Size,
    pub disk: Size,
    pub read_only_rootfs: bool,
    pub network: String,
    pub network_pool: String,
    pub runtime: String,
    pub gpus: i64,
    pub extra_mounts: Vec<ExtraMount>,
    pub devices: Vec<String>,
    pub allow_dangerous_mounts: bool,
    pub pool: Vec<PoolEntry>,
    pub tmpfs: BTreeMap<String, Size>,
    pub ulimits: BTreeMap<String, String>,
}

/// How runtime images are built, named and kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub repository: String,
    pub builder: BuilderChoice,
    pub system: SystemChoice,
    pub user: String,
    pub tools_image: String,
    pub ca_dir: PathBuf,
    pub build_timeout: Span,
    pub network: String,
    pub max_builds: usize,
    pub rebuild: Rebuild,
    pub cache_dir: PathBuf,
    pub keep: usize,
    pub keep_for: Span,
    pub build_args: BTreeMap<String, String>,
    pub mirrors: Mirrors,
    pub node: Download,
    pub vscode: Download,
    pub jupyter: Jupyter,
}

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuilderChoice {
    Auto,
    Buildkit,
    Classic,
}

/// When an image that is there is built anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rebuild {
    Inputs,
    Base,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jupyter {
    pub requirements: PathBuf,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    Missing,
    Always,
    Never,
}

/// How the server reaches the runner in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineChoice {
    Auto,
    Socket,
    Tcp,
    Exec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraMount {
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolEntry {
    pub image: String,
    pub size: usize,
}

/// Who makes sandboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    Auto,
    Docker,
    Local,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    pub tier: String,
    pub network: String,
    pub read_only_paths: Vec<PathBuf>,
    pub pids_limit: u64,
    pub tmpfs_size: Size,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugins {
    pub deadline: Span,
    pub vscode: VscodePlugin,
    pub jupyter: JupyterPlugin,
    pub browser: BrowserPlugin,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VscodePlugin {
    pub start: PluginStart,
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JupyterPlugin {
    pub start: PluginStart,
    pub paths: Vec<String>,
    pub kernel: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserPlugin {
    pub paths: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Everything that is wrong with the values, each with its key.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |good: bool, fault: &str| {
            if !good {
                faults.push(fault.to_owned());
            }
        };
        let secret = self.core.jwt_secret.expose_secret();
        check(
            secret.is_empty() || secret.len() >= 32,
            "core.jwt_secret: at least 32 characters are needed (HS256, RFC 7518 §3.2)",
        );
        let master = self.core.master_key.expose_secret();
        check(
            master.is_empty() || master.len() >= 32,
            "core.master_key: at least 32 characters are needed",
        );
        for (key, token) in [
            ("auth.access_token", &self.auth.access_token),
            ("auth.operator_token", &self.auth.operator_token),
        ] {
            let token = token.expose_secret();
            let good = token.is_empty() || token.len() >= 16;
            check(good, &format!("{key}: at least 16 characters are needed"));
        }
        let same =
            self.server.listen == self.server.sandbox_listen && self.server.listen.port() != 0;
        check(!same, "server.sandbox_listen: must differ from server.listen, it is another origin");
        check(self.limits.max_sessions > 0, "limits.max_sessions: must be at least 1");
        check(self.limits.max_queued_actions > 0, "limits.max_queued_actions: must be at least 1");
        check(
            self.limits.requests_per_second > 0,
            "limits.requests_per_second: must be at least 1",
        );
        check(self.limits.request_burst > 0, "limits.request_burst: must be at least 1");
        check(
            self.limits.sign_in_attempts_per_minute > 0,
            "limits.sign_in_attempts_per_minute: must be at least 1",
        );
        let prefix = &self.sandbox.name_prefix;
        check(
            prefix.len() <= 40
                && prefix
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "sandbox.name_prefix: up to 40 of a-z, 0-9 and -",
        );
        check(
            ["auto", "namespaces", "landlock", "none"].contains(&self.sandbox.local.tier.as_str()),
            "sandbox.local.tier: one of auto, namespaces, landlock, none",
        );
        check(
            ["host", "none"].contains(&self.sandbox.local.network.as_str()),
            "sandbox.local.network: host or none",
        );
        check(
            self.sandbox.reconcile_every.0.as_secs() >= 1,
            "sandbox.reconcile_every: at least 1s",
        );
        check(self.sandbox.max_output.0 >= 1024, "sandbox.max_output: at least 1KiB");
        self.check_exposure(&mut check);
        faults.extend(self.faults_of_tables());
        faults
    }

    /// What is wrong with the tables that have rules of their own.
    fn faults_of_tables(&self) -> Vec<String> {
        let mut faults = self.plugin_faults();
        faults.extend(self.proxy_faults());
        faults.extend(self.sandbox.terminals.faults());
        faults.extend(self.sandbox.watch.faults());
        faults.extend(self.docker_faults());
        faults.extend(self.image_faults());
        faults.extend(self.agent_faults());
        faults.extend(models::faults(&self.models));
        faults.extend(self.git.faults());
        faults.extend(self.mcp_faults());
        faults
    }

    /// Beyond loopback, nobody but those who were given a token may come in.
    fn check_exposure(&self, check: &mut impl FnMut(bool, &str)) {
        let guarded = !self.auth.access_token.expose_secret().is_empty()
            || !self.auth.operator_token.expose_secret().is_empty();
        for (key, address) in [
            ("server.listen", self.server.listen),
            ("server.sandbox_listen", self.server.sandbox_listen),
        ] {
            check(
                guarded || address.ip().is_loopback(),
                &format!(
                    "{key}: {address} can be reached from other machines, and no token is set. Set \
                     auth.access_token or auth.operator_token (for instance by the environment: \
                     STAITHE__AUTH__OPERATOR_TOKEN), or listen on 127.0.0.1"
                ),
            );
        }
    }

    /// Every configured value that must not appear anywhere.
    pub fn secrets(&self) -> Vec<String> {
        let tokens = [
            &self.core.jwt_secret,
            &self.core.master_key,
            &self.auth.access_token,
            &self.auth.operator_token,
        ];
        tokens
            .into_iter()
            .chain(self.sandbox.secret_env.values())
            .chain(self.models.values().map(|group| &group.key))
            .map(|secret| secret.expose_secret().to_owned())
            .chain(self.git.secrets())
            .chain(self.mcp_secrets())
            .filter(|secret| !secret.is_empty())
            .collect()
    }
}
