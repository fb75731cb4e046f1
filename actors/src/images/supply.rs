//! How whoever needs an image has it: it is there, or is built, or is fetched.

use std::{sync::Arc, time::Duration};

use actix::WeakAddr;
use staithe_engine::Engine;
use staithe_protocol::{Fault, Progress, SessionId, StartStep};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::Instrument;

use super::{
    maker::ImageMaker,
    messages::{HaveImage, Making},
};
use crate::{
    mail,
    runtime::connect::fault_of,
    session_manager::{
        SessionManager,
        messages::{LeaveTurn, TakeTurn},
    },
};

/// Before the images' actor is asked again when it has died: a moment longer than the manager's pauses.
const ASK_AGAIN: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(17)];

/// Where images that are built come from.
#[derive(Clone)]
pub struct Supply {
    pub maker: Arc<dyn ImageMaker>,
    pub manager: WeakAddr<SessionManager>,
}

/// Told of progress.
pub(crate) type TellProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl Supply {
    /// The image that sandboxes are made of.
    pub fn name_of(&self, asked: &str) -> String {
        self.maker.name_of(asked)
    }

    async fn is_made(&self, asked: &str) -> Result<bool, Fault> {
        let made = self.maker.is_made(asked).await;
        made.map_err(|error| fault_of(StartStep::Build, &error))
    }

    /// Has it built, or waits for the building that is under way. Dropped, it is wanted no more.
    async fn build(&self, asked: &str, tell: TellProgress<'_>) -> Result<(), Fault> {
        let mut pauses = ASK_AGAIN.into_iter();
        loop {
            if let Some(making) = self.ask(asked).await
                && let Some(outcome) = follow(making, tell).await
            {
                return outcome;
            }
            let Some(pause) = pauses.next() else { return Err(nobody_makes(asked)) };
            tracing::warn!(
                asked,
                ?pause,
                "nobody makes images now and an image is asked for again"
            );
            sleep(pause).await;
        }
    }

    async fn ask(&self, asked: &str) -> Option<watch::Receiver<Making>> {
        let manager = self.manager.upgrade()?;
        mail::ask(&manager, HaveImage { asked: asked.to_owned() }).await.ok().flatten()
    }

    /// Another one may be started while this one waits for its image.
    pub(crate) fn leave_turn(&self, session: SessionId) {
        if let Some(manager) = self.manager.upgrade() {
            mail::tell(&manager, LeaveTurn(session));
        }
    }

    /// Returns when it may go on. A session that is ended meanwhile is not waited for by anybody.
    pub(crate) async fn take_turn(&self, session: SessionId) {
        if let Some(manager) = self.manager.upgrade() {
            mail::ask(&manager, TakeTurn(session)).await.unwrap_or_default();
        }
    }
}

/// The outcome; none when whoever makes it is gone.
async fn follow(
    mut making: watch::Receiver<Making>,
    tell: TellProgress<'_>,
) -> Option<Result<(), Fault>> {
    loop {
        let Making { progress, outcome } = making.borrow_and_update().clone();
        if let Some(progress) = progress {
            tell(progress);
        }
        if outcome.is_some() {
            return outcome;
        }
        making.changed().await.ok()?;
    }
}

fn nobody_makes(asked: &str) -> Fault {
    Fault {
        code: "sandbox.image_maker_gone".into(),
        step: Some(StartStep::Build),
        cause: format!(
            "the part of the server that has images built ended while it built on {asked}"
        ),
        remedy: "Start the session again; the server's log has the details.".into(),
        log_tail: Vec::new(),
    }
}

/// An image that a sandbox is to be made of.
pub(crate) struct Wanted<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) supply: Option<&'a Supply>,
    /// What was asked for.
    pub(crate) asked: Option<&'a str>,
    /// What it comes to.
    pub(crate) image: &'a str,
}

impl Wanted<'_> {
    /// Has it. A step that takes long is announced before it begins.
    pub(crate) async fn have(
        &self,
        begin: &dyn Fn(StartStep),
        tell: TellProgress<'_>,
    ) -> Result<(), Fault> {
        if let (Some(supply), Some(asked)) = (self.supply, self.asked) {
            if !supply.is_made(asked).await? {
                begin(StartStep::Build);
                let span = tracing::info_span!("step", step = StartStep::Build.as_str());
                return supply.build(asked, tell).instrument(span).await;
            }
            if asked != self.image {
                return Ok(()); // a built one is nowhere to be fetched
            }
        }
        let fault = |error| fault_of(StartStep::Image, &error);
        if self.engine.has_image(self.image).await.map_err(fault)? {
            return Ok(());
        }
        begin(StartStep::Image);
        let since = Instant::now();
        // Its words change all the time: as a line they are told no more often than lines are.
        let far = |progress: Progress| {
            let seconds = since.elapsed().as_secs();
            tell(Progress { seconds, lines: vec![progress.text], text: String::new(), ..progress });
        };
        let span = tracing::info_span!("step", step = StartStep::Image.as_str());
        self.engine.ensure_image(self.image, &far).instrument(span).await.map_err(fault)
    }
}
