//! The manager's pool of started sandboxes.

use std::collections::BTreeSet;

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::SessionManager;
use crate::{
    mail,
    pool::{
        self, Pool,
        messages::{ClaimSandbox, Claimed, KnownInPool},
    },
    supervise::{ChildDown, ChildHandle, ChildKind, DeathNotice},
};

impl SessionManager {
    /// Starts the pool, where one is wanted and the engine can have one.
    pub(super) fn start_pool(&mut self, ctx: &mut Context<Self>) {
        let settings = &self.settings.sandbox;
        if settings.pool.is_empty() || self.draining {
            return;
        }
        if !self.engine.capabilities().pool {
            tracing::warn!(
                engine = self.engine.kind(),
                "this engine has no pool: every sandbox is made when it is wanted"
            );
            return;
        }
        let origin = pool::Origin {
            engine: self.engine.clone(),
            supply: self.supply(ctx),
            settings: settings.clone(),
            owner: self.settings.owner.clone(),
        };
        self.generation = self.generation.next();
        self.pool_generation = self.generation;
        let parent = ctx.address().downgrade();
        let notice = DeathNotice::new(ChildKind::Pool, self.generation, parent);
        self.pool = Some(ChildHandle::new(Pool::new(origin, notice).start()));
    }

    /// A new pool after a pause. What the old one had is reaped by the next pass.
    pub(super) fn pool_is_down(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        if down.child != ChildKind::Pool || down.generation != self.pool_generation {
            return; // replaced
        }
        let how = if down.panicked { "panicked" } else { "stopped" };
        metrics::counter!("staithe_actor_down_total", "actor" => "Pool", "how" => how).increment(1);
        tracing::error!(how, "the pool's actor is gone");
        self.pool = None;
        if let Some(pause) = self.pool_budget.spend(Instant::now()) {
            ctx.run_later(pause, Self::start_pool);
        } else {
            tracing::error!("the pool is given up and every sandbox is made when it is wanted");
        }
    }

    /// The numbers of the pool's sandboxes now.
    pub(super) fn known_in_pool(&self) -> BoxFuture<'static, BTreeSet<String>> {
        let Some(pool) = &self.pool else { return Box::pin(std::future::ready(BTreeSet::new())) };
        let known = mail::ask(pool.addr(), KnownInPool);
        Box::pin(async move { known.await.unwrap_or_default() })
    }
}

impl Handler<ClaimSandbox> for SessionManager {
    type Result = ResponseFuture<Option<Claimed>>;

    fn handle(&mut self, claim: ClaimSandbox, _: &mut Self::Context) -> Self::Result {
        let Some(pool) = &self.pool else { return Box::pin(std::future::ready(None)) };
        let claimed = mail::ask(pool.addr(), claim);
        Box::pin(async move { claimed.await.ok().flatten() })
    }
}
