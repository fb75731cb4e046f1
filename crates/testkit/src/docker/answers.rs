//! Answers in the daemon's words.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Response, body::Frame, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// A refusal: status and message.
#[derive(Debug)]
pub(super) struct Refused(pub(super) u16, pub(super) String);

pub(super) type Outcome = Result<Answer, Refused>;

pub(super) fn refused<T>(status: u16, message: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(status, message.into()))
}

pub(super) fn bytes(status: u16, kind: &str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .body(body)
        .expect("a status and a plain header")
}

pub(super) fn json(status: u16, body: &Value) -> Answer {
    bytes(status, "application/json", body.to_string())
}

pub(super) fn empty(status: u16) -> Answer {
    bytes(status, "application/json", Bytes::new())
}

pub(super) fn failed(Refused(status, message): Refused) -> Answer {
    json(status, &json!({ "message": message }))
}

/// A body that comes bit by bit, until the sender is gone.
pub(super) fn stream(kind: &str, from: mpsc::Receiver<Bytes>) -> Answer {
    let frames = ReceiverStream::new(from).map(|bytes| Ok(Frame::data(bytes)));
    Response::builder()
        .status(200)
        .header(header::CONTENT_TYPE, kind)
        .body(StreamBody::new(frames).boxed_unsync())
        .expect("a status and a plain header")
}

/// The same; an error cuts the connection.
pub(super) fn stream_or_cut(kind: &str, from: mpsc::Receiver<io::Result<Bytes>>) -> Answer {
    let frames = ReceiverStream::new(from).map(|bytes| bytes.map(Frame::data));
    Response::builder()
        .status(200)
        .header(header::CONTENT_TYPE, kind)
        .body(StreamBody::new(frames).boxed_unsync())
        .expect("a status and a plain header")
}

/// The connection becomes a stream of bytes.
pub(super) fn upgraded() -> Answer {
    let mut answer = bytes(101, "application/vnd.docker.raw-stream", Bytes::new());
    for (name, value) in [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "tcp")] {
        answer.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    answer
}

/// One frame of a multiplexed stream: 1 is stdout, 2 is stderr.
pub(super) fn frame(stream: u8, data: &[u8]) -> Bytes {
    let length = u32::try_from(data.len()).expect("a fake's output is small");
    let mut bytes = vec![stream, 0, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
    bytes.into()
}
