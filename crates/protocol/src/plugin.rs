//! Plugins: programs that serve a session in its sandbox beside commands (reference §9).

use std::net::SocketAddr;

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
    /// It does not run, as wished: it was ended, or begins when it is first used.
    Stopped,
}

/// One plugin's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginState {
    /// `vscode`, `jupyter`, `agent_skills`, `browser`; `mcp:NAME` for a server of the Model Context Protocol, which
    /// has neither port nor page.
    pub name: String,
    pub state: PluginPhase,
    /// For `failed` and `restarting`: why, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The port in the sandbox where it is served, for those with a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path that its page is served below, as it is written in its addresses: whoever passes requests on
    /// leaves it in them. None: its page is at `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
}

/// When a plugin that is wanted begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginStart {
    /// With the session.
    Eager,
    /// When it is first used.
    #[default]
    Lazy,
}

/// Which plugins a runner has, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginSettings {
    /// Names of those that are wanted.
    pub wanted: Vec<String>,
    /// A plugin that does not answer after so many milliseconds can't be had.
    pub deadline_ms: u64,
    /// Where pages of this session are for its users: `/s/<session>/p`, to which `/<port>` is added.
    pub base: String,
    pub vscode: VscodeSettings,
    pub jupyter: JupyterSettings,
    pub browser: BrowserSettings,
}

/// The VS Code server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VscodeSettings {
    pub start: PluginStart,
    /// Programs that are looked for before the usual ones, the first goes before the second.
    pub paths: Vec<String>,
    /// Where it is served, at `/`, if not behind the server's proxy: for a runner that stands alone.
    pub listen: Option<SocketAddr>,
}

/// The browser. It begins when it is first used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrowserSettings {
    /// Programs that are looked for before the usual ones: a Chromium.
    pub paths: Vec<String>,
}

/// The kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JupyterSettings {
    pub start: PluginStart,
    /// Programs `jupyter` that are looked for before the usual ones.
    pub paths: Vec<String>,
    /// The kernel's name; empty: the gateway's own default.
    pub kernel: String,
}

/// What `GET /plugins/vscode/token` of a runner answers: all that a URL of VS Code is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VscodeDoor {
    /// Opens it; the same until the runner ends.
    pub token: String,
    pub port: u16,
    /// Where its page is, without a `/` at the end.
    pub base_path: String,
    /// The folder that it opens.
    pub folder: String,
}
