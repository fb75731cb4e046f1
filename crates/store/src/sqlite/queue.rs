//! What waits for the writer: bounded, in the order of calls.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use staithe_protocol::ids::SessionId;
use tokio::sync::oneshot;

use crate::{Claim, NewClaim, NewEvent, SessionRow, StoreFailed};

/// What may wait at most.
pub(super) const LIMITS: Limits = Limits { items: 16_384, bytes: 256 * 1024 * 1024 };

/// What goes into one transaction at most; one item always does.
pub(super) const BATCH: Limits = Limits { items: 512, bytes: 4 * 1024 * 1024 };

/// What an item weighs beside its texts and bodies, in bytes.
const OVERHEAD: usize = 128;

/// A bound on a number of items and on their weight in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreFailed>>;

/// One item for the writer, with whom to tell.
pub(super) enum Job {
    Append(NewEvent, Answer<()>),
    Put(SessionRow, Answer<()>),
    Delete(SessionId, Answer<()>),
    Claim(Box<NewClaim>, Answer<Claim>),
}

impl Job {
    /// Tells the caller, who may have gone. `Claim::New` stands for "written" where nothing was
    /// claimed.
    pub(super) fn answer(self, outcome: Result<Claim, StoreFailed>) {
        match self {
            Self::Append(_, answer) | Self::Put(_, answer) | Self::Delete(_, answer) => {
                answer.send(outcome.map(|_| ())).ok();
            }
            Self::Claim(_, answer) => {
                answer.send(outcome).ok();
            }
        }
    }

    /// About how many bytes it holds.
    fn weight(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Append(event, _) => {
                    event.body.len() + event.reference.as_ref().map_or(0, |r| r.name.len())
                }
                Self::Put(record, _) => record.body.len(),
                Self::Delete(..) => 0,
                Self::Claim(claim, _) => {
                    claim.scope.len() + claim.key.len() + claim.record.body.len()
                }
            }
    }
}

/// What the writer is to do next.
pub(super) enum Taken {
    /// Write these; there is at least one.
    Batch(Vec<Job>),
    /// Nothing came for as long as the writer wanted to wait.
    Idle,
    /// Nothing waits and nothing will come.
    Closed,
}

/// The queue between the callers and the writer.
pub(super) struct Queue {
    limits: Limits,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// Queues the job, or answers it at once with `Full` or `Closed`. Never waits.
    pub(super) fn push(&self, job: Job) {
        let weight = job.weight();
        let mut waiting = self.lock();
        let full = waiting.jobs.len() >= self.limits.items
            || waiting.bytes.saturating_add(weight) > self.limits.bytes;
        let refusal = match (waiting.closed, full) {
            (true, _) => StoreFailed::Closed,
            (false, true) => StoreFailed::Full,
            (false, false) => {
                waiting.bytes += weight;
                waiting.jobs.push_back(job);
                drop(waiting);
                self.changed.notify_one();
                return;
            }
        };
        drop(waiting);
        job.answer(Err(refusal));
    }

    /// Waits for jobs, for at most `patience` if there is one, and takes a batch of them.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken {
        let mut waiting = self.wait(patience);
        if waiting.jobs.is_empty() {
            return if waiting.closed { Taken::Closed } else { Taken::Idle };
        }
        let mut batch = Vec::with_capacity(waiting.jobs.len().min(BATCH.items));
        let mut bytes = 0;
        while let Some(job) = waiting.jobs.front() {
            let weight = job.weight();
            bytes += weight;
            let fits = batch.len() < BATCH.items && bytes <= BATCH.bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            batch.extend(waiting.jobs.pop_front());
            waiting.bytes -= weight;
        }
        Taken::Batch(batch)
    }

    /// Takes no more jobs. What waits is still given to the writer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes no more jobs and answers those that wait with `Closed`: nobody will write them.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.bytes = 0;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        for job in jobs {
            job.answer(Err(StoreFailed::Closed));
        }
    }

    /// How many items wait, and their weight in bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.jobs.len(), waiting.bytes)
    }

    fn wait(&self, patience: Option<Duration>) -> MutexGuard<'_, Waiting> {
        let nothing = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        let waiting = self.lock();
        if let Some(patience) = patience {
            let waited = self.changed.wait_timeout_while(waiting, patience, nothing);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let waited = self.changed.wait_while(waiting, nothing);
            waited.unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Nothing that can panic leaves the state half changed, so a poisoned lock is taken too.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use staithe_protocol::ids::EventId;

    use super::*;
    use crate::Appended;

    fn push(queue: &Queue, bytes: usize) -> Appended {
        let (answer, appended) = Appended::pending();
        let body = Bytes::from(vec![0; bytes]);
        let session = SessionId::generate();
        let event = NewEvent { session, id: EventId(0), body, reference: None };
        queue.push(Job::Append(event, answer));
        appended
    }

    fn batch(queue: &Queue) -> usize {
        match queue.take(Some(Duration::ZERO)) {
            Taken::Batch(jobs) => jobs.len(),
            Taken::Idle | Taken::Closed => 0,
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_by_number() {
        let queue = Queue::new(Limits { items: 2, bytes: 1_000_000 });
        let _kept = (push(&queue, 1), push(&queue, 1));
        assert!(matches!(push(&queue, 1).await, Err(StoreFailed::Full)));
        assert_eq!(batch(&queue), 2);
        let _kept = push(&queue, 1);
        assert_eq!(queue.waiting(), (1, 1 + OVERHEAD));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_by_weight() {
        let queue = Queue::new(Limits { items: 100, bytes: 1000 });
        let _kept = push(&queue, 1000 - OVERHEAD);
        assert!(matches!(push(&queue, 0).await, Err(StoreFailed::Full)));
        assert_eq!(batch(&queue), 1);
        assert_eq!(queue.waiting(), (0, 0));
    }

    #[test]
    fn a_batch_is_bounded_by_number_and_by_weight_but_never_empty() {
        let queue = Queue::new(LIMITS);
        let _kept: Vec<_> = (0..=BATCH.items).map(|_| push(&queue, 1)).collect();
        assert_eq!((batch(&queue), batch(&queue), batch(&queue)), (BATCH.items, 1, 0));
        let _kept: Vec<_> = (0..3).map(|_| push(&queue, BATCH.bytes / 2 - OVERHEAD)).collect();
        assert_eq!((batch(&queue), batch(&queue), batch(&queue)), (2, 1, 0));
        let _kept: Vec<_> = (0..2).map(|_| push(&queue, BATCH.bytes * 2)).collect();
        assert_eq!((batch(&queue), batch(&queue), batch(&queue)), (1, 1, 0));
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_waits_and_takes_no_more() {
        let queue = Queue::new(LIMITS);
        let _kept = push(&queue, 1);
        queue.close();
        assert!(matches!(push(&queue, 1).await, Err(StoreFailed::Closed)));
        assert_eq!(batch(&queue), 1);
        assert!(matches!(queue.take(None), Taken::Closed));
    }

    #[tokio::test]
    async fn an_abandoned_queue_answers_those_who_wait() {
        let queue = Queue::new(LIMITS);
        let waiting = push(&queue, 1);
        queue.abandon();
        assert!(matches!(waiting.await, Err(StoreFailed::Closed)));
    }
}
