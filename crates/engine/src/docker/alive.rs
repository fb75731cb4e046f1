//! Waiting for what may take long without a word, as a file of many gigabytes does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bollard::errors::Error;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout};

use super::{
    DockerEngine,
    call::{Failure, call},
    images::SILENCE,
};

/// Nothing at all for so long is given up, even though the engine answers other questions.
const PATIENCE: Duration = Duration::from_mins(30);

impl DockerEngine {
    /// What comes next. A word is a sign of life, and so is that `sent` grows; without either the engine
    /// must answer a ping now and then.
    pub(super) async fn next_at_last<T>(
        &self,
        stream: &mut (impl Stream<Item = Result<T, Error>> + Unpin),
        sent: &AtomicU64,
    ) -> Result<Option<T>, Failure> {
        let (mut since, mut seen) = (Instant::now(), sent.load(Ordering::Relaxed));
        loop {
            if let Ok(next) = timeout(SILENCE, stream.next()).await {
                return Ok(next.transpose()?);
            }
            let now = sent.load(Ordering::Relaxed);
            if now != seen {
                (since, seen) = (Instant::now(), now);
            } else if since.elapsed() >= PATIENCE {
                return Err(Failure::TimedOut(PATIENCE));
            } else {
                call(self.deadline(), self.0.docker.ping()).await?;
            }
        }
    }
}
