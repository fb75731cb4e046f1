//! What the server tells a runner once it is connected: how it is to serve beside running commands.

use serde::{Deserialize, Serialize};

use crate::{
    plugin::PluginSettings, port::PortSettings, terminal::TerminalSettings, watch::WatchSettings,
};

/// All of it. Told anew on every line; a runner that has it already does nothing more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    pub terminals: TerminalSettings,
    pub watch: WatchSettings,
    pub plugins: PluginSettings,
    pub ports: PortSettings,
}
