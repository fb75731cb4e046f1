//! The agent reads the session's stream like any client: in order, without a gap, once it is durable.

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use staithe_protocol::{Event, EventId};

use super::AgentSession;
use crate::{
    event_stream::feed::{Feed, as_cursor},
    mail,
};

/// Bytes of events told at a time, more where one event has more: read as values they take several times as much.
const BATCH: usize = 64 * 1024;

/// Sent by the reader: the next events of the log.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Followed(pub(super) Vec<Event>);

/// Sent by the reader, once: the stream can't be read.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(super) struct LostTheStream;

impl AgentSession {
    /// Reads from after `head` on, for as long as both live.
    pub(super) fn follow(&self, feed: Arc<Feed>, head: Option<EventId>, ctx: &mut Context<Self>) {
        let this = ctx.address();
        let reading = async move {
            let mut heads = feed.subscribe_heads();
            let mut cursor = head.map_or(-1, as_cursor);
            loop {
                match feed.bodies(cursor, BATCH).await {
                    Ok((bodies, reached)) if !bodies.is_empty() => {
                        let events = bodies.iter().filter_map(|body| understood(body)).collect();
                        if mail::ask(&this, Followed(events)).await.is_err() {
                            return true;
                        }
                        cursor = reached;
                    }
                    Ok(_) => {
                        if heads.wait_for(|head| *head > cursor).await.is_err() {
                            return true;
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, "an agent can't read its session's stream");
                        return false;
                    }
                }
            }
        };
        ctx.spawn(reading.into_actor(self).map(|ended_well, _, ctx| {
            if !ended_well {
                ctx.notify(LostTheStream);
            }
        }));
    }
}

/// One that can't be understood is of a later version; it was logged when the log was read, or is not ours.
fn understood(body: &[u8]) -> Option<Event> {
    serde_json::from_slice(body)
        .inspect_err(|error| tracing::warn!(%error, "an event can't be understood by the agent"))
        .ok()
}

impl Handler<Followed> for AgentSession {
    type Result = ();

    fn handle(&mut self, Followed(events): Followed, ctx: &mut <Self as Actor>::Context) {
        for event in events {
            self.take(&event, ctx);
        }
    }
}

impl Handler<LostTheStream> for AgentSession {
    type Result = ();

    /// A new agent is rebuilt from the log, by its parent's budget.
    fn handle(&mut self, _: LostTheStream, ctx: &mut <Self as Actor>::Context) {
        actix::ActorContext::stop(ctx);
    }
}
