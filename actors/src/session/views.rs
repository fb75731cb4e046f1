//! What others see of a session without changing it.

use actix::{Addr, Handler, MessageResult};
use staithe_protocol::api::{AdminSession, SandboxView, StepTime};

use super::{
    Session,
    messages::{GetAdminView, GetStream, PeekRuntime},
};
use crate::{event_stream::EventStream, runtime::Runtime};

impl Session {
    /// Of the start that goes on, or the last one; after a restart of the server, as the record has it.
    fn start_steps(&self) -> Vec<StepTime> {
        let steps = self.start_times.view();
        if steps.is_empty() { self.record.start_steps.clone() } else { steps }
    }
}

impl Handler<PeekRuntime> for Session {
    type Result = Addr<Runtime>;

    fn handle(&mut self, _: PeekRuntime, _: &mut Self::Context) -> Self::Result {
        self.children().runtime.addr().clone()
    }
}

impl Handler<GetStream> for Session {
    type Result = Addr<EventStream>;

    fn handle(&mut self, _: GetStream, _: &mut Self::Context) -> Self::Result {
        self.children().stream.addr().clone()
    }
}

impl Handler<GetAdminView> for Session {
    type Result = MessageResult<GetAdminView>;

    fn handle(&mut self, _: GetAdminView, _: &mut Self::Context) -> Self::Result {
        let snapshot = self.snapshot.borrow().clone();
        MessageResult(AdminSession {
            session: snapshot.body(&self.origin.feed),
            connected: self.origin.feed.clients(),
            start_steps: self.start_steps(),
            restarts: self.restarts,
            sandbox: self.sandbox.as_ref().map(|id| SandboxView {
                id: id.to_string(),
                engine: self.origin.engine.kind().to_owned(),
                generation: self.record.generation.0,
                epoch: self.record.epoch.clone().unwrap_or_default(),
            }),
        })
    }
}
