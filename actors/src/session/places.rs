//! How a session gets its place among those that may run, and how it is started.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use staithe_engine::{LABEL_OWNER, LABEL_SESSION, Labels, SandboxState};
use staithe_protocol::Phase;
use tokio::sync::oneshot;

use super::{
    Session,
    messages::{PhaseDenied, PlaceNews, StartSession},
};
use crate::{
    mail,
    session_manager::messages::{GivePlaceBack, RequestStart, SandboxStarted, Wish},
};

impl Session {
    /// Asks the manager. One that may have a sandbox from before a crash looks first: whoever runs
    /// already needs no turn.
    pub(super) fn ask_place(&self, ticket: u64, wish: Wish, ctx: &mut Context<Self>) {
        if wish != Wish::Resume {
            self.request_start(ticket, wish);
            return;
        }
        let engine = self.origin.engine.clone();
        let mine = Labels::from([
            (LABEL_SESSION.to_owned(), self.record.id.to_string()),
            (LABEL_OWNER.to_owned(), self.origin.settings.owner.clone()),
        ]);
        let find = async move { engine.find(&mine).await };
        ctx.spawn(find.into_actor(self).map(move |found, this, _| {
            let runs = match found {
                Ok(found) => found.iter().any(|it| it.state == SandboxState::Running),
                Err(error) => {
                    tracing::warn!(session_id = %this.record.id, %error, "whether a sandbox runs can't be told");
                    false
                }
            };
            // A place that was asked for after it was given back would be nobody's for good.
            if this.state.asks(ticket) {
                this.request_start(ticket, if runs { Wish::Attach } else { Wish::Resume });
            }
        }));
    }

    fn request_start(&self, ticket: u64, wish: Wish) {
        // Without a manager this actor is about to end too.
        if let Some(manager) = self.notice.parent() {
            mail::tell(&manager, RequestStart { id: self.record.id, ticket, wish });
        }
    }

    pub(super) fn tell_started(&self) {
        if let Some(manager) = self.notice.parent() {
            mail::tell(&manager, SandboxStarted(self.record.id));
        }
    }

    pub(super) fn give_place_back(&self) {
        if let Some(manager) = self.notice.parent() {
            mail::tell(&manager, GivePlaceBack(self.record.id));
        }
    }

    pub(super) fn answer_starters(&mut self, outcome: Result<Phase, PhaseDenied>) {
        for starter in std::mem::take(&mut self.starters) {
            starter.send(outcome).unwrap_or_default(); // whoever asked may be gone
        }
    }

    /// A client or a request wakes it, where the limits allow that. A denial is told by the phase.
    pub(super) fn wake(&mut self, ctx: &mut Context<Self>) {
        if self.state.wakes() && !self.origin.draining {
            self.start(ctx).ok();
        }
    }

    pub(super) fn start(&mut self, ctx: &mut Context<Self>) -> Result<Phase, PhaseDenied> {
        if self.origin.draining {
            return Err(PhaseDenied::Draining);
        }
        let effects = self.state.start()?;
        if self.stream_broken {
            self.begin_anew(ctx);
            return Ok(self.state.phase());
        }
        self.perform(effects, ctx);
        if !self.children().agent.addr().connected() {
            self.restart_children(ctx);
        }
        Ok(self.state.phase())
    }
}

impl Handler<StartSession> for Session {
    type Result = ResponseFuture<Result<Phase, PhaseDenied>>;

    fn handle(&mut self, _: StartSession, ctx: &mut Self::Context) -> Self::Result {
        self.used();
        let outcome = self.start(ctx);
        if !self.state.awaits_place() || self.stream_broken || outcome.is_err() {
            return Box::pin(std::future::ready(outcome));
        }
        let (starter, answered) = oneshot::channel();
        self.starters.push(starter);
        Box::pin(async move { answered.await.unwrap_or(Err(PhaseDenied::Stopping)) })
    }
}

impl Handler<PlaceNews> for Session {
    type Result = ();

    fn handle(&mut self, PlaceNews { ticket, place }: PlaceNews, ctx: &mut Self::Context) {
        let effects = self.state.placed(ticket, place);
        self.perform(effects, ctx);
    }
}
