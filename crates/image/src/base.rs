//! What a base image has, and so need not be given. Pure: whoever can look into images does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    inputs::{System, SystemChoice},
    places::{INSTALLERS, NODE, OS_RELEASE, PLACES, PYTHONS, libc},
    refs::ImageRef,
};

/// What is known of a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFacts {
    pub system: System,
    pub libc: Libc,
    /// Programs that are there already.
    pub has: BTreeSet<Thing>,
    /// Whom it runs as; empty: root, or not known.
    pub user: String,
    /// `ID` and `VERSION_ID` of its os-release, such as `debian` and `12`, without what such words can't have in
    /// them; empty: not known.
    pub os: String,
    pub os_version: String,
    /// Somebody looked into it; else the facts are a guess by its name.
    pub seen: bool,
}

/// The C library, which decides which binaries run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Libc {
    Glibc,
    Musl,
    None,
}

/// A program that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// `/bin/sh`, without which nothing can be run in a build.
    Sh,
    Bash,
    Git,
    Curl,
    /// Certificates of authorities.
    CaCertificates,
    /// `ps`.
    Procps,
    /// `rg`.
    Ripgrep,
    /// Python 3 with `venv` and `pip`.
    Python,
    Npm,
    Chromium,
    /// A VS Code server at a place where the runner looks.
    Vscode,
    /// A kernel gateway at a place where the runner looks.
    Jupyter,
}

impl BaseFacts {
    /// The same with what the configuration says of the system. It goes before what was seen.
    #[must_use]
    pub fn with_system(mut self, choice: SystemChoice) -> Self {
        let system = match choice {
            SystemChoice::Auto => return self,
            SystemChoice::Apt => System::Apt,
            SystemChoice::Dnf => System::Dnf,
            SystemChoice::Apk => System::Apk,
            SystemChoice::Zypper => System::Zypper,
            SystemChoice::None => System::None,
        };
        self.system = system;
        self
    }
}

/// What follows from the paths that were found, of those of [`look_at`](crate::places::look_at) and with what
/// is in those of [`READ`](crate::places::READ). `user`: whom the image runs as.
pub fn facts(found: &BTreeMap<String, Option<Vec<u8>>>, user: &str) -> BaseFacts {
    let there = |path: &str| found.contains_key(path);
    let release = OS_RELEASE.iter().find_map(|path| found.get(*path)?.as_deref());
    let release = os_release(&String::from_utf8_lossy(release.unwrap_or_default()));
    let word = |key: &str| release.get(key).map(String::as_str).unwrap_or_default();
    let (os, like) = (short_word(word("ID")), word("ID_LIKE"));

    let installers = || INSTALLERS.iter().filter(|(_, paths)| paths.iter().any(|path| there(path)));
    // Some systems carry another one's tool: then the one that is named wins.
    let named = [os.as_str()].into_iter().chain(like.split_whitespace()).find_map(family);
    let own = named.and_then(|named| installers().find(|(system, _)| *system == named));
    let system = own.or_else(|| installers().next()).map_or(System::None, |(system, _)| *system);

    let mut has: BTreeSet<Thing> =
        PLACES.iter().filter(|(_, path)| there(path)).map(|(thing, _)| *thing).collect();
    if !NODE.iter().any(|path| there(path)) {
        has.remove(&Thing::Npm);
    }
    if os == "ubuntu" && !there("/usr/lib/chromium-browser/chromium-browser") {
        // There this name is a script that asks for snap.
        let others = PLACES.iter().filter(|(thing, path)| {
            *thing == Thing::Chromium && *path != "/usr/bin/chromium-browser"
        });
        if !others.into_iter().any(|(_, path)| there(path)) {
            has.remove(&Thing::Chromium);
        }
    }
    if python(&there) {
        has.insert(Thing::Python);
    }
    BaseFacts {
        system,
        libc: libc(&there, system),
        has,
        user: user.to_owned(),
        os,
        os_version: short_word(word("VERSION_ID")),
        seen: true,
    }
}

