//! A small HTTP client: one connection for each request.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::Server;

/// The longest that an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// Status, headers, body.
pub type Answer = (u16, HeaderMap, Vec<u8>);
/// Names and values. Without an `authorization` among them the operator's token is shown; an empty
/// one shows none.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

impl Server {
    pub async fn get(&self, path: &str, headers: Headers<'_>) -> Answer {
        self.request(Method::GET, path, headers, Vec::new()).await
    }

    pub async fn post(&self, path: &str, headers: Headers<'_>, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        let headers = [&json, headers].concat();
        self.request(Method::POST, path, &headers, body.to_string().into()).await
    }

    pub async fn put(&self, path: &str, headers: Headers<'_>, body: Vec<u8>) -> Answer {
        self.request(Method::PUT, path, headers, body).await
    }

    pub async fn delete(&self, path: &str, headers: Headers<'_>) -> Answer {
        self.request(Method::DELETE, path, headers, Vec::new()).await
    }

    /// One request and its whole answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Vec<u8>,
    ) -> Answer {
        let shown = format!("{method} {path}");
        let answer = timeout(ANSWER_LIMIT, self.try_request(method, path, headers, body)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{shown}: no answer in {ANSWER_LIMIT:?}"));
        answer.unwrap_or_else(|error| panic!("{shown}: {error:#}"))
    }

    /// One request that may fail to be answered.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        ask(self.address(), &self.token, method, path, headers, body).await
    }
}

/// One request to an address, by whoever this token is; it may fail to be answered.
pub async fn ask(
    address: &str,
    token: &str,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    body: Vec<u8>,
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request =
        Request::builder().method(method).uri(path).header(header::CONNECTION, "close");
    let names = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    if !names("host") {
        request = request.header(header::HOST, address);
    }
    if !names("authorization") {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for (key, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*key, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    drop(sender);
    connection.abort();
    Ok((status, headers, body))
}
