//! How an attempt has its image, and tells how far that is.

use std::sync::atomic::Ordering;

use staithe_protocol::{Fault, Progress, StartStep};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{bring_up::Attempt, connect::no_answer, messages::Told};
use crate::images::{pace::Pace, supply::Wanted};

impl Attempt {
    /// Returns when the image is there, at once when the session is stopped.
    pub(super) async fn have_image(&mut self) -> Result<(), Fault> {
        let began = Instant::now();
        let had = tokio::select! {
            had = self.image() => had,
            () = self.unwanted() => {
                let away = self.away.load(Ordering::Relaxed);
                let step = if away { StartStep::Build } else { StartStep::Image };
                let fault = no_answer("the session was stopped meanwhile".into());
                Err(Fault { step: Some(step), ..fault })
            }
        };
        self.for_image += began.elapsed();
        had
    }

    async fn image(&self) -> Result<(), Fault> {
        let Some(image) = &self.spec.image else { return Ok(()) };
        let supply = self.supply.as_ref();
        let wanted = Wanted { engine: &*self.engine, supply, asked: self.asked.as_deref(), image };
        // Whoever waits for a build, which may take long, lets others start meanwhile.
        let turn = supply.zip(self.spec.session);
        let begin = |step| {
            (self.tell)(Told::Step { step, at: Instant::now() });
            if let Some((supply, session)) = turn.filter(|_| step == StartStep::Build) {
                self.away.store(true, Ordering::Relaxed);
                supply.leave_turn(session);
            }
        };
        let news = watch::Sender::new(None);
        let follow = news.subscribe();
        let note = |progress| {
            news.send_replace(Some(progress));
        };
        let tell = |progress| (self.tell)(Told::Progress(progress));
        paced(wanted.have(&begin, &note), follow, &tell).await?;
        if let Some((supply, session)) = turn.filter(|_| self.away.load(Ordering::Relaxed)) {
            supply.take_turn(session).await;
            self.away.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Carries out, and tells of what `news` has no more often than is good.
async fn paced<T>(
    work: impl Future<Output = T>,
    mut news: watch::Receiver<Option<Progress>>,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> T {
    let mut pace = Pace::default();
    tokio::pin!(work);
    loop {
        let due = pace.due();
        let outcome = tokio::select! {
            outcome = &mut work => Some(outcome),
            Ok(()) = news.changed() => None,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
        };
        if let Some(progress) = news.borrow_and_update().clone() {
            pace.note(progress);
        }
        let now = Instant::now();
        if let Some(outcome) = outcome {
            pace.rest(now).into_iter().for_each(tell);
            return outcome;
        }
        pace.take(now).into_iter().for_each(tell);
    }
}
