//! The three parts of a runtime image, each an image with a name of its own. Pure.
//!
//! | stage | what it adds | its image's name |
//! |---|---|---|
//! | system | packages of the base's own package manager, the user | versioned |
//! | deps | what is pinned: Jupyter, the VS Code server | lock |
//! | final | the extra lines | source |
//!
//! A build that begins from scratch makes all three; one from a versioned or a lock image makes the rest.

use serde::{Deserialize, Serialize};

/// What a build begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildFrom {
    /// The base image.
    Scratch,
    /// The image of the stage `system`.
    Versioned,
    /// The image of the stage `deps`.
    Lock,
}

impl BuildFrom {
    /// The stages that are left to be made. Each one's image gets its name once it is whole; an image that has the
    /// name already loses it, so a forced build leaves no old one under it.
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Self::Scratch => &[Stage::System, Stage::Deps, Stage::Final],
            Self::Versioned => &[Stage::Deps, Stage::Final],
            Self::Lock => &[Stage::Final],
        }
    }
}

/// A part of a runtime image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    System,
    Deps,
    Final,
}

impl Stage {
    /// Its name in a Dockerfile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Deps => "deps",
            Self::Final => "final",
        }
    }
}
