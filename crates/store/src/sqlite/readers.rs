//! A few read-only connections, used on the threads for blocking work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreFailed;

/// The pool. A permit stands for one idle connection; those who wait for one are served in order.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// A connection on loan. Goes back when dropped, before its permit does, also by a panic.
struct Loan {
    db: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { permits, idle: Mutex::new(connections) }
    }

    /// Runs a query off the async threads. A caller who goes away lets it run to its end.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreFailed> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| StoreFailed::Closed)?;
        let loan = Loan { db: self.idle().pop(), readers: Arc::clone(self), _permit: permit };
        let ran = tokio::task::spawn_blocking(move || {
            let db = loan.db.as_ref().ok_or(StoreFailed::Closed)?;
            query(db).map_err(StoreFailed::read)
        });
        ran.await.unwrap_or_else(|join| Err(StoreFailed::read(join)))
    }

    /// Lends no more and closes what is idle; what is on loan closes on its return.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut idle = self.readers.idle();
        if !self.readers.permits.is_closed() {
            idle.extend(self.db.take());
        }
    }
}
