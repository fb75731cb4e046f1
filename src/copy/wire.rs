//! Requests to the server: each on a connection of its own.

use std::io;

use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, BodyStream, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use staithe_protocol::{
    SessionId,
    api::Problem,
    files::{EntryType, FileDone},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::CopyFailed;
use crate::{caller::Address, routes::body::encode};

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// The largest answer that is read whole, in bytes.
const MOST_ANSWER: usize = 4 * 1024 * 1024;

/// A server and who asks.
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) token: String,
}

/// What is sent.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

impl<'a> Ask<'a> {
    /// Nothing but the words.
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Self { method, path, headers: Vec::new(), body }
    }
}

/// A body that comes over a channel.
pub(super) fn body_of(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    let frames = ReceiverStream::new(pieces).map(|piece| piece.map(Frame::data));
    StreamBody::new(frames).boxed_unsync()
}

/// A path of a session's interface.
pub(super) fn address(id: SessionId, what: &str, path: &str) -> String {
    let path: Vec<String> = path.split('/').map(encode).collect();
    format!("/api/sessions/{id}/{what}/{}", path.join("/"))
}

impl Server {
    /// Sends a request; what the server refuses is an error.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Response<Incoming>, CopyFailed> {
        let host = &self.address.authority;
        let connected = self.address.connect().await;
        let stream =
            connected.map_err(|error| CopyFailed::Unreachable(format!("{host}: {error}")))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(CopyFailed::cut)?;
        // It ends with the answer's body; why it broke, the request tells.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header("Host", host)
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(ask.body).map_err(CopyFailed::cut)?;
        let response = sender.send_request(request).await.map_err(CopyFailed::cut)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let answer = whole(response).await.unwrap_or_default();
        let (code, detail) = match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => (problem.code, problem.detail),
            Err(_) => (status.as_str().to_owned(), "the server refused".to_owned()),
        };
        Err(CopyFailed::Refused { status: status.as_u16(), code, detail })
    }

    /// What is known of a path in a workspace; none if nothing is there.
    pub(super) async fn stat(
        &self,
        id: SessionId,
        path: &str,
    ) -> Result<Option<EntryType>, CopyFailed> {
        if path.trim_matches('/').is_empty() {
            return Ok(Some(EntryType::Dir));
        }
        let address = format!("{}?stat=1", address(id, "files", path));
        match self.ask(Ask::new(Method::GET, &address)).await {
            Ok(response) => {
                let answer = whole(response).await?;
                let done: FileDone = serde_json::from_slice(&answer).map_err(CopyFailed::cut)?;
                Ok(done.entries.and_then(|entries| Some(entries.first()?.kind)))
            }
            Err(CopyFailed::Refused { code, .. }) if code == "NOT_FOUND" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An answer whole.
pub(super) async fn whole(response: Response<Incoming>) -> Result<Vec<u8>, CopyFailed> {
    let mut answer = Vec::new();
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        if let Ok(piece) = frame.map_err(CopyFailed::cut)?.into_data() {
            answer.extend_from_slice(&piece);
        }
        if answer.len() > MOST_ANSWER {
            return Err(CopyFailed::cut("the answer is too large"));
        }
    }
    Ok(answer)
}

/// A header's value.
pub(super) fn header<'a>(response: &'a Response<Incoming>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
