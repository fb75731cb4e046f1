//! Owns a session's sandbox: its handle in the engine and the line to its runner.

mod bring_up;
mod claiming;
pub(crate) mod connect;
mod ending;
mod file_ops;
mod image;
pub mod messages;
mod questions;
mod services;
pub(crate) mod spec;
pub mod state;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture,
    WeakAddr, WrapFuture,
};
use futures_util::StreamExt;
use staithe_engine::{Engine, SandboxExited, SandboxState};
use staithe_link::{Link, LinkEvent, LinkFailed};
use staithe_protocol::{
    Action, EventId, Fault, Generation, Observation, SandboxId, SessionId,
    api::Resources,
    frames::PartialKind,
    runner::{Answer, Call, Hello},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::Instrument;

use crate::{
    event_stream::{EventStream, messages::PublishPartial},
    images::supply::Supply,
    mail,
    session::Session,
    settings::SandboxSettings,
    supervise::{DeathNotice, ParentGone},
};

use bring_up::Attempt;
use claiming::Door;
use connect::Connected;
use messages::{
    Act, ActFailed, Ending, EnsureRuntime, LookRuntime, News, RuntimeNews, StopRuntime, Told,
};
use state::{CUT_LIMIT, Effect, Fact, RuntimeState};

/// Beyond an action's own limit, before its line is given up.
const ACT_MARGIN: Duration = Duration::from_secs(30);
/// The same for a cell: its kernel, and the server of that, may have to begin first.
const CELL_MARGIN: Duration = Duration::from_secs(90);

/// See the module.
pub struct Runtime {
    origin: Origin,
    state: RuntimeState,
    connected: Option<Line>,
    attempt: Option<UnderWay>,
    replies: file_ops::Replies,
    told: services::Told,
    _notice: DeathNotice<Session>,
}

/// An attempt that may still make something.
struct UnderWay {
    cancel: watch::Sender<bool>,
    /// Closed by its end.
    ended: watch::Receiver<()>,
}

impl UnderWay {
    /// Cancels it. What is returned ends when it makes nothing any more.
    fn cancel(&self) -> impl Future<Output = ()> + use<> {
        self.cancel.send_replace(true);
        let mut ended = self.ended.clone();
        async move { while ended.changed().await.is_ok() {} }
    }
}

/// What a new runtime starts from.
pub struct Origin {
    pub session_id: SessionId,
    pub session: WeakAddr<Session>,
    pub stream: WeakAddr<EventStream>,
    pub engine: Arc<dyn Engine>,
    /// Of images that are built.
    pub supply: Option<Supply>,
    pub settings: SandboxSettings,
    pub owner: String,
    /// What is asked for; what sandboxes are made of may be built on it.
    pub image: Option<String>,
    /// What it may use, instead of the configuration's limits.
    pub resources: Resources,
    pub key: String,
    /// The engine's name of the workspace, when there has been one.
    pub workspace: Option<String>,
    /// The last attempt of an earlier life.
    pub generation: Generation,
}

struct Line {
    sandbox: SandboxId,
    link: Link,
    hello: Hello,
}

impl Runtime {
    /// A runtime that has nothing yet.
    pub fn new(origin: Origin, notice: DeathNotice<Session>) -> Self {
        let state = RuntimeState::new(origin.generation);
        Self {
            origin,
            state,
            connected: None,
            attempt: None,
            replies: file_ops::Replies::default(),
            told: services::Told::default(),
            _notice: notice,
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::BringUp { generation } => self.bring_up(generation, ctx),
                Effect::WatchCut { generation } => {
                    ctx.notify_later(Observed { generation, fact: Fact::CutOverran }, CUT_LIMIT);
                }
                Effect::Pause { generation, pause } => {
                    ctx.notify_later(Observed { generation, fact: Fact::PauseElapsed }, pause);
                }
                Effect::TearDown { generation, ending } => {
                    self.tear_down(generation, ending, ctx);
                }
                Effect::Look { generation } => self.look(generation, ctx),
                Effect::DropLine => self.connected = None,
                Effect::Tell(told) => self.tell(News::Told(told)),
                Effect::TellUp => self.tell_up(),
                Effect::TellCut => self.tell(News::Cut),
                Effect::TellRestarting { cause } => self.tell(News::Restarting { cause }),
                Effect::TellFailed(fault) => self.tell(News::Failed(fault)),
                Effect::TellStopped => self.tell(News::Stopped),
            }
        }
    }

    fn tell(&self, news: News) {
        if let Some(session) = self.origin.session.upgrade() {
            mail::tell(&session, RuntimeNews { generation: self.state.generation(), news });
        }
    }

    fn tell_up(&self) {
        if let Some(line) = &self.connected {
            self.tell(News::Up { hello: line.hello.clone(), sandbox: line.sandbox.clone() });
        }
    }

    fn bring_up(&mut self, generation: Generation, ctx: &mut Context<Self>) {
        let this = ctx.address().downgrade();
        let (cancel, cancelled) = watch::channel(false);
        let (has_ended, ended) = watch::channel(());
        self.attempt = Some(UnderWay { cancel, ended });
        let attempt = Attempt {
            engine: self.origin.engine.clone(),
            spec: spec::of(&self.origin, generation),
            supply: self.origin.supply.clone(),
            asked: self.origin.image.clone(),
            start_timeout: self.origin.settings.start_timeout,
            recreate: self.origin.settings.recreate_on_changed_settings,
            cancelled,
            tell: Box::new(move |told| {
                if let Some(this) = this.upgrade() {
                    mail::tell(&this, FromAttempt { generation, told });
                }
            }),
            noted: AtomicBool::new(false),
            door: self.door(generation, ctx),
            claimed: false,
            away: AtomicBool::new(false),
            for_image: Duration::ZERO,
        };
        let span = tracing::info_span!("start", session_id = %self.origin.session_id, %generation);
        let began = Instant::now();
        ctx.spawn(attempt.run().instrument(span).into_actor(self).map(move |outcome, _, ctx| {
            let result = if outcome.is_ok() { "ok" } else { "failed" };
            metrics::histogram!("staithe_session_start_seconds", "outcome" => result)
                .record(began.elapsed().as_secs_f64());
            drop(has_ended);
            ctx.notify(BroughtUp { generation, outcome });
        }));
    }

    /// The way to the pool, for a session that never had a sandbox.
    fn door(&self, generation: Generation, ctx: &Context<Self>) -> Option<Door> {
        let Origin { image, session, settings, workspace, engine, .. } = &self.origin;
        let usual = self.origin.resources == Resources::default();
        let first = usual && generation == Generation::default().next() && workspace.is_none();
        let image = image.as_ref().filter(|_| first && engine.capabilities().pool)?;
        let pooled = settings.pool.iter().any(|size| size.image == *image);
        pooled.then(|| Door {
            runtime: ctx.address().downgrade(),
            session: session.clone(),
            image: image.clone(),
        })
    }

    fn tear_down(&mut self, generation: Generation, ending: Ending, ctx: &mut Context<Self>) {
        let engine = self.origin.engine.clone();
        let spec = spec::of(&self.origin, generation);
        let grace = self.origin.settings.stop_grace;
        let attempt = self.attempt.as_ref().map(UnderWay::cancel);
        let tear_down = async move {
            if let Some(attempt) = attempt {
                attempt.await;
            }
            ending::carry_out(&*engine, &spec, ending, grace).await
        };
        let session_id = self.origin.session_id;
        ctx.spawn(tear_down.into_actor(self).map(move |outcome, _, ctx| {
            let log_tail = outcome.unwrap_or_else(|error| {
                // The reconcile pass finds by label what is left, and tries again.
                tracing::error!(%session_id, %error, "a sandbox could not be ended");
                Vec::new()
            });
            ctx.notify(Observed { generation, fact: Fact::TornDown { log_tail } });
        }));
    }

    fn look(&self, generation: Generation, ctx: &mut Context<Self>) {
        let engine = self.origin.engine.clone();
        let mine = spec::mine(&spec::of(&self.origin, generation));
        let find = async move { engine.find(&mine).await };
        ctx.spawn(find.into_actor(self).map(move |found, _, ctx| match found {
            Ok(found) if found.iter().any(|it| it.state == SandboxState::Running) => {}
            Ok(_) => ctx.notify(Observed { generation, fact: Fact::Gone }),
            Err(error) => tracing::warn!(%error, "whether a sandbox runs can't be told"),
        }));
    }

    /// Passes what comes from the line into the mailbox, one awaited message after the other.
    fn watch(
        &self,
        generation: Generation,
        sandbox: SandboxId,
        mut events: mpsc::Receiver<LinkEvent>,
        this: WeakAddr<Self>,
    ) {
        let mut exits = self.origin.engine.exits();
        actix::spawn(async move {
            loop {
                let what = tokio::select! {
                    event = events.recv() => match event {
                        Some(event) => LineNews::Event(event),
                        None => return,
                    },
                    exit = exits.next() => match exit {
                        Some(exit) if exit.id == sandbox => LineNews::Exited(exit),
                        Some(_) => continue,
                        None => futures_util::future::pending().await,
                    },
                };
                let Some(this) = this.upgrade() else { return };
                if mail::ask(&this, FromLine { generation, what }).await.is_err() {
                    return;
                }
            }
        });
    }

    fn line(&self) -> Result<Link, ActFailed> {
        self.connected.as_ref().map(|line| line.link.clone()).ok_or(ActFailed::NotConnected)
    }
}

