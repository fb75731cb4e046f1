//! The store in one `SQLite` file.
//!
//! ```text
//! append, put, delete, claim ──▶ queue (bounded) ──▶ writer thread ── one transaction per batch ──▶ WAL
//! read, range, find, get, list ──▶ permit ──▶ spawn_blocking ──▶ one of a few read-only connections
//! ```
//!
//! The writer takes everything that waits, up to a limit, into one transaction, commits it with
//! one `fsync` and then answers each caller: the more wait, the less each costs.

mod open;
mod queue;
mod readers;
mod statements;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use async_trait::async_trait;
use staithe_protocol::ids::{EventId, SessionId};
use tokio::sync::oneshot;

use self::{
    open::DirLock,
    queue::{Job, Queue},
    readers::Readers,
    writer::{Counters, Writer},
};
use crate::{
    Appended, Claim, NewClaim, NewEvent, ReferenceHit, SessionRow, Store, StoreFailed, StoredEvent,
};

/// A store in `<dir>/staithe.db`. Clones share it; the last one to go shuts it down.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

/// What the writer has done since the store was opened, and what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed.
    pub commits: u64,
    /// Items written by them: events, records, removals, claims.
    pub items: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Items that wait to be written.
    pub queued_items: usize,
    /// Their weight in bytes.
    pub queued_bytes: usize,
}

struct Inner {
    queue: Arc<Queue>,
    readers: Arc<Readers>,
    counters: Arc<Counters>,
    running: Mutex<Option<Running>>,
}

/// What a shutdown takes away.
struct Running {
    writer: JoinHandle<()>,
    lock: DirLock,
}

/// Whether a process has the store in this directory open now. It is looked at, and nothing is made.
pub fn is_held(dir: &Path) -> std::io::Result<bool> {
    open::is_held(dir)
}

impl SqliteStore {
    /// Opens the store in this directory and creates both if need be. Blocks on the disk.
    ///
    /// A directory it creates has mode 0700; its files have mode 0600.
    pub fn open(dir: &Path) -> Result<Self, StoreFailed> {
        let lock = open::lock(dir)?;
        let db = open::writing(dir)?;
        let readers = Arc::new(Readers::new(open::reading(dir)?));
        let queue = Arc::new(Queue::new(queue::LIMITS));
        let counters = Arc::new(Counters::default());
        let writer = Writer::new(db, Arc::clone(&queue), Arc::clone(&counters));
        let writer = std::thread::Builder::new()
            .name("staithe-store".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| open::failed(dir, "start the writer thread", source))?;
        let running = Mutex::new(Some(Running { writer, lock }));
        Ok(Self { inner: Arc::new(Inner { queue, readers, counters, running }) })
    }

    /// Writes what is queued, ends the writer thread and releases the directory. Blocks until
    /// then. What is asked of the store afterwards fails with [`StoreFailed::Closed`].
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> Stats {
        let (queued_items, queued_bytes) = self.inner.queue.waiting();
        Stats { queued_items, queued_bytes, ..self.inner.counters.stats() }
    }

    /// Queues what `job` makes of the answer's sender and waits for the answer.
    async fn write<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreFailed>>) -> Job,
    ) -> Result<T, StoreFailed> {
        let (answer, answered) = oneshot::channel();
        self.inner.queue.push(job(answer));
        answered.await.unwrap_or(Err(StoreFailed::Closed))
    }
}

impl Inner {
    fn shutdown(&self) {
        self.queue.close();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Running { writer, lock }) = running.take() {
            if writer.join().is_err() {
                tracing::error!("the store's writer panicked");
            }
            self.readers.close();
            drop(lock);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("stats", &self.stats()).finish()
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn append(&self, event: NewEvent) -> Appended {
        let (answer, appended) = Appended::pending();
        self.inner.queue.push(Job::Append(event, answer));
        appended
    }

    async fn read(
        &self,
        session: SessionId,
        after: Option<EventId>,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>, StoreFailed> {
        let query = move |db: &_| statements::read(db, session, after, max_events, max_bytes);
        self.inner.readers.run(query).await
    }

    async fn range(&self, session: SessionId) -> Result<Option<(EventId, EventId)>, StoreFailed> {
        self.inner.readers.run(move |db| statements::range(db, session)).await
    }

    async fn find_reference(
        &self,
        session: SessionId,
        reference: &str,
    ) -> Result<Option<ReferenceHit>, StoreFailed> {
        let name = reference.to_owned();
        self.inner.readers.run(move |db| statements::find_reference(db, session, &name)).await
    }

    async fn references(&self, session: SessionId) -> Result<Vec<String>, StoreFailed> {
        self.inner.readers.run(move |db| statements::references(db, session)).await
    }

    async fn put_session(&self, record: SessionRow) -> Result<(), StoreFailed> {
        self.write(|answer| Job::Put(record, answer)).await
    }

    async fn get_session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreFailed> {
        self.inner.readers.run(move |db| statements::get_session(db, id)).await
    }

    async fn list_sessions(&self) -> Result<Vec<SessionRow>, StoreFailed> {
        self.inner.readers.run(statements::list_sessions).await
    }

    async fn delete_session(&self, id: SessionId) -> Result<(), StoreFailed> {
        self.write(|answer| Job::Delete(id, answer)).await
    }

    async fn claim(&self, claim: NewClaim) -> Result<Claim, StoreFailed> {
        self.write(|answer| Job::Claim(Box::new(claim), answer)).await
    }
}
