//! What may be asked of an [`AgentSession`](super::AgentSession).

use actix::{Message, WeakAddr};
use staithe_agent::controller::Denied;
use staithe_protocol::{Action, AgentState, EventId, Source};

use crate::{
    agent_session::choice::{AgentChoice, AgentView},
    event_stream::messages::{AppendFailed, Reference},
    mail::SendFailed,
    runtime::Runtime,
};

/// Sent by `Session` for a client: take this action. Answers when its event is durable; what comes of
/// it is the observation whose `cause` is that event. With a reference, a repetition answers the
/// first event and acts no second time.
#[derive(Debug, Message)]
#[rtype(result = "Result<EventId, SubmitFailed>")]
pub struct Submit {
    pub source: Source,
    pub action: Action,
    /// Seconds.
    pub timeout: Option<u64>,
    pub reference: Option<Reference>,
}

/// Why an action was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitFailed {
    #[error(transparent)]
    Denied(#[from] SubmitDenied),
    #[error(transparent)]
    Append(#[from] AppendFailed),
    #[error(transparent)]
    Send(#[from] SendFailed),
}

/// The caller asked for what can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitDenied {
    /// Only the agent itself may do this.
    #[error("{0} is an action of the agent, not of its clients")]
    AgentOnly(&'static str),
    /// There is no way from one state to the other.
    #[error("the agent can't go from {from:?} to {to:?}")]
    IllegalTransition { from: AgentState, to: AgentState },
    /// No model can be used.
    #[error("no model can be used: give one a key first")]
    NoModel,
    /// A way out of a loop was chosen, and the agent is in none.
    #[error("the agent is in no loop")]
    NoLoop,
    /// A person decided on an action that is not asked about (any more).
    #[error("the agent does not ask about action {0} now")]
    NotAsked(EventId),
    /// The action that is asked about can't be changed like that, and why.
    #[error("{0}")]
    Edit(String),
    /// Too many actions wait already.
    #[error("{0} actions wait in this session already")]
    QueueFull(usize),
    /// The session has no sandbox and won't get one by itself.
    #[error("the session is not running: start it first")]
    NotRunning,
}

impl From<Denied> for SubmitDenied {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::AgentOnly(action) => Self::AgentOnly(action),
            Denied::IllegalTransition { from, to } => Self::IllegalTransition { from, to },
            Denied::NoModel => Self::NoModel,
            Denied::NoLoop => Self::NoLoop,
            Denied::NoSandbox => Self::NotRunning,
            Denied::NotAsked(id) => Self::NotAsked(id),
            Denied::Edit(why) => Self::Edit(why),
        }
    }
}

/// Sent by `Session`: the runner answers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RuntimeUp {
    pub runtime: WeakAddr<Runtime>,
    pub epoch: String,
    /// As it is seen in the sandbox.
    pub workspace: String,
}

/// Sent by `Session`: the line is cut, or the sandbox is gone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct RuntimeDown {
    /// Whether it may come back: then what waits goes on waiting.
    pub hopeless: bool,
}

/// Sent by `Session`: does an action run or wait, or does the agent work?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct IsBusy;

/// Sent by `Session`: the agent as it is and works.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "AgentView")]
pub struct GetAgent;

/// Sent by `Session`: all that people chose over the defaults. It holds from the next question to a model on;
/// repeated, it does nothing more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "AgentView")]
pub struct SetAgent(pub AgentChoice);

/// Told to `Session`: the agent's state changed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct AgentStateNews(pub AgentState);
