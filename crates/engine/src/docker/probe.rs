//! What an engine says of itself, and what of the configuration it can't do. The second half is pure.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use bollard::{
    Docker,
    models::{SystemInfo, SystemVersion},
};

use super::{
    body::LineKind,
    call::{Failure, call},
    host::Host,
    settings::{LineChoice, SandboxShape},
    unavailable,
};
use crate::{Capabilities, EngineFailed, Isolation};

/// The oldest API that is spoken, and the engine that brought it.
const OLDEST: (u32, u32) = (1, 41);
/// How long an engine may take to say what it is.
const LIMIT: Duration = Duration::from_secs(10);

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers of the engine, each to a question of its own"
)]
pub(super) struct Facts {
    pub(super) server: String,
    pub(super) api: String,
    /// `os/arch`.
    pub(super) platform: String,
    pub(super) product: String,
    pub(super) cgroup: String,
    pub(super) storage: String,
    pub(super) runtimes: Vec<String>,
    pub(super) rootless: bool,
    pub(super) userns: bool,
    pub(super) seccomp: bool,
    pub(super) cpus: u32,
    pub(super) swap_limit: bool,
    pub(super) memory_limit: bool,
    pub(super) pids_limit: bool,
    pub(super) cpu_limit: bool,
    /// Whether the storage can limit a sandbox's disk, as far as that can be told.
    pub(super) disk_limit: bool,
    pub(super) live_restore: bool,
}

/// Asks it.
pub(super) async fn ask(docker: &Docker, host: &Host) -> Result<Facts, EngineFailed> {
    let failed = |failure: Failure| match failure {
        Failure::Unreachable(cause) => super::call::unreachable(&cause),
        Failure::TimedOut(limit) => unavailable(
            format!("{} did not answer within {} s", host.shown(), limit.as_secs()),
            "See whether the engine works (docker info), and restart it if it hangs",
        ),
        other => unavailable(
            format!("{} does not answer as an engine does: {}", host.shown(), other.words()),
            "See that sandbox.docker.host is the address of Docker or Podman",
        ),
    };
    let version = call(LIMIT, docker.version()).await.map_err(failed)?;
    check_version(&version)?;
    let info = call(LIMIT, docker.info()).await.map_err(failed)?;
    Ok(facts(&version, info))
}

fn check_version(version: &SystemVersion) -> Result<(), EngineFailed> {
    let api = version.api_version.clone().unwrap_or_default();
    let number = api.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let server = version.version.clone().unwrap_or_default();
    if number.is_none_or(|number: (u32, u32)| number < OLDEST) {
        return Err(unavailable(
            format!("the engine (version {server}) speaks API {api}, and 1.41 or newer is needed"),
            "Install Docker 20.10 or newer, or Podman 4 or newer",
        ));
    }
    match version.os.as_deref() {
        None | Some("linux" | "") => Ok(()),
        Some(os) => Err(unavailable(
            format!("the engine makes containers of {os}, and Linux is needed"),
            "Switch the engine to Linux containers",
        )),
    }
}

fn facts(version: &SystemVersion, info: SystemInfo) -> Facts {
    let options = info.security_options.unwrap_or_default();
    let has = |name: &str| options.iter().any(|option| option.contains(&format!("name={name}")));
    let storage = info.driver.unwrap_or_default();
    let status = info.driver_status.unwrap_or_default();
    let backing =
        status.iter().find(|pair| pair.first().is_some_and(|key| key == "Backing Filesystem"));
    let backing = backing.and_then(|pair| pair.get(1)).cloned().unwrap_or_default();
    let disk_limit = matches!(storage.as_str(), "btrfs" | "zfs" | "devicemapper")
        || (storage.starts_with("overlay") && backing == "xfs");
    let components = version.components.clone().unwrap_or_default();
    let podman = components.iter().any(|part| part.name.contains("Podman"));
    let mut runtimes: Vec<_> = info.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    Facts {
        server: version.version.clone().unwrap_or_default(),
        api: version.api_version.clone().unwrap_or_default(),
        platform: format!(
            "{}/{}",
            version.os.as_deref().filter(|os| !os.is_empty()).unwrap_or("linux"),
            version.arch.as_deref().unwrap_or_default()
        ),
        product: if podman { "podman" } else { "docker" }.to_owned(),
        cgroup: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        storage: if backing.is_empty() { storage } else { format!("{storage} on {backing}") },
        runtimes,
        rootless: has("rootless"),
        userns: has("userns"),
        seccomp: has("seccomp"),
        cpus: info.ncpu.and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(0),
        swap_limit: info.swap_limit.unwrap_or(false),
        memory_limit: info.memory_limit.unwrap_or(true),
        pids_limit: info.pids_limit.unwrap_or(true),
        cpu_limit: info.cpu_cfs_quota.unwrap_or(true),
        disk_limit,
        live_restore: info.live_restore_enabled.unwrap_or(false),
    }
}

