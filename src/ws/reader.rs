//! Reads whole messages from a socket: one frame's bytes at a time, fragments joined up to a limit.

use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use staithe_protocol::frames::MAX_CLIENT_MESSAGE;
use tokio_util::codec::Decoder;

/// What a client sent.
#[derive(Debug)]
pub enum In {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    /// It says good-bye.
    Close,
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailed {
    #[error("the connection ended")]
    Ended,
    #[error("the message is too large")]
    TooLarge,
    #[error("the message is not UTF-8")]
    NotUtf8,
    #[error("the bytes are no WebSocket frames")]
    Protocol(#[source] ProtocolError),
}

/// A socket's incoming messages.
pub struct Frames {
    payload: web::Payload,
    codec: Codec,
    buffer: BytesMut,
    /// A message whose last fragment has not come.
    partial: Option<(BytesMut, bool)>,
}

impl Frames {
    /// Reads from a request's payload.
    pub fn new(payload: web::Payload) -> Self {
        let codec = Codec::new().max_size(MAX_CLIENT_MESSAGE);
        Self { payload, codec, buffer: BytesMut::new(), partial: None }
    }

    /// The next message. Reads from the network only when no whole frame is there, so that a client
    /// can't make the server hold more than one message and one network read. Cancel safe.
    pub async fn next(&mut self) -> Result<In, ReadFailed> {
        loop {
            match self.codec.decode(&mut self.buffer) {
                Ok(Some(frame)) => {
                    if let Some(message) = self.take(frame)? {
                        return Ok(message);
                    }
                }
                // The codec would wait for all of a frame before it looks at its length.
                Ok(None) if announced(&self.buffer) > MAX_CLIENT_MESSAGE as u64 => {
                    return Err(ReadFailed::TooLarge);
                }
                Ok(None) => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new(); // a large message's buffer isn't kept
                    }
                    match self.payload.next().await {
                        Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                        Some(Err(_)) | None => return Err(ReadFailed::Ended),
                    }
                }
                Err(ProtocolError::Overflow) => return Err(ReadFailed::TooLarge),
                Err(error) => return Err(ReadFailed::Protocol(error)),
            }
        }
    }

    fn take(&mut self, frame: Frame) -> Result<Option<In>, ReadFailed> {
        match frame {
            Frame::Text(bytes) => text(bytes.to_vec()).map(Some),
            Frame::Binary(bytes) => Ok(Some(In::Binary(bytes))),
            Frame::Ping(bytes) => Ok(Some(In::Ping(bytes))),
            Frame::Pong(_) => Ok(Some(In::Pong)),
            Frame::Close(_) => Ok(Some(In::Close)),
            Frame::Continuation(Item::FirstText(bytes)) => self.begin(&bytes, true),
            Frame::Continuation(Item::FirstBinary(bytes)) => self.begin(&bytes, false),
            Frame::Continuation(Item::Continue(bytes)) => self.go_on(&bytes).map(|()| None),
            Frame::Continuation(Item::Last(bytes)) => {
                self.go_on(&bytes)?;
                match self.partial.take() {
                    Some((whole, true)) => text(whole.to_vec()).map(Some),
                    Some((whole, false)) => Ok(Some(In::Binary(whole.freeze()))),
                    None => Err(ReadFailed::Protocol(ProtocolError::ContinuationNotStarted)),
                }
            }
        }
    }

    fn begin(&mut self, bytes: &[u8], is_text: bool) -> Result<Option<In>, ReadFailed> {
        self.partial = Some((BytesMut::new(), is_text));
        self.go_on(bytes).map(|()| None)
    }

    fn go_on(&mut self, bytes: &[u8]) -> Result<(), ReadFailed> {
        let Some((whole, _)) = &mut self.partial else {
            return Err(ReadFailed::Protocol(ProtocolError::ContinuationNotStarted));
        };
        if whole.len() + bytes.len() > MAX_CLIENT_MESSAGE {
            return Err(ReadFailed::TooLarge);
        }
        whole.extend_from_slice(bytes);
        Ok(())
    }
}

/// The length of the payload that a frame's head tells (RFC 6455 §5.2); 0 when too little is there.
fn announced(head: &[u8]) -> u64 {
    let Some(short) = head.get(1).map(|byte| byte & 0x7f) else { return 0 };
    let rest = &head[2..];
    match short {
        126 => rest.first_chunk().map_or(0, |length| u64::from(u16::from_be_bytes(*length))),
        127 => rest.first_chunk().map_or(0, |length| u64::from_be_bytes(*length)),
        short => u64::from(short),
    }
}

fn text(bytes: Vec<u8>) -> Result<In, ReadFailed> {
    String::from_utf8(bytes).map(In::Text).map_err(|_| ReadFailed::NotUtf8)
}
