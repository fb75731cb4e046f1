//! What of the log has no observation yet, and what it says of what there is to work with. Pure.

use std::collections::BTreeMap;

use staithe_protocol::{Body, Event, EventId};

use super::{found::Found, state::Pending};

/// Collects, event by event, what a new [`AgentSession`](super::AgentSession) starts from.
#[derive(Debug, Default)]
pub struct Restored {
    unanswered: BTreeMap<EventId, Pending>,
    found: Found,
}

impl Restored {
    /// Takes the next event of the log.
    pub fn take(&mut self, event: &Event) {
        self.found.take(event);
        match &event.body {
            Body::Action(action) => {
                self.unanswered.insert(event.id, Pending::of(event, action.clone()));
            }
            Body::Observation(_) => {
                if let Some(cause) = event.cause {
                    self.unanswered.remove(&cause);
                }
            }
        }
    }

    /// The actions without an observation, in order, and what was found.
    pub fn finish(self) -> (Vec<Pending>, Found) {
        (self.unanswered.into_values().collect(), self.found)
    }
}

#[cfg(test)]
mod tests {
    use staithe_protocol::{Action, Observation, Source, action::Run, observation::RunObservation};

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
            restored.take(&event);
        }
        let (unanswered, _) = restored.finish();
        let ids: Vec<_> = unanswered.iter().map(|it| (it.id.0, it.timeout)).collect();
        assert_eq!(ids, [(2, Some(7)), (3, Some(7))]);
    }
}
