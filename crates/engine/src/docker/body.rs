//! What is asked of the engine's API for one sandbox. Decides by its arguments alone.

use std::{collections::HashMap, path::PathBuf};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, HealthConfig, HostConfig,
    HostConfigLogConfig, Ipam, IpamConfig, Mount, MountTmpfsOptions, MountType, MountVolumeOptions,
    NetworkCreateRequest, ResourcesUlimits, VolumeCreateRequest,
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{
    probe::Facts,
    settings::{OURS, SandboxShape},
};
use crate::{LABEL_OWNER, LABEL_POOL, LABEL_SESSION, Labels, SandboxSpec};

/// Label: the name of the folder that server and sandbox share.
pub(super) const LABEL_TOKEN: &str = "staithe.token";
/// Label: the private network that belongs to this sandbox alone.
pub(super) const LABEL_NETWORK: &str = "staithe.network";
/// Label: the workspace, a volume's name or `host:` and a path.
pub(super) const LABEL_WORKSPACE: &str = "staithe.workspace";
/// Label: how the runner is reached.
pub(super) const LABEL_LINE: &str = "staithe.line";
/// Label of a network: the name of the sandbox that it was made for.
pub(super) const LABEL_SANDBOX: &str = "staithe.sandbox";
/// Label: what a volume of ours is for, when it is no workspace.
pub(super) const LABEL_KIND: &str = "staithe.kind";
/// Before a host's folder where a workspace's name is asked for.
pub(super) const HOST_WORKSPACE: &str = "host:";
/// Where the runner listens on a private network.
pub(super) const PORT: u16 = 7733;
/// Size of what may be written in a read-only sandbox beside the workspace, each.
const SCRATCH: i64 = 256 << 20;

/// How a runner is reached, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Socket,
    Tcp,
    Exec,
}

impl LineKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Tcp => "tcp",
            Self::Exec => "exec",
        }
    }

    pub(super) fn of(word: Option<&str>) -> Self {
        match word {
            Some("tcp") => Self::Tcp,
            Some("exec") => Self::Exec,
            _ => Self::Socket,
        }
    }
}

/// Where the runner's binary comes from.
#[derive(Clone, Debug)]
pub(super) enum RunnerSource {
    /// A file of this machine.
    File(PathBuf),
    /// A volume that holds it.
    Volume(String),
}

/// What was decided for one sandbox beside its specification.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) token: String,
    /// The folder that is shared, where the line is a socket.
    pub(super) run_dir: PathBuf,
    /// A network made for it.
    pub(super) network: Option<String>,
    pub(super) workspace: String,
    /// Whom the runner becomes; none: it stays root.
    pub(super) user: Option<String>,
    pub(super) line: LineKind,
    pub(super) runner: RunnerSource,
}

/// The runner's command line in a sandbox.
pub(super) fn runner_path() -> String {
    format!("{OURS}/bin/staithe-runner")
}

/// The runner's socket in a sandbox.
pub(super) fn socket_in_sandbox() -> String {
    format!("{OURS}/run/{}", staithe_protocol::runner::SOCKET_NAME)
}

/// The body of the container's creation.
pub(super) fn container(
    shape: &SandboxShape,
    facts: &Facts,
    spec: &SandboxSpec,
    plan: &Plan,
) -> ContainerCreateBody {
    // An image's labels become its containers': what it could pretend to be is said to be nothing.
    let pretended = [LABEL_SESSION, LABEL_POOL, LABEL_KIND, LABEL_NETWORK];
    let mut labels: HashMap<String, String> =
        pretended.map(|label| (label.to_owned(), String::new())).into();
    labels.extend(spec.labels.clone());
    labels.insert(LABEL_TOKEN.into(), plan.token.clone());
    labels.insert(LABEL_WORKSPACE.into(), plan.workspace.clone());
    labels.insert(LABEL_LINE.into(), plan.line.word().into());
    labels.extend(plan.network.clone().map(|network| (LABEL_NETWORK.to_owned(), network)));
    ContainerCreateBody {
        hostname: Some("sandbox".into()),
        // The runner gives its rights away itself, after it has made what needs them.
        user: Some("0:0".into()),
        image: spec.image.clone(),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        entrypoint: Some(vec![runner_path()]),
        cmd: Some(arguments(shape, plan)),
        working_dir: Some("/".into()),
        // The key comes on stdin, once.
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        stop_signal: Some("SIGTERM".into()),
        labels: Some(labels),
        host_config: Some(host_config(shape, facts, plan, spec)),
        ..Default::default()
    }
}

