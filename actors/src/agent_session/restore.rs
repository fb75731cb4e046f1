//! Rebuilding an agent's state from the log. Pure.

use std::collections::BTreeMap;

use staithe_protocol::{AgentState, Body, Event, EventId, Observation};

use super::state::Pending;

/// Collects, event by event, what a new [`AgentSession`](super::AgentSession) starts from.
#[derive(Debug, Default)]
pub struct Restored {
    agent: Option<AgentState>,
    unanswered: BTreeMap<EventId, Pending>,
}

impl Restored {
    /// Takes the next event of the log.
    pub fn take(&mut self, event: Event) {
        match event.body {
            Body::Action(action) => {
                let pending =
                    Pending { id: event.id, source: event.source, action, timeout: event.timeout };
                self.unanswered.insert(event.id, pending);
            }
            Body::Observation(observation) => {
                if let Some(cause) = event.cause {
                    self.unanswered.remove(&cause);
                }
                if let Observation::AgentStateChanged(changed) = observation {
                    self.agent = Some(changed.agent_state);
                }
            }
        }
    }

    /// The agent's last state and the actions without an observation, in order.
    pub fn finish(self) -> (AgentState, Vec<Pending>) {
        let agent = self.agent.unwrap_or(AgentState::Loading);
        (agent, self.unanswered.into_values().collect())
    }
}
