//! Keeps sandboxes started ahead, so that a session need not wait for one.
//!
//! A claimed sandbox is the session's at once; what nobody claimed is found by its label after a crash
//! and reaped, since its key died with the server.

mod make;
pub mod messages;
pub mod state;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseFuture, WeakAddr, WrapFuture,
};
use futures_util::StreamExt;
use staithe_engine::{Engine, LABEL_OWNER, LABEL_POOL, Labels, SandboxSpec};
use staithe_link::{Link, LinkEvent};
use staithe_protocol::{Fault, Generation, SandboxId, StartStep, api::Resources};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    images::supply::Supply,
    mail,
    record::random_key,
    runtime::spec::{describe, resolve},
    session_manager::SessionManager,
    settings::SandboxSettings,
    supervise::{DeathNotice, ParentGone},
};

use make::{Made, Make};
use messages::{ClaimSandbox, Claimed, DrainPool, KnownInPool};
use state::{Claim, Effect, Number, PoolState, Pooled};

/// See the module.
pub struct Pool {
    origin: Origin,
    state: PoolState,
    /// Of those that nobody claimed: dropped, the watch over it ends.
    lines: HashMap<Number, Link>,
    cancel: watch::Sender<bool>,
    /// Removals under way.
    removing: usize,
    waiters: Vec<oneshot::Sender<()>>,
    _notice: DeathNotice<SessionManager>,
}

/// What a pool starts from.
pub struct Origin {
    pub engine: Arc<dyn Engine>,
    /// Of images that are built.
    pub supply: Option<Supply>,
    pub settings: SandboxSettings,
    pub owner: String,
}

impl Pool {
    /// A pool with nothing in it.
    pub fn new(origin: Origin, notice: DeathNotice<SessionManager>) -> Self {
        Self {
            state: PoolState::new(&origin.settings.pool),
            origin,
            lines: HashMap::new(),
            cancel: watch::Sender::new(false),
            removing: 0,
            waiters: Vec::new(),
            _notice: notice,
        }
    }

    /// The name of a sandbox in the pool.
    pub(crate) fn name_of(prefix: &str, number: &str) -> String {
        // The end of a number is its random part.
        format!("{prefix}pool-{}", &number[number.len().saturating_sub(12)..])
    }

    fn spec(&self, number: &Number, asked: &str) -> SandboxSpec {
        let settings = &self.origin.settings;
        let mut spec = SandboxSpec {
            name: Self::name_of(&settings.name_prefix, number),
            session: None,
            generation: Generation::default(),
            labels: Labels::from([
                (LABEL_OWNER.to_owned(), self.origin.owner.clone()),
                (LABEL_POOL.to_owned(), number.clone()),
            ]),
            image: Some(resolve(self.origin.supply.as_ref(), asked)),
            resources: Resources::default(),
            workspace: None,
            key: random_key(),
            env: settings.env.clone(),
        };
        describe(&mut spec, &*self.origin.engine);
        spec
    }

    /// Carries out, then fills what is missing.
    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let fill = self.state.fill(uuid::Uuid::now_v7().as_simple().to_string());
        for effect in effects.into_iter().chain(fill) {
            match effect {
                Effect::Make { number, image } => self.make(number, image, ctx),
                Effect::Remove { number, pooled } => self.remove(&number, pooled, ctx),
                Effect::Pause { image, pause } => {
                    ctx.notify_later(PauseElapsed { image }, pause);
                }
            }
        }
        self.measure();
        self.answer_waiters();
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of sandboxes")]
    fn measure(&self) {
        for (image, making, available) in self.state.counts() {
            for (state, count) in [("making", making), ("available", available)] {
                metrics::gauge!("staithe_pool_sandboxes", "image" => image.to_owned(), "state" => state)
                    .set(count as f64);
            }
        }
    }

    fn make(&self, number: Number, image: String, ctx: &mut Context<Self>) {
        let make = Make {
            engine: self.origin.engine.clone(),
            spec: self.spec(&number, &image),
            supply: self.origin.supply.clone(),
            asked: image,
            start_timeout: self.origin.settings.start_timeout,
            cancelled: self.cancel.subscribe(),
        };
        let began = Instant::now();
        ctx.spawn(make.run().into_actor(self).map(move |outcome, _, ctx| {
            ctx.notify(HasMade { number, outcome, took: began.elapsed() });
        }));
    }

    fn remove(&mut self, number: &Number, pooled: Pooled, ctx: &mut Context<Self>) {
        self.lines.remove(number);
        self.removing += 1;
        let engine = self.origin.engine.clone();
        let sandbox = pooled.claimed.sandbox;
        let remove = async move {
            if let Err(error) = engine.remove(&sandbox, true).await {
                // The next reconcile pass finds by its label that nobody wants it.
                tracing::warn!(%sandbox, %error, "a sandbox of the pool could not be removed");
            }
        };
        ctx.spawn(remove.into_actor(self).map(|(), _, ctx| ctx.notify(Removed)));
    }

