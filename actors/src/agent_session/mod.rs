//! The agent's side of a session: takes actions, routes them to the runtime, brings observations back.
//!
//! It is rebuilt from the log after any crash; which actions have no observation yet is all it needs.

pub mod choice;
pub mod messages;
pub mod restore;
pub mod state;
pub mod turns;

use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    MessageResult, ResponseActFuture, WeakAddr, WrapFuture, fut,
};
use staithe_protocol::{
    AgentState, Body, EventId, Observation, Source, observation::AgentStateChanged, runner::Limits,
};

use crate::{
    event_stream::{
        EventStream,
        messages::{Append, FindReference, Reference},
    },
    mail,
    runtime::{
        Runtime,
        messages::{Act, ActFailed},
    },
    session::Session,
    settings::SandboxSettings,
    supervise::{DeathNotice, ParentGone},
};

use choice::{AgentChoice, AgentView, Defaults};
use messages::{
    AgentStateNews, GetAgent, IsBusy, RuntimeDown, RuntimeUp, SetAgent, Submit, SubmitDenied,
    SubmitFailed,
};
use state::{AgentSessionState, Effect, Outcome, Pending};
use turns::Turns;

/// See the module.
pub struct AgentSession {
    state: AgentSessionState,
    /// Submissions on their way to the log: they are acted on in its order.
    turns: Turns<Pending>,
    session: WeakAddr<Session>,
    stream: Addr<EventStream>,
    runtime: Option<WeakAddr<Runtime>>,
    settings: SandboxSettings,
    defaults: Defaults,
    choice: AgentChoice,
    _notice: DeathNotice<Session>,
}

impl AgentSession {
    /// An agent's session with a state rebuilt from the log.
    pub fn new(
        state: AgentSessionState,
        session: WeakAddr<Session>,
        stream: Addr<EventStream>,
        settings: SandboxSettings,
        (defaults, choice): (Defaults, AgentChoice),
        notice: DeathNotice<Session>,
    ) -> Self {
        Self {
            state,
            turns: Turns::default(),
            session,
            stream,
            runtime: None,
            settings,
            defaults,
            choice,
            _notice: notice,
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Dispatch(pending) => self.dispatch(*pending, ctx),
                Effect::Observe { source, cause, observation } => {
                    self.observe(source, Some(cause), *observation, ctx);
                }
                Effect::StateChanged { state, cause } => {
                    let changed =
                        AgentStateChanged { agent_state: state, ..AgentStateChanged::default() };
                    let observation = Observation::AgentStateChanged(changed);
                    self.observe(Source::Environment, cause, observation, ctx);
                    self.tell_state(state);
                }
            }
        }
    }

    fn tell_state(&self, state: AgentState) {
        if let Some(session) = self.session.upgrade() {
            mail::tell(&session, AgentStateNews(state));
        }
    }

    fn observe(
        &self,
        source: Source,
        cause: Option<EventId>,
        observation: Observation,
        ctx: &mut Context<Self>,
    ) {
        let append = Append::observation(source, cause, observation);
        ctx.spawn(mail::ask(&self.stream, append).into_actor(self).map(|outcome, _, _| {
            // A broken stream has logged why and fails its session.
            if let Err(error) = outcome {
                tracing::warn!(%error, "an observation has no stream to go to");
            }
        }));
    }

    fn dispatch(&self, pending: Pending, ctx: &mut Context<Self>) {
        let id = pending.id;
        let Some(runtime) = self.runtime.as_ref().and_then(WeakAddr::upgrade) else {
            ctx.notify(CameBack { id, outcome: Outcome::Unknown });
            return;
        };
        let act = Act {
            key: id.to_string(),
            limits: self.limits(pending.timeout),
            action: pending.action,
            source: pending.source,
        };
        ctx.spawn(mail::ask(&runtime, act).into_actor(self).map(move |outcome, _, ctx| {
            let outcome = match outcome {
                Ok(Ok(observation)) => Outcome::Observed(Box::new(observation)),
                Ok(Err(ActFailed::Refused(reason))) => Outcome::Refused(reason),
                Ok(Err(ActFailed::NotConnected)) | Err(_) => Outcome::Unknown,
            };
            ctx.notify(CameBack { id, outcome });
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

    fn view(&self) -> AgentView {
        AgentView::of(self.state.agent(), &self.defaults, &self.choice)
    }

    fn limits(&self, timeout: Option<u64>) -> Limits {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Limits {
            timeout_ms: millis(timeout.map_or(self.settings.timeout, Duration::from_secs)),
            no_change_ms: millis(self.settings.no_change_timeout),
            max_output: self.settings.max_output,
        }
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
        let effects = self.state.resume();
        self.perform(effects, ctx);
    }
}

/// A dispatched action came back; sent by the future that carried it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct CameBack {
    id: EventId,
    outcome: Outcome,
}

impl Handler<Submit> for AgentSession {
    type Result = ResponseActFuture<Self, Result<EventId, SubmitFailed>>;

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) -> Self::Result {
        if let Err(denied) = self.state.admit(&submit.action) {
            return self.repeat_or_deny(submit.reference, denied);
        }
        let Submit { source, action, timeout, reference } = submit;
        let append = Append {
            source,
            cause: None,
            body: Body::Action(action.clone()),
            timeout,
            tool_call_metadata: None,
            reference,
        };
        let turn = self.turns.take();
        let append = mail::ask(&self.stream, append);
        Box::pin(append.into_actor(self).map(move |appended, this, ctx| {
            let new = match &appended {
                Ok(Ok(appended)) if !appended.repeated => Some(appended.id),
                _ => None,
            };
            let pending = new.map(|id| Pending { id, source, action, timeout });
            for pending in this.turns.settle(turn, pending) {
                let effects = this.state.committed(pending);
                this.perform(effects, ctx);
            }
            Ok(appended??.id)
        }))
    }
}

impl Handler<CameBack> for AgentSession {
    type Result = ();

    fn handle(&mut self, CameBack { id, outcome }: CameBack, ctx: &mut Self::Context) {
        let effects = self.state.came_back(id, outcome);
        self.perform(effects, ctx);
    }
}

impl Handler<RuntimeUp> for AgentSession {
    type Result = ();

    fn handle(&mut self, RuntimeUp { runtime, epoch }: RuntimeUp, ctx: &mut Self::Context) {
        self.runtime = Some(runtime);
        let effects = self.state.runtime_up(epoch);
        self.perform(effects, ctx);
    }
}

impl Handler<RuntimeDown> for AgentSession {
    type Result = ();

    fn handle(&mut self, RuntimeDown { hopeless }: RuntimeDown, ctx: &mut Self::Context) {
        let effects = self.state.runtime_down(hopeless);
        self.perform(effects, ctx);
    }
}

impl Handler<IsBusy> for AgentSession {
    type Result = bool;

    fn handle(&mut self, _: IsBusy, _: &mut Self::Context) -> Self::Result {
        self.state.is_busy()
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

    fn handle(&mut self, SetAgent(choice): SetAgent, _: &mut Self::Context) -> Self::Result {
        self.choice = choice;
        MessageResult(self.view())
    }
}

impl Handler<ParentGone> for AgentSession {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
