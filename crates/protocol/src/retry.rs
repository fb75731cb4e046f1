//! A model that did not answer and is asked again.

use serde::{Deserialize, Serialize};

/// The agent waits before it asks its model again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelRetry {
    /// Which try comes, from 1.
    pub attempt: u32,
    /// Tries before it is given up.
    pub most: u32,
    /// Milliseconds until then.
    pub wait_ms: u64,
    /// `model.rate_limited` or `model.unavailable`.
    pub code: String,
    /// What the provider said, cut to 300 characters; absent: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
