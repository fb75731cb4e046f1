//! What a session's people see and choose of its agent. The choice is in the record before it holds.

use actix::{ActorFutureExt, AsyncContext, Handler, ResponseActFuture, ResponseFuture, WrapFuture};

use super::{
    Session,
    messages::{ChooseAgent, ChooseFailed, LookAtAgent},
};
use crate::{
    agent_session::{
        choice::{AgentView, Defaults},
        messages::{GetAgent, SetAgent},
    },
    mail::{self, SendFailed},
};

impl Session {
    pub(super) fn defaults(&self) -> Defaults {
        let settings = &self.origin.settings;
        Defaults {
            settings: settings.agent.clone(),
            model: settings.models.default_for(&self.record.owner),
        }
    }
}

impl Handler<LookAtAgent> for Session {
    type Result = ResponseFuture<Result<AgentView, SendFailed>>;

    fn handle(&mut self, _: LookAtAgent, _: &mut Self::Context) -> Self::Result {
        let look = mail::ask(self.children().agent.addr(), GetAgent);
        // A key that was set since may have made another model the default.
        let usual = self.defaults().model;
        Box::pin(async move {
            let mut view = look.await?;
            if !view.model_chosen {
                view.model = usual;
            }
            Ok(view)
        })
    }
}

impl Handler<ChooseAgent> for Session {
    type Result = ResponseActFuture<Self, Result<AgentView, ChooseFailed>>;

    fn handle(
        &mut self,
        ChooseAgent(choice): ChooseAgent,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let mut chosen = self.record.agent.clone();
        chosen.take(choice.clone());
        let mut record = self.record.clone();
        record.agent = chosen;
        let (store, row) = (self.origin.store.clone(), record.to_row());
        let save = async move { store.put_session(row).await };
        let this = ctx.address();
        Box::pin(save.into_actor(self).then(move |saved, session, ctx| {
            let tell = saved.map(|()| {
                // Others may have chosen meanwhile, and the record may have moved on.
                session.record.agent.take(choice);
                session.save(ctx);
                mail::ask(session.children().agent.addr(), SetAgent(session.record.agent.clone()))
            });
            let answer = async move {
                tell?.await?;
                Ok(mail::ask(&this, LookAtAgent).await??)
            };
            answer.into_actor(session)
        }))
    }
}