impl Actor for Runtime {
    type Context = Context<Self>;
}

/// A fact about an attempt, sent by the runtime's own futures and timers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Observed {
    generation: Generation,
    fact: Fact,
}

/// An attempt goes on; sent by it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct FromAttempt {
    generation: Generation,
    told: Told,
}

/// An attempt ended, with what it brought.
#[derive(Message)]
#[rtype(result = "()")]
struct BroughtUp {
    generation: Generation,
    outcome: Result<Connected, Fault>,
}

/// Something came over the line of an attempt.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct FromLine {
    generation: Generation,
    what: LineNews,
}

#[derive(Debug)]
enum LineNews {
    Event(LinkEvent),
    Exited(SandboxExited),
}

impl Handler<EnsureRuntime> for Runtime {
    type Result = ();

    fn handle(&mut self, _: EnsureRuntime, ctx: &mut Self::Context) {
        let effects = self.state.ensure();
        self.perform(effects, ctx);
    }
}

impl Handler<StopRuntime> for Runtime {
    type Result = ();

    fn handle(&mut self, StopRuntime { ending }: StopRuntime, ctx: &mut Self::Context) {
        let effects = self.state.stop(ending);
        self.perform(effects, ctx);
    }
}

impl Handler<LookRuntime> for Runtime {
    type Result = ();

