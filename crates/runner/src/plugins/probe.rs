//! Small requests to programs of the sandbox on its own loopback.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::spawn_local, time::timeout};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MOST: usize = 256 * 1024;
/// Between two looks whether a program answers.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two looks whether one still does.
const WATCH_AGAIN: Duration = Duration::from_secs(10);
/// Looks that may fail one after the other.
const MOST_MISSED: u32 = 3;

/// A request to a port of loopback.
pub struct Ask<'a> {
    pub port: u16,
    pub method: Method,
    pub path: &'a str,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// JSON.
    pub body: Option<String>,
}

impl<'a> Ask<'a> {
    pub fn get(port: u16, path: &'a str) -> Self {
        Self { port, method: Method::GET, path, authorization: None, body: None }
    }

    /// Sends it; status and body of the answer.
    pub async fn send(&self) -> io::Result<(StatusCode, Bytes)> {
        self.send_within(PATIENCE).await
    }

    /// The same for one that may take longer.
    pub async fn send_within(&self, patience: Duration) -> io::Result<(StatusCode, Bytes)> {
        timeout(patience, self.exchange())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn exchange(&self) -> io::Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = spawn_local(connection);
        let mut request = Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header("Host", format!("127.0.0.1:{}", self.port));
        if let Some(authorization) = self.authorization {
            request = request.header("Authorization", authorization);
        }
        if self.body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = Full::new(Bytes::from(self.body.clone().unwrap_or_default()));
        let request = request.body(body).map_err(io::Error::other)?;
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await;
        connection.abort();
        Ok((status, body.map_err(io::Error::other)?.to_bytes()))
    }

    /// Whether the answer is a good one.
    async fn is_good(&self) -> bool {
        self.send().await.is_ok_and(|(status, _)| status.is_success())
    }

    /// Ends with the first good answer.
    pub async fn until_good(&self) {
        while !self.is_good().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Ends when there was no good answer several times.
    pub async fn until_ill(&self) {
        let mut missed = 0;
        while missed < MOST_MISSED {
            tokio::time::sleep(WATCH_AGAIN).await;
            missed = if self.is_good().await { 0 } else { missed + 1 };
        }
    }
}

/// A port of loopback that nothing listens on: `wanted` if that is one.
pub fn free_port(wanted: Option<u16>) -> io::Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = wanted.and_then(|port| bind(port).ok()).map_or_else(|| bind(0), Ok)?;
    Ok(listener.local_addr()?.port())
}
