//! What is known beside the log, and lost with a life of the server. Pure.

use std::{collections::BTreeSet, time::Duration};

use staithe_protocol::{AgentState, Event, EventId, Observation, Source, event::Body};

use super::{Append, Call, Equipment, Purpose, Spent, Timer};
use crate::{
    condense::Plan,
    instructions::Instructions,
    model::{Answer, ModelFailed},
    origin::Origin,
    prompt,
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) equipment: Equipment,
    pub(super) learned: Option<Instructions>,
    /// Instructions were asked for.
    pub(super) learning: bool,
    /// The append that is on its way to the log.
    pub(super) on_its_way: Option<Awaited>,
    pub(super) asking: Option<Asking>,
    /// What came of a question, until its event is made.
    pub(super) heard: Option<(Asking, Result<Answer, ModelFailed>)>,
    next_call: u64,
    next_timer: u64,
    /// The agent's action that was interrupted, or given to the executor.
    pub(super) interrupted: Option<EventId>,
    pub(super) released: Option<EventId>,
    pub(super) retry: Option<Again>,
    pub(super) limit: Option<Timer>,
    /// The newest message of a user that was looked at for words that call up knowledge.
    pub(super) considered: Option<EventId>,
    /// A message of a user that crossed the agent's way to rest.
    pub(super) wake: Option<EventId>,
    /// A crash cut a turn that is to be paused.
    pub(super) crashed: bool,
    /// Answers of the life before, whose calls are not carried out any more.
    pub(super) cut: BTreeSet<String>,
    pub(super) clock: Clock,
}

/// A question that is open.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) call: Call,
    pub(super) purpose: Purpose,
    /// The newest event that it tells.
    pub(super) seen: Option<EventId>,
    /// The model that is asked.
    pub(super) model: String,
    /// Tokens that it was thought to have.
    pub(super) estimated: u64,
    pub(super) plan: Option<Plan>,
}

/// A wait before the model is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) timer: Timer,
    pub(super) attempt: u32,
    pub(super) over: bool,
}

/// By what an event is known to be the one that was asked for. Not by its words: secrets are masked in those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    source: Source,
    cause: Option<EventId>,
    name: &'static str,
    state: Option<AgentState>,
    call_id: Option<String>,
    /// What was spent is told in it.
    pub(super) books: bool,
}

impl Awaited {
    pub(super) fn of(append: &Append) -> Self {
        let origin = append.tool_call_metadata.as_ref();
        Self::by(append.source, append.cause, &append.body, origin, append.llm_metrics.is_some())
    }

    /// Whether this is it.
    pub(super) fn is(&self, event: &Event) -> bool {
        let origin = event.tool_call_metadata.as_ref();
        let other = Self::by(event.source, event.cause, &event.body, origin, self.books);
        *self == other
    }

    fn by(
        source: Source,
        cause: Option<EventId>,
        body: &Body,
        origin: Option<&serde_json::Value>,
        books: bool,
    ) -> Self {
        let (name, state) = match body {
            Body::Action(action) => (action.name(), None),
            Body::Observation(Observation::AgentStateChanged(changed)) => {
                ("agent_state_changed", Some(changed.agent_state))
            }
            Body::Observation(observation) => (observation.name(), None),
        };
        let call_id = origin.and_then(Origin::from_value).and_then(|o| o.call).map(|c| c.id);
        Self { source, cause, name, state, call_id, books }
    }
}

impl Live {
    pub(super) fn call(&mut self) -> Call {
        self.next_call += 1;
        Call(self.next_call)
    }

    pub(super) fn timer(&mut self, of: fn(u64) -> Timer) -> Timer {
        self.next_timer += 1;
        of(self.next_timer)
    }

    pub(super) fn facts(&self) -> &prompt::Facts {
        &self.equipment.facts
    }
}

/// What was spent since an event last told it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The agent works since then.
    since: Option<Duration>,
    /// Not told yet.
    open: Spent,
    /// In the event that is on its way.
    booking: Spent,
}

impl Clock {
    /// Counts up to now, and on if the agent works.
    pub(super) fn tick(&mut self, now: Duration, works: bool) {
        if let Some(since) = self.since {
            self.open.worked += now.saturating_sub(since);
        }
        self.since = works.then_some(now);
    }

    /// The model answered.
    pub(super) fn spend(&mut self, spent: Spent) {
        self.open = self.open.plus(spent);
    }

    /// All that is to be told goes into an event; returns it. What was on its way and came to nothing, too.
    pub(super) fn book(&mut self) -> Spent {
        self.booking = self.booking.plus(std::mem::take(&mut self.open));
        self.booking
    }

    /// The event is in the log.
    pub(super) fn booked(&mut self) {
        self.booking = Spent::default();
    }

    /// All that the log does not tell yet.
    pub(super) fn beside(&self) -> Spent {
        self.booking.plus(self.open)
    }

    /// Whether there is something to tell.
    pub(super) fn is_open(&self) -> bool {
        self.open != Spent::default()
    }
}
