//! Reconcile passes: at the start, every so often, and when an operator asks.

use std::{collections::BTreeSet, time::Duration};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use futures_util::future::{BoxFuture, LocalBoxFuture, join_all};
use staithe_engine::{EngineFailed, LABEL_OWNER, Labels, Sandbox};
use tokio::{sync::oneshot, time::timeout};

use super::{
    SessionManager,
    messages::{Found, Mended, Reconcile, ReconcileDue, Reconciled},
    reconcile::{self, Step},
};
use crate::{mail, pool::Pool, session::messages::LookForSandbox};

/// How long an engine may take for one part of a pass. The next pass tries again.
const PART_LIMIT: Duration = Duration::from_mins(2);
/// Shorter for the sweep: starts wait for it.
const SWEEP_LIMIT: Duration = Duration::from_secs(20);

/// Whoever waits for the pass that is under way.
pub(super) type PassWaiters = Vec<oneshot::Sender<Result<Reconciled, String>>>;

impl SessionManager {
    /// Asks for a pass every so often, while the manager is there. A task of its own: a timer would
    /// keep the manager alive when nobody holds it any more.
    pub(super) fn begin_passes(&self, ctx: &Context<Self>) {
        let every = self.settings.sandbox.reconcile_every;
        if every.is_zero() {
            return;
        }
        let this = ctx.address().downgrade();
        actix::spawn(async move {
            loop {
                tokio::time::sleep(every.max(Duration::from_secs(1))).await;
                let Some(this) = this.upgrade() else { return };
                mail::tell(&this, ReconcileDue);
            }
        });
    }

    /// Begins a pass, unless one is under way.
    fn begin_pass(&mut self, ctx: &mut Context<Self>) {
        if self.passing.is_some() {
            return;
        }
        self.passing = Some(Vec::new());
        let engine = self.engine.clone();
        let mine = Labels::from([(LABEL_OWNER.to_owned(), self.settings.owner.clone())]);
        // What is claimed or made while the engine lists is known before or after: this question is
        // in the pool's mailbox before the engine is asked.
        let before = self.known_in_pool();
        let find = async move {
            let found = timeout(PART_LIMIT, engine.find(&mine)).await;
            (before.await, found.unwrap_or_else(|_| Err(overran("list"))))
        };
        ctx.spawn(
            find.into_actor(self)
                .then(|(before, found), this, _| {
                    let after = this.known_in_pool();
                    let found = async move {
                        let pool = before.into_iter().chain(after.await).collect();
                        Found { sandboxes: found, pool }
                    };
                    found.into_actor(this)
                })
                .map(|found, _, ctx| ctx.notify(found)),
        );
    }

    fn end_pass(&mut self, outcome: &Result<Reconciled, String>) {
        for waiter in self.passing.take().unwrap_or_default() {
            waiter.send(outcome.clone()).unwrap_or_default(); // whoever asked may be gone
        }
    }

    /// Does what the plan says; what is returned ends when that is done.
    fn mend(
        &mut self,
        sandboxes: &[Sandbox],
        pool: BTreeSet<String>,
        ctx: &mut Context<Self>,
    ) -> (Reconciled, Vec<LocalBoxFuture<'static, ()>>) {
        let mut report = Reconciled::default();
        let mut work: Vec<LocalBoxFuture<'static, ()>> = Vec::new();
        let policy =
            reconcile::Policy { keep_stopped: self.settings.sandbox.keep_after_exit, pool };
        for step in reconcile::plan(&self.registry.known(), sandboxes, &policy) {
            match step {
                Step::Reap(sandbox) => {
                    report.reaped.push(sandbox.to_string());
                    let engine = self.engine.clone();
                    work.push(Box::pin(async move {
                        metrics::counter!("staithe_reaped_containers_total").increment(1);
                        if let Err(error) = engine.remove(&sandbox, false).await {
                            tracing::error!(%sandbox, %error, "a sandbox could not be reaped");
                        }
                    }));
                }
                Step::Adopt(id) | Step::FinishStop(id) if !self.draining => {
                    report.adopted.push(id);
                    let open = self.open(id, ctx);
                    work.push(Box::pin(async move {
                        if let Err(error) = open.await {
                            tracing::error!(session_id = %id, %error, "a session could not be taken up");
                        }
                    }));
                }
                Step::Adopt(_) | Step::FinishStop(_) => {}
                Step::Look(id) => {
                    if let Some(session) = self.registry.live(id) {
                        mail::tell(&session.addr, LookForSandbox);
                    }
                }
            }
        }
        (report, work)
    }

