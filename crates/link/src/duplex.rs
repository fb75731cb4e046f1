//! Messages both ways on a WebSocket of their own.

use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{Link, LinkFailed, http::Socket};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Bytes),
}

/// What the runner says.
pub struct Reading(SplitStream<Socket>);

/// What is said to the runner.
pub struct Writing(SplitSink<Socket, Message>);

impl Link {
    /// Opens one, with this much buffer for reading, in bytes.
    pub async fn duplex(
        &self,
        path_and_query: &str,
        buffer: usize,
    ) -> Result<(Writing, Reading), LinkFailed> {
        let (sink, stream) = self.websocket(path_and_query, buffer).await?.split();
        Ok((Writing(sink), Reading(stream)))
    }
}

impl Reading {
    /// The next message; none when it is cut or closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(Frame::Text(text.as_str().to_owned())),
                Message::Binary(bytes) => return Some(Frame::Binary(bytes)),
                Message::Close(_) => return None,
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

impl Writing {
    /// Sends bytes, once there is room.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), LinkFailed> {
        self.0.send(Message::binary(bytes)).await.map_err(|error| LinkFailed::Http(error.into()))
    }
}
