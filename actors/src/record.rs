//! A session's durable record: what the store keeps beside the events.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use staithe_protocol::{
    AgentState, Fault, Generation, Phase, SessionId,
    api::{Resources, StepTime},
};
use staithe_store::SessionRow;

use crate::{agent_session::choice::AgentChoice, session::task::FirstTask};

/// A session as it is kept. Versioned: [`SessionRecord::VERSION`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    pub version: u32,
    pub id: SessionId,
    pub title: String,
    pub owner: String,
    pub labels: BTreeMap<String, String>,
    pub image: Option<String>,
    /// What its sandbox may use, instead of the configuration's limits.
    #[serde(default)]
    pub resources: Resources,
    /// RFC 3339.
    pub created_at: String,
    pub updated_ms: i64,
    /// The last phase. A process that was killed left `starting`, `ready` or `stopping` behind.
    pub phase: Phase,
    pub fault: Option<Fault>,
    /// The agent's last state, for lists; the log decides.
    pub agent_state: AgentState,
    /// The last attempt to have a sandbox.
    pub generation: Generation,
    /// The key of the runner, for re-attaching. The file is readable by its owner alone.
    pub key: String,
    /// The runner's epoch when the session was last ready.
    pub epoch: Option<String>,
    /// The engine's name of the workspace, when there has been one.
    #[serde(default)]
    pub workspace: Option<String>,
    /// The steps of the last start that ended.
    #[serde(default)]
    pub start_steps: Vec<StepTime>,
    /// What people chose over the configuration's defaults.
    #[serde(default)]
    pub agent: AgentChoice,
    /// What of its beginning is still to be done.
    #[serde(default)]
    pub task: FirstTask,
}

impl SessionRecord {
    /// The form that this program writes.
    pub const VERSION: u32 = 1;

    /// As a row of the store.
    #[expect(clippy::missing_panics_doc, reason = "it can't: the keys are strings")]
    pub fn to_row(&self) -> SessionRow {
        let body = serde_json::to_vec(self).expect("a record is plain data with string keys");
        SessionRow { id: self.id, body: Bytes::from(body), updated_ms: self.updated_ms }
    }

    /// From a row of the store.
    pub fn from_row(row: &SessionRow) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(&row.body)
    }

    /// Whether its sandbox should be there: a crash doesn't change what was wanted.
    pub fn wants_sandbox(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready)
    }
}

/// A key for a runner: 256 bits from the system, in hexadecimal.
pub(crate) fn random_key() -> String {
    let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    halves.iter().map(|half| half.as_simple().to_string()).collect()
}
