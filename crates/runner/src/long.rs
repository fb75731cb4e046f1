//! Work with files that may take minutes, such as unpacking: on threads of its own, a few at once, so that
//! short operations always find theirs.

use std::{sync::Arc, thread};

use tokio::sync::{Semaphore, oneshot};

/// How much of it is done at once; more waits.
const MOST_AT_ONCE: usize = 3;

/// Who may work now.
pub struct Long(Arc<Semaphore>);

impl Default for Long {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_AT_ONCE)))
    }
}

impl Long {
    /// Does one thing, to its end even if nobody waits any more. None: it panicked, or no thread was there.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let (reply, told) = oneshot::channel();
        let begun = thread::Builder::new().name("long".to_owned()).spawn(move || {
            let done = work();
            drop(turn);
            drop(reply.send(done)); // nobody may wait any more
        });
        begun.ok()?;
        told.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[test]
    fn much_that_is_long_stops_nothing_that_is_short() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let long = Long::default();
        let running = Arc::new(AtomicUsize::new(0));
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let ends = Arc::new(std::sync::Mutex::new(ends));
        let one = |number: usize| {
            let (running, begun, ends) = (Arc::clone(&running), begun.clone(), Arc::clone(&ends));
            long.work(move || {
                let at_once = running.fetch_add(1, Ordering::SeqCst) + 1;
                begun.send(()).unwrap();
                ends.lock().unwrap().recv().unwrap();
                running.fetch_sub(1, Ordering::SeqCst);
                assert!(number != 4, "one panics");
                at_once
            })
        };
        let all = futures_util::future::join_all((0..MOST_AT_ONCE + 2).map(one));
        let done = runtime.block_on(async {
            let short = async {
                // As many as may work are at it, and none of them ends before this.
                let short = tokio::task::spawn_blocking(move || {
                    (0..MOST_AT_ONCE).for_each(|_| begins.recv().unwrap());
                    begins
                });
                let begins = short.await.unwrap();
                (0..MOST_AT_ONCE + 2).for_each(|_| end.send(()).unwrap());
                begins
            };
            futures_util::future::join(all, short).await.0
        });
        assert_eq!(done.iter().filter(|done| done.is_none()).count(), 1, "{done:?}");
        assert!(done.iter().flatten().all(|at_once| *at_once <= MOST_AT_ONCE), "{done:?}");
    }
}
