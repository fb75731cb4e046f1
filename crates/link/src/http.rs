//! Bulk bytes to and from a runner: one connection for each request, streamed both ways.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, Empty, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use staithe_protocol::runner::KEY_HEADER;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Link, LinkFailed, connect};

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

impl Link {
    /// Asks the runner for something large.
    pub async fn get(&self, path_and_query: &str) -> Result<Reply, LinkFailed> {
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        self.exchange(Method::GET, path_and_query, &[], nothing).await
    }

    /// Sends the runner something large, as it arrives on the channel. An error on the channel breaks
    /// the request off, so that half of a body never counts as the whole.
    pub async fn put(
        &self,
        path_and_query: &str,
        headers: &[(&str, String)],
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    ) -> Result<Reply, LinkFailed> {
        let body = StreamBody::new(ReceiverStream::new(pieces).map_ok(Frame::data)).boxed_unsync();
        self.exchange(Method::PUT, path_and_query, headers, body).await
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
            if let Err(error) = connection.await {
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
