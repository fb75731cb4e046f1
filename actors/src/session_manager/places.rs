//! How places to run in are given and taken back.

use actix::{AsyncContext, Context, Handler};
use staithe_protocol::SessionId;
use tokio::time::Instant;

use super::{
    SessionManager,
    admission::Standing,
    messages::{GivePlaceBack, PlacesChanged, RequestStart, SandboxStarted},
};
use crate::{
    mail,
    session::messages::{Place, PlaceNews},
};

impl SessionManager {
    /// Gives places to those whose turn it is, and tells the others where they stand.
    pub(super) fn settle_places(&mut self, ctx: &mut Context<Self>) {
        // A sweep knows the workspaces that were wanted when it began. It takes a moment, which is no
        // queue to tell anybody of.
        if self.sweeping {
            return;
        }
        // A drain ends all.
        if !self.draining {
            for id in self.admission.returned() {
                if let Some(turn) = self.turns.remove(&id) {
                    turn.send(()).unwrap_or_default(); // it may be ending
                }
            }
            for id in self.admission.advance() {
                self.tell_place(id, Place::Granted);
            }
        }
        let now = Instant::now();
        let (news, next) = self.admission.news(now);
        for (id, position) in news {
            self.tell_place(id, Place::Waiting { position });
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of sessions")]
        metrics::gauge!("staithe_starts_waiting").set(self.admission.waiting() as f64);
        if let Some(next) = next
            && self.telling_at.is_none_or(|at| at <= now || next < at)
        {
            self.telling_at = Some(next);
            ctx.notify_later(PlacesChanged, next.duration_since(now));
        }
    }

    /// A session that asked hears of it; one that has not asked yet hears when it does.
    fn tell_place(&self, id: SessionId, place: Place) {
        let Some(ticket) = self.tickets.get(&id).copied() else { return };
        if let Some(session) = self.registry.live(id) {
            mail::tell(&session.addr, PlaceNews { ticket, place });
        }
    }

    /// Whatever place it has is free.
    pub(super) fn free_place(&mut self, id: SessionId, ctx: &mut Context<Self>) {
        self.admission.ended(id);
        self.tickets.remove(&id);
        self.turns.remove(&id);
        self.settle_places(ctx);
    }
}

impl Handler<RequestStart> for SessionManager {
    type Result = ();

    fn handle(&mut self, request: RequestStart, ctx: &mut Self::Context) {
        let RequestStart { id, ticket, wish } = request;
        let Some(owner) = self.registry.owner(id) else { return }; // deleted
        self.tickets.insert(id, ticket);
        match self.admission.ask(id, &owner, wish) {
            Ok(Standing::Granted) => self.tell_place(id, Place::Granted),
            Ok(Standing::Waiting) => self.admission.forget_told(id),
            Err(too_many) => {
                self.tell_place(id, Place::Denied(too_many));
                self.tickets.remove(&id);
            }
        }
        self.settle_places(ctx);
    }
}

impl Handler<SandboxStarted> for SessionManager {
    type Result = ();

    fn handle(&mut self, SandboxStarted(id): SandboxStarted, ctx: &mut Self::Context) {
        self.admission.started(id);
        self.settle_places(ctx);
    }
}

impl Handler<GivePlaceBack> for SessionManager {
    type Result = ();

    fn handle(&mut self, GivePlaceBack(id): GivePlaceBack, ctx: &mut Self::Context) {
        self.free_place(id, ctx);
    }
}

impl Handler<PlacesChanged> for SessionManager {
    type Result = ();

    fn handle(&mut self, _: PlacesChanged, ctx: &mut Self::Context) {
        self.telling_at = None;
        self.settle_places(ctx);
    }
}
