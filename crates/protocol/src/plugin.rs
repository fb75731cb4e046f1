//! Plugins: programs that serve a session in its sandbox beside commands (reference §9).

use serde::{Deserialize, Serialize};

/// What a plugin does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PluginPhase {
    /// It was begun and does not answer yet.
    Starting,
    /// It answers.
    Ready,
    /// It ended by itself and is begun again.
    Restarting,
    /// It can't be had; the session goes on without it.
    Failed,
    /// It was ended as wished.
    Stopped,
}

/// One plugin's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginState {
    /// `vscode`, `jupyter`, `agent_skills`, `browser`.
    pub name: String,
    pub state: PluginPhase,
    /// For `failed` and `restarting`: why, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The port in the sandbox where it is served, for those with a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// Which plugins a runner has, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginSettings {
    /// Names of those that are wanted.
    pub wanted: Vec<String>,
}
