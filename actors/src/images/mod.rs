//! Images that sessions wait for: one build for each, however many wait.
//!
//! Who waits holds the receiving end of a channel; the actor sees when the last one lets go of it, and
//! cancels. A maker runs in a task of its own: its panic is a fault to those who wait, and its progress
//! goes to them past the actor's mailbox.

pub mod maker;
pub mod messages;
pub mod pace;
pub mod state;
pub mod supply;
mod task;

use std::{collections::BTreeMap, sync::Arc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseFuture, WrapFuture,
};
use staithe_protocol::{Fault, Progress};
use tokio::{
    sync::{RwLock, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    session_manager::SessionManager,
    supervise::{DeathNotice, ParentGone},
};

use maker::ImageMaker;
use messages::{DrainImages, GetMakings, HaveImage, Making, MakingView};
use state::{Effect, ImagesState, MakingId};
use task::{Ended, Task};

/// See the module.
pub struct Images {
    origin: Origin,
    state: ImagesState,
    makings: BTreeMap<MakingId, Kept>,
    /// Answered when no maker is under way.
    waiters: Vec<oneshot::Sender<()>>,
    _notice: DeathNotice<SessionManager>,
}

/// What the actor starts from.
pub struct Origin {
    pub maker: Arc<dyn ImageMaker>,
    /// Makings under way at a time.
    pub max_builds: usize,
    /// Held by every maker's task, also those of an actor that died: the next one begins nothing before
    /// they have ended.
    pub gate: Arc<RwLock<()>>,
}

/// What belongs to one making.
struct Kept {
    image: String,
    asked: String,
    since: jiff::Timestamp,
    /// To those who wait.
    news: Arc<watch::Sender<Making>>,
    cancel: CancellationToken,
    /// Ends the maker also when this actor does.
    _guard: DropGuard,
}

impl Images {
    /// Nothing is made yet.
    pub fn new(origin: Origin, notice: DeathNotice<SessionManager>) -> Self {
        let state = ImagesState::new(origin.max_builds);
        Self { origin, state, makings: BTreeMap::new(), waiters: Vec::new(), _notice: notice }
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Begin { id } => self.begin(id, ctx),
                Effect::TellWaiting { id } => self.tell_waiting(id),
                Effect::Cancel { id } => self.cancel(id),
                Effect::Answer { id, outcome } => {
                    if let Some(kept) = self.makings.remove(&id) {
                        kept.news.send_modify(|making| making.outcome = Some(outcome));
                    }
                }
                Effect::Forget { id } => {
                    self.makings.remove(&id);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of builds")]
        metrics::gauge!("staithe_image_builds_under_way").set(self.state.under_way() as f64);
        if self.state.under_way() == 0 {
            for waiter in std::mem::take(&mut self.waiters) {
                waiter.send(()).unwrap_or_default(); // whoever waited may be gone
            }
        }
    }

    /// Keeps a place for what is wanted for the first time.
    fn keep(&mut self, id: MakingId, image: String, asked: String, ctx: &mut Context<Self>) {
        let cancel = CancellationToken::new();
        let kept = Kept {
            image,
            asked,
            since: jiff::Timestamp::now(),
            news: Arc::new(watch::Sender::new(Making::default())),
            _guard: cancel.clone().drop_guard(),
            cancel,
        };
        self.makings.insert(id, kept);
        ctx.notify(WatchWaiters { id });
    }

    fn begin(&mut self, id: MakingId, ctx: &mut Context<Self>) {
        let Some(kept) = self.makings.get(&id) else { return };
        tracing::info!(image = kept.image, asked = kept.asked, "an image is being made");
        let task = Task {
            maker: self.origin.maker.clone(),
            asked: kept.asked.clone(),
            news: Arc::downgrade(&kept.news),
            cancel: kept.cancel.clone(),
            // Nobody waits to write while this actor lives and its door is open.
            _held: self.origin.gate.clone().try_read_owned().ok(),
        };
        kept.news.send_if_modified(|making| {
            let waited = making.progress.take().is_some();
            making.progress = waited.then(|| note(&kept.image, "the build begins"));
            waited
        });
        let task = actix::spawn(task.run());
        let (image, began) = (kept.image.clone(), Instant::now());
        ctx.spawn(task.into_actor(self).map(move |joined, _, ctx| {
            let ended = Ended::of(joined, &image);
            ended.note(&image, began.elapsed());
            ctx.notify(HasEnded { id, outcome: ended.outcome() });
        }));
    }

    fn tell_waiting(&self, id: MakingId) {
        let Some(kept) = self.makings.get(&id) else { return };
        let progress = note(&kept.image, "waiting for other images that are being built");
        kept.news.send_modify(|making| making.progress = Some(progress));
    }

    fn cancel(&self, id: MakingId) {
        let Some(kept) = self.makings.get(&id) else { return };
        tracing::info!(
            image = kept.image,
            "nobody waits for an image any more and its making is cancelled"
        );
        kept.cancel.cancel();
    }

    fn view(&self) -> Vec<MakingView> {
        let view = |(id, kept): (&MakingId, &Kept)| {
            Some(MakingView {
                image: kept.image.clone(),
                asked: kept.asked.clone(),
                stage: self.state.stage(*id)?,
                waiters: kept.news.receiver_count(),
                since: kept.since.to_string(),
                progress: kept.news.borrow().progress.clone(),
            })
        };
        self.makings.iter().filter_map(view).collect()
    }
}

/// What is told before a maker tells anything.
fn note(image: &str, text: &str) -> Progress {
    Progress { image: image.to_owned(), text: text.to_owned(), ..Progress::default() }
}

impl Actor for Images {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Begin);
    }
}

