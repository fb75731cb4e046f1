//! How a session makes its children, and what it does when one of them is gone.

use super::{
    Actor, AgentSession, AsyncContext, ChildDown, ChildHandle, ChildKind, Context, DeathNotice,
    EventStream, Fault, Handler, Phase, Runtime, Session, SessionRecord, StreamBroken, WrapFuture,
};
use actix::{ActorContext, ActorFutureExt};
use tokio::time::Instant;

use crate::{agent_session, event_stream, runtime, session_manager::load};

impl Session {
    fn notice(&mut self, child: ChildKind, ctx: &mut Context<Self>) -> DeathNotice<Self> {
        DeathNotice::new(child, self.generation, ctx.address().downgrade())
    }

    pub(super) fn start_stream(&mut self, ctx: &mut Context<Self>) -> ChildHandle<EventStream> {
        let origin = event_stream::Origin {
            session: self.record.id,
            store: self.origin.store.clone(),
            feed: self.origin.feed.clone(),
            head: self.origin.head,
            references: std::mem::take(&mut self.origin.references),
            mask: self.origin.mask.clone(),
        };
        let notice = self.notice(ChildKind::EventStream, ctx);
        ChildHandle::new(EventStream::new(origin, notice).start())
    }

    pub(super) fn start_runtime(
        &mut self,
        stream: &ChildHandle<EventStream>,
        ctx: &mut Context<Self>,
    ) -> ChildHandle<Runtime> {
        let settings = &self.origin.settings;
        let origin = runtime::Origin {
            session_id: self.record.id,
            session: ctx.address().downgrade(),
            stream: stream.addr().downgrade(),
            engine: self.origin.engine.clone(),
            supply: self.origin.supply.clone(),
            settings: settings.sandbox.clone(),
            owner: settings.owner.clone(),
            image: self.record.image.clone().or_else(|| settings.sandbox.image.clone()),
            resources: self.record.resources,
            key: self.record.key.clone(),
            workspace: self.record.workspace.clone(),
            generation: self.record.generation,
        };
        let notice = self.notice(ChildKind::Runtime, ctx);
        ChildHandle::new(Runtime::new(origin, notice).start())
    }

    pub(super) fn start_agent(
        &mut self,
        stream: &ChildHandle<EventStream>,
        ctx: &mut Context<Self>,
    ) -> ChildHandle<AgentSession> {
        let settings = &self.origin.settings;
        let history =
            self.origin.history.take().expect("each agent is made after the log was read for it");
        let origin = agent_session::Origin {
            controller: history.controller,
            head: history.head,
            unanswered: history.unanswered,
            found: history.found,
            epoch: self.record.epoch.clone(),
            owner: self.record.owner.clone(),
            choice: self.record.agent.clone(),
            session: ctx.address().downgrade(),
            stream: stream.addr().clone(),
            feed: self.origin.feed.clone(),
            mask: self.origin.mask.clone(),
            settings: settings.clone(),
        };
        let notice = self.notice(ChildKind::AgentSession, ctx);
        ChildHandle::new(AgentSession::new(origin, notice).start())
    }

    /// A new runtime, and behind it (rest for one) a new agent, rebuilt from the log.
    pub(super) fn restart_children(&mut self, ctx: &mut Context<Self>) {
        let chosen = self.origin.settings.chosen(&self.record);
        let (store, id) = (self.origin.store.clone(), self.record.id);
        let load = async move { load::history(store, id, &chosen).await };
        ctx.spawn(load.into_actor(self).map(|loaded, this, ctx| match loaded {
            Ok(history) => {
                this.generation = this.generation.next();
                this.origin.history = Some(history);
                let Some(mut children) = this.children.take() else { return };
                children.runtime = this.start_runtime(&children.stream, ctx);
                children.agent = this.start_agent(&children.stream, ctx);
                this.children = Some(children);
                let effects = this.state.go_on(this.origin.draining);
                this.perform(effects, ctx);
            }
            Err(error) => this.fail("session.history_unreadable", &error.to_string(), ctx),
        }));
    }

    /// A runtime that rests, so that the sandbox of the one that is gone can be ended.
    fn replace_runtime(&mut self, ctx: &mut Context<Self>) {
        let Some(mut children) = self.children.take() else { return };
        children.runtime = self.start_runtime(&children.stream, ctx);
        self.children = Some(children);
    }

    /// Ends this actor once the wish for a sandbox is durable; the manager opens the session again.
    pub(super) fn begin_anew(&mut self, ctx: &mut Context<Self>) {
        let wish = SessionRecord { phase: Phase::Starting, fault: None, ..self.record.clone() };
        let (store, row) = (self.origin.store.clone(), wish.to_row());
        let save = async move { store.put_session(row).await };
        ctx.spawn(save.into_actor(self).map(|saved, this, ctx| match saved {
            Ok(()) => ctx.stop(),
            Err(error) => this.fail("store.failed", &error.to_string(), ctx),
        }));
    }

    fn fail(&mut self, code: &str, cause: &str, ctx: &mut Context<Self>) {
        let fault = Fault {
            code: code.to_owned(),
            step: None,
            cause: cause.to_owned(),
            remedy: "Start the session again; the server's log has the details.".to_owned(),
            log_tail: Vec::new(),
        };
        let effects = self.state.fail(fault);
        self.perform(effects, ctx);
    }
}

impl Handler<ChildDown> for Session {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        if down.generation != self.generation {
            return; // stale: one that was replaced
        }
        let how = if down.panicked { "panicked" } else { "stopped" };
        metrics::counter!("staithe_actor_down_total", "actor" => format!("{:?}", down.child), "how" => how)
            .increment(1);
        tracing::error!(session_id = %self.record.id, child = ?down.child, how, "a child actor is gone");
        match (down.child, self.budget.spend(Instant::now())) {
            // Nobody can read or write any more: the session begins anew from the store.
            (
                ChildKind::EventStream
                | ChildKind::Session(_)
                | ChildKind::Pool
                | ChildKind::Images,
                _,
            ) => ctx.stop(),
            (ChildKind::Runtime | ChildKind::AgentSession, Some(pause)) => {
                ctx.run_later(pause, Self::restart_children);
            }
            (child, None) => {
                if child == ChildKind::Runtime {
                    self.replace_runtime(ctx);
                }
                self.fail(
                    "session.restarts_spent",
                    "a part of the session crashed four times",
                    ctx,
                );
            }
        }
    }
}

impl Handler<StreamBroken> for Session {
    type Result = ();

    fn handle(&mut self, StreamBroken { cause }: StreamBroken, ctx: &mut Self::Context) {
        self.stream_broken = true;
        let fault = Fault {
            code: "store.failed".to_owned(),
            step: None,
            cause: format!("an event could not be stored: {cause}"),
            remedy: "Give the server's data directory room and a sound disk, then start the session again."
                .to_owned(),
            log_tail: Vec::new(),
        };
        let effects = self.state.fail(fault);
        self.perform(effects, ctx);
    }
}
