//! How a session takes a sandbox of the pool: into its record first.

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture, fut};

use super::{
    Session,
    messages::{ClaimForSession, ForgetClaim},
};
use crate::{mail, pool::messages::Claimed};

impl Session {
    /// Answers whether the record, as it is now, is durable.
    fn make_durable(&self) -> impl Future<Output = bool> + use<> {
        let (store, row) = (self.origin.store.clone(), self.record.to_row());
        async move {
            let saved = store.put_session(row).await;
            saved.inspect_err(|error| tracing::error!(%error, "a claim could not be saved")).is_ok()
        }
    }
}

impl Handler<ClaimForSession> for Session {
    type Result = ResponseActFuture<Self, Option<Claimed>>;

    fn handle(
        &mut self,
        ClaimForSession(claim): ClaimForSession,
        _: &mut Self::Context,
    ) -> Self::Result {
        let Some(manager) = self.notice.parent() else { return Box::pin(fut::ready(None)) };
        let asked = mail::ask(&manager, claim).into_actor(self);
        let saved = asked.then(|answer, this, _| {
            let claimed = answer.ok().flatten();
            if let Some(claimed) = &claimed {
                this.record.key.clone_from(&claimed.key);
                this.keep_workspace(Some(claimed.workspace.clone()));
            }
            let durable = this.make_durable();
            let engine = this.origin.engine.clone();
            let settle = async move {
                let claimed = claimed?;
                if durable.await {
                    return Some(claimed);
                }
                if let Err(error) = engine.remove(&claimed.sandbox, true).await {
                    tracing::warn!(%error, "a claimed sandbox could not be removed");
                }
                None
            };
            settle.into_actor(this)
        });
        Box::pin(saved.map(|claimed, this, _| {
            if claimed.is_none() {
                this.keep_workspace(None);
            }
            claimed
        }))
    }
}

impl Handler<ForgetClaim> for Session {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: ForgetClaim, _: &mut Self::Context) -> Self::Result {
        self.keep_workspace(None);
        Box::pin(self.make_durable().into_actor(self).map(|_, _, _| ()))
    }
}
