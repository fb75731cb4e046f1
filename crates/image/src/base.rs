//! What a base image has, and so need not be given. Pure: whoever can look into images does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::inputs::System;

/// What is known of a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFacts {
    pub system: System,
    pub libc: Libc,
    /// Programs that are there already.
    pub has: BTreeSet<Thing>,
    /// Whom it runs as; empty: root, or not known.
    pub user: String,
    /// `ID` and `VERSION_ID` of its os-release, such as `debian` and `12`; empty: not known.
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
