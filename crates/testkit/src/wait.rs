//! Waiting for a level, not for an edge.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// The longest wait. Generous: only a failing test ever uses it up. Under a paused clock it costs nothing.
const LIMIT: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `look` is true.
///
/// # Panics
///
/// When it never is.
#[track_caller]
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) -> impl Future<Output = ()> {
    eventually_some(what, move || look().then_some(()).ok_or("not so"))
}

/// Waits until `look` gives something; what it gave instead is told in the end.
///
/// # Panics
///
/// When it never does.
#[track_caller]
pub fn eventually_some<T, E: Debug>(
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(instead) if began.elapsed() > LIMIT => {
                    panic!("{place}: {what}: not within {LIMIT:?}; at the end: {instead:?}");
                }
                Err(_) => sleep(LOOK).await,
            }
        }
    }
}
