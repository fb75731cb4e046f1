//! Why there is no Dockerfile for what was asked. Pure.

use crate::inputs::Plugin;

/// What can't be built, found before anything is tried. `Display` says the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeDenied {
    #[error("the VS Code server doesn't run on a base with the C library musl")]
    VscodeOnMusl,
    #[error("the packages of {os} have no Chromium that runs in a container")]
    NoChromium { os: String },
    #[error("{what} needs packages, and the base image has no package manager")]
    NoPackages { what: &'static str },
    #[error("{what} needs a shell, and the base image has no /bin/sh")]
    NoShell { what: &'static str },
    #[error("{what} needs {program}, which the base image has not and can't be given")]
    NoProgram { what: &'static str, program: &'static str },
    #[error("{key} has no checksum")]
    NoChecksum { key: &'static str },
    #[error("the checksum of {key} is neither sha256:<64 hex digits> nor sha512-<base64>")]
    BadChecksum { key: &'static str },
    #[error("{key} {problem}")]
    BadValue { key: String, problem: &'static str },
}

impl RecipeDenied {
    /// What can be done about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::VscodeOnMusl => format!(
                "choose a base image with glibc, such as a Debian, or leave out the plugin {}",
                Plugin::Vscode
            ),
            Self::NoChromium { .. } => format!(
                "choose a Debian, Fedora, Alpine or openSUSE base, one that has a Chromium already, or leave \
                 out the plugin {}",
                Plugin::Browser
            ),
            Self::NoPackages { .. } => {
                "choose a base image with apt, dnf, apk or zypper; for a base without any C library, such as \
                 busybox, name a Debian-like tools image"
                    .to_owned()
            }
            Self::NoShell { .. } => {
                "choose a base image with a shell, or leave out the extra lines; for a base without any C \
                 library, a tools image brings one"
                    .to_owned()
            }
            Self::NoProgram { program, .. } => {
                format!("choose a base image with {program}, or one with a package manager")
            }
            Self::NoChecksum { key } => {
                format!("set the checksum of {key}, so that nothing else can take its place")
            }
            Self::BadChecksum { .. } => {
                "write it as sha256sum prints it, after `sha256:`, or as npm shows it: `npm view \
                 NAME@VERSION dist.integrity`"
                    .to_owned()
            }
            Self::BadValue { key, .. } => format!("correct {key}"),
        }
    }
}
