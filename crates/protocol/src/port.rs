//! Ports that programs in a sandbox listen on.

use serde::{Deserialize, Serialize};

/// A port that something listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Port {
    pub port: u16,
    /// Process and its name, where they can be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The plugin whose port it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ports {
    pub ports: Vec<Port>,
}

/// How a runner looks for ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortSettings {
    /// Between two looks, in milliseconds; 0: it doesn't look.
    pub every_ms: u64,
    /// Ports that are neither told of nor given out.
    pub withheld: Vec<u16>,
    /// Whether only sockets of the sandbox's own processes are told of: the network is the machine's.
    pub owned_only: bool,
}
