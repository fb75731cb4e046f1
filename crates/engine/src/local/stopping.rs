//! Ending every process of a sandbox.

use std::{io, time::Duration};

use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::{off_thread, processes, processes::Process};

/// Killed processes end at once unless the kernel is busy on their behalf.
const KILL_LIMIT: Duration = Duration::from_secs(15);
/// How often the tree is looked at until it is empty.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Asks the launcher, which asks the runner; waits; then kills whatever is left, the launcher last,
/// since without namespaces it is what keeps strays below it. Returns when all are gone.
pub(super) async fn stop(launcher: &Process, marker: &str, grace: Duration) -> io::Result<()> {
    if launcher.is_alive() && !grace.is_zero() {
        launcher.signal(Signal::TERM)?;
        if timeout(grace, launcher.ended()).await.is_err() {
            tracing::info!(marker, "sandbox is killed after its grace");
        }
    }
    let deadline = Instant::now() + KILL_LIMIT;
    loop {
        let left = remaining(launcher, marker).await?;
        for process in &left {
            process.signal(Signal::KILL)?;
        }
        if left.is_empty() {
            if !launcher.is_alive() {
                return Ok(());
            }
            launcher.signal(Signal::KILL)?;
        }
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Every process of the sandbox but its launcher.
async fn remaining(launcher: &Process, marker: &str) -> io::Result<Vec<Process>> {
    let (launcher, marker) = (launcher.clone(), marker.to_owned());
    off_thread(move || {
        if launcher.is_alive() {
            return Ok(launcher.tree());
        }
        // The launcher is gone: what it left has lost its place in the tree, not its marker.
        Ok(processes::marked(&marker))
    })
    .await
}