    fn handle(&mut self, _: LookRuntime, ctx: &mut Self::Context) {
        let effects = self.state.look();
        self.perform(effects, ctx);
    }
}

impl Handler<Observed> for Runtime {
    type Result = ();

    fn handle(&mut self, Observed { generation, fact }: Observed, ctx: &mut Self::Context) {
        let effects = self.state.observe(generation, fact, Instant::now());
        self.perform(effects, ctx);
    }
}

impl Handler<FromAttempt> for Runtime {
    type Result = ();

    fn handle(&mut self, FromAttempt { generation, told }: FromAttempt, ctx: &mut Self::Context) {
        // True whatever has become of the attempt.
        if let Told::Workspace(workspace) = &told {
            self.origin.workspace = Some(workspace.clone());
        }
        let effects = self.state.observe(generation, Fact::Told(told), Instant::now());
        self.perform(effects, ctx);
    }
}

impl Handler<BroughtUp> for Runtime {
    type Result = ();

    fn handle(&mut self, BroughtUp { generation, outcome }: BroughtUp, ctx: &mut Self::Context) {
        let outcome = outcome.map(|connected| {
            if generation == self.state.generation() {
                let Connected { sandbox, link, events, hello } = connected;
                self.watch(generation, sandbox.clone(), events, ctx.address().downgrade());
                self.forget_plugins();
                self.equip(&link);
                self.connected = Some(Line { sandbox, link, hello });
            }
        });
        let effects = self.state.observe(generation, Fact::BroughtUp(outcome), Instant::now());
        self.perform(effects, ctx);
    }
}

impl Handler<FromLine> for Runtime {
    type Result = ();

    fn handle(&mut self, FromLine { generation, what }: FromLine, ctx: &mut Self::Context) {
        if generation != self.state.generation() {
            return; // stale: of a line that was let go
        }
        let fact = match what {
            LineNews::Exited(exit) => {
                Fact::Exited { code: exit.code, out_of_memory: exit.out_of_memory }
            }
            LineNews::Event(LinkEvent::Down { reason }) => {
                tracing::debug!(session_id = %self.origin.session_id, reason, "line to runner cut");
                Fact::LineDown
            }
            LineNews::Event(LinkEvent::Up(hello)) => {
                let Some(line) = &mut self.connected else { return };
                let same_epoch = line.hello.epoch == hello.epoch;
                line.hello = hello;
                let to = line.link.clone();
                if !same_epoch {
                    self.forget_plugins();
                }
                self.equip(&to);
                Fact::LineUp { same_epoch }
            }
            LineNews::Event(LinkEvent::Output { key, offset, text, skipped }) => {
                if let Some(stream) = self.origin.stream.upgrade() {
                    let cause = key.and_then(|key| key.parse().ok()).map(EventId);
                    let kind = PartialKind::Output;
                    mail::tell(&stream, PublishPartial { cause, kind, offset, text, skipped });
                }
                return;
            }
            LineNews::Event(LinkEvent::Plugin(plugin)) => return self.plugin_changed(plugin),
            LineNews::Event(LinkEvent::Ports(ports)) => return self.ports_changed(ports, ctx),
        };
        let effects = self.state.observe(generation, fact, Instant::now());
        self.perform(effects, ctx);
    }
}

impl Handler<Act> for Runtime {
    type Result = ResponseFuture<Result<Observation, ActFailed>>;

    fn handle(&mut self, act: Act, _: &mut Self::Context) -> Self::Result {
        let Act { key, action, limits, source } = act;
        let (line, source) = (self.line(), Some(source));
        Box::pin(async move {
            let is_cell = matches!(action, Action::RunIpython(_));
            let margin = if is_cell { CELL_MARGIN } else { ACT_MARGIN };
            let deadline = Duration::from_millis(limits.timeout_ms) + margin;
            match line?.call(Call::Act { key, action, limits, source }, deadline).await {
                Ok(Answer::Observed { observation }) => Ok(*observation),
                Ok(Answer::Failed { error }) => Err(ActFailed::Refused(error.to_string())),
                Ok(other) => Err(ActFailed::Refused(format!("unexpected answer: {other:?}"))),
                Err(LinkFailed::Down | LinkFailed::Cut) => Err(ActFailed::NotConnected),
                Err(error) => Err(ActFailed::Refused(error.to_string())),
            }
        })
    }
}

impl Handler<ParentGone> for Runtime {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
