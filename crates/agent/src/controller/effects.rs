//! What the shell around the controller is to do, and the words in which it is told and asked.

use std::time::Duration;

use serde_json::Value;
use staithe_protocol::{AgentState, Body, Event, EventId, Source};

use crate::model::Question;

/// One thing to do. Those of one call are done in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put this into the log. The durable event comes back by [`appended`](super::Controller::appended), like every
    /// other; until then the controller asks for no further append. If the log can't take it, the session has failed.
    Append(Box<Append>),
    /// Ask the model, and bring what came of it to [`heard`](super::Controller::heard) with the same call. At most one
    /// question is open at any time.
    Ask { call: Call, question: Box<Question>, purpose: Purpose },
    /// Nobody wants the answer to this question any more: drop its future. What still comes of it is passed over.
    Hush { call: Call },
    /// Interrupt the agent's running command, and answer the agent's commands that wait for the shell with
    /// `AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED`. What clients run stays. Harmless if nothing runs.
    Interrupt,
    /// Come back with [`elapsed`](super::Controller::elapsed) after this time. A timer of the same name takes the
    /// place of the one before.
    Arm { timer: Timer, after: Duration },
    /// Read the workspace's instructions and bring them to [`learned`](super::Controller::learned), empty ones if
    /// there are none or they can't be read.
    Learn,
    /// Carry out this action of the agent now: it is in the log, agreed to where that is needed, and given once only.
    /// An action with source `agent` that is not released is never carried out. After a restart, those without an
    /// observation that are not [`held`](super::Controller::held) were released in the life before.
    Release(EventId),
}

/// An event to be; the log gives its id and its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub source: Source,
    pub cause: Option<EventId>,
    pub body: Body,
    /// Seconds, for an action.
    pub timeout: Option<u64>,
    pub tool_call_metadata: Option<Value>,
    pub llm_metrics: Option<Value>,
}

impl Append {
    /// The event that it becomes in the log at this place.
    pub fn at(self, id: EventId, timestamp: String) -> Event {
        let Self { source, cause, body, timeout, tool_call_metadata, llm_metrics } = self;
        Event { id, timestamp, source, cause, body, tool_call_metadata, llm_metrics, timeout }
    }
}

/// The number of a question within a life of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call(pub u64);

/// What a question is for. Pieces of an answer are shown to people for a step alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    Step,
    Condense,
}

/// What a timer is for. It carries a number, so that a late one is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// The model is asked again.
    Retry(u64),
    /// The agent has worked as long as it may.
    Limit(u64),
}

/// A client's action that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Only the agent itself may do this. `action.agent_only`.
    #[error("{0} is an action of the agent, not of its clients")]
    AgentOnly(&'static str),
    /// There is no way from one state to the other.
    #[error("the agent can't go from {from:?} to {to:?}")]
    IllegalTransition { from: AgentState, to: AgentState },
    /// No model can be used. `model.not_configured`.
    #[error("no model can be used: give one a key first")]
    NoModel,
    /// A way out of a loop was chosen, and the agent is in none. `agent.no_loop`.
    #[error("the agent is in no loop")]
    NoLoop,
    /// There is no sandbox to go on in, and none will come by itself. `session.not_running`.
    #[error("the session is not running: start it first")]
    NoSandbox,
    /// A person decided on an action that is not asked about (any more).
    #[error("the agent does not ask about action {0} now")]
    NotAsked(EventId),
    /// The action can't be changed like that, and why. `action.malformed`.
    #[error("{0}")]
    Edit(String),
}

/// What the page shows of the task's price.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Answers of the model, delegates' among them.
    pub steps: u64,
    /// US dollars; 0 where the model's price is not known.
    pub cost: f64,
    /// Tokens of all answers, also of condensing.
    pub usage: crate::model::Usage,
    /// While the agent worked.
    pub worked: Duration,
}
