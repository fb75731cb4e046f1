//! What the executor decides is done: actions go to the sandbox or to an MCP server, and come back.

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WeakAddr, WrapFuture};
use staithe_protocol::{
    Action, EventId,
    runner::{Foreground, Limits},
};

use super::{
    AgentSession,
    state::{Effect, Outcome, Pending},
};
use crate::{
    event_stream::messages::Append,
    mail,
    runtime::messages::{Act, ActFailed, InterruptCommand},
};

/// What goes on after an interrupt is interrupted again; the third ends the shell, and after it a deaf kernel is not
/// waited for any more.
const AGAIN: Duration = Duration::from_secs(1);
const MOST_INTERRUPTS: u32 = 3;

/// A dispatched action came back; sent by the future that carried it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct CameBack {
    pub(super) id: EventId,
    pub(super) outcome: Outcome,
}

/// A while after an interrupt.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct StillRuns {
    place: Foreground,
    attempt: u32,
    id: Option<EventId>,
}

impl AgentSession {
    /// Does what the executor decided.
    pub(super) fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Dispatch(pending) => self.dispatch(*pending, ctx),
                Effect::Observe { of, observation } => {
                    self.servers.forget(of.id);
                    let append = Append::observation(of.source, Some(of.id), *observation);
                    let tool_call_metadata = of.tool_call_metadata;
                    self.append(Append { tool_call_metadata, ..append }, ctx);
                }
                Effect::Interrupt(place) => self.interrupt(place, 1, ctx),
            }
        }
    }

    fn dispatch(&mut self, pending: Pending, ctx: &mut Context<Self>) {
        let id = pending.id;
        if matches!(pending.action, Action::CallToolMcp(_)) {
            return self.call_tool(pending, ctx);
        }
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

    /// Interrupts what the agent has there, and looks a little later whether that was enough.
    fn interrupt(&mut self, place: Foreground, attempt: u32, ctx: &mut Context<Self>) {
        let Some(runtime) = self.runtime.as_ref().and_then(WeakAddr::upgrade) else { return };
        ctx.spawn(
            mail::ask(&runtime, InterruptCommand { only: Some(place) }).into_actor(self).map(
                |outcome, _, _| {
                    if let Ok(Err(error)) = outcome {
                        tracing::warn!(%error, "what the agent runs could not be interrupted");
                    }
                },
            ),
        );
        let id = self.executor.agents_foreground(place);
        ctx.notify_later(StillRuns { place, attempt, id }, AGAIN);
    }

    fn limits(&self, timeout: Option<u64>) -> Limits {
        let sandbox = &self.settings.sandbox;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Limits {
            timeout_ms: millis(timeout.map_or(sandbox.timeout, Duration::from_secs)),
            no_change_ms: millis(sandbox.no_change_timeout),
            max_output: sandbox.max_output,
        }
    }
}

impl Handler<CameBack> for AgentSession {
    type Result = ();

    fn handle(&mut self, CameBack { id, outcome }: CameBack, ctx: &mut <Self as Actor>::Context) {
        let effects = self.executor.came_back(id, outcome);
        self.perform(effects, ctx);
    }
}

impl Handler<StillRuns> for AgentSession {
    type Result = ();

    fn handle(
        &mut self,
        StillRuns { place, attempt, id }: StillRuns,
        ctx: &mut <Self as Actor>::Context,
    ) {
        let Some(id) = id.filter(|_| self.executor.agents_foreground(place) == id) else { return };
        if attempt < MOST_INTERRUPTS {
            self.interrupt(place, attempt + 1, ctx);
        } else if place == Foreground::Kernel {
            let effects = self.executor.give_up(id);
            self.perform(effects, ctx);
        }
    }
}
