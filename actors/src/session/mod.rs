//! One browser session: owns its phase and its children, and restarts those that may be restarted.

mod agent;
mod children;
mod claiming;
pub mod idle;
pub mod messages;
mod naming;
mod places;
mod resting;
pub mod start_times;
pub mod state;
pub mod task;
mod views;

use std::{sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    ResponseFuture, WrapFuture,
};
use staithe_engine::Engine;
use staithe_protocol::{
    EventId, Fault, Generation, Observation, Phase, PhaseView, Progress, Reason, SandboxId, Source,
    StartStep, runner::Credential,
};
use staithe_store::Store;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    agent_session::{
        AgentSession,
        messages::{AgentStateNews, RuntimeDown, RuntimeUp, SubmitFailed},
    },
    event_stream::{
        EventStream, Flush,
        feed::{Feed, Subscription},
        messages::{Append, Subscribe},
    },
    images::supply::Supply,
    mail::{self, SendFailed},
    record::SessionRecord,
    runtime::{
        Runtime,
        messages::{EnsureRuntime, LookRuntime, News, RuntimeNews, StopRuntime, Told},
    },
    secrets::Mask,
    session_manager::{SessionManager, load::History, registry::SessionSnapshot},
    settings::{Settings, SuspendBy},
    supervise::{ChildDown, ChildHandle, ChildKind, DeathNotice, ParentGone, RestartBudget},
};

use idle::Idle;
use messages::{
    ClearSession, GetRuntime, JoinSession, LookForSandbox, PhaseDenied, StopSession, StreamBroken,
    SubmitAction, SuspendSession,
};
use start_times::StartTimes;
use state::{Effect, Endings, SessionState};

/// How long the last events may take to reach the disk when a session ends.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Session {
    origin: Origin,
    record: SessionRecord,
    state: SessionState,
    snapshot: watch::Sender<SessionSnapshot>,
    children: Option<Children>,
    generation: Generation,
    budget: RestartBudget,
    start_times: StartTimes,
    idle: Idle,
    /// How often it has become ready.
    starts: u64,
    restarts: u32,
    sandbox: Option<SandboxId>,
    /// The workspace's path in the sandbox.
    seen_as: String,
    waiters: Vec<oneshot::Sender<()>>,
    starters: Vec<oneshot::Sender<Result<Phase, PhaseDenied>>>,
    saving: Saving,
    /// The stream takes no event any more; a start begins anew from the store.
    stream_broken: bool,
    /// A repository is being cloned.
    cloning: bool,
    notice: DeathNotice<SessionManager>,
}

/// What a new session actor starts from: loaded from the store, never from a dead one's memory.
pub struct Origin {
    pub store: Arc<dyn Store>,
    pub engine: Arc<dyn Engine>,
    /// Of images that are built.
    pub supply: Option<Supply>,
    pub settings: Arc<Settings>,
    pub mask: Mask,
    pub feed: Arc<Feed>,
    pub head: Option<EventId>,
    pub references: Vec<u64>,
    /// What the log says; taken by the first agent.
    pub history: Option<History>,
    pub take: Take,
    /// The server is ending: nothing is started any more.
    pub draining: bool,
    /// For a session that is made now: what opens its repository.
    pub credential: Option<Credential>,
}

/// What is to be done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It rests.
    Rest,
    /// It was just made.
    FirstStart,
    /// A sandbox is wanted; one may be there, when the process that had it before was killed.
    Adopt,
    /// A stop was cut off.
    FinishStop,
}

struct Children {
    stream: ChildHandle<EventStream>,
    runtime: ChildHandle<Runtime>,
    agent: ChildHandle<AgentSession>,
}

/// The record on its way to the disk: one write at a time, the newest state last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saving {
    Idle,
    Writing,
    WritingAndStale,
}

