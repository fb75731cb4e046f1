//! How terminals in sandboxes are kept.

use serde::Deserialize;
use staithe_protocol::terminal::{Driving, TerminalSettings};

use super::units::Span;

/// See `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminals {
    pub max: u32,
    pub driver: Driving,
    pub keep_ended: Span,
    pub grace: Span,
}

impl Terminals {
    /// What runners are told.
    pub fn settings(&self) -> TerminalSettings {
        let millis = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        TerminalSettings {
            max: self.max,
            driver: self.driver,
            keep_ended_ms: millis(self.keep_ended),
            grace_ms: millis(self.grace),
        }
    }
}
