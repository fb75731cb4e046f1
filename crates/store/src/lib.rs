//! The durable log of events and the records of sessions.
//!
//! An event is durable before anyone is told of it: [`Store::append`] resolves after the commit,
//! and what it acknowledged survives `kill -9` at any point.
//!
//! | module | what |
//! |---|---|
//! | [`model`] | what goes in and comes out |
//! | [`failed`] | [`StoreFailed`] |
//! | [`sqlite`] | [`SqliteStore`]: one file, one writer with group commit, a few readers |
//! | [`memory`] | [`MemoryStore`]: the same contract without a disk, for tests of actors |
//!
//! The contract itself is the documentation of [`Store`]; `tests/it/contract.rs` runs one suite over
//! both implementations.

pub mod failed;
pub mod memory;
pub mod model;
pub mod sqlite;

use async_trait::async_trait;
use staithe_protocol::ids::{EventId, SessionId};

pub use failed::{Cause, StoreFailed};
pub use memory::MemoryStore;
pub use model::{
    Appended, Claim, NewClaim, NewEvent, Reference, ReferenceHit, SessionRow, StoredEvent,
};
pub use sqlite::{SqliteStore, Stats};

/// How long a claim is kept at least, in milliseconds: 24 hours.
pub const CLAIM_LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

/// Where events and session records are kept.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Queues one event at the time of the call (the order of calls is the order in the log) and
    /// resolves after the commit. Dropping the answer does not take the event back.
    ///
    /// Ids are dense from 0 in each session; any other id is refused as
    /// [`StoreFailed::Diverged`] and nothing is overwritten. After an append has failed, those
    /// queued behind it for the same session are refused too, so that no gap can arise. An event
    /// whose reference is taken already in its session is kept; the reference stays with the
    /// first.
    fn append(&self, event: NewEvent) -> Appended;

    /// Events with an id greater than `after` (from the first one when `None`), in order.
    ///
    /// At most `max_events`, and no more than `max_bytes` of bodies, except that one event is
    /// given however large it is. An unknown session has no events.
    async fn read(
        &self,
        session: SessionId,
        after: Option<EventId>,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>, StoreFailed>;

    /// The oldest and the newest event of a session; `None` if it has none.
    async fn range(&self, session: SessionId) -> Result<Option<(EventId, EventId)>, StoreFailed>;

    /// The event that was appended under this reference.
    async fn find_reference(
        &self,
        session: SessionId,
        reference: &str,
    ) -> Result<Option<ReferenceHit>, StoreFailed>;

    /// The names of all references of a session, in no order.
    async fn references(&self, session: SessionId) -> Result<Vec<String>, StoreFailed>;

    /// Writes a session's record, new or not. Durable on return.
    async fn put_session(&self, record: SessionRow) -> Result<(), StoreFailed>;

    /// The record of one session.
    async fn get_session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreFailed>;

    /// Every record, in the order of ids, which is the order of creation.
    async fn list_sessions(&self) -> Result<Vec<SessionRow>, StoreFailed>;

    /// Removes the record, events, references and claims of a session, in one transaction.
    /// Removing what is not there is no failure.
    async fn delete_session(&self, id: SessionId) -> Result<(), StoreFailed>;

    /// Gives `(scope, key)` to the first caller, whose value is kept and whose session record is
    /// written in the same transaction; later callers get the first one's value and digest and
    /// change nothing. Claims older than [`CLAIM_LIFETIME_MS`] before `now_ms` are removed in
    /// passing.
    async fn claim(&self, claim: NewClaim) -> Result<Claim, StoreFailed>;
}