/// Sent to itself once, at the start.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Begin;

/// Sent to itself: what an actor before it began has ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Opened;

/// Sent to itself: see when nobody waits for this one any more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct WatchWaiters {
    id: MakingId,
}

/// Sent to itself: nobody waited for this one, a moment ago.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Deserted {
    id: MakingId,
}

/// Sent by the future that looks after a maker's task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct HasEnded {
    id: MakingId,
    outcome: Result<(), Fault>,
}

impl Handler<Begin> for Images {
    type Result = ();

    fn handle(&mut self, _: Begin, ctx: &mut Self::Context) {
        let gate = self.origin.gate.clone();
        let passed = async move { drop(gate.write_owned().await) };
        ctx.spawn(passed.into_actor(self).map(|(), _, ctx| ctx.notify(Opened)));
    }
}

impl Handler<Opened> for Images {
    type Result = ();

    fn handle(&mut self, _: Opened, ctx: &mut Self::Context) {
        let effects = self.state.open();
        self.perform(effects, ctx);
    }
}

impl Handler<HaveImage> for Images {
    type Result = Option<watch::Receiver<Making>>;

    fn handle(&mut self, HaveImage { asked }: HaveImage, ctx: &mut Self::Context) -> Self::Result {
        let image = self.origin.maker.name_of(&asked);
        let joined = self.state.join(&image);
        if joined.new {
            self.keep(joined.id, image, asked, ctx);
        }
        // Before anything is performed: from here on somebody waits.
        let receiver = self.makings.get(&joined.id).map(|kept| kept.news.subscribe());
        self.perform(joined.effects, ctx);
        receiver
    }
}

impl Handler<WatchWaiters> for Images {
    type Result = ();

    fn handle(&mut self, WatchWaiters { id }: WatchWaiters, ctx: &mut Self::Context) {
        let Some(kept) = self.makings.get(&id) else { return };
        let news = kept.news.clone();
        let closed = async move { news.closed().await };
        ctx.spawn(closed.into_actor(self).map(move |(), _, ctx| ctx.notify(Deserted { id })));
    }
}

impl Handler<Deserted> for Images {
    type Result = ();

    fn handle(&mut self, Deserted { id }: Deserted, ctx: &mut Self::Context) {
        let Some(kept) = self.makings.get(&id) else { return };
        if kept.news.receiver_count() > 0 {
            ctx.notify(WatchWaiters { id }); // somebody came in the meantime
            return;
        }
        let effects = self.state.deserted(id);
        self.perform(effects, ctx);
    }
}

impl Handler<HasEnded> for Images {
    type Result = ();

    fn handle(&mut self, HasEnded { id, outcome }: HasEnded, ctx: &mut Self::Context) {
        let effects = self.state.ended(id, outcome);
        self.perform(effects, ctx);
    }
}

impl Handler<GetMakings> for Images {
    type Result = MessageResult<GetMakings>;

    fn handle(&mut self, _: GetMakings, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view())
    }
}

impl Handler<DrainImages> for Images {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: DrainImages, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, answered) = oneshot::channel();
        self.waiters.push(waiter);
        let effects = self.state.drain();
        self.perform(effects, ctx);
        Box::pin(async move { drop(answered.await) })
    }
}

impl Handler<ParentGone> for Images {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