/// Words in the names of images that have dnf or what came before it.
const DNF_WORDS: &[&str] = &[
    "fedora",
    "rocky",
    "rockylinux",
    "alma",
    "almalinux",
    "centos",
    "ubi",
    "rhel",
    "redhat",
    "amazonlinux",
    "oracle",
    "oraclelinux",
];
/// Words in the names of images that have zypper.
const ZYPPER_WORDS: &[&str] = &["opensuse", "suse", "leap", "tumbleweed", "sle", "sles", "bci"];

/// What an image with this name most likely is. Of programs, nothing is taken for granted but a shell: to
/// install once more what is there costs little, and to miss it fails the build.
pub fn guess(image: &ImageRef) -> BaseFacts {
    let repository = image.repository().to_lowercase();
    let last = repository.rsplit('/').next().unwrap_or_default();
    let tag = image.tag.as_deref().unwrap_or_default().to_lowercase();
    let says = |words: &[&str]| {
        last.split(|c: char| !c.is_ascii_lowercase()).any(|word| words.contains(&word))
    };

    let (system, libc) = if says(&["scratch", "busybox", "distroless"])
        || last == "static"
        || repository.contains("distroless")
    {
        (System::None, Libc::None)
    } else if says(&["alpine"]) || tag.contains("alpine") {
        (System::Apk, Libc::Musl)
    } else if says(DNF_WORDS) {
        (System::Dnf, Libc::Glibc)
    } else if says(ZYPPER_WORDS) {
        (System::Zypper, Libc::Glibc)
    } else {
        (System::Apt, Libc::Glibc)
    };
    // A guessed system is believed where the name is the system's own.
    let os = if ["debian", "ubuntu", "fedora", "alpine"].contains(&last) { last } else { "" };
    let number = |c: char| !(c.is_ascii_digit() || c == '.');
    let version = if os.is_empty() { "" } else { tag.split(number).next().unwrap_or_default() };
    let shell = system != System::None || last.contains("busybox");
    BaseFacts {
        system,
        libc,
        has: shell.then_some(Thing::Sh).into_iter().collect(),
        user: String::new(),
        os: os.to_owned(),
        os_version: version.to_owned(),
        seen: false,
    }
}

/// The `KEY=value` lines of an os-release file, without quotes.
fn os_release(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.trim().split_once('=')?;
        Some((key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(pair).collect()
}

/// Most characters of a word of an os-release.
const MOST_WORD: usize = 64;

/// What a word of an os-release may be: it ends in labels and messages, and whoever made the image wrote it.
fn short_word(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(*c);
    text.chars().filter(fits).take(MOST_WORD).collect()
}

/// The system of an `ID` or a word of `ID_LIKE`.
fn family(id: &str) -> Option<System> {
    match id {
        "debian" | "ubuntu" => Some(System::Apt),
        "fedora" | "rhel" | "centos" | "rocky" | "almalinux" | "amzn" | "ol" => Some(System::Dnf),
        "alpine" => Some(System::Apk),
        id if id == "suse" || id == "sles" || id.starts_with("opensuse") => Some(System::Zypper),
        _ => None,
    }
}

/// The first `python3` of the usual path can make environments with pip in them. Which version that is can't
/// be seen, so each one beside it must be able to.
fn python(there: &impl Fn(&str) -> bool) -> bool {
    let Some(prefix) =
        ["/usr/local", "/usr"].into_iter().find(|prefix| there(&format!("{prefix}/bin/python3")))
    else {
        return false;
    };
    let mut beside =
        PYTHONS.iter().filter(|python| python.prefix == prefix && there(python.program)).peekable();
    beside.peek().is_some() && beside.all(|python| python.ensurepip.iter().any(|path| there(path)))
}

#[cfg(test)]
mod tests;
