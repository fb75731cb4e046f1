//! The agent's side of a session: takes actions, has them carried out in the sandbox, asks the model, and does what
//! the controller decides.
//!
//! | who | decides |
//! |---|---|
//! | [`Controller`] | what the agent does next; a fold over the log |
//! | [`Executor`] | which action goes to the sandbox when, and what is said of it when a line is cut |
//!
//! Both are rebuilt from the log after any crash. What happens is put into the log first; the actor reads the log
//! like any client (`following.rs`), and only what it finds there has consequences.

mod asking;
mod carrying;
pub mod choice;
pub mod chosen;
mod following;
pub mod found;
mod learning;
mod meant;
pub mod messages;
pub mod restore;
mod servers;
pub mod state;
pub mod turns;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    MessageResult, ResponseActFuture, WeakAddr, WrapFuture, fut,
};
use staithe_agent::controller::{self, Controller, Equipment, Timer};
use staithe_protocol::{Action, Body, Event, EventId, Observation, Source};
use tokio::time::Instant;

use crate::{
    event_stream::{
        EventStream,
        feed::Feed,
        messages::{AnswersTaken, Append, FindReference, Reference},
    },
    mail,
    runtime::Runtime,
    secrets::Mask,
    session::Session,
    settings::Settings,
    supervise::{DeathNotice, ParentGone},
};

use asking::Asking;
use choice::{AgentChoice, AgentView, Defaults, Used};
use chosen::Chosen;
use found::Found;
use learning::Learning;
use meant::Meant;
use messages::{
    AgentStateNews, GetAgent, IsBusy, RuntimeDown, RuntimeUp, SetAgent, Submit, SubmitDenied,
    SubmitFailed,
};
use servers::Servers;
use state::{Executor, Pending};
use turns::Turns;

/// See the module.
pub struct AgentSession {
    controller: Box<Controller>,
    executor: Executor,
    /// The agent's runnable actions that are in the log and not released.
    held: BTreeMap<EventId, Pending>,
    meant: Meant,
    /// Submissions on their way to the log: they are acted on in its order.
    turns: Turns<Pending>,
    chosen: Chosen,
    found: Found,
    equipment: Equipment,
    servers: Servers,
    learning: Learning,
    asking: Option<Asking>,
    /// Pieces of an answer were shown, and nothing that came of it was read in the log yet.
    shown: bool,
    /// The newest event that was read.
    newest: Option<EventId>,
    origin: Instant,
    session: WeakAddr<Session>,
    stream: Addr<EventStream>,
    feed: Arc<Feed>,
    mask: Mask,
    runtime: Option<WeakAddr<Runtime>>,
    settings: Arc<Settings>,
    owner: String,
    choice: AgentChoice,
    _notice: DeathNotice<Session>,
}

/// What a new agent's session starts from.
pub struct Origin {
    /// Rebuilt from the log up to `head`.
    pub controller: Box<Controller>,
    pub head: Option<EventId>,
    /// Actions without an observation, in order.
    pub unanswered: Vec<Pending>,
    /// What the log says of what there is to work with.
    pub found: Found,
    /// The runner that may know them.
    pub epoch: Option<String>,
    /// Whose session it is, and what people chose for it.
    pub owner: String,
    pub choice: AgentChoice,
    pub session: WeakAddr<Session>,
    pub stream: Addr<EventStream>,
    pub feed: Arc<Feed>,
    pub mask: Mask,
    pub settings: Arc<Settings>,
}

impl AgentSession {
    /// An agent's session that goes on where the log ends.
    pub fn new(origin: Origin, notice: DeathNotice<Session>) -> Self {
        let kept_back = origin.controller.held();
        let runnable = origin.unanswered.into_iter().filter(|it| it.action.is_runnable());
        let (held, released): (Vec<_>, Vec<_>) =
            runnable.partition(|it| it.source == Source::Agent && kept_back.contains(&it.id));
        let most_waiting = origin.settings.limits.max_queued_actions;
        let chosen = Chosen::of(&origin.settings, &origin.choice, &origin.owner);
        Self {
            controller: origin.controller,
            executor: Executor::restore(released, origin.epoch, most_waiting),
            held: held.into_iter().map(|pending| (pending.id, pending)).collect(),
            meant: Meant::default(),
            turns: Turns::default(),
            chosen,
            found: origin.found,
            equipment: Equipment::default(),
            servers: Servers::default(),
            learning: Learning::default(),
            asking: None,
            shown: false,
            newest: origin.head,
            origin: Instant::now(),
            session: origin.session,
            stream: origin.stream,
            feed: origin.feed,
            mask: origin.mask,
            runtime: None,
            settings: origin.settings,
            owner: origin.owner,
            choice: origin.choice,
            _notice: notice,
        }
    }

