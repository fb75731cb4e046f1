//! `ClientSocket`: the thin actor at the edge. It writes what its outbox holds, and nothing else.

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::Error;
use actix_web_actors::ws::{CloseReason, ProtocolError, WebsocketContext};
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::outbox::{Out, Outbox, Queued};

/// Temporary: never supervised, the client comes back by itself.
pub struct ClientSocket {
    queue: Option<mpsc::UnboundedReceiver<Queued>>,
}

/// A socket's edge: its outbox and the response body that writes it.
pub fn open() -> (Outbox, impl Stream<Item = Result<Bytes, Error>>) {
    let (outbox, queue) = Outbox::new();
    let edge = ClientSocket { queue: Some(queue) };
    // The crate's own reader is unbounded (reference/crates.md §2.2, 6): it gets nothing to read.
    let nothing = stream::pending::<Result<Bytes, actix_web::error::PayloadError>>();
    (outbox, WebsocketContext::create(edge, nothing))
}

impl Actor for ClientSocket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(queue) = self.queue.take() {
            ctx.add_stream(UnboundedReceiverStream::new(queue));
        }
    }
}

impl StreamHandler<Queued> for ClientSocket {
    fn handle(&mut self, queued: Queued, ctx: &mut Self::Context) {
        match queued.out {
            Out::Text(text) => match ByteString::try_from(text) {
                Ok(text) => ctx.text(text),
                Err(error) => tracing::error!(%error, "a frame is not UTF-8 and was not sent"),
            },
            Out::Binary(bytes) => ctx.binary(bytes),
            Out::Ping => ctx.ping(b""),
            Out::Pong(bytes) => ctx.pong(&bytes),
            Out::Close(code, reason) => {
                ctx.close(Some(CloseReason { code, description: Some(reason.to_owned()) }));
                ctx.stop();
            }
        }
    }

    /// The pump is gone: nothing more will be written.
    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// What the crate's reader would deliver; it is given nothing (see [`open`]).
impl StreamHandler<Result<actix_web_actors::ws::Message, ProtocolError>> for ClientSocket {
    fn handle(
        &mut self,
        _: Result<actix_web_actors::ws::Message, ProtocolError>,
        _: &mut Self::Context,
    ) {
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}
