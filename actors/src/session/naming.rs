//! Another title. It is in the record before anybody is told.

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use staithe_store::StoreFailed;

use super::{Session, messages::RetitleSession};
use crate::record::SessionRecord;

impl Handler<RetitleSession> for Session {
    type Result = ResponseActFuture<Self, Result<(), StoreFailed>>;

    fn handle(
        &mut self,
        RetitleSession(title): RetitleSession,
        _: &mut Self::Context,
    ) -> Self::Result {
        let record = SessionRecord { title: title.clone(), ..self.record.clone() };
        let (store, row) = (self.origin.store.clone(), record.to_row());
        let save = async move { store.put_session(row).await };
        Box::pin(save.into_actor(self).map(move |saved, session, ctx| {
            saved?;
            // The record may have moved on meanwhile.
            session.record.title.clone_from(&title);
            session.save(ctx);
            session.snapshot.send_modify(|snapshot| snapshot.title = title);
            Ok(())
        }))
    }
}