    /// As the controller reckons it.
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// The next event of the log.
    fn take(&mut self, event: &Event, ctx: &mut Context<Self>) {
        self.newest = Some(event.id);
        let meant = self.meant.take(event);
        let event = meant.as_ref().unwrap_or(event);
        if let Body::Action(action) = &event.body
            && event.source == Source::Agent
            && action.is_runnable()
        {
            self.held.insert(event.id, Pending::of(event, action.clone()));
        }
        if let (Body::Observation(_), Some(cause)) = (&event.body, event.cause) {
            self.held.remove(&cause); // answered without being carried out
        }
        if self.shown && self.asking.is_none() && event.source != Source::User {
            self.shown = false;
            mail::tell(&self.stream, AnswersTaken(event.id));
        }
        if let Body::Observation(Observation::AgentStateChanged(changed)) = &event.body
            && let Some(session) = self.session.upgrade()
        {
            mail::tell(&session, AgentStateNews(changed.agent_state));
        }
        if self.found.take(event) {
            self.equip(ctx);
        }
        let effects = self.controller.appended(event, self.now());
        self.obey(effects, ctx);
    }

    fn equip(&mut self, ctx: &mut Context<Self>) {
        let today = jiff::Zoned::now().date().to_string();
        let Equipment { offer, facts, sandbox, gone } = &mut self.equipment;
        *gone = self.executor.is_gone();
        offer.clone_from(&self.found.offer);
        offer.mcp = self.servers.tools();
        *sandbox = self.executor.is_up() && self.servers.are_settled();
        facts.date = Some(today);
        facts.repository = self.found.repository(&facts.working_dir);
        let effects = self.controller.equipped(self.equipment.clone(), self.now());
        self.obey(effects, ctx);
        self.learn_if_wanted(ctx);
    }

    /// Does what the controller decided.
    fn obey(&mut self, effects: Vec<controller::Effect>, ctx: &mut Context<Self>) {
        use controller::Effect as Decided;
        for effect in effects {
            match effect {
                Decided::Append(append) => {
                    self.meant.goes(&append);
                    self.append((*append).into(), ctx);
                }
                Decided::Ask { call, question, purpose } => {
                    self.ask_model(call, *question, purpose, ctx);
                }
                Decided::Hush { call } => self.hush(call),
                Decided::Interrupt => {
                    let effects = self.executor.interrupt_agent();
                    self.perform(effects, ctx);
                }
                Decided::Arm { timer, after } => {
                    ctx.notify_later(Elapsed(timer), after);
                }
                Decided::Learn => self.learn(ctx),
                Decided::Release(id) => {
                    if let Some(pending) = self.held.remove(&id) {
                        let effects = if self.meant.is_known(&pending) {
                            self.executor.committed(pending)
                        } else {
                            vec![state::not_known(pending)]
                        };
                        self.perform(effects, ctx);
                    }
                }
            }
        }
    }

    fn append(&self, append: Append, ctx: &mut Context<Self>) {
        ctx.spawn(mail::ask(&self.stream, append).into_actor(self).map(|outcome, _, _| {
            // A broken stream has logged why and fails its session.
            if let Err(error) = outcome {
                tracing::warn!(%error, "an event has no stream to go to");
            }
        }));
    }

    /// A repetition is answered as the first time, whatever has become of the state since.
    fn repeat_or_deny(
        &self,
        reference: Option<Reference>,
        denied: SubmitDenied,
    ) -> ResponseActFuture<Self, Result<EventId, SubmitFailed>> {
        let Some(reference) = reference else {
            return Box::pin(fut::ready(Err(denied.into())));
        };
        let find = mail::ask(&self.stream, FindReference(reference));
        let answer = async move {
            match find.await?? {
                Some(first) => Ok(first.id),
                None => Err(denied.into()),
            }
        };
        Box::pin(answer.into_actor(self))
    }

    fn admit(&self, action: &Action, source: Source) -> Result<(), SubmitDenied> {
        self.controller.admit(action, source)?;
        self.executor.admit(action)
    }

    /// What the agent works with, as it is now: a key may have been set since.
    fn choose(&mut self, ctx: &mut Context<Self>) {
        self.chosen = Chosen::of(&self.settings, &self.choice, &self.owner);
        let effects = self.controller.set(self.chosen.configured.clone(), self.now());
        self.obey(effects, ctx);
    }