/// How runners are reached, by what is asked and where the engine is.
pub(super) fn decide_line(asked: LineChoice, host: &Host, shape: &SandboxShape) -> LineKind {
    match asked {
        LineChoice::Socket => LineKind::Socket,
        LineChoice::Tcp => LineKind::Tcp,
        LineChoice::Exec => LineKind::Exec,
        LineChoice::Auto => match host {
            Host::Unix(socket) if shares_our_files(socket) => LineKind::Socket,
            // This server is in a container of the same engine: it can join a sandbox's network.
            Host::Unix(_) if shape.network == "private" && own_container().is_some() => {
                LineKind::Tcp
            }
            Host::Unix(_) | Host::Tcp { .. } | Host::Ssh { .. } => LineKind::Exec,
        },
    }
}

/// Whether whoever made this socket sees the same files as we do. A server in a container that was
/// given the engine's socket does not.
fn shares_our_files(socket: &Path) -> bool {
    let Ok(stream) = std::os::unix::net::UnixStream::connect(socket) else { return true };
    // Who is outside of our process namespace has no number here, so there are no credentials.
    let Ok(peer) = rustix::net::sockopt::socket_peercred(&stream) else { return false };
    let process = format!("/proc/{}", peer.pid.as_raw_nonzero());
    if !Path::new(&process).exists() {
        return false;
    }
    let theirs = format!("{process}/ns/mnt");
    match (fs::metadata(theirs), fs::metadata("/proc/self/ns/mnt")) {
        (Ok(theirs), Ok(ours)) => theirs.ino() == ours.ino(),
        // Another user's process, seen from the same process namespace.
        _ => true,
    }
}

/// The id of the container that this server is in, where it can be told.
pub(super) fn own_container() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    container_in(&mounts)
}

/// Engines mount a file of the container's own folder at `/etc/hostname`.
fn container_in(mountinfo: &str) -> Option<String> {
    let line = mountinfo.lines().find(|line| line.split(' ').nth(4) == Some("/etc/hostname"))?;
    let source = line.split(' ').nth(3)?;
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
    source.split('/').find(is_id).map(str::to_owned)
}

/// For operators.
pub(super) fn capabilities(
    facts: &Facts,
    host: &Host,
    line: LineKind,
    shape: &SandboxShape,
) -> Capabilities {
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let all = [
        ("engine", format!("{} {}", facts.product, facts.server)),
        ("address", host.shown()),
        ("api", facts.api.clone()),
        ("cgroup", format!("v{}", facts.cgroup)),
        ("storage", facts.storage.clone()),
        ("runtimes", facts.runtimes.join(", ")),
        ("rootless", yes_no(facts.rootless)),
        ("user namespaces", yes_no(facts.userns || facts.rootless)),
        ("live restore", yes_no(facts.live_restore)),
        ("processors", facts.cpus.to_string()),
        ("line", line.word().to_owned()),
    ];
    Capabilities {
        facts: all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        lacks: lacks(facts, shape),
        pause: !(facts.rootless && facts.cgroup == "1"),
        pool: true,
    }
}

/// What the configuration asks and this engine can't do.
fn lacks(facts: &Facts, shape: &SandboxShape) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut lack = |missing: bool, words: &str| {
        if missing {
            lacks.push(words.to_owned());
        }
    };
    lack(
        shape.memory > 0 && !facts.memory_limit,
        "sandbox.docker.memory: this engine can't limit memory; sandboxes can use all of the machine's",
    );
    lack(
        shape.memory > 0 && facts.memory_limit && !facts.swap_limit,
        "sandbox.docker.memory_swap: this kernel can't limit swap; a sandbox's memory may be swapped out beyond its limit",
    );
    lack(
        shape.pids_limit > 0 && !facts.pids_limit,
        "sandbox.docker.pids_limit: this engine can't limit processes; a fork bomb reaches the machine",
    );
    lack(
        shape.cpus > 0.0 && !facts.cpu_limit,
        "sandbox.docker.cpus: this engine can't limit processor time",
    );
    lack(
        shape.cpus > f64::from(facts.cpus) && facts.cpus > 0,
        &format!(
            "sandbox.docker.cpus: the engine has {} processors; the limit is cut down to that",
            facts.cpus
        ),
    );
    lack(
        shape.disk > 0 && !facts.disk_limit,
        &format!(
            "sandbox.docker.disk: the engine's storage ({}) can't limit disks (overlay2 on xfs with pquota, btrfs and zfs can); a sandbox can fill it",
            facts.storage
        ),
    );
    lack(
        !shape.runtime.is_empty() && !facts.runtimes.contains(&shape.runtime),
        &format!(
            "sandbox.docker.runtime: the engine has no runtime {:?}, so no sandbox can start; it has {}",
            shape.runtime,
            facts.runtimes.join(", ")
        ),
    );
    lack(
        !facts.seccomp,
        "the engine has no seccomp: more of the kernel's calls can be made from a sandbox",
    );
    lacks
}

