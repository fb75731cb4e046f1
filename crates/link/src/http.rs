//! Bulk bytes to and from a runner: one connection for each request, streamed both ways.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use staithe_protocol::runner::KEY_HEADER;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

use crate::{Link, LinkFailed, connect};

/// How long the runner may take to open a WebSocket.
const HANDSHAKE: Duration = Duration::from_secs(10);

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A runner's answer: its head; the body is read at the caller's pace.
pub struct Reply {
    response: Response<Incoming>,
}

impl Reply {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The body, piece by piece.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let frames = BodyStream::new(self.response.into_body());
        TryStreamExt::map_err(frames, io::Error::other)
            .try_filter_map(|frame| std::future::ready(Ok(frame.into_data().ok())))
    }

    /// The body whole, up to `limit` bytes.
    pub async fn whole(self, limit: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut stream = std::pin::pin!(self.into_stream());
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > limit {
                return Err(io::Error::other("the runner's answer is too large"));
            }
        }
        Ok(body)
    }
}

/// A body that is sent as it arrives on the channel. An error on the channel breaks the request off, so
/// that half of a body never counts as the whole.
pub type Pieces = mpsc::Receiver<io::Result<Bytes>>;
/// A stream that an upgrade left.
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;
/// A WebSocket to a runner.
pub type Socket = WebSocketStream<Box<dyn crate::Stream>>;

impl Link {
    /// Asks the runner for something large.
    pub async fn get(&self, path_and_query: &str) -> Result<Reply, LinkFailed> {
        self.request(Method::GET, path_and_query, &[], None).await
    }

    /// Sends the runner something large.
    pub async fn put(
        &self,
        path_and_query: &str,
        headers: &[(&str, String)],
        pieces: Pieces,
    ) -> Result<Reply, LinkFailed> {
        self.request(Method::PUT, path_and_query, headers, Some(pieces)).await
    }

    /// Sends JSON.
    pub async fn post_json(
        &self,
        path_and_query: &str,
        body: &impl Serialize,
    ) -> Result<Reply, LinkFailed> {
        let text = serde_json::to_vec(body).map_err(|error| LinkFailed::Http(error.into()))?;
        let headers = [("Content-Type", "application/json".to_owned())];
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
        self.exchange(Method::POST, path_and_query, &headers, body).await
    }

    /// Any request.
    pub async fn request(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&str, String)],
        body: Option<Pieces>,
    ) -> Result<Reply, LinkFailed> {
        let body = match body {
            Some(pieces) => {
                StreamBody::new(ReceiverStream::new(pieces).map_ok(Frame::data)).boxed_unsync()
            }
            None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        };
        self.exchange(method, path_and_query, headers, body).await
    }

    /// Opens a WebSocket of its own, with this much buffer for reading, in bytes.
    pub async fn websocket(
        &self,
        path_and_query: &str,
        buffer: usize,
    ) -> Result<Socket, LinkFailed> {
        let http = |error: Box<dyn std::error::Error + Send + Sync>| LinkFailed::Http(error);
        let stream = connect::connect(&self.address).await.map_err(LinkFailed::Connect)?;
        let mut request = format!("ws://runner{path_and_query}")
            .into_client_request()
            .map_err(|error| http(error.into()))?;
        let key = HeaderValue::from_str(&self.key).map_err(|error| http(error.into()))?;
        request.headers_mut().insert(KEY_HEADER, key);
        let config = WebSocketConfig::default()
            .read_buffer_size(buffer)
            .write_buffer_size(0)
            .max_message_size(Some(crate::pump::MAX_MESSAGE))
            .max_frame_size(Some(crate::pump::MAX_MESSAGE));
        let shaken = timeout(HANDSHAKE, client_async_with_config(request, stream, Some(config)));
        let shaken = shaken.await.map_err(|_| LinkFailed::TimedOut(HANDSHAKE))?;
        let (socket, _) = shaken.map_err(|error| http(error.into()))?;
        Ok(socket)
    }

    /// Turns a connection into a stream of bytes by `Upgrade: <protocol>`. The reply instead, when the
    /// runner does not want to.
    pub async fn upgrade(
        &self,
        path_and_query: &str,
        protocol: &str,
    ) -> Result<Result<Upgraded, Reply>, LinkFailed> {
        let headers = [("Connection", "Upgrade".to_owned()), ("Upgrade", protocol.to_owned())];
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let reply = self.exchange(Method::GET, path_and_query, &headers, nothing).await?;
        if reply.status() != 101 {
            return Ok(Err(reply));
        }
        let upgraded = hyper::upgrade::on(reply.response)
            .await
            .map_err(|error| LinkFailed::Http(error.into()))?;
        Ok(Ok(TokioIo::new(upgraded)))
    }

    async fn exchange(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&str, String)],
        body: Body,
    ) -> Result<Reply, LinkFailed> {
        let http = |error: Box<dyn std::error::Error + Send + Sync>| LinkFailed::Http(error);
        let stream = connect::connect(&self.address).await.map_err(LinkFailed::Connect)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| http(error.into()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "an http exchange with a runner ended early");
            }
        });
        let mut request = Request::builder()
            .method(method)
            .uri(path_and_query)
            .header("Host", "runner")
            .header(KEY_HEADER, &*self.key);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(|error| http(error.into()))?;
        let response = sender.send_request(request).await.map_err(|error| http(error.into()))?;
        Ok(Reply { response })
    }
}