fn arguments(shape: &SandboxShape, plan: &Plan) -> Vec<String> {
    let state = format!("{OURS}/state");
    let mut words: Vec<String> =
        ["serve", "--key-stdin", "--workspace", &shape.workspace, "--state-dir", &state]
            .map(str::to_owned)
            .to_vec();
    match plan.line {
        LineKind::Socket | LineKind::Exec => {
            words.extend(["--socket-dir".into(), format!("{OURS}/run"), "--open-socket".into()]);
        }
        LineKind::Tcp => words.extend(["--listen".into(), format!("0.0.0.0:{PORT}")]),
    }
    words.extend(plan.user.iter().flat_map(|user| ["--user".to_owned(), user.clone()]));
    words
}

/// What this sandbox is made like: the configuration's limits, or its session's.
fn shaped(shape: &SandboxShape, spec: &SandboxSpec) -> SandboxShape {
    let mut shape = shape.clone();
    if let Some(memory) = spec.resources.memory {
        (shape.memory, shape.memory_swap) = (memory, 0);
    }
    if let Some(cpus) = spec.resources.cpus {
        shape.cpus = cpus;
    }
    shape
}

fn host_config(shape: &SandboxShape, facts: &Facts, plan: &Plan, spec: &SandboxSpec) -> HostConfig {
    let shape = &shaped(shape, spec);
    let capabilities = match &plan.user {
        // For the step to that user; with it they are gone.
        Some(_) => ["CHOWN", "SETUID", "SETGID"].map(str::to_owned).to_vec(),
        None => shape.capabilities.clone(),
    };
    let limit = |bytes: u64| (bytes > 0).then_some(i64::try_from(bytes).unwrap_or(i64::MAX));
    let swap = if shape.memory_swap == 0 { shape.memory } else { shape.memory_swap };
    let log = [("max-size", "1m"), ("max-file", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    HostConfig {
        mounts: Some(mounts(shape, plan, spec)),
        tmpfs: Some(tmpfs(shape)),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities),
        security_opt: Some(vec!["no-new-privileges".into()]),
        privileged: Some(false),
        pids_limit: limit(shape.pids_limit),
        memory: limit(shape.memory),
        memory_swap: limit(swap).filter(|_| facts.swap_limit),
        nano_cpus: cpus(shape, facts),
        shm_size: limit(shape.shm_size),
        storage_opt: (shape.disk > 0 && facts.disk_limit)
            .then(|| HashMap::from([("size".to_owned(), shape.disk.to_string())])),
        readonly_rootfs: Some(shape.read_only_rootfs),
        ulimits: Some(ulimits(shape)),
        devices: Some(shape.devices.iter().map(|device| device_of(device)).collect()),
        device_requests: (shape.gpus != 0).then(|| vec![gpus(shape.gpus)]),
        network_mode: Some(match (&plan.network, shape.network.as_str()) {
            (Some(network), _) => network.clone(),
            (None, named) => named.to_owned(),
        }),
        ipc_mode: Some("private".into()),
        runtime: (!shape.runtime.is_empty()).then(|| shape.runtime.clone()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from(log)),
        }),
        ..Default::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of processors times 10⁹ is far below 2⁶³"
)]
fn cpus(shape: &SandboxShape, facts: &Facts) -> Option<i64> {
    let there = if facts.cpus == 0 { f64::MAX } else { f64::from(facts.cpus) };
    (shape.cpus > 0.0).then(|| (shape.cpus.min(there) * 1e9) as i64)
}

fn gpus(count: i64) -> DeviceRequest {
    DeviceRequest {
        count: Some(count),
        capabilities: Some(vec![vec!["gpu".into()]]),
        ..Default::default()
    }
}

fn ulimits(shape: &SandboxShape) -> Vec<ResourcesUlimits> {
    let limit = |(name, (soft, hard)): (&String, &(i64, i64))| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(*soft),
        hard: Some(*hard),
    };
    shape.ulimits.iter().map(limit).collect()
}

fn device_of(text: &str) -> DeviceMapping {
    let mut parts = text.split(':');
    let host = parts.next().unwrap_or_default().to_owned();
    DeviceMapping {
        path_in_container: Some(parts.next().map_or_else(|| host.clone(), str::to_owned)),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
        path_on_host: Some(host),
    }
}

