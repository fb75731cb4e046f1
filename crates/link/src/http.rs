//! Bulk bytes to and from a runner: one connection for each request, streamed both ways.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use staithe_protocol::runner::KEY_HEADER;

use crate::{Link, LinkFailed, connect};

/// A request's body.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

impl Link {
    /// Sends one HTTP request to the runner and returns the answer's head; its body is read by the
    /// caller, at the caller's pace.
    pub async fn http(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Response<Incoming>, LinkFailed> {
        let stream = connect::connect(&self.address).await.map_err(LinkFailed::Connect)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| LinkFailed::Http(Box::new(error)))?;
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
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| LinkFailed::Http(Box::new(error)))?;
        sender.send_request(request).await.map_err(|error| LinkFailed::Http(Box::new(error)))
    }
}