    fn view(&self) -> AgentView {
        let defaults = Defaults {
            settings: self.settings.agent.clone(),
            model: self.settings.models.default_for(&self.owner),
        };
        let spent = self.controller.spent();
        let used = Used {
            steps: spent.steps,
            cost: spent.cost,
            input_tokens: spent.usage.input,
            output_tokens: spent.usage.output,
        };
        AgentView { used, ..AgentView::of(self.controller.state(), &defaults, &self.choice) }
    }
}

impl From<controller::Append> for Append {
    fn from(append: controller::Append) -> Self {
        let controller::Append { source, cause, body, timeout, tool_call_metadata, llm_metrics } =
            append;
        Self { source, cause, body, timeout, tool_call_metadata, llm_metrics, reference: None }
    }
}

impl Actor for AgentSession {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Resume);
    }
}

/// Sent to itself once, at the start.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Resume;

impl Handler<Resume> for AgentSession {
    type Result = ();

    fn handle(&mut self, _: Resume, ctx: &mut Self::Context) {
        let effects = self.controller.resumed(self.now());
        self.obey(effects, ctx);
        self.follow(self.feed.clone(), self.newest, ctx);
    }
}

/// A timer of the controller's ran out.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Elapsed(Timer);

impl Handler<Submit> for AgentSession {
    type Result = ResponseActFuture<Self, Result<EventId, SubmitFailed>>;

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) -> Self::Result {
        if !submit.action.is_runnable() && self.chosen.configured.model.is_err() {
            self.choose(ctx);
        }
        if let Err(denied) = self.admit(&submit.action, submit.source) {
            return self.repeat_or_deny(submit.reference, denied);
        }
        let Submit { source, action, timeout, reference } = submit;
        let append = Append {
            source,
            cause: None,
            body: Body::Action(action.clone()),
            timeout,
            tool_call_metadata: None,
            llm_metrics: None,
            reference,
        };
        let turn = self.turns.take();
        let append = mail::ask(&self.stream, append);
        Box::pin(append.into_actor(self).map(move |appended, this, ctx| {
            let new = match &appended {
                Ok(Ok(appended)) if !appended.repeated => Some(appended.id),
                _ => None,
            };
            // As it was sent: the log may hide a secret in it.
            let pending =
                new.map(|id| Pending { tool_call_metadata: None, id, source, action, timeout });
            for pending in this.turns.settle(turn, pending) {
                if pending.action.is_runnable() {
                    let effects = this.executor.committed(pending);
                    this.perform(effects, ctx);
                }
            }
            Ok(appended??.id)
        }))
    }
}

impl Handler<Elapsed> for AgentSession {
    type Result = ();

    fn handle(&mut self, Elapsed(timer): Elapsed, ctx: &mut Self::Context) {
        let effects = self.controller.elapsed(timer, self.now());
        self.obey(effects, ctx);
    }
}

impl Handler<RuntimeUp> for AgentSession {
    type Result = ();

    fn handle(
        &mut self,
        RuntimeUp { runtime, epoch, workspace }: RuntimeUp,
        ctx: &mut Self::Context,
    ) {
        self.runtime = Some(runtime);
        let effects = self.executor.runtime_up(epoch);
        self.perform(effects, ctx);
        self.serve(ctx);
        self.equipment.facts.working_dir = workspace;
        self.equip(ctx);
    }
}

impl Handler<RuntimeDown> for AgentSession {
    type Result = ();

    fn handle(&mut self, RuntimeDown { hopeless }: RuntimeDown, ctx: &mut Self::Context) {
        let effects = self.executor.runtime_down(hopeless);
        self.perform(effects, ctx);
        if hopeless {
            self.serve_no_more(ctx);
        }
        self.equip(ctx);
    }
}

impl Handler<IsBusy> for AgentSession {
    type Result = bool;

    fn handle(&mut self, _: IsBusy, _: &mut Self::Context) -> Self::Result {
        self.executor.is_busy() || self.controller.is_busy()
    }
}

impl Handler<GetAgent> for AgentSession {
    type Result = MessageResult<GetAgent>;

    fn handle(&mut self, _: GetAgent, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.view())
    }
}

impl Handler<SetAgent> for AgentSession {
    type Result = MessageResult<SetAgent>;

    fn handle(&mut self, SetAgent(choice): SetAgent, ctx: &mut Self::Context) -> Self::Result {
        self.choice = choice;
        self.choose(ctx);
        MessageResult(self.view())
    }
}

impl Handler<ParentGone> for AgentSession {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
