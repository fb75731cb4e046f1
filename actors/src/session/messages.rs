//! What may be asked of a [`Session`](super::Session).

use actix::{Addr, Message};
use staithe_protocol::{EventId, Phase, api::AdminSession};
use staithe_store::StoreFailed;

use crate::{
    agent_session::{
        choice::{AgentChoice, AgentView},
        messages::{Submit, SubmitFailed},
    },
    event_stream::{
        EventStream,
        feed::{ClientInfo, Subscription},
    },
    mail::SendFailed,
    pool::messages::{ClaimSandbox, Claimed},
    runtime::Runtime,
    session_manager::messages::TooMany,
};

/// Sent by the front: have the session running. Accepted in every phase but `stopping`, as far as the
/// limits allow; repeated, it does nothing more. Answers the phase at once; the rest is told by events.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Phase, PhaseDenied>")]
pub struct StartSession;

/// Sent by the front: end the sandbox; workspace and events stay. Answers the phase at once.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Phase, PhaseDenied>")]
pub struct StopSession;

/// Sent by the manager when it drains: let the sandbox sleep, or leave it running for the next server.
/// Answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SuspendSession {
    pub keep_sandbox: bool,
}

/// Sent by the manager: end the sandbox and remove the workspace. Answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ClearSession;

/// Why a phase can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhaseDenied {
    #[error("the session is being stopped")]
    Stopping,
    #[error("the session is already stopped")]
    AlreadyStopped,
    #[error("the server is draining and starts nothing")]
    Draining,
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// Told by the manager: what became of a request for a place. An older ticket is stale.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct PlaceNews {
    pub ticket: u64,
    pub place: Place,
}

/// A place among those that may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Granted,
    /// From 1.
    Waiting {
        position: u32,
    },
    Denied(TooMany),
}

/// Sent by `Runtime`: a started sandbox out of the pool. Answered when its key and workspace are in the
/// session's record; it still has to be given the session's name.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Claimed>")]
pub struct ClaimForSession(pub ClaimSandbox);

/// Sent by `Runtime`: the claim came to nothing, and its workspace is gone. Answered when that is
/// durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetClaim;

/// Told by the manager: the engine has something else than this session should. A hint: what is so is
/// looked up, and mended where it is wrong.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LookForSandbox;

/// Told by `EventStream`, once: the store took an event not, so the stream takes none any more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct StreamBroken {
    pub cause: String,
}

/// Sent by the front: take an action, waking the session when it sleeps.
#[derive(Debug, Message)]
#[rtype(result = "Result<EventId, SubmitFailed>")]
pub struct SubmitAction(pub Submit);

/// Sent by `ClientSocket`s: join the stream, waking the session when it sleeps.
#[derive(Debug, Message)]
#[rtype(result = "Result<Subscription, SendFailed>")]
pub struct JoinSession(pub ClientInfo);

/// Sent by the front: the runtime, for files and bulk bytes.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Addr<Runtime>")]
pub struct GetRuntime;

/// Sent by operators: the runtime, to look at it. It neither wakes the session nor keeps it awake.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Addr<Runtime>")]
pub struct PeekRuntime;

/// Sent by proxies to a sandbox: somebody uses the session. It is woken when it sleeps; the answer is
/// the phase. At most one in a few seconds is of use.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Phase")]
pub struct TouchSession;

/// Sent by the front: the stream.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Addr<EventStream>")]
pub struct GetStream;

/// Sent by the front: the agent as it is and works.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<AgentView, SendFailed>")]
pub struct LookAtAgent;

/// Sent by the front: people choose otherwise; what is left out stays. Answers when that is durable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<AgentView, ChooseFailed>")]
pub struct ChooseAgent(pub AgentChoice);

/// Why a choice does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ChooseFailed {
    #[error("the choice could not be made durable")]
    Store(#[from] StoreFailed),
    #[error(transparent)]
    Send(#[from] SendFailed),
}

/// Sent by operators: the session whole.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "AdminSession")]
pub struct GetAdminView;

/// Sent by the front: have another title. Answers when that is durable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), StoreFailed>")]
pub struct RetitleSession(pub String);
