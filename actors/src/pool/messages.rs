//! What may be asked of the [`Pool`](super::Pool).

use std::{collections::BTreeSet, fmt};

use actix::Message;
use staithe_protocol::SandboxId;

/// Sent by the manager for a session: a started sandbox of this image, made with these settings. Who
/// gets it owns it; each is given once. None: make one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Claimed>")]
pub struct ClaimSandbox {
    pub image: String,
    /// The value of the label that says what a sandbox was made with.
    pub config: Option<String>,
}

/// A sandbox out of the pool.
#[derive(Clone, PartialEq, Eq)]
pub struct Claimed {
    pub sandbox: SandboxId,
    /// Its runner's key, which becomes the session's.
    pub key: String,
    /// The engine's name of its workspace.
    pub workspace: String,
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

/// Sent by the manager's reconcile passes: the numbers of the sandboxes that are the pool's now, also
/// those that are being made.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "BTreeSet<String>")]
pub struct KnownInPool;

/// Sent by the manager when it drains: remove all that nobody claimed, and make none. Answered when
/// that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DrainPool;
