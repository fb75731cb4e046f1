//! Requests to a server: each on a connection of its own.

use std::{fmt::Display, time::Duration};

use futures_util::StreamExt as _;
use http_body_util::{BodyStream, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use staithe_protocol::api::Problem;
use tokio::time::timeout;

use super::course::Outcome;
use crate::caller::{Address, Carrier};

/// The largest answer that is read whole, in bytes.
const MOST_ANSWER: usize = 64 * 1024 * 1024;
/// How long an answer's beginning may take: stopping a session waits for its sandbox to end.
const DEADLINE: Duration = Duration::from_mins(1);

/// Wrong use (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// No server (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;

/// Why a run could not be begun or gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunFailed {
    #[error("{0}")]
    Usage(String),
    #[error("no server answers at {0}")]
    Unreachable(String),
    #[error("{detail} ({code})")]
    Refused { status: u16, code: String, detail: String },
    #[error("the connection to the server was cut: {0}")]
    Cut(String),
    /// Something on this machine.
    #[error("{0}")]
    Here(String),
}

impl RunFailed {
    pub(super) fn cut(error: impl Display) -> Self {
        Self::Cut(error.to_string())
    }

    pub(super) fn here(error: impl Display) -> Self {
        Self::Here(error.to_string())
    }

    /// What the command exits with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable(_) | Self::Cut(_) | Self::Refused { status: 429 | 502..=504, .. } => {
                UNAVAILABLE
            }
            Self::Usage(_) | Self::Refused { status: 400..=499, .. } => USAGE,
            Self::Refused { .. } | Self::Here(_) => 1,
        }
    }

    /// The server's code, or one of the command's own.
    fn code(&self) -> &str {
        match self {
            Self::Usage(_) => "run.wrong_use",
            Self::Unreachable(_) => "run.no_server",
            Self::Refused { code, .. } => code,
            Self::Cut(_) => "run.connection_lost",
            Self::Here(_) => "run.failed",
        }
    }

    /// As the outcome of a run, in JSON.
    pub(super) fn to_json(&self, session: &Value, used: &Value) -> Value {
        let (code, why) = (self.code().to_owned(), self.to_string());
        let mut line = Outcome::Failed { code, why }.to_json(session, used);
        line["exit_code"] = self.exit_code().into();
        line
    }

    /// Whether it is worth another try.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Cut(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            Self::Usage(_) | Self::Here(_) => false,
        }
    }
}

/// A server and who asks.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As it was given, without a `/` at its end.
    pub(crate) url: String,
    pub(crate) address: Address,
    pub(crate) token: String,
}

impl Server {
    pub(super) fn new(url: &str, token: String) -> Result<Self, RunFailed> {
        let address = Address::parse(url).map_err(RunFailed::Usage)?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), address, token })
    }

    /// A connection.
    pub(super) async fn connect(&self) -> Result<Box<dyn Carrier>, RunFailed> {
        let connected = timeout(DEADLINE, self.address.connect()).await;
        connected
            .map_err(|_| RunFailed::Unreachable(self.url.clone()))?
            .map_err(|error| RunFailed::Unreachable(format!("{}: {error}", self.url)))
    }

    /// Sends a request; what the server refuses is an error.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, RunFailed> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(RunFailed::cut)?;
        // It ends with the answer's body; why it broke, the request tells.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", &self.address.authority)
            .header("Authorization", format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(RunFailed::cut)?;
        let response = timeout(DEADLINE, sender.send_request(request)).await;
        let response = response
            .map_err(|_| RunFailed::Cut("no answer came in time".to_owned()))?
            .map_err(RunFailed::cut)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let answer = whole(response).await.unwrap_or_default();
        Err(refusal(status.as_u16(), &answer))
    }

    /// Sends a request whose answer is JSON; null where it is empty.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RunFailed> {
        let answer = whole(self.send(method, path, body).await?).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(RunFailed::cut)
    }
}

/// A refusal in the server's words.
pub(super) fn refusal(status: u16, answer: &[u8]) -> RunFailed {
    let (code, detail) = match serde_json::from_slice::<Problem>(answer) {
        Ok(problem) => (problem.code, problem.detail),
        Err(_) => (status.to_string(), "the server refused".to_owned()),
    };
    RunFailed::Refused { status, code, detail }
}

async fn whole(response: Response<Incoming>) -> Result<Vec<u8>, RunFailed> {
    let mut answer = Vec::new();
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        if let Ok(piece) = frame.map_err(RunFailed::cut)?.into_data() {
            answer.extend_from_slice(&piece);
        }
        if answer.len() > MOST_ANSWER {
            return Err(RunFailed::cut("the answer is too large"));
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_run_from_beginning_has_the_houses_codes() {
        let refused = |status| {
            RunFailed::Refused { status, code: String::new(), detail: String::new() }.exit_code()
        };
        assert_eq!([401, 404, 409, 422].map(refused), [64; 4]);
        assert_eq!([429, 503].map(refused), [69; 2]);
        assert_eq!(refused(500), 1);
        assert_eq!(RunFailed::cut("x").exit_code(), 69);
        assert_eq!(RunFailed::here("x").exit_code(), 1);
    }
}
