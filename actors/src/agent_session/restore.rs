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

impl Extend<Event> for Restored {
    fn extend<T: IntoIterator<Item = Event>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.take(event));
    }
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

#[cfg(test)]
mod tests {
    use staithe_protocol::{
        Action, Source,
        action::{Finish, Run},
        observation::{AgentStateChanged, RunObservation},
    };

    use super::*;

    fn event(id: u64, cause: Option<u64>, body: Body) -> Event {
        Event {
            id: EventId(id),
            timestamp: String::new(),
            source: Source::User,
            cause: cause.map(EventId),
            body,
            tool_call_metadata: None,
            llm_metrics: None,
            timeout: Some(7),
        }
    }

    fn run(id: u64) -> Event {
        event(id, None, Body::Action(Action::Run(Run::default())))
    }

    #[test]
    fn actions_without_an_observation_come_back_in_order_with_their_limits() {
        let mut restored = Restored::default();
        let done = Body::Observation(Observation::Run(RunObservation::default()));
        for event in [run(3), run(1), run(2), event(4, Some(1), done)] {
            restored.take(event);
        }
        let (agent, unanswered) = restored.finish();
        assert_eq!(agent, AgentState::Loading);
        let ids: Vec<_> = unanswered.iter().map(|it| (it.id.0, it.timeout)).collect();
        assert_eq!(ids, [(2, Some(7)), (3, Some(7))]);
    }

    #[test]
    fn the_last_change_of_state_counts_and_answers_its_action() {
        let mut restored = Restored::default();
        let changed = |agent_state| {
            let changed = AgentStateChanged { agent_state, ..AgentStateChanged::default() };
            Body::Observation(Observation::AgentStateChanged(changed))
        };
        restored.take(event(0, None, changed(AgentState::Init)));
        restored.take(event(1, None, Body::Action(Action::Finish(Finish::default()))));
        restored.take(event(2, Some(1), changed(AgentState::Finished)));
        assert_eq!(restored.finish(), (AgentState::Finished, Vec::new()));
    }
}
