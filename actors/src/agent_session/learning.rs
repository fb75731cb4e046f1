//! The workspace's instructions for agents are read.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::AgentSession;

impl AgentSession {
    pub(super) fn learn(&mut self, ctx: &mut Context<Self>) {
        let _ = ctx;
    }
}