impl Session {
    /// A session over its record.
    pub fn new(
        origin: Origin,
        record: SessionRecord,
        snapshot: watch::Sender<SessionSnapshot>,
        notice: DeathNotice<SessionManager>,
    ) -> Self {
        let view = PhaseView { fault: record.fault.clone(), ..PhaseView::of(record.phase) };
        let settings = &origin.settings.sandbox;
        let endings = Endings::of(settings);
        let sleeps = settings.suspend_by != SuspendBy::None;
        let idle = Idle::new(settings.idle_after.filter(|_| sleeps), Instant::now());
        Self {
            origin,
            state: SessionState::new(view, endings),
            generation: record.generation,
            record,
            snapshot,
            children: None,
            budget: RestartBudget::for_runtime(),
            start_times: StartTimes::default(),
            idle,
            starts: 0,
            restarts: 0,
            sandbox: None,
            seen_as: String::new(),
            waiters: Vec::new(),
            starters: Vec::new(),
            saving: Saving::Idle,
            stream_broken: false,
            cloning: false,
            notice,
        }
    }

    fn children(&self) -> &Children {
        self.children.as_ref().expect("started() makes the children before any message is handled")
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Publish(view) => self.publish(view, ctx),
                Effect::AskPlace { ticket, wish } => self.ask_place(ticket, wish, ctx),
                Effect::AnswerStarters(outcome) => self.answer_starters(outcome),
                Effect::TellStarted => self.tell_started(),
                Effect::GivePlaceBack => self.give_place_back(),
                Effect::EnsureRuntime => mail::tell(self.children().runtime.addr(), EnsureRuntime),
                Effect::LookRuntime => mail::tell(self.children().runtime.addr(), LookRuntime),
                Effect::StopRuntime(ending) => {
                    mail::tell(self.children().runtime.addr(), StopRuntime { ending });
                }
                Effect::AgentUp => {
                    self.agent_up();
                    self.clone_first(ctx);
                }
                Effect::AgentDown { hopeless } => {
                    mail::tell(self.children().agent.addr(), RuntimeDown { hopeless });
                }
                Effect::AnswerWaiters => self.answer_waiters(ctx),
            }
        }
    }

    fn agent_up(&self) {
        let runtime = self.children().runtime.addr().downgrade();
        let epoch = self.record.epoch.clone().unwrap_or_default();
        let workspace = self.seen_as.clone();
        mail::tell(self.children().agent.addr(), RuntimeUp { runtime, epoch, workspace });
    }

    /// The one place where a phase change is logged and told.
    fn publish(&mut self, view: PhaseView, ctx: &mut Context<Self>) {
        match (view.step, view.phase) {
            (Some(step), _) => self.start_times.step(step, Instant::now()),
            (None, Phase::Starting) => self.start_times.begin(Instant::now()),
            (None, phase) => self.note_start_end(phase),
        }
        let fault = view.fault.as_ref().map(|fault| fault.cause.as_str());
        if let Some(progress) = &view.progress {
            let Progress { image, number, of, text, .. } = progress;
            tracing::debug!(session_id = %self.record.id, step = ?view.step, image, number, of, text, "a step goes on");
        } else {
            tracing::info!(session_id = %self.record.id, phase = view.phase.as_str(), step = ?view.step, reason = ?view.reason, fault, "phase changed");
        }
        self.record.phase = view.phase;
        self.record.fault.clone_from(&view.fault);
        self.touch();
        self.snapshot.send_modify(|snapshot| snapshot.phase = view.clone());
        if view.step.is_none() {
            self.save(ctx);
        }
        if view.phase == Phase::Failed {
            metrics::counter!("staithe_faults_total").increment(1);
        }
        if view.phase == Phase::Ready {
            self.begin_clocks(ctx);
        }
        let append =
            Append::observation(Source::Environment, None, Observation::PhaseChanged(view));
        ctx.spawn(self.append(append).into_actor(self).map(|(), _, _| ()));
    }

    /// Once for each start, whatever came of it.
    fn note_start_end(&mut self, phase: Phase) {
        use StartStep::{Build, Connect, Create, Find, Image, Init, Queue, Start, Wake};
        if !self.start_times.end(Instant::now()) {
            return;
        }
        let times = &self.start_times;
        for step in times.view() {
            if let Some(took) = step.took_ms {
                let seconds = Duration::from_millis(took).as_secs_f64();
                metrics::histogram!("staithe_start_step_seconds", "step" => step.step.as_str())
                    .record(seconds);
            }
        }
        tracing::info!(
            session_id = %self.record.id,
            outcome = phase.as_str(),
            seconds = times.seconds(),
            queue_ms = times.took_ms(Queue),
            find_ms = times.took_ms(Find),
            image_ms = times.took_ms(Image),
            build_ms = times.took_ms(Build),
            create_ms = times.took_ms(Create),
            start_ms = times.took_ms(Start),
            wake_ms = times.took_ms(Wake),
            connect_ms = times.took_ms(Connect),
            init_ms = times.took_ms(Init),
            "start ended"
        );
        self.record.start_steps = times.view();
    }

    fn append(&self, append: Append) -> impl Future<Output = ()> + use<> {
        let append = mail::ask(self.children().stream.addr(), append);
        async move {
            match append.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "a phase change is not in the log"),
                Err(error) => tracing::error!(%error, "a phase change has no stream to go to"),
            }
        }
    }

    fn touch(&mut self) {
        self.record.updated_ms = jiff::Timestamp::now().as_millisecond();
        let updated_ms = self.record.updated_ms;
        self.snapshot.send_modify(|snapshot| snapshot.updated_ms = updated_ms);
    }

    fn save(&mut self, ctx: &mut Context<Self>) {
        if self.saving != Saving::Idle {
            self.saving = Saving::WritingAndStale;
            return;
        }
        self.saving = Saving::Writing;
        let (store, row) = (self.origin.store.clone(), self.record.to_row());
        let save = async move { store.put_session(row).await };
        ctx.spawn(save.into_actor(self).map(|outcome, _, ctx| {
            if let Err(error) = outcome {
                tracing::error!(%error, "a session's record could not be saved");
            }
            ctx.notify(Saved);
        }));
    }

    /// Answers once everything up to here is durable.
    fn answer_waiters(&mut self, ctx: &mut Context<Self>) {
        let waiters = std::mem::take(&mut self.waiters);
        let stream = self.children().stream.addr().clone();
        let flush = async move { mail::ask_within(&stream, Flush, FLUSH_DEADLINE).await };
        let (store, row) = (self.origin.store.clone(), self.record.to_row());
        let finish = async move {
            if let Err(error) = flush.await {
                tracing::warn!(%error, "the last events of a session may not be durable");
            }
            if let Err(error) = store.put_session(row).await {
                tracing::error!(%error, "a session's record could not be saved");
            }
            for waiter in waiters {
                // Whoever waited may be gone.
                waiter.send(()).unwrap_or_default();
            }
        };
        ctx.spawn(finish.into_actor(self));
    }

    fn wait(&mut self) -> ResponseFuture<()> {
        let (waiter, answered) = oneshot::channel();
        self.waiters.push(waiter);
        Box::pin(async move { drop(answered.await) })
    }

    fn keep_workspace(&mut self, workspace: Option<String>) {
        self.snapshot.send_modify(|snapshot| snapshot.workspace.clone_from(&workspace));
        self.record.workspace = workspace;
    }

    fn note_news(&mut self, news: &News) {
        match news {
            News::Up { hello, sandbox } => {
                self.record.epoch = Some(hello.epoch.clone());
                self.seen_as.clone_from(&hello.workspace);
                self.sandbox = Some(sandbox.clone());
            }
            News::Restarting { cause } => {
                self.restarts += 1;
                metrics::counter!("staithe_restarts_total", "actor" => "Runtime").increment(1);
                tracing::warn!(session_id = %self.record.id, cause, "sandbox is being restarted");
            }
            News::Failed(_) | News::Stopped => self.sandbox = None,
            News::Told(Told::Step { step, at }) => self.start_times.step(*step, *at),
            News::Told(Told::Workspace(workspace)) => self.keep_workspace(Some(workspace.clone())),
            News::Told(Told::Noted(_) | Told::Progress(_)) | News::Cut => {}
        }
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let stream = self.start_stream(ctx);
        let runtime = self.start_runtime(&stream, ctx);
        let agent = self.start_agent(&stream, ctx);
        self.children = Some(Children { stream, runtime, agent });
        ctx.notify(Begin);
    }
}

