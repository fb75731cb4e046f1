//! What the local engine isolates, measured by a try and said in plain sentences.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{
    LocalConfig, Network, Tier,
    launch::LaunchSpec,
    record::{Layout, make_private, write_private},
    removal, unavailable,
};
use crate::{EngineFailed, Isolation};

/// First version of Landlock that keeps signals and abstract sockets inside.
const LANDLOCK_WITH_SCOPES: u32 = 6;
/// First version of Landlock that keeps a program from sockets in the file system.
const LANDLOCK_WITH_SOCKETS: u32 = 9;

/// What the launcher reports; the runner's `launch::TierReport` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct TierReport {
    pub(super) tier: Tier,
    landlock_abi: u32,
    seccomp: bool,
    network: Network,
    pids_limited: bool,
    root: bool,
}

impl TierReport {
    /// A report that is there, and whole.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}

/// Tries the tier that is asked for.
pub(super) fn probe(config: &LocalConfig, layout: &Layout) -> Result<TierReport, EngineFailed> {
    let failed = |e: std::io::Error| {
        unavailable(format!("can't try a sandbox: {e}"), "look at the data_dir and the runner")
    };
    let dir = layout.transient().map_err(failed)?;
    let run = || {
        let spec = dir.join("launch.json");
        make_private(&dir.join("workspace"))?;
        make_private(&dir.join("run"))?;
        let content = serde_json::to_vec(&LaunchSpec::probe(config, layout, &dir))?;
        write_private(&spec, &content)?;
        let output = Command::new(&config.runner)
            .arg("launch")
            .arg(&spec)
            .env_clear()
            .stdin(Stdio::null())
            .output()?;
        Ok((output, TierReport::read(&dir.join("tier.json"))))
    };
    let ran = run();
    removal::remove_tree(&dir).map_err(failed)?;
    match ran.map_err(failed)? {
        (output, Some(report)) if output.status.success() => Ok(report),
        (output, _) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or("the launcher ended without a word");
            Err(unavailable(
                format!("{said} ({})", output.status),
                "set tier = \"auto\", or let the server's user make user namespaces",
            ))
        }
    }
}

/// Says what a report means.
pub(super) fn describe(report: &TierReport) -> Isolation {
    let (mut protects, mut exposes) = match report.tier {
        Tier::Namespaces => namespaces(report),
        Tier::Landlock => landlock(report),
        Tier::None | Tier::Auto => none(),
    };
    if report.seccomp {
        protects.push("System calls that reach the kernel's insides are refused.".into());
    } else {
        exposes.push("Every system call can be made: this kernel took no filter.".into());
    }
    match report.network {
        Network::None => protects.push("No network can be reached.".into()),
        Network::Host => exposes.push(
            "Processes share the host's network, with what listens on its loopback addresses."
                .into(),
        ),
    }
    if report.pids_limited {
        protects.push("The number of processes is limited.".into());
    } else if report.root {
        exposes.push(
            "The number of processes is not limited: the kernel keeps no such limit for root, \
             as which the server runs."
                .into(),
        );
    } else {
        exposes.push("The number of processes is not limited.".into());
    }
    exposes.push("Memory and CPU are not limited, nor is the size of the workspace.".into());
    exposes.push("A fault in the host's kernel can let a sandbox out.".into());
    Isolation { tier: report.tier.name().to_owned(), protects, exposes }
}

type Sentences = (Vec<String>, Vec<String>);

fn namespaces(report: &TierReport) -> Sentences {
    let mut protects = vec![
        "Of the host's files only programs, libraries and harmless settings are seen, and none can \
         be changed; the workspace alone can be written."
            .to_owned(),
        "Other sandboxes, their workspaces and the server's data are not seen.".to_owned(),
        "Other processes are neither seen nor reached.".to_owned(),
        "No capability is held, and none can be gained.".to_owned(),
    ];
    let mut exposes = Vec::new();
    if report.landlock_abi == 0 {
        exposes.push("Landlock, the second wall around files, is missing in this kernel.".into());
    } else {
        protects.push("Landlock stands as a second wall around files.".into());
    }
    (protects, exposes)
}

fn landlock(report: &TierReport) -> Sentences {
    let mut protects = vec![
        "Of the host's files only programs, libraries and harmless settings can be read; the \
         workspace and temporary files alone can be written."
            .to_owned(),
        "Other processes can't be traced, and their memory can't be read.".to_owned(),
    ];
    let mut exposes = vec![
        "User namespaces are refused here: processes run as the server's own user, and see the \
         list and the command lines of all processes."
            .to_owned(),
        "Terminals and temporary files of the server's user can be reached.".to_owned(),
        "Modes, times and limits of what the server's user owns can be changed.".to_owned(),
    ];
    if report.landlock_abi >= LANDLOCK_WITH_SCOPES {
        protects.push("Processes outside can't be signalled.".into());
    } else {
        exposes.push("Processes of the server's user can be signalled.".into());
    }
    if report.landlock_abi < LANDLOCK_WITH_SOCKETS {
        exposes.push(
            "Services that listen on unix sockets can be used as the server's user may: a \
             desktop's, an agent's, Docker's."
                .into(),
        );
    }
    (protects, exposes)
}

fn none() -> Sentences {
    let all = "Nothing keeps commands from the host: they can do whatever the server's user can.";
    (Vec::new(), vec![all.to_owned()])
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(tier: Tier) -> TierReport {
        TierReport {
            tier,
            landlock_abi: 7,
            seccomp: true,
            network: Network::Host,
            pids_limited: false,
            root: true,
        }
    }

    #[test]
    fn what_is_not_limited_is_said_in_every_tier() {
        for tier in [Tier::Namespaces, Tier::Landlock, Tier::None] {
            let said = describe(&report(tier)).exposes.join(" ");
            for word in ["Memory", "network", "number of processes"] {
                assert!(said.contains(word), "{tier:?} hides {word}");
            }
        }
    }

    #[test]
    fn the_weakest_tier_promises_nothing_of_files() {
        let said = describe(&report(Tier::None));
        assert!(said.exposes[0].contains("whatever the server's user can"));
        assert!(!said.protects.join(" ").contains("file"));
    }
}
