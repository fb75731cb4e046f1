//! Everything that decides what is in a runtime image. Pure. Whatever is in [`Inputs`] is in its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The version of Staithe.
    pub version: String,
    /// The image that it is built on, as it was written.
    pub base_image: String,
    /// As `os/arch[/variant]`; empty: the engine's own.
    pub platform: String,
    pub plugins: BTreeSet<Plugin>,
    /// Lines of a shell that are run last, as root; empty: none.
    pub extra_deps: String,
    /// Values for `ARG`s, which the extra lines see as variables. They stand in the image's history.
    pub build_args: BTreeMap<String, String>,
    /// How packages are installed, when it is not to be found out.
    pub system: SystemChoice,
    /// Whom commands run as: `NAME:UID[:GID]`, made when it isn't there; empty: as the base has it.
    pub user: String,
    /// Where programs are taken from for a base without package manager; empty: such a base gets none.
    pub tools_image: String,
    pub mirrors: Mirrors,
    /// The Node that runs the VS Code server, for a base without a fitting one.
    pub node: Download,
    /// The VS Code server.
    pub vscode: Download,
    /// A requirements file of pip's with hashes, whole; empty: the one that is shipped.
    pub jupyter_requirements: String,
}

/// Something that can be in an image for a plugin of the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plugin {
    /// Needs nothing in the image: the runner has it.
    AgentSkills,
    /// A Chromium.
    Browser,
    /// A kernel gateway and a Python kernel, in an environment of their own.
    Jupyter,
    /// A VS Code server with a Node of its own.
    Vscode,
}

impl Plugin {
    /// Every plugin, in the order in which they are installed.
    pub const ALL: [Self; 4] = [Self::AgentSkills, Self::Browser, Self::Jupyter, Self::Vscode];

    /// Its word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentSkills => "agent_skills",
            Self::Browser => "browser",
            Self::Jupyter => "jupyter",
            Self::Vscode => "vscode",
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Plugin {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|plugin| plugin.as_str() == word).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|plugin| plugin.as_str()).collect();
            format!("{word} is no plugin: {}", all.join(", "))
        })
    }
}

/// How packages are installed in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Debian, Ubuntu and what comes of them.
    Apt,
    /// Fedora, RHEL and what comes of them.
    Dnf,
    /// Alpine.
    Apk,
    /// openSUSE and SLE.
    Zypper,
    /// Not at all: busybox, scratch, distroless.
    None,
}

impl System {
    /// Its word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
            Self::Apk => "apk",
            Self::Zypper => "zypper",
            Self::None => "none",
        }
    }
}

/// The same as it is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemChoice {
    /// Found out by looking into the base, or by its name where it can't be looked into.
    #[default]
    Auto,
    Apt,
    Dnf,
    Apk,
    Zypper,
    None,
}

/// Where packages come from, each as an address; empty: where the base or the tool would look by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirrors {
    /// In place of the base's Debian or Ubuntu mirror.
    pub apt: String,
    /// In place of the base's Alpine mirror.
    pub apk: String,
    /// pip's index.
    pub pypi: String,
    /// npm's registry.
    pub npm: String,
}

/// One download.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// The version that is taken from the usual place.
    pub version: String,
    /// An archive in place of that: `http(s)://…`, or the path of a file of this machine; empty: none.
    pub source: String,
    /// `sha256:<hex>` or npm's `sha512-<base64>` of what is downloaded. Needed with a `source`.
    pub checksum: String,
}