/// What sandboxes are kept from.
pub(super) fn isolation(facts: &Facts, line: LineKind, shape: &SandboxShape) -> Isolation {
    let mut protects = vec![
        "files and processes of this machine and of other sandboxes".to_owned(),
        "new rights (no-new-privileges; all capabilities dropped but those configured)".to_owned(),
        "the engine's socket, the server's data, other sessions' runners".to_owned(),
    ];
    let mut exposes = vec!["the kernel is shared: a flaw in it may be a way out".to_owned()];
    if !shape.runtime.is_empty() && shape.runtime != "runc" && shape.runtime != "crun" {
        exposes.clear();
        protects.push(format!("the kernel, as far as the runtime {} does", shape.runtime));
    }
    match shape.network.as_str() {
        "none" => protects.push("any network".to_owned()),
        "private" => {
            protects.push("other sandboxes' networks".to_owned());
            exposes
                .push("sandboxes reach what this machine reaches, and its open ports".to_owned());
        }
        other => exposes.push(format!("sandboxes share the network {other}")),
    }
    if facts.userns || facts.rootless {
        protects.push("root in a sandbox is nobody on this machine".to_owned());
    } else {
        exposes.push("root in a sandbox is root to the kernel, without its rights".to_owned());
    }
    if !(shape.disk > 0 && facts.disk_limit) {
        exposes.push("a sandbox can fill the engine's disk".to_owned());
    } else if line == LineKind::Socket {
        exposes.push("a sandbox can fill the disk of the server's data_dir by its shared folder; sandbox.docker.line = \"exec\" has none".to_owned());
    }
    for mount in &shape.mounts {
        exposes.push(format!(
            "{} ({})",
            mount.source,
            if mount.read_only { "read" } else { "read and write" }
        ));
    }
    Isolation { tier: "container".to_owned(), protects, exposes }
}

#[cfg(test)]
mod tests {
    use bollard::models::SystemInfoCgroupVersionEnum;

    use super::*;
    use crate::docker::settings::tests::shape;

    fn version(api: &str, os: &str) -> SystemVersion {
        SystemVersion { api_version: Some(api.into()), os: Some(os.into()), ..Default::default() }
    }

    #[test]
    fn an_old_api_and_another_system_are_refused_in_words() {
        for (api, os, word) in [
            ("1.40", "linux", "1.41 or newer"),
            ("", "linux", "1.41"),
            ("1.53", "windows", "windows"),
        ] {
            let refused = check_version(&version(api, os)).expect_err(api);
            assert!(refused.to_string().contains(word), "{refused}");
        }
        check_version(&version("1.41", "linux")).expect("just new enough");
        check_version(&version("2.0", "")).expect("newer");
    }

    #[test]
    fn what_the_engine_lacks_is_named_by_its_key() {
        let asked = SandboxShape { disk: 1, runtime: "runsc".into(), cpus: 9.0, ..shape() };
        let info = SystemInfo {
            driver: Some("overlay2".into()),
            driver_status: Some(vec![vec!["Backing Filesystem".into(), "extfs".into()]]),
            ncpu: Some(2),
            cgroup_version: Some(SystemInfoCgroupVersionEnum::_1),
            security_options: Some(vec!["name=seccomp,profile=default".into()]),
            pids_limit: Some(false),
            ..Default::default()
        };
        let facts = facts(&version("1.41", "linux"), info);
        assert_eq!(facts.storage, "overlay2 on extfs");
        let lacks = lacks(&facts, &asked);
        for key in ["memory_swap", "pids_limit", "cpus", "disk", "runtime"] {
            assert!(
                lacks.iter().any(|lack| lack.starts_with(&format!("sandbox.docker.{key}"))),
                "{key}: {lacks:?}"
            );
        }
        assert_eq!(lacks.len(), 5, "{lacks:?}");
    }

    #[test]
    fn the_own_container_is_read_from_the_mounts() {
        let id = "ab".repeat(32);
        let text = format!(
            "30 1 0:1 / / rw - overlay o rw\n31 30 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
        );
        assert_eq!(container_in(&text), Some(id));
        assert_eq!(container_in("30 1 0:1 / / rw - ext4 /dev/sda rw\n"), None);
    }
}
