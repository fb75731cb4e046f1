//! The one ordered stream of a session's events: gives ids, makes durable, fans out.
//!
//! An event is told to nobody before it is durable. Readers are told only that the head moved and
//! pull from their own cursor (see [`feed`]); a slow one holds a cursor, not a queue.

pub mod feed;
pub mod log;
pub mod messages;
pub mod outputs;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Context, Handler, Message, ResponseActFuture,
    ResponseFuture, WrapFuture, fut,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use staithe_protocol::{Body, Event, EventId, SessionId};
use staithe_store::{NewEvent, Store, StoreFailed};
use tokio::sync::watch;

use crate::{
    mail,
    secrets::Mask,
    session::{Session, messages::StreamBroken},
    supervise::{DeathNotice, ParentGone},
};

use feed::{Feed, Subscription};
use log::EventLog;
use messages::{
    AnswersTaken, Append, AppendFailed, Appended, FindReference, PublishPartial, Reference,
    Subscribe,
};
use outputs::{Outputs, Piece};

/// Messages that may wait; a producer beyond it waits in turn (see [`crate::mail`]).
const MAILBOX: usize = 256;

/// See the module.
pub struct EventStream {
    session: SessionId,
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    log: EventLog,
    /// References whose events are on their way to the disk.
    in_flight: HashMap<String, InFlight>,
    mask: Mask,
    /// Output on its way out: what of it may be the beginning of a secret waits.
    outputs: Outputs,
    /// Set once when the store failed: ids after a lost one would leave a gap.
    broken: Option<String>,
    notice: DeathNotice<Session>,
}

struct InFlight {
    digest: [u8; 32],
    id: EventId,
    settled: watch::Sender<Option<bool>>,
}

/// What a new stream starts from.
pub struct Origin {
    pub session: SessionId,
    pub store: Arc<dyn Store>,
    pub feed: Arc<Feed>,
    pub head: Option<EventId>,
    /// Hashes of the references in the log, by [`hash_reference`].
    pub references: Vec<u64>,
    pub mask: Mask,
}

impl EventStream {
    /// A stream that goes on where the log ends.
    pub fn new(origin: Origin, notice: DeathNotice<Session>) -> Self {
        Self {
            session: origin.session,
            store: origin.store,
            feed: origin.feed,
            log: EventLog::new(origin.head, origin.references),
            in_flight: HashMap::new(),
            mask: origin.mask,
            outputs: Outputs::default(),
            broken: None,
            notice,
        }
    }

    /// Gives the event an id and hands it to the store; the rest follows from the commit.
    fn append(
        &mut self,
        append: Append,
    ) -> ResponseActFuture<Self, Result<Appended, AppendFailed>> {
        if let Some(cause) = &self.broken {
            return Box::pin(fut::ready(Err(AppendFailed::Store(cause.clone()))));
        }
        let id = self.log.assign();
        let cause = append.cause.filter(|_| matches!(append.body, Body::Observation(_)));
        let frame = self.encode(id, &append);
        let body = frame.slice(frame_body(&frame));
        let reference = append.reference.inspect(|reference| {
            self.log.know(hash_reference(&reference.name));
            let in_flight =
                InFlight { digest: reference.digest, id, settled: watch::Sender::new(None) };
            self.in_flight.insert(reference.name.clone(), in_flight);
        });
        let name = reference.as_ref().map(|reference| reference.name.clone());
        let appended = self.store.append(NewEvent {
            session: self.session,
            id,
            body,
            reference: reference
                .map(|r| staithe_store::Reference { name: r.name, digest: r.digest }),
        });
        self.feed.publish(id, frame);
        let settle =
            move |outcome: Result<(), StoreFailed>, this: &mut Self, _: &mut Context<Self>| {
                this.settle(id, cause, name, outcome)
            };
        Box::pin(appended.into_actor(self).map(settle))
    }

    fn settle(
        &mut self,
        id: EventId,
        cause: Option<EventId>,
        reference: Option<String>,
        outcome: Result<(), StoreFailed>,
    ) -> Result<Appended, AppendFailed> {
        if let Some(in_flight) = reference.and_then(|name| self.in_flight.remove(&name)) {
            in_flight.settled.send_replace(Some(outcome.is_ok()));
        }
        match outcome {
            Ok(()) => {
                if let Some(cause) = cause {
                    self.outputs.end(cause);
                    self.feed.observed(cause, id);
                }
                if let Some(head) = self.log.commit(id) {
                    self.feed.publish_head(head);
                }
                Ok(Appended { id, repeated: false })
            }
            Err(error) => {
                tracing::error!(session_id = %self.session, event_id = %id, %error, "an event could not be made durable");
                self.break_for(&error);
                Err(AppendFailed::Store(error.to_string()))
            }
        }
    }

    /// Takes nothing any more, and tells the session so, once.
    fn break_for(&mut self, error: &StoreFailed) {
        if self.broken.is_some() {
            return;
        }
        let mut cause = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        self.broken = Some(cause.clone());
        if let Some(session) = self.notice.parent() {
            mail::tell(&session, StreamBroken { cause });
        }
    }