/// Sent to itself once, at the start.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Begin;

/// The record is on the disk.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Saved;

impl Handler<Begin> for Session {
    type Result = ();

    fn handle(&mut self, _: Begin, ctx: &mut Self::Context) {
        let effects = match self.origin.take {
            Take::Adopt | Take::FirstStart if self.origin.draining => Vec::new(),
            Take::Rest => Vec::new(),
            Take::FirstStart => self.state.first_start(),
            Take::Adopt => self.state.adopt(),
            Take::FinishStop => self.state.finish_stop(),
        };
        self.perform(effects, ctx);
        if self.record.task.clone.is_none() {
            self.say_first(ctx);
        }
    }
}

impl Handler<Saved> for Session {
    type Result = ();

    fn handle(&mut self, _: Saved, ctx: &mut Self::Context) {
        let stale = self.saving == Saving::WritingAndStale;
        self.saving = Saving::Idle;
        if stale {
            self.save(ctx);
        }
    }
}

impl Handler<RuntimeNews> for Session {
    type Result = ();

    fn handle(&mut self, RuntimeNews { generation, news }: RuntimeNews, ctx: &mut Self::Context) {
        self.record.generation = self.record.generation.max(generation);
        self.note_news(&news);
        let effects = self.state.observe(&news);
        self.perform(effects, ctx);
    }
}

