//! The writer: the one thread that changes the database.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use staithe_protocol::ids::{EventId, SessionId};

use super::{
    Stats,
    queue::{Job, Queue, Taken},
    statements,
};
use crate::{Cause, Claim, StoreFailed};

/// With nothing to write for this long, the log is folded into the database.
const IDLE: Duration = Duration::from_secs(1);

/// How many sessions' next ids are remembered; beyond that they are all looked up again.
const MAX_HEADS: usize = 65_536;

/// Running totals, read by [`super::SqliteStore::stats`].
#[derive(Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    items: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> Stats {
        Stats {
            commits: self.commits.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }
}

/// The writer's connection and what it knows of the sessions' logs.
pub(super) struct Writer {
    db: Connection,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    heads: Heads,
}

/// The id that each log takes next, as of the open transaction; looked up when first needed.
#[derive(Default)]
struct Heads(HashMap<SessionId, EventId>);

/// Leaves nobody waiting for a writer that is gone, however it went.
struct AbandonOnExit(Arc<Queue>);

impl Drop for AbandonOnExit {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Writer {
    pub(super) fn new(db: Connection, queue: Arc<Queue>, counters: Arc<Counters>) -> Self {
        Self { db, queue, counters, heads: Heads::default() }
    }

    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let _abandon = AbandonOnExit(Arc::clone(&self.queue));
        let mut to_fold = true; // a killed server may have left a long log
        loop {
            match self.queue.take(to_fold.then_some(IDLE)) {
                Taken::Batch(jobs) => {
                    self.commit(jobs);
                    to_fold = true;
                }
                Taken::Idle => {
                    self.checkpoint();
                    to_fold = false;
                }
                Taken::Closed => break,
            }
        }
        self.checkpoint();
    }

    /// One transaction for all of them; then each is answered, in order.
    fn commit(&mut self, jobs: Vec<Job>) {
        match self.transact(&jobs) {
            Ok(outcomes) => {
                let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.items.fetch_add(written, Ordering::Relaxed);
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    job.answer(outcome);
                }
            }
            Err(source) => {
                self.heads = Heads::default(); // what they said of this transaction is not so
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(items = jobs.len(), error = %source, "a transaction failed");
                let source: Cause = Arc::new(source);
                for job in jobs {
                    job.answer(Err(StoreFailed::Write { source: Arc::clone(&source) }));
                }
            }
        }
    }

    fn transact(&mut self, jobs: &[Job]) -> rusqlite::Result<Vec<Result<Claim, StoreFailed>>> {
        if self.heads.0.len() > MAX_HEADS {
            self.heads = Heads::default();
        }
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let apply = |job| apply(&transaction, &mut self.heads, job);
        let outcomes = jobs.iter().map(apply).collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(outcomes)
    }

    /// Folds the log into the database as far as readers allow. Nothing is lost without it.
    fn checkpoint(&self) {
        if let Err(error) = statements::checkpoint(&self.db) {
            tracing::warn!(%error, "a checkpoint failed");
        }
    }
}

/// Does one job within the transaction. `Err` fails the whole of it, an inner `Err` only this one.
fn apply(
    transaction: &Transaction<'_>,
    heads: &mut Heads,
    job: &Job,
) -> rusqlite::Result<Result<Claim, StoreFailed>> {
    match job {
        Job::Append(event, _) => {
            let expected = heads.next(transaction, event.session)?;
            if event.id != expected {
                let (session, offered) = (event.session, event.id);
                return Ok(Err(StoreFailed::Diverged { session, expected, offered }));
            }
            statements::append(transaction, event)?;
            heads.0.insert(event.session, expected.next());
        }
        Job::Put(record, _) => statements::put_session(transaction, record)?,
        Job::Delete(session, _) => {
            statements::delete_session(transaction, *session)?;
            heads.0.remove(session);
        }
        Job::Claim(claim, _) => return statements::claim(transaction, claim).map(Ok),
    }
    Ok(Ok(Claim::New))
}

impl Heads {
    fn next(&mut self, db: &Connection, session: SessionId) -> rusqlite::Result<EventId> {
        if let Some(next) = self.0.get(&session) {
            return Ok(*next);
        }
        let next = statements::newest(db, session)?.map_or(EventId(0), EventId::next);
        self.0.insert(session, next);
        Ok(next)
    }
}
