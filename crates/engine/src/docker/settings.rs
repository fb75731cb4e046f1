//! What the docker engine is told by the configuration, and what of it gives the machine away. Pure.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Serialize;

/// Settings of the docker engine.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// `unix:///path`, `tcp://host:port`, `ssh://user@host`; empty: found by itself.
    pub host: String,
    /// This installation's id: the value of [`LABEL_OWNER`](crate::LABEL_OWNER).
    pub owner: String,
    /// Before a session's id in a sandbox's name.
    pub name_prefix: String,
    /// Where the folders are made that are shared with sandboxes.
    pub data_dir: PathBuf,
    /// The runner's binary.
    pub runner: PathBuf,
    /// A hash of the runner's content.
    pub runner_hash: String,
    pub pull: Pull,
    pub line: LineChoice,
    /// How long one call of the engine may take; stopping has its grace on top.
    pub deadline: Duration,
    pub sandbox: SandboxShape,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    Missing,
    Always,
    Never,
}

/// How runners are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineChoice {
    Auto,
    Socket,
    Tcp,
    Exec,
}

/// What a container is made like. Its hash is [`LABEL_CONFIG`](crate::LABEL_CONFIG).
#[derive(Clone, Debug, Serialize)]
pub struct SandboxShape {
    pub user: String,
    /// Kept for commands that run as root; without the prefix `CAP_`.
    pub capabilities: Vec<String>,
    /// Most processes; 0: no limit.
    pub pids_limit: u64,
    /// Bytes; 0: no limit.
    pub memory: u64,
    /// Bytes of memory and swap together; 0: as much as `memory`.
    pub memory_swap: u64,
    /// Processors' worth of time; 0: no limit.
    pub cpus: f64,
    /// Bytes.
    pub shm_size: u64,
    /// Bytes; 0: no limit.
    pub disk: u64,
    pub read_only_rootfs: bool,
    /// `private`, `none`, or the name of a network.
    pub network: String,
    /// Where private networks are cut from, such as `10.201.0.0/16`.
    pub network_pool: String,
    /// Empty: the engine's default.
    pub runtime: String,
    /// 0: none; -1: all.
    pub gpus: i64,
    pub mounts: Vec<ExtraMount>,
    pub devices: Vec<String>,
    pub allow_dangerous_mounts: bool,
    /// Path to bytes.
    pub tmpfs: BTreeMap<String, u64>,
    /// Name to soft and hard limit.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// A folder of the host as the workspace of every session.
    pub workspace_mount: Option<String>,
    /// Where the workspace is in a sandbox.
    pub workspace: String,
}