    /// Tells when it ends or its line does.
    fn watch(
        &self,
        number: Number,
        sandbox: SandboxId,
        mut events: mpsc::Receiver<LinkEvent>,
        this: WeakAddr<Self>,
    ) {
        let mut exits = self.origin.engine.exits();
        actix::spawn(async move {
            loop {
                tokio::select! {
                    event = events.recv() => match event {
                        Some(LinkEvent::Down { .. }) => break,
                        Some(_) => {}
                        None => return, // it was claimed or removed
                    },
                    exit = exits.next() => match exit {
                        Some(exit) if exit.id == sandbox => break,
                        Some(_) => {}
                        None => futures_util::future::pending().await,
                    },
                }
            }
            if let Some(this) = this.upgrade() {
                mail::tell(&this, Died { number });
            }
        });
    }

    fn answer_waiters(&mut self) {
        if self.removing == 0 && self.state.known().is_empty() {
            for waiter in std::mem::take(&mut self.waiters) {
                waiter.send(()).unwrap_or_default(); // whoever waited may be gone
            }
        }
    }
}

impl Actor for Pool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Begin);
    }
}

/// Sent to itself once, at the start.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Begin;

/// Sent by the future that made it, or failed to.
#[derive(Message)]
#[rtype(result = "()")]
struct HasMade {
    number: Number,
    outcome: Result<Made, Fault>,
    took: Duration,
}

/// Sent by the watch over one: it is of no use any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Died {
    number: Number,
}

/// Sent by the future that removed one.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Removed;

/// Sent by its own timer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct PauseElapsed {
    image: String,
}

impl Handler<Begin> for Pool {
    type Result = ();

    fn handle(&mut self, _: Begin, ctx: &mut Self::Context) {
        self.perform(Vec::new(), ctx);
    }
}

impl Handler<HasMade> for Pool {
    type Result = ();

    fn handle(&mut self, HasMade { number, outcome, took }: HasMade, ctx: &mut Self::Context) {
        let mut work = Duration::ZERO;
        let pooled = match outcome {
            Ok(Made { pooled, link, events }) => {
                let sandbox = pooled.claimed.sandbox.clone();
                self.lines.insert(number.clone(), link);
                self.watch(number.clone(), sandbox, events, ctx.address().downgrade());
                Some(pooled)
            }
            Err(fault) => {
                tracing::warn!(cause = %fault.cause, step = ?fault.step, "a sandbox of the pool could not be made");
                if fault.step == Some(StartStep::Build) {
                    work = took;
                }
                None
            }
        };
        let effects = self.state.made(&number, pooled, work);
        self.perform(effects, ctx);
    }
}

impl Handler<Died> for Pool {
    type Result = ();

    fn handle(&mut self, Died { number }: Died, ctx: &mut Self::Context) {
        let effects = self.state.died(&number);
        self.perform(effects, ctx);
    }
}

impl Handler<Removed> for Pool {
    type Result = ();

    fn handle(&mut self, _: Removed, _: &mut Self::Context) {
        self.removing -= 1;
        self.answer_waiters();
    }
}

impl Handler<PauseElapsed> for Pool {
    type Result = ();

    fn handle(&mut self, PauseElapsed { image }: PauseElapsed, ctx: &mut Self::Context) {
        self.state.pause_elapsed(&image);
        self.perform(Vec::new(), ctx);
    }
}

impl Handler<ClaimSandbox> for Pool {
    type Result = Option<Claimed>;

    fn handle(&mut self, claim: ClaimSandbox, ctx: &mut Self::Context) -> Self::Result {
        let (outcome, claimed) = match self.state.claim(&claim.image, claim.config.as_deref()) {
            Claim::Taken { number, claimed } => {
                self.lines.remove(&number);
                ("claimed", Some(claimed))
            }
            Claim::Empty => ("empty", None),
            Claim::OtherSettings => ("other_settings", None),
        };
        metrics::counter!("staithe_pool_claims_total", "outcome" => outcome).increment(1);
        self.perform(Vec::new(), ctx);
        claimed
    }
}

impl Handler<KnownInPool> for Pool {
    type Result = MessageResult<KnownInPool>;

    fn handle(&mut self, _: KnownInPool, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.state.known())
    }
}

impl Handler<DrainPool> for Pool {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: DrainPool, ctx: &mut Self::Context) -> Self::Result {
        self.cancel.send_replace(true);
        let (waiter, answered) = oneshot::channel();
        self.waiters.push(waiter);
        let effects = self.state.drain();
        self.perform(effects, ctx);
        Box::pin(async move { drop(answered.await) })
    }
}

impl Handler<ParentGone> for Pool {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
