//! Terminals in a sandbox.

use serde::{Deserialize, Serialize};

/// How a runner keeps terminals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TerminalSettings {}
