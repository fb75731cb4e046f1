//! Which packages bring what, for each system. Pure.

use super::denied::RecipeDenied;
use crate::{
    base::{BaseFacts, Thing},
    inputs::System,
};

/// What any sandbox is easier to work in with, where the base has it not.
const BASICS: [Thing; 6] =
    [Thing::Bash, Thing::CaCertificates, Thing::Curl, Thing::Git, Thing::Procps, Thing::Ripgrep];

/// What the makers of helper stages call.
const HELPERS: [&str; 3] = ["findutils", "gzip", "tar"];

/// The base system's, with Python where that is needed.
pub(super) fn base_system(facts: &BaseFacts, python: bool, vscode: bool) -> Vec<&'static str> {
    let missing = BASICS.into_iter().filter(|thing| !facts.has.contains(thing));
    let mut all: Vec<&str> = missing.filter_map(|thing| package(facts, thing)).collect();
    if python && !facts.has.contains(&Thing::Python) {
        all.extend(self::python(facts));
    }
    if vscode {
        // Node's own library, which small bases leave out.
        all.extend(match facts.system {
            System::Apt | System::Zypper => Some("libstdc++6"),
            System::Dnf => Some("libstdc++"),
            System::Apk | System::None => None,
        });
    }
    all.sort_unstable();
    all
}

fn package(facts: &BaseFacts, thing: Thing) -> Option<&'static str> {
    Some(match (thing, facts.system) {
        (_, System::None) => return None,
        (Thing::Bash, _) => "bash",
        (Thing::CaCertificates, System::Zypper) => "ca-certificates-mozilla",
        (Thing::CaCertificates, _) => "ca-certificates",
        (Thing::Curl, _) => "curl",
        (Thing::Git, System::Zypper) => "git-core",
        (Thing::Git, _) => "git",
        (Thing::Procps, System::Dnf) => "procps-ng",
        (Thing::Procps, _) => "procps",
        // Searching in the editor needs it; the sets of these have it not, and all else works without.
        (Thing::Ripgrep, _) if is_enterprise(facts) => return None,
        (Thing::Ripgrep, _) => "ripgrep",
        _ => return None,
    })
}

fn python(facts: &BaseFacts) -> &'static [&'static str] {
    match facts.system {
        System::Apt => &["python3", "python3-venv"],
        // What is called python3 there is older than what the kernel needs.
        System::Dnf if is_enterprise(facts) && facts.os_version.starts_with(['8', '9']) => {
            &["python3.11", "python3.11-pip"]
        }
        System::Zypper if facts.os_version.starts_with("15") => &["python311", "python311-pip"],
        System::Dnf | System::Zypper => &["python3", "python3-pip"],
        System::Apk => &["py3-pip", "python3"],
        System::None => &[],
    }
}

fn is_enterprise(facts: &BaseFacts) -> bool {
    const ALL: [&str; 8] =
        ["rhel", "centos", "rocky", "almalinux", "ol", "amzn", "sles", "sle_hpc"];
    ALL.contains(&facts.os.as_str())
}

/// A Chromium and a font, without which its pages have no text.
pub(super) fn chromium(facts: &BaseFacts) -> Result<Vec<&'static str>, RecipeDenied> {
    // Ubuntu's package only asks for a snap.
    if is_enterprise(facts) || facts.os == "ubuntu" {
        return Err(RecipeDenied::NoChromium { os: format!("{} {}", facts.os, facts.os_version) });
    }
    Ok(match facts.system {
        System::Apt => vec!["chromium", "fonts-dejavu-core"],
        System::Dnf => vec!["chromium-headless", "dejavu-sans-fonts"],
        System::Apk => vec!["chromium", "font-dejavu"],
        System::Zypper => vec!["chromium", "dejavu-fonts"],
        System::None => return Err(RecipeDenied::NoPackages { what: "a Chromium" }),
    })
}

/// What a helper stage needs to make the VS Code server. `python`: it fetches Node by pip.
pub(super) fn helpers(facts: &BaseFacts, python: bool, xz: bool) -> Vec<&'static str> {
    let mut all: Vec<&str> = match facts.system {
        System::Dnf | System::Zypper => HELPERS.to_vec(),
        System::Apt | System::Apk | System::None => Vec::new(),
    };
    if python && !facts.has.contains(&Thing::Python) {
        all.extend(self::python(facts));
    }
    if xz && facts.system != System::None {
        all.push(if facts.system == System::Apt { "xz-utils" } else { "xz" });
    }
    all.sort_unstable();
    all
}
