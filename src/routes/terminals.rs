//! Terminals over REST: all but their streams, which are the WebSocket's.

use actix_web::{HttpResponse, web};
use staithe_protocol::terminal::{NewTerminal, TerminalAsk, TerminalList};

use super::body;
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
    terminals,
};

/// Largest request, in bytes.
const MOST_BODY: usize = 128 * 1024;

/// `GET /api/sessions/{id}/terminals`
pub async fn list(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let terminals = terminals::list(&terminals::line(&session).await?).await?;
    Ok(HttpResponse::Ok().json(TerminalList { terminals }))
}

/// `POST /api/sessions/{id}/terminals`: a new one, as the body says; without a body, a shell.
pub async fn open(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let new: NewTerminal = body::json(payload, MOST_BODY).await?;
    let session = front.open(&identity, Need::Write, id).await?;
    let info = terminals::open(&terminals::line(&session).await?, &new).await?;
    Ok(HttpResponse::Created().json(info))
}

/// `DELETE /api/sessions/{id}/terminals/{terminal}`: ends its program, and forgets one that has ended.
pub async fn close(
    front: web::Data<Front>,
    identity: Identity,
    path: web::Path<(String, u32)>,
) -> Result<HttpResponse, ApiError> {
    let (id, terminal) = path.into_inner();
    let session = front.open(&identity, Need::Write, session_id(&id)?).await?;
    let line = terminals::line(&session).await?;
    let info = terminals::ask(&line, terminal, &TerminalAsk::Close {}).await?;
    Ok(HttpResponse::Accepted().json(info))
}