/// A further mount.
#[derive(Clone, Debug, Serialize)]
pub struct ExtraMount {
    /// A path of the host, or a volume's name.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

/// The folder in a sandbox that is ours.
pub(super) const OURS: &str = "/.staithe";

/// Folders of the host that hold what rules it: whoever writes, and in part whoever reads there, is no
/// longer in a sandbox. What lies in them is as bad.
const GIVES_AWAY: [&str; 12] = [
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/root",
    "/run/containerd",
    "/run/docker",
    "/run/podman",
    "/run/systemd",
    "/sys",
    "/var/lib/containers",
    "/var/lib/docker",
];
/// The same, themselves only, since ordinary things lie in them.
const GIVES_AWAY_WHOLE: [&str; 8] =
    ["/", "/home", "/lib", "/run", "/usr", "/var", "/var/lib", "/var/run"];
/// Devices that hold memory, disks or the kernel's doors.
const DEVICES_GIVE_AWAY: [&str; 10] = [
    "/dev/mem",
    "/dev/kmem",
    "/dev/port",
    "/dev/sd",
    "/dev/vd",
    "/dev/nvme",
    "/dev/dm-",
    "/dev/mapper",
    "/dev/loop",
    "/dev/kmsg",
];

impl SandboxShape {
    /// What of this can't be, or gives the machine away, each named by its key. `data_dir` holds our
    /// own secrets; `real` tells what a path of the host really is.
    pub fn faults(&self, data_dir: &str, real: impl Fn(&str) -> String) -> Vec<String> {
        let mut faults = Vec::new();
        for mount in &self.mounts {
            if !mount.target.starts_with('/') || is_ours(&mount.target) {
                faults.push(format!(
                    "sandbox.docker.extra_mounts: {}: the target must be an absolute path, and not in {OURS}",
                    mount.target
                ));
            }
            if mount.source.starts_with('/') {
                let real = real(&mount.source);
                self.refuse_path("sandbox.docker.extra_mounts", &real, data_dir, &mut faults);
            } else if !is_volume_name(&mount.source) {
                faults.push(format!(
                    "sandbox.docker.extra_mounts: {:?} is neither an absolute path nor a volume's name",
                    mount.source
                ));
            }
        }
        if let Some(path) = &self.workspace_mount {
            let real = real(path);
            self.refuse_path("sandbox.workspace_mount_path", &real, data_dir, &mut faults);
        }
        self.rights_faults(&mut faults);
        if !self.workspace.starts_with('/') || self.workspace == "/" || is_ours(&self.workspace) {
            faults.push(format!(
                "sandbox.workspace_mount_path_in_sandbox: an absolute path, not / and not in {OURS}"
            ));
        }
        if self.memory_swap != 0 && self.memory_swap < self.memory {
            faults.push(
                "sandbox.docker.memory_swap: at least as much as sandbox.docker.memory".into(),
            );
        }
        if self.memory != 0 && self.memory < 16 * 1024 * 1024 {
            faults.push("sandbox.docker.memory: at least 16MiB, or 0".into());
        }
        if !self.cpus.is_finite() || self.cpus < 0.0 || (self.cpus > 0.0 && self.cpus < 0.01) {
            faults.push("sandbox.docker.cpus: at least 0.01, or 0".into());
        }
        if super::subnets::Pool::parse(&self.network_pool).is_none() {
            faults.push(
                "sandbox.docker.network_pool: an IPv4 network such as 10.201.0.0/16, of /8 to /28"
                    .into(),
            );
        }
        faults
    }

    fn rights_faults(&self, faults: &mut Vec<String>) {
        for device in &self.devices {
            let path = device.split(':').next().unwrap_or_default();
            let bad = DEVICES_GIVE_AWAY.iter().any(|bad| path.starts_with(bad));
            if !path.starts_with("/dev/") || (bad && !self.allow_dangerous_mounts) {
                faults.push(format!("sandbox.docker.devices: {path} {REFUSED}"));
            }
        }
        if self.network == "host" && !self.allow_dangerous_mounts {
            faults.push(format!("sandbox.docker.network: host {REFUSED}"));
        }
        if self.network.starts_with("container:") {
            faults
                .push("sandbox.docker.network: another container's network can't be shared".into());
        }
        let bad_caps = [
            "ALL",
            "SYS_ADMIN",
            "SYS_MODULE",
            "SYS_PTRACE",
            "SYS_RAWIO",
            "DAC_READ_SEARCH",
            "BPF",
            "SYS_BOOT",
        ];
        for capability in &self.capabilities {
            let name = capability.trim_start_matches("CAP_");
            if bad_caps.contains(&name) && !self.allow_dangerous_mounts {
                faults.push(format!("sandbox.docker.capabilities: {capability} {REFUSED}"));
            }
        }
    }

