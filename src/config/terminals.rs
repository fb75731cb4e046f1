//! How terminals in sandboxes are kept.

use std::time::Duration;

use serde::Deserialize;
use staithe_protocol::terminal::{Driving, TerminalSettings};

use super::units::Span;

/// Each keeps what was said last in the runner's memory.
const MOST: u32 = 1024;
const LONGEST_GRACE: Duration = Duration::from_mins(1);

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

    /// What is wrong with it.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=MOST).contains(&self.max) {
            faults.push(format!("sandbox.terminals.max: from 1 to {MOST}"));
        }
        if self.grace.0 > LONGEST_GRACE {
            faults.push("sandbox.terminals.grace: at most 1m".to_owned());
        }
        faults
    }
}
