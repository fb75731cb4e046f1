//! How a session goes to sleep by itself: when nobody uses it, and when its sandbox is too old.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use staithe_protocol::{Phase, Reason};
use tokio::time::Instant;

use super::{
    Session,
    idle::{Clients, Next},
    messages::TouchSession,
};
use crate::{
    agent_session::messages::IsBusy,
    mail,
    runtime::messages::{Activity, GetActivity},
};

/// Sent to itself: it may be that nobody uses the session.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct LookIdle {
    look: u64,
}

/// Sent by its own question: what agent and runner say.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Quiet {
    look: u64,
    /// None while something runs, or may.
    since: Option<Instant>,
}

/// Sent to itself: a sandbox has run for as long as it may. Of an earlier start it is stale.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct AgeReached {
    start: u64,
}

impl Session {
    /// The sandbox is ready: its time runs from here.
    pub(super) fn begin_clocks(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if let Some((look, at)) = self.idle.begin(now) {
            ctx.notify_later(LookIdle { look }, at.duration_since(now));
        }
        self.starts += 1;
        if let Some(most) = self.origin.settings.sandbox.max_age {
            ctx.notify_later(AgeReached { start: self.starts }, most);
        }
    }

    /// Somebody used it.
    pub(super) fn used(&mut self) {
        self.idle.used(Instant::now());
    }

    fn clients(&self) -> Clients {
        let feed = &self.origin.feed;
        Clients { now: feed.client_count(), left: feed.last_left() }
    }

    fn after_look(&mut self, look: u64, next: Next, ctx: &mut Context<Self>) {
        match next {
            Next::Stale => {}
            Next::LookAt(at) => {
                ctx.notify_later(LookIdle { look }, at.duration_since(Instant::now()));
            }
            Next::Ask => self.ask_whether_quiet(look, ctx),
            Next::Sleep => {
                let effects = self.state.suspend(Reason::Idle);
                self.perform(effects, ctx);
            }
        }
    }

    fn ask_whether_quiet(&self, look: u64, ctx: &mut Context<Self>) {
        let agent = mail::ask(self.children().agent.addr(), IsBusy);
        let runner = mail::ask(self.children().runtime.addr(), GetActivity);
        let asked = async move {
            // Who can't say may be busy.
            let agent_busy = agent.await.unwrap_or(true);
            match runner.await {
                Ok(Ok(Activity { busy: false, idle })) if !agent_busy => Some(idle),
                _ => None,
            }
        };
        ctx.spawn(asked.into_actor(self).map(move |idle: Option<Duration>, _, ctx| {
            let since = idle.and_then(|idle| Instant::now().checked_sub(idle));
            ctx.notify(Quiet { look, since });
        }));
    }
}

impl Handler<LookIdle> for Session {
    type Result = ();

    fn handle(&mut self, LookIdle { look }: LookIdle, ctx: &mut Self::Context) {
        if self.state.phase() == Phase::Ready {
            let next = self.idle.look(look, self.clients(), Instant::now());
            self.after_look(look, next, ctx);
        }
    }
}

impl Handler<Quiet> for Session {
    type Result = ();

    fn handle(&mut self, Quiet { look, since }: Quiet, ctx: &mut Self::Context) {
        if self.state.phase() == Phase::Ready {
            let next = self.idle.answered(look, since, self.clients(), Instant::now());
            self.after_look(look, next, ctx);
        }
    }
}

impl Handler<AgeReached> for Session {
    type Result = ();

    fn handle(&mut self, AgeReached { start }: AgeReached, ctx: &mut Self::Context) {
        if start == self.starts {
            let effects = self.state.age();
            self.perform(effects, ctx);
        }
    }
}

impl Handler<TouchSession> for Session {
    type Result = actix::MessageResult<TouchSession>;

    fn handle(&mut self, _: TouchSession, ctx: &mut Self::Context) -> Self::Result {
        self.wake(ctx);
        self.used();
        actix::MessageResult(self.state.phase())
    }
}