fn tmpfs(shape: &SandboxShape) -> HashMap<String, String> {
    let mut folders: HashMap<String, String> = shape
        .tmpfs
        .iter()
        .map(|(path, bytes)| (path.clone(), format!("rw,nosuid,nodev,exec,mode=1777,size={bytes}")))
        .collect();
    if shape.read_only_rootfs {
        for path in ["/tmp", "/var/tmp", "/run"] {
            folders
                .entry(path.to_owned())
                .or_insert_with(|| format!("rw,nosuid,nodev,exec,mode=1777,size={SCRATCH}"));
        }
    }
    folders
}

fn mounts(shape: &SandboxShape, plan: &Plan, spec: &SandboxSpec) -> Vec<Mount> {
    let mut mounts = vec![workspace(shape, plan, spec), runner(plan)];
    match plan.line {
        LineKind::Socket => mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(plan.run_dir.to_string_lossy().into_owned()),
            target: Some(format!("{OURS}/run")),
            ..Default::default()
        }),
        LineKind::Exec => mounts.push(in_memory(format!("{OURS}/run"), 1 << 20)),
        LineKind::Tcp => {}
    }
    if shape.read_only_rootfs {
        mounts.push(in_memory(format!("{OURS}/state"), SCRATCH));
    }
    mounts.extend(shape.mounts.iter().map(|mount| Mount {
        typ: Some(if mount.source.starts_with('/') { MountType::BIND } else { MountType::VOLUME }),
        source: Some(mount.source.clone()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..Default::default()
    }));
    mounts
}

fn in_memory(target: String, bytes: i64) -> Mount {
    Mount {
        typ: Some(MountType::TMPFS),
        target: Some(target),
        tmpfs_options: Some(MountTmpfsOptions {
            size_bytes: Some(bytes),
            mode: Some(0o755),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn workspace(shape: &SandboxShape, plan: &Plan, spec: &SandboxSpec) -> Mount {
    let host = plan.workspace.strip_prefix(HOST_WORKSPACE);
    let labels = volume_labels(&spec.labels);
    Mount {
        typ: Some(if host.is_some() { MountType::BIND } else { MountType::VOLUME }),
        source: Some(host.unwrap_or(&plan.workspace).to_owned()),
        target: Some(shape.workspace.clone()),
        volume_options: host
            .is_none()
            .then(|| MountVolumeOptions { labels: Some(labels), ..Default::default() }),
        ..Default::default()
    }
}

fn runner(plan: &Plan) -> Mount {
    let bin = format!("{OURS}/bin");
    match &plan.runner {
        RunnerSource::File(path) => Mount {
            typ: Some(MountType::BIND),
            source: Some(path.to_string_lossy().into_owned()),
            target: Some(runner_path()),
            read_only: Some(true),
            ..Default::default()
        },
        RunnerSource::Volume(name) => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            target: Some(bin),
            read_only: Some(true),
            ..Default::default()
        },
    }
}

fn volume_labels(labels: &Labels) -> HashMap<String, String> {
    let owner = labels.get(LABEL_OWNER).cloned().unwrap_or_default();
    HashMap::from([(LABEL_OWNER.to_owned(), owner)])
}

/// The body of a workspace's creation.
pub(super) fn volume(name: &str, labels: &Labels) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(volume_labels(labels)),
        ..Default::default()
    }
}

/// The body of a private network's creation.
pub(super) fn network(
    name: &str,
    subnet: &str,
    owner: &str,
    sandbox: &str,
) -> NetworkCreateRequest {
    let range = IpamConfig { subnet: Some(subnet.to_owned()), ..Default::default() };
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".into()),
        ipam: Some(Ipam { config: Some(vec![range]), ..Default::default() }),
        labels: Some(HashMap::from([
            (LABEL_OWNER.to_owned(), owner.to_owned()),
            (LABEL_SANDBOX.to_owned(), sandbox.to_owned()),
        ])),
        ..Default::default()
    }
}

/// The value of the label that tells with which settings a sandbox was made. Values of the environment
/// may be secret and are left out: whoever reads labels could try them.
pub(super) fn config_hash(shape: &SandboxShape, spec: &SandboxSpec, runner_hash: &str) -> String {
    let names: Vec<&String> = spec.env.keys().collect();
    let all = serde_json::to_vec(&(&shaped(shape, spec), &spec.image, names, runner_hash))
        .expect("settings are plain data with string keys");
    HEXLOWER.encode(&Sha256::digest(all)[..8])
}

#[cfg(test)]
mod tests;