impl Handler<AgentStateNews> for Session {
    type Result = ();

    fn handle(&mut self, AgentStateNews(agent): AgentStateNews, ctx: &mut Self::Context) {
        self.record.agent_state = agent;
        self.used();
        self.touch();
        self.save(ctx);
        self.snapshot.send_modify(|snapshot| snapshot.agent_state = agent);
    }
}

impl Handler<StopSession> for Session {
    type Result = Result<Phase, PhaseDenied>;

    fn handle(&mut self, _: StopSession, ctx: &mut Self::Context) -> Self::Result {
        let effects = self.state.stop()?;
        self.perform(effects, ctx);
        Ok(self.state.phase())
    }
}

impl Handler<SuspendSession> for Session {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, suspend: SuspendSession, ctx: &mut Self::Context) -> Self::Result {
        self.origin.draining = true;
        let answered = self.wait();
        let effects = if suspend.keep_sandbox {
            vec![Effect::AnswerWaiters]
        } else {
            self.state.suspend(Reason::Drain)
        };
        self.perform(effects, ctx);
        answered
    }
}

impl Handler<ClearSession> for Session {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ClearSession, ctx: &mut Self::Context) -> Self::Result {
        let answered = self.wait();
        self.origin.feed.mark_deleted();
        let effects = self.state.clear();
        self.perform(effects, ctx);
        answered
    }
}

impl Handler<LookForSandbox> for Session {
    type Result = ();

    fn handle(&mut self, _: LookForSandbox, ctx: &mut Self::Context) {
        let effects = self.state.look();
        self.perform(effects, ctx);
    }
}

impl Handler<SubmitAction> for Session {
    type Result = ResponseFuture<Result<EventId, SubmitFailed>>;

    fn handle(
        &mut self,
        SubmitAction(submit): SubmitAction,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        self.wake(ctx);
        self.used();
        self.touch();
        let submit = mail::ask(self.children().agent.addr(), submit);
        Box::pin(async move { submit.await? })
    }
}

impl Handler<JoinSession> for Session {
    type Result = ResponseFuture<Result<Subscription, SendFailed>>;

    fn handle(&mut self, JoinSession(info): JoinSession, ctx: &mut Self::Context) -> Self::Result {
        self.wake(ctx);
        self.used();
        Box::pin(mail::ask(self.children().stream.addr(), Subscribe(info)))
    }
}

impl Handler<GetRuntime> for Session {
    type Result = Addr<Runtime>;

    fn handle(&mut self, _: GetRuntime, ctx: &mut Self::Context) -> Self::Result {
        self.wake(ctx);
        self.used();
        self.children().runtime.addr().clone()
    }
}

impl Handler<ParentGone> for Session {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