    /// Has the engine remove what belongs to nobody, if that is known. Nothing new is begun until it is done: it would
    /// not be among what is kept.
    fn sweep(&mut self) -> BoxFuture<'static, Result<Vec<String>, EngineFailed>> {
        if !self.all_known {
            tracing::warn!("a record can't be understood, so nothing is taken to be nobody's");
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        self.sweeping = true;
        let mut kept = self.registry.workspaces(&self.settings.sandbox.name_prefix);
        kept.extend(std::mem::take(&mut self.pool_names));
        let (engine, owner) = (self.engine.clone(), self.settings.owner.clone());
        Box::pin(async move {
            let swept = timeout(SWEEP_LIMIT, engine.sweep(&owner, &kept)).await;
            swept.unwrap_or_else(|_| Err(overran("sweep")))
        })
    }
}

impl Handler<Reconcile> for SessionManager {
    type Result = ResponseFuture<Result<Reconciled, String>>;

    fn handle(&mut self, _: Reconcile, ctx: &mut Self::Context) -> Self::Result {
        self.begin_pass(ctx);
        let (waiter, answered) = oneshot::channel();
        self.passing.get_or_insert_default().push(waiter);
        Box::pin(async move { answered.await.unwrap_or(Err("the pass was cut off".into())) })
    }
}

impl Handler<ReconcileDue> for SessionManager {
    type Result = ();

    fn handle(&mut self, _: ReconcileDue, ctx: &mut Self::Context) {
        if !self.draining {
            self.begin_pass(ctx);
        }
    }
}

impl Handler<Found> for SessionManager {
    type Result = ();

    fn handle(&mut self, Found { sandboxes, pool }: Found, ctx: &mut Self::Context) {
        let sandboxes = match sandboxes {
            Ok(sandboxes) => sandboxes,
            Err(error) => {
                tracing::warn!(%error, "sandboxes can't be listed; the next pass tries again");
                self.end_pass(&Err(error.to_string()));
                return;
            }
        };
        let prefix = &self.settings.sandbox.name_prefix;
        self.pool_names = pool.iter().map(|number| Pool::name_of(prefix, number)).collect();
        let (report, work) = self.mend(&sandboxes, pool, ctx);
        let work = timeout(PART_LIMIT, join_all(work));
        ctx.spawn(work.into_actor(self).map(|done, _, ctx| {
            if done.is_err() {
                tracing::warn!("not all that was planned could be done in time");
            }
            ctx.notify(Mended(report));
        }));
    }
}

impl Handler<Mended> for SessionManager {
    type Result = ();

    fn handle(&mut self, Mended(mut report): Mended, ctx: &mut Self::Context) {
        let sweep = self.sweep();
        ctx.spawn(sweep.into_actor(self).map(|swept, this, ctx| {
            this.sweeping = false;
            this.settle_places(ctx);
            match swept {
                Ok(swept) => report.swept = swept,
                Err(error) => tracing::warn!(%error, "what belongs to nobody could not be removed"),
            }
            let (adopted, reaped, swept) =
                (report.adopted.len(), report.reaped.len(), report.swept.len());
            if adopted + reaped + swept > 0 {
                tracing::info!(adopted, reaped, swept, "reconciled");
            }
            this.end_pass(&Ok(report));
        }));
    }
}

fn overran(operation: &'static str) -> EngineFailed {
    EngineFailed::Operation {
        operation,
        name: "*".into(),
        source: std::io::ErrorKind::TimedOut.into(),
        remedy: "See whether the engine answers.".into(),
    }
}
