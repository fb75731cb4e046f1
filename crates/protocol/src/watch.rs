//! Changes of a workspace's files, as they are told to clients (reference §12.4).

use serde::{Deserialize, Serialize};

/// How a runner watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchSettings {}
