//! The docker engine's part of the configuration, in the engine's own words.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use staithe_engine::docker::{DockerConfig, ExtraMount, LineChoice, Pull, SandboxShape};

use staithe_protocol::api::Resources;

use super::{Config, Docker, LineChoice as Line, Pull as Fetch, Sandbox, load};

impl Sandbox {
    /// The image of sessions that ask for none.
    pub fn image(&self) -> &str {
        match self.runtime_container_image.as_str() {
            "" => &self.base_container_image,
            image => image,
        }
    }

    fn shape(&self) -> SandboxShape {
        let docker = &self.docker;
        let mount = |mount: &super::ExtraMount| ExtraMount {
            source: mount.source.clone(),
            target: mount.target.clone(),
            read_only: mount.read_only,
        };
        SandboxShape {
            user: docker.user.clone(),
            capabilities: docker.capabilities.clone(),
            pids_limit: docker.pids_limit,
            memory: docker.memory.0,
            memory_swap: docker.memory_swap.0,
            cpus: docker.cpus,
            shm_size: docker.shm_size.0,
            disk: docker.disk.0,
            read_only_rootfs: docker.read_only_rootfs,
            network: docker.network.clone(),
            network_pool: docker.network_pool.clone(),
            runtime: docker.runtime.clone(),
            gpus: docker.gpus,
            mounts: docker.extra_mounts.iter().map(mount).collect(),
            devices: docker.devices.clone(),
            allow_dangerous_mounts: docker.allow_dangerous_mounts,
            tmpfs: docker.tmpfs.iter().map(|(path, size)| (path.clone(), size.0)).collect(),
            ulimits: ulimits(&docker.ulimits).unwrap_or_default(),
            workspace_mount: Some(self.workspace_mount_path.clone())
                .filter(|path| !path.is_empty()),
            workspace: self.workspace_mount_path_in_sandbox.clone(),
        }
    }
}

impl Docker {
    /// What a session may be given; none: no limit.
    pub fn most(&self) -> Resources {
        let memory = if self.most_memory.0 == 0 { self.memory.0 } else { self.most_memory.0 };
        let cpus = if self.most_cpus > 0.0 { self.most_cpus } else { self.cpus };
        Resources { memory: (memory > 0).then_some(memory), cpus: (cpus > 0.0).then_some(cpus) }
    }
}

impl Config {
    /// What the docker engine is to be told.
    pub fn docker(
        &self,
        owner: &str,
        data_dir: &Path,
        runner: PathBuf,
        runner_hash: String,
    ) -> DockerConfig {
        let docker = &self.sandbox.docker;
        DockerConfig {
            host: docker.host.clone(),
            owner: owner.to_owned(),
            name_prefix: self.sandbox.name_prefix.clone(),
            data_dir: data_dir.to_owned(),
            runner,
            runner_hash,
            pull: match docker.pull {
                Fetch::Missing => Pull::Missing,
                Fetch::Always => Pull::Always,
                Fetch::Never => Pull::Never,
            },
            line: match docker.line {
                Line::Auto => LineChoice::Auto,
                Line::Socket => LineChoice::Socket,
                Line::Tcp => LineChoice::Tcp,
                Line::Exec => LineChoice::Exec,
            },
            deadline: docker.call_timeout.0.max(Duration::from_millis(1)),
            sandbox: self.sandbox.shape(),
        }
    }

    /// What is wrong in the docker engine's part.
    pub(super) fn docker_faults(&self) -> Vec<String> {
        let data_dir = load::data_dir(self).unwrap_or_default();
        let real = |path: &str| {
            let real = Path::new(path).canonicalize().unwrap_or_else(|_| PathBuf::from(path));
            real.to_string_lossy().into_owned()
        };
        let shown = real(&data_dir.to_string_lossy());
        let mut faults = self.sandbox.shape().faults(&shown, real);
        if ulimits(&self.sandbox.docker.ulimits).is_none() {
            faults.push("sandbox.docker.ulimits: each as \"SOFT:HARD\", two numbers".into());
        }
        if let Some(path) = self.sandbox.docker.tmpfs.keys().find(|path| !path.starts_with('/')) {
            faults.push(format!("sandbox.docker.tmpfs: {path}: an absolute path is needed"));
        }
        let mount = Path::new(&self.sandbox.workspace_mount_path);
        if !self.sandbox.workspace_mount_path.is_empty() && !mount.is_absolute() {
            faults.push("sandbox.workspace_mount_path: an absolute path is needed".into());
        }
        faults
    }
}

fn ulimits(texts: &BTreeMap<String, String>) -> Option<BTreeMap<String, (i64, i64)>> {
    let parse = |(name, text): (&String, &String)| {
        let (soft, hard) = text.split_once(':').unwrap_or((text, text));
        Some((name.clone(), (soft.parse().ok()?, hard.parse().ok()?)))
    };
    let told: Option<BTreeMap<_, _>> = texts.iter().map(parse).collect();
    // A core dump holds a program's memory, secrets and all, and may be large.
    let mut limits = BTreeMap::from([("core".to_owned(), (0, 0))]);
    limits.extend(told?);
    Some(limits)
}
