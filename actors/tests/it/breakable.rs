//! A store that the test can break, hold up, or make panic.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use staithe_protocol::{EventId, SessionId};
use staithe_store::{
    Appended, Claim, MemoryStore, NewClaim, NewEvent, ReferenceHit, SessionRow, Store, StoreFailed,
    StoredEvent,
};
use tokio::sync::oneshot;

type Held = (NewEvent, oneshot::Sender<Result<(), StoreFailed>>);

/// See the module.
#[derive(Default)]
pub(crate) struct Breakable {
    inner: MemoryStore,
    broken: AtomicBool,
    panics: AtomicBool,
    holds: AtomicBool,
    held: Mutex<Vec<Held>>,
}

impl Breakable {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// From now on every write fails, or none does.
    pub(crate) fn break_it(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// The next append panics, in the actor that asked for it.
    pub(crate) fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// From now on appends wait, until it is called with `false`.
    pub(crate) fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::SeqCst);
        if !holds {
            let held =
                std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
            for (event, answer) in held {
                let appended = self.inner.append(event);
                tokio::spawn(async move { answer.send(appended.await) });
            }
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A session's record as it is kept.
    pub(crate) fn kept(&self, session: SessionId) -> serde_json::Value {
        let row = self.inner.get_session(session).now_or_never().expect("memory answers at once");
        serde_json::from_slice(&row.unwrap().expect("a record").body).unwrap()
    }

    /// Changes a session's record behind the server's back.
    pub(crate) async fn rewrite(
        &self,
        session: SessionId,
        change: impl FnOnce(&mut serde_json::Value),
    ) {
        let row = self.inner.get_session(session).await.unwrap().expect("a record");
        let mut record = serde_json::from_slice(&row.body).unwrap();
        change(&mut record);
        let body = serde_json::to_vec(&record).unwrap().into();
        self.inner.put_session(SessionRow { body, ..row }).await.unwrap();
    }

    fn write(&self) -> Result<(), StoreFailed> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreFailed::Write {
                source: Arc::new(std::io::Error::other("disk full")),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Breakable {
    fn append(&self, event: NewEvent) -> Appended {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "the test wants a panic");
        if let Err(error) = self.write() {
            return Appended::done(Err(error));
        }
        if self.holds.load(Ordering::SeqCst) {
            let (answer, appended) = Appended::pending();
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push((event, answer));
            return appended;
        }
        self.inner.append(event)
    }

    async fn read(
        &self,
        session: SessionId,
        after: Option<EventId>,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>, StoreFailed> {
        self.inner.read(session, after, max_events, max_bytes).await
    }

    async fn range(&self, session: SessionId) -> Result<Option<(EventId, EventId)>, StoreFailed> {
        self.inner.range(session).await
    }

    async fn find_reference(
        &self,
        session: SessionId,
        reference: &str,
    ) -> Result<Option<ReferenceHit>, StoreFailed> {
        self.inner.find_reference(session, reference).await
    }

    async fn references(&self, session: SessionId) -> Result<Vec<String>, StoreFailed> {
        self.inner.references(session).await
    }

    async fn put_session(&self, record: SessionRow) -> Result<(), StoreFailed> {
        self.write()?;
        self.inner.put_session(record).await
    }

    async fn get_session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreFailed> {
        self.inner.get_session(id).await
    }

    async fn list_sessions(&self) -> Result<Vec<SessionRow>, StoreFailed> {
        self.inner.list_sessions().await
    }

    async fn delete_session(&self, id: SessionId) -> Result<(), StoreFailed> {
        self.write()?;
        self.inner.delete_session(id).await
    }

    async fn claim(&self, claim: NewClaim) -> Result<Claim, StoreFailed> {
        self.write()?;
        self.inner.claim(claim).await
    }
}
