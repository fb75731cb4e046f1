//! What the engine asks of the launcher, and what the launcher reports back; both are JSON files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::LaunchFailed;

/// How strongly a sandbox is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The strongest that can be had here.
    Auto,
    /// Own namespaces and root, Landlock, seccomp.
    Namespaces,
    /// Landlock and seccomp on the host's root.
    Landlock,
    /// Nothing but seccomp where it can be had.
    None,
}

impl Tier {
    /// The tier of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "namespaces" => Self::Namespaces,
            "landlock" => Self::Landlock,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

/// What of the network a sandbox reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// What the host reaches.
    Host,
    /// Itself at most.
    None,
}

/// One sandbox to launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The host's directory that becomes `/workspace`.
    pub workspace: PathBuf,
    /// The directory that server and sandbox share for the runner's socket.
    pub run_dir: PathBuf,
    pub hostname: String,
    pub network: Network,
    pub tier: Tier,
    /// Further paths of the host that can be read, at the same place.
    #[serde(default)]
    pub read_only_paths: Vec<PathBuf>,
    /// Paths of the host that are never seen, also where they lie below readable ones.
    #[serde(default)]
    pub hidden_paths: Vec<PathBuf>,
    /// Size of `/tmp`, and of `/dev/shm`.
    pub tmpfs_bytes: u64,
    /// Most processes.
    pub pids_limit: u64,
    /// Environment of the runner, besides what is always set.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where the [`TierReport`] goes; a path that the sandbox does not see.
    pub tier_report: PathBuf,
    /// Only try: report and exit 0 in place of the runner.
    #[serde(default)]
    pub probe: bool,
    /// What is run in place of the runner, with its arguments.
    #[serde(default)]
    pub command: Option<Vec<String>>,
}

impl Spec {
    /// Reads a spec.
    pub(super) fn read(path: &Path) -> Result<Self, LaunchFailed> {
        let failed = |cause: String| LaunchFailed::Spec { path: path.to_owned(), cause };
        let text = fs::read(path).map_err(|e| failed(e.to_string()))?;
        let spec: Self = serde_json::from_slice(&text).map_err(|e| failed(e.to_string()))?;
        match spec.read_only_paths.iter().find(|path| !can_be_shown(path)) {
            Some(bad) => Err(failed(format!("{} can't be a read-only path", bad.display()))),
            None => Ok(spec),
        }
    }
}

/// Whether a path of the host can be shown at its own place: it must not cover what a sandbox has of
/// its own, nor bring in devices and processes.
fn can_be_shown(path: &Path) -> bool {
    let plain = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
    path.is_absolute()
        && path.components().all(plain)
        && !OWN.iter().any(|own| path.starts_with(own))
        && !OWN.iter().chain(MIXED).any(|own| Path::new(own).starts_with(path))
}

/// Places that are wholly the sandbox's own.
const OWN: &[&str] = &["/proc", "/dev", "/workspace", "/run/staithe", "/run/staithe-runner"];
/// Places in which a path of the host may be shown, but that are never the host's.
const MIXED: &[&str] = &["/etc", "/tmp", "/run"];

/// The isolation that stands around a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierReport {
    pub tier: Tier,
    /// Landlock's version in use; 0 when it is not.
    pub landlock_abi: u32,
    pub seccomp: bool,
    pub network: Network,
    /// Whether `pids_limit` is the sandbox's own and holds.
    pub pids_limited: bool,
    /// Whether the server's user is the host's root.
    pub root: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_readable_path_covers_what_is_the_sandboxes_own() {
        for good in ["/srv/tools", "/root/.cargo", "/etc/java", "/tmp/a", "/run/nix"] {
            assert!(can_be_shown(Path::new(good)), "{good}");
        }
        let bad = ["/", "/etc", "/proc", "/proc/1", "/dev", "/tmp", "/run", "/workspace/a", "a"];
        for bad in bad.into_iter().chain(["/srv/../etc", "/run/staithe/a", ""]) {
            assert!(!can_be_shown(Path::new(bad)), "{bad}");
        }
    }
}
