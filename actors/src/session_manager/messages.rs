//! What may be asked of the [`SessionManager`](super::SessionManager).

use std::collections::{BTreeMap, BTreeSet};

use actix::Message;
use serde::Serialize;
use staithe_engine::{EngineFailed, Sandbox};
use staithe_protocol::{SessionId, api::Resources, runner::Credential};
use staithe_store::StoreFailed;

use super::registry::SessionHandle;
use crate::{agent_session::choice::AgentChoice, mail::SendFailed, session::task::FirstTask};

/// Sent by the front: make a session. Answers at once, while its sandbox is being made. With a key, a
/// repetition answers the first session.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Created, CreateFailed>")]
pub struct CreateSession {
    pub owner: String,
    pub title: Option<String>,
    pub image: Option<String>,
    pub resources: Resources,
    pub labels: BTreeMap<String, String>,
    /// What it begins with, in the owner's name.
    pub task: FirstTask,
    /// Opens the repository. Kept in memory until it is cloned, and nowhere else.
    pub credential: Option<Credential>,
    /// What is chosen over the defaults.
    pub agent: AgentChoice,
    pub key: Option<IdempotencyKey>,
}

/// A caller's key for one creation, and what it stands for.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub key: String,
    pub digest: [u8; 32],
}

/// A session was made, or had been.
#[derive(Clone)]
pub struct Created {
    pub id: SessionId,
    /// The key was known.
    pub repeated: bool,
}

/// Why no session was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateFailed {
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("the server is draining and takes no new sessions")]
    Draining,
    #[error("the session could not be made durable")]
    Store(#[from] StoreFailed),
}

/// Why a session can't run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    #[error("{0} sessions are running already, the most that limits.max_sessions allows")]
    Sessions(usize),
    #[error(
        "{0} of your sessions are running already, the most that limits.max_sessions_per_user allows"
    )]
    OfUser(usize),
    #[error("{0} starts are waiting already, the most that limits.max_waiting allows")]
    Waiting(usize),
}

/// Sent by `Session`: a place to run in is wanted. Answered by `PlaceNews` under the same ticket, and
/// while it waits again when its place changes. Repeated, the place is the same.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct RequestStart {
    pub id: SessionId,
    pub ticket: u64,
    pub wish: Wish,
}

/// How a place is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// As a new start: it may be denied.
    Start,
    /// It was let in before a crash: it waits its turn and is not denied.
    Resume,
    /// Its sandbox runs already: it is let in whatever the limits.
    Attach,
}

/// Told by `Session`: its sandbox answers, so another may be started.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SandboxStarted(pub SessionId);

/// Told by an attempt of a session: it waits for an image that is built, so another may be started
/// meanwhile. Repeated, it does nothing more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LeaveTurn(pub SessionId);

/// Sent by the same attempt: it goes on starting. Answered when there is room for that; before anybody who
/// has not begun.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TakeTurn(pub SessionId);

/// Told by `Session`: it wants no sandbox any more and has none. Harmless without a place.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct GivePlaceBack(pub SessionId);

/// Sent to itself: who waits may have to hear of his place.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct PlacesChanged;

/// Sent by the front: the handle of a session, which is loaded when it rests.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<SessionHandle, OpenFailed>")]
pub struct OpenSession(pub SessionId);

/// Why a session can't be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenFailed {
    #[error("there is no session {0}")]
    NotFound(SessionId),
    #[error("the session could not be loaded: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Send(#[from] SendFailed),
}

/// Sent by the front: end a session and remove all of it. Answers when that is done; one that is gone
/// already is `NotFound`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), OpenFailed>")]
pub struct DeleteSession(pub SessionId);

/// Sent by `boot` and operators: take no new sessions; let all sandboxes sleep, or go on without this
/// process. Answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    pub keep_sandboxes: bool,
}

/// Sent by `boot` and operators: compare the records with what the engine has, and mend. A second one
/// finds nothing to do; one that comes while another is under way gets its report.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Reconciled, String>")]
pub struct Reconcile;

/// Sent by the manager's own clock: it is time for a pass.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct ReconcileDue;

/// Sent by a pass to itself: what the engine has.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Found {
    pub(super) sandboxes: Result<Vec<Sandbox>, EngineFailed>,
    /// The numbers of the pool's sandboxes meanwhile.
    pub(super) pool: BTreeSet<String>,
}

/// Sent by a pass to itself: what was planned is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Mended(pub(super) Reconciled);

/// What a reconcile pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Sessions taken up again, with their sandbox or a new one.
    pub adopted: Vec<SessionId>,
    /// Sandboxes removed: nobody's, or of sessions that rest.
    pub reaped: Vec<String>,
    /// What belonged to no session and no sandbox, in the engine's words, and was removed.
    pub swept: Vec<String>,
}

/// A session was loaded, or could not be; sent by the manager's own futures.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Loaded {
    pub(super) id: SessionId,
    pub(super) outcome: Result<Box<super::load::Loaded>, OpenFailed>,
}
