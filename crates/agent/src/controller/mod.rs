//! The agent's controller. Pure: a fold over the session's durable events, and effects that follow from it.
//!
//! ```text
//! every durable event ──fold──> Log ─┐
//! answers, timers, settings ─> Live ─┴─advance──> at most one Append or Ask at a time, and what goes beside it
//! ```
//! What is known from the log alone is changed by the fold alone ([`Controller::restore`] and
//! [`Controller::appended`] use the same), so a restart is the same fold without effects; then
//! [`Controller::resumed`] does what is missing.

pub mod effects;
mod spent;

use std::time::Duration;

use staithe_protocol::{Action, AgentState, Event, EventId, Source};

pub use self::effects::{Append, Call, Denied, Effect, Purpose, Spent, Timer};
use crate::{
    model::{Answer, ModelFailed},
    settings::{AgentSettings, Price},
};

/// How the agent works in this session; may change at any time.
#[derive(Clone, Debug)]
pub struct Configured {
    pub settings: AgentSettings,
    /// `Err`: no model answers, and why, for people: what to configure.
    pub model: Result<ModelFacts, String>,
}

/// What has to be known of the model that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// As the provider knows it.
    pub name: String,
    /// Tokens that it reads.
    pub window: u64,
    /// None: not known; costs count as nothing then.
    pub price: Option<Price>,
    /// Whether it sees pictures.
    pub vision: bool,
}

/// See the module. Times are measured from any origin, the same for all of one life.
#[derive(Debug)]
pub struct Controller {
    #[expect(dead_code, reason = "read once the machine is in")]
    configured: Configured,
}

impl Controller {
    /// A controller of an empty log, in the state `loading`.
    pub fn new(configured: Configured) -> Self {
        Self { configured }
    }

    /// Takes an event of the log of earlier lives, in the order of ids. No effects: after the last comes
    /// [`resumed`](Self::resumed), before anything else.
    pub fn restore(&mut self, _event: &Event) {}

    /// The log was read to its end. A turn that was cut is paused, or goes on as configured; what else was about to
    /// happen, happens.
    pub fn resumed(&mut self, _now: Duration) -> Vec<Effect> {
        Vec::new()
    }

    /// An event became durable, whoever asked for it: every one of the session, in the order of ids.
    pub fn appended(&mut self, _event: &Event, _now: Duration) -> Vec<Effect> {
        Vec::new()
    }

    /// What came of a question. One that is not open any more is passed over.
    pub fn heard(
        &mut self,
        _call: Call,
        _answer: Result<Answer, ModelFailed>,
        _now: Duration,
    ) -> Vec<Effect> {
        Vec::new()
    }

    /// A timer ran out. One that was armed anew or has no meaning any more is passed over.
    pub fn elapsed(&mut self, _timer: Timer, _now: Duration) -> Vec<Effect> {
        Vec::new()
    }

    /// Other settings or another model, from the next question on.
    pub fn set(&mut self, configured: Configured, _now: Duration) -> Vec<Effect> {
        self.configured = configured;
        Vec::new()
    }

    /// Whether a client may do this now. What needs a sandbox and how many may wait is the executor's to say.
    pub fn admit(&self, _action: &Action, _source: Source) -> Result<(), Denied> {
        Ok(())
    }

    /// The state as it was told last.
    pub fn state(&self) -> AgentState {
        AgentState::Loading
    }

    /// Whether the agent works, or is about to: something comes without anybody's doing.
    pub fn is_busy(&self) -> bool {
        false
    }

    /// Actions of the agent in the log, without an observation, that must not be carried out (yet): ask after the
    /// last [`restore`](Self::restore), and keep them from the executor until [`Effect::Release`].
    pub fn held(&self) -> Vec<EventId> {
        Vec::new()
    }

    /// What the session has cost so far.
    pub fn spent(&self) -> Spent {
        Spent::default()
    }
}
