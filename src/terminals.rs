//! What is asked of the terminals in a sandbox, over the line to its runner.

use actix_web::http::StatusCode;
use serde::de::DeserializeOwned;
use staithe_actors::{
    Link, LinkFailed, Reply, SessionHandle, mail, runtime::messages::GetLine,
    session::messages::GetRuntime,
};
use staithe_protocol::terminal::{
    NewTerminal, TerminalAsk, TerminalCode, TerminalDenied, TerminalInfo, TerminalList,
};

use crate::error::ApiError;

/// Largest answer of the runner, in bytes.
const ANSWER: usize = 1024 * 1024;

impl From<TerminalDenied> for ApiError {
    fn from(TerminalDenied { code, reason }: TerminalDenied) -> Self {
        let status = match code {
            TerminalCode::Malformed | TerminalCode::BeyondEnd => StatusCode::BAD_REQUEST,
            TerminalCode::Unknown => StatusCode::NOT_FOUND,
            TerminalCode::OtherEpoch => StatusCode::GONE,
            TerminalCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            TerminalCode::InputFull => StatusCode::PAYLOAD_TOO_LARGE,
            TerminalCode::WatchOnly => StatusCode::FORBIDDEN,
            TerminalCode::NotStarted
            | TerminalCode::Ended
            | TerminalCode::NotDriver
            | TerminalCode::NotFollowed
            | TerminalCode::FollowedAlready => StatusCode::CONFLICT,
        };
        Self::denied(status, code.as_str(), reason)
    }
}

/// The line to a session's sandbox.
pub async fn line(session: &SessionHandle) -> Result<Link, ApiError> {
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    mail::ask(&runtime, GetLine).await?.map_err(ApiError::from)
}

/// All of them, the oldest first.
pub async fn list(line: &Link) -> Result<Vec<TerminalInfo>, ApiError> {
    let reply = line.get("/terminals").await.map_err(unreachable_runner)?;
    Ok(answer::<TerminalList>(reply).await?.terminals)
}

/// A new one.
pub async fn open(line: &Link, new: &NewTerminal) -> Result<TerminalInfo, ApiError> {
    answer(line.post_json("/terminals", new).await.map_err(unreachable_runner)?).await
}

/// Asks something of one; how it is then.
pub async fn ask(line: &Link, id: u32, ask: &TerminalAsk) -> Result<TerminalInfo, ApiError> {
    let reply = line.post_json(&format!("/terminals/{id}"), ask).await;
    answer(reply.map_err(unreachable_runner)?).await
}

fn unreachable_runner(error: LinkFailed) -> ApiError {
    ApiError::unavailable("RUNTIME_UNAVAILABLE", error, 1)
}

async fn answer<T: DeserializeOwned>(reply: Reply) -> Result<T, ApiError> {
    let status = reply.status();
    let failed = |error: &dyn std::fmt::Display| ApiError::failed("sandbox.refused", error);
    let body = reply.whole(ANSWER).await.map_err(|error| failed(&error))?;
    if status < 300 {
        return serde_json::from_slice(&body).map_err(|error| failed(&error));
    }
    match serde_json::from_slice::<TerminalDenied>(&body) {
        Ok(denied) => Err(denied.into()),
        Err(_) => Err(failed(&format!("the runner answered {status}"))),
    }
}
