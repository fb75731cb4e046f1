//! What goes into a store and what comes out.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use staithe_protocol::ids::{EventId, SessionId};
use tokio::sync::oneshot;

use crate::StoreFailed;

/// An event to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The session whose log it joins.
    pub session: SessionId,
    /// Its place: 0, or one more than the newest.
    pub id: EventId,
    /// The encoded event, opaque here.
    pub body: Bytes,
    /// The name under which its sender may ask for it again.
    pub reference: Option<Reference>,
}

/// A client's own name for a command, by which a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name, unique in its session.
    pub name: String,
    /// SHA-256 of the command, to tell a repetition from another command of that name.
    pub digest: [u8; 32],
}

/// Where a reference leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceHit {
    /// The event it was appended with.
    pub event: EventId,
    /// The digest it was appended with.
    pub digest: [u8; 32],
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the session's log.
    pub id: EventId,
    /// The body as it was appended.
    pub body: Bytes,
}

/// The record of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Whose record it is.
    pub id: SessionId,
    /// JSON, opaque here.
    pub body: Bytes,
    /// When it was last changed, in milliseconds since 1970 UTC.
    pub updated_ms: i64,
}

/// A request to be the first with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClaim {
    /// Whose keys these are, such as a user.
    pub scope: String,
    /// The idempotency key.
    pub key: String,
    /// SHA-256 of the request, to tell a repetition from another request with that key.
    pub digest: [u8; 32],
    /// What later callers are told.
    pub value: SessionId,
    /// The session record that is written with the claim, if it is the first.
    pub record: SessionRow,
    /// Now, in milliseconds since 1970 UTC.
    pub now_ms: i64,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was the first; the record is written.
    New,
    /// Another came first, with this value and digest.
    Existing {
        /// The value of the first claim.
        value: SessionId,
        /// The digest of the first claim.
        digest: [u8; 32],
    },
}

/// The answer to an append: resolves after the commit. Need not be awaited for the event to be
/// written.
#[derive(Debug)]
#[must_use = "an event is not durable before this resolves"]
pub struct Appended(oneshot::Receiver<Result<(), StoreFailed>>);

impl Appended {
    /// An answer still to be given through the sender; dropping that gives
    /// [`StoreFailed::Closed`].
    pub fn pending() -> (oneshot::Sender<Result<(), StoreFailed>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// An answer that is known already.
    pub fn done(result: Result<(), StoreFailed>) -> Self {
        let (sender, appended) = Self::pending();
        sender.send(result).ok(); // the receiver is in our hand
        appended
    }
}

impl Future for Appended {
    type Output = Result<(), StoreFailed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(StoreFailed::Closed)))
    }
}
