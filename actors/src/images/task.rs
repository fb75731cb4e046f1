//! One call of a maker, in a task of its own, and what came of it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use staithe_protocol::{Fault, Progress, StartStep};
use tokio::{
    sync::{OwnedRwLockReadGuard, watch},
    task::JoinError,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{maker::ImageMaker, messages::Making};
use crate::runtime::connect::fault_of;

/// How long a cancelled maker may take to end.
const CANCEL_LIMIT: Duration = Duration::from_secs(20);

/// What a call needs.
pub(super) struct Task {
    pub(super) maker: Arc<dyn ImageMaker>,
    pub(super) asked: String,
    /// Weak: when the actor is gone, those who wait are to see it.
    pub(super) news: Weak<watch::Sender<Making>>,
    pub(super) cancel: CancellationToken,
    /// Held to its end.
    pub(super) _held: Option<OwnedRwLockReadGuard<()>>,
}

/// What came of it.
pub(super) enum Ended {
    /// Somebody had made it meanwhile.
    WasThere,
    Made,
    Failed(Fault),
    Cancelled,
}

impl Task {
    /// Carries it out. A cancelled maker that does not end is cut off: others wait for its end.
    pub(super) async fn run(self) -> Ended {
        let overrun = async {
            self.cancel.cancelled().await;
            sleep(CANCEL_LIMIT).await;
        };
        tokio::select! {
            ended = self.make() => ended,
            () = overrun => {
                tracing::error!(asked = self.asked, "a cancelled maker of an image did not end and is cut off");
                Ended::Cancelled
            }
        }
    }

    /// Makes the image, unless it is there by now: who asked may have looked before it was done.
    async fn make(&self) -> Ended {
        let Self { maker, asked, cancel, .. } = self;
        match maker.is_made(asked).await {
            Ok(true) => return Ended::WasThere,
            Ok(false) => {}
            Err(error) => return Ended::Failed(fault_of(StartStep::Build, &error)),
        }
        let tell = |progress: Progress| {
            if let Some(news) = self.news.upgrade() {
                news.send_modify(|making| making.progress = Some(progress));
            }
        };
        match maker.make(asked, &tell, cancel).await {
            Ok(()) => Ended::Made,
            Err(_) if cancel.is_cancelled() => Ended::Cancelled,
            Err(fault) => Ended::Failed(fault),
        }
    }
}

impl Ended {
    /// A panic is a fault of the image, not of the process.
    pub(super) fn of(joined: Result<Self, JoinError>, image: &str) -> Self {
        match joined {
            Ok(ended) => ended,
            Err(error) => Self::Failed(crashed(image, &error)),
        }
    }

    /// Counts it and writes it down.
    pub(super) fn note(&self, image: &str, took: Duration) {
        let outcome = match self {
            Self::WasThere => return,
            Self::Made => "ok",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        };
        metrics::counter!("staithe_image_builds_total", "outcome" => outcome).increment(1);
        metrics::histogram!("staithe_image_build_seconds", "outcome" => outcome)
            .record(took.as_secs_f64());
        let seconds = took.as_secs();
        if let Self::Failed(Fault { code, cause, .. }) = self {
            tracing::warn!(image, seconds, code, cause, "an image could not be made");
        } else {
            tracing::info!(image, seconds, outcome, "the making of an image ended");
        }
    }

    /// What those who wait are told. Nobody waits for one that was cancelled.
    pub(super) fn outcome(self) -> Result<(), Fault> {
        match self {
            Self::WasThere | Self::Made => Ok(()),
            Self::Failed(fault) => Err(fault),
            Self::Cancelled => Err(cancelled()),
        }
    }
}

fn crashed(image: &str, error: &JoinError) -> Fault {
    let cause = format!("what makes the image {image} crashed: {error}");
    fault("sandbox.image_maker_crashed", cause)
}

fn cancelled() -> Fault {
    fault("sandbox.image_build_cancelled", "the making of the image was cancelled".into())
}

fn fault(code: &str, cause: String) -> Fault {
    Fault {
        code: code.into(),
        step: Some(StartStep::Build),
        cause,
        remedy: "Start the session again; the server's log has the details.".into(),
        log_tail: Vec::new(),
    }
}