    fn encode(&self, id: EventId, append: &Append) -> Bytes {
        let event = Event {
            id,
            timestamp: jiff::Timestamp::now().to_string(),
            source: append.source,
            cause: append.cause,
            body: append.body.clone(),
            tool_call_metadata: append.tool_call_metadata.clone(),
            llm_metrics: append.llm_metrics.clone(),
            timeout: append.timeout,
        };
        feed::frame(&self.mask.words().hide_in_json(event.to_json()))
    }

    /// The first answer to a reference, waiting for it to be durable.
    fn first_answer(
        &self,
        reference: Reference,
    ) -> BoxFuture<'static, Result<Option<Appended>, AppendFailed>> {
        let reused = AppendFailed::ReferenceReused(reference.name.clone());
        if let Some(first) = self.in_flight.get(&reference.name) {
            let (id, mut durable) = (first.id, first.settled.subscribe());
            let same = first.digest == reference.digest;
            return Box::pin(async move {
                if !same {
                    return Err(reused);
                }
                match durable.wait_for(Option::is_some).await.ok().and_then(|settled| *settled) {
                    Some(true) => Ok(Some(Appended { id, repeated: true })),
                    _ => Err(AppendFailed::Store("the first attempt failed".into())),
                }
            });
        }
        let (store, session) = (self.store.clone(), self.session);
        Box::pin(async move {
            match store.find_reference(session, &reference.name).await {
                Ok(Some(hit)) if hit.digest == reference.digest => {
                    Ok(Some(Appended { id: hit.event, repeated: true }))
                }
                Ok(Some(_)) => Err(reused),
                Ok(None) => Ok(None),
                Err(error) => Err(AppendFailed::Store(error.to_string())),
            }
        })
    }

    /// The reference's hash is known: append only if the reference is not.
    fn append_unless_known(
        &self,
        append: Append,
        reference: Reference,
    ) -> ResponseActFuture<Self, Result<Appended, AppendFailed>> {
        let first = self.first_answer(reference.clone());
        Box::pin(first.into_actor(self).then(|found, this, _| match found {
            Ok(Some(first)) => Box::pin(fut::ready(Ok(first))),
            Ok(None) if this.in_flight.contains_key(&reference.name) => {
                this.append_unless_known(append, reference)
            }
            Ok(None) => this.append(Append { reference: Some(reference), ..append }),
            Err(error) => Box::pin(fut::ready(Err(error))),
        }))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.feed.close();
    }
}

impl Actor for EventStream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Append> for EventStream {
    type Result = ResponseActFuture<Self, Result<Appended, AppendFailed>>;

    fn handle(&mut self, mut append: Append, _: &mut Self::Context) -> Self::Result {
        match append.reference.take_if(|r| self.log.may_know(hash_reference(&r.name))) {
            Some(reference) => self.append_unless_known(append, reference),
            None => self.append(append),
        }
    }
}

impl Handler<FindReference> for EventStream {
    type Result = ResponseFuture<Result<Option<Appended>, AppendFailed>>;

    fn handle(
        &mut self,
        FindReference(reference): FindReference,
        _: &mut Self::Context,
    ) -> Self::Result {
        if self.log.may_know(hash_reference(&reference.name)) {
            self.first_answer(reference)
        } else {
            Box::pin(std::future::ready(Ok(None)))
        }
    }
}

impl Handler<Subscribe> for EventStream {
    type Result = actix::MessageResult<Subscribe>;

    fn handle(&mut self, Subscribe(info): Subscribe, _: &mut Self::Context) -> Self::Result {
        let subscription: Subscription = self.feed.subscribe(info);
        actix::MessageResult(subscription)
    }
}

impl Handler<PublishPartial> for EventStream {
    type Result = ();

    fn handle(&mut self, partial: PublishPartial, _: &mut Self::Context) {
        let PublishPartial { cause, kind, offset, text, skipped } = partial;
        let words = self.mask.words();
        for piece in self.outputs.take(&words, (cause, kind), offset, &text, skipped) {
            let Piece { offset, text, skipped } = piece;
            self.feed.publish_partial(PublishPartial { cause, kind, offset, text, skipped });
        }
    }
}

impl Handler<AnswersTaken> for EventStream {
    type Result = ();

    fn handle(&mut self, AnswersTaken(by): AnswersTaken, _: &mut Self::Context) {
        self.outputs.end_answers();
        self.feed.answered(by);
    }
}

impl Handler<ParentGone> for EventStream {
    type Result = ();

    fn handle(&mut self, _: ParentGone, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// Sent by `Session` as the last thing: everything before it in the mailbox has been appended and is
/// durable when this is answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

impl Handler<Flush> for EventStream {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Flush, _: &mut Self::Context) -> Self::Result {
        if self.broken.is_some() {
            return Box::pin(fut::ready(())); // what is not durable now never will be
        }
        let mut heads = self.feed.subscribe_heads();
        let last = self.log.newest();
        let wait = async move {
            // A store that breaks meanwhile never moves the head; whoever flushes has a deadline.
            drop(heads.wait_for(|head| *head >= last).await);
        };
        Box::pin(wait.into_actor(self))
    }
}

/// The hash under which a reference is remembered. Within one process only.
pub fn hash_reference(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Where the event's own JSON lies in its frame.
fn frame_body(frame: &Bytes) -> std::ops::Range<usize> {
    feed::PREFIX_LEN..frame.len() - 1
}