    fn refuse_path(&self, key: &str, path: &str, data_dir: &str, faults: &mut Vec<String>) {
        if self.allow_dangerous_mounts {
            return;
        }
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        let whole = GIVES_AWAY_WHOLE.contains(&path);
        let within = GIVES_AWAY.iter().any(|bad| lies_in(path, bad));
        let socket = std::path::Path::new(path).extension().is_some_and(|end| end == "sock");
        // What holds the data directory, or lies in it, is ours.
        let ours = lies_in(path, data_dir) || lies_in(data_dir, path);
        if whole || within || socket || ours {
            faults.push(format!("{key}: {path} {REFUSED}"));
        }
    }
}

const REFUSED: &str = "gives this machine away to the sandbox; set sandbox.docker.allow_dangerous_mounts if that is meant";

fn is_ours(path: &str) -> bool {
    lies_in(path, OURS)
}

/// Whether a path is a folder or lies in it.
fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// As the engine has it.
fn is_volume_name(name: &str) -> bool {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(ordinary)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::docker) fn shape() -> SandboxShape {
        SandboxShape {
            user: "auto".into(),
            capabilities: vec!["CHOWN".into(), "SETUID".into()],
            pids_limit: 100,
            memory: 1 << 30,
            memory_swap: 0,
            cpus: 2.0,
            shm_size: 64 << 20,
            disk: 0,
            read_only_rootfs: false,
            network: "private".into(),
            network_pool: "10.201.0.0/16".into(),
            runtime: String::new(),
            gpus: 0,
            mounts: Vec::new(),
            devices: Vec::new(),
            allow_dangerous_mounts: false,
            tmpfs: BTreeMap::new(),
            ulimits: BTreeMap::from([("nofile".into(), (1024, 2048))]),
            workspace_mount: None,
            workspace: "/workspace".into(),
        }
    }

    fn faults_of_mount(source: &str, allow: bool) -> usize {
        let mount = ExtraMount { source: source.into(), target: "/x".into(), read_only: true };
        let shape = SandboxShape { mounts: vec![mount], allow_dangerous_mounts: allow, ..shape() };
        shape.faults("/data/staithe", str::to_owned).len()
    }

    #[test]
    fn what_gives_the_machine_away_is_refused_unless_it_is_meant() {
        for path in [
            "/",
            "/proc",
            "/proc/1",
            "/sys",
            "/sys/fs/cgroup",
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/etc",
            "/etc/passwd",
            "/root",
            "/root/.ssh",
            "/dev",
            "/var/lib/docker/volumes",
            "/var",
            "/home",
            "/data/staithe",
            "/data/staithe/events.db",
            "/data",
            "/usr/",
            "/anywhere/engine.sock",
        ] {
            assert_eq!(faults_of_mount(path, false), 1, "{path}");
            assert_eq!(faults_of_mount(path, true), 0, "{path}");
        }
    }

    #[test]
    fn ordinary_folders_and_volumes_are_taken() {
        for path in
            ["/srv/models", "/home/me/code", "/data2", "/procession", "/var/cache/pip", "a-volume"]
        {
            assert_eq!(faults_of_mount(path, false), 0, "{path}");
        }
        assert_eq!(faults_of_mount("../up", true), 1);
    }

    #[test]
    fn a_link_to_a_dangerous_place_is_seen_through() {
        let mount = ExtraMount { source: "/srv/link".into(), target: "/x".into(), read_only: true };
        let shape = SandboxShape { mounts: vec![mount], ..shape() };
        let faults = shape.faults("/data", |_| "/etc".to_owned());
        assert_eq!(faults.len(), 1);
        assert!(faults[0].contains("/etc"), "{faults:?}");
    }

    #[test]
    fn our_own_folder_the_hosts_network_and_mighty_capabilities_are_refused() {
        let bad = SandboxShape {
            workspace: "/.staithe/run".into(),
            network: "host".into(),
            capabilities: vec!["CAP_SYS_ADMIN".into()],
            devices: vec!["/dev/sda".into(), "/tmp/x".into()],
            memory_swap: 1,
            cpus: -1.0,
            ..shape()
        };
        assert_eq!(
            bad.faults("/data", str::to_owned).len(),
            7,
            "{:?}",
            bad.faults("/d", str::to_owned)
        );
        assert_eq!(shape().faults("/data", str::to_owned), Vec::<String>::new());
    }
}
