//! Actions in, events out.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytes::{BufMut, BytesMut};
use serde_json::Value;
use staithe_actors::{
    Reference,
    agent_session::messages::Submit,
    mail,
    runtime::messages::GetLine,
    session::messages::{GetRuntime, SubmitAction},
};
use staithe_protocol::{Action, EventId, Source, api::ActionAccepted, frames::MAX_REF};

use super::{body, files::relay};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// Events on a page when no limit is given, and the most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// `POST /api/sessions/{id}/actions`. The header `Idempotency-Key` is the `ref` of the WebSocket.
pub async fn act(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let action: Value = body::json(payload, front.settings.max_body).await?;
    let key = match request.headers().get("Idempotency-Key") {
        None => None,
        Some(key) => Some(
            key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_REF).ok_or_else(
                || {
                    let detail = "1 to 200 visible ASCII characters are expected";
                    ApiError::bad_request("idempotency.malformed_key", detail)
                },
            )?,
        ),
    };
    let submit = submission(&action, key)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let event_id = mail::ask(&session.addr, SubmitAction(submit)).await??;
    Ok(HttpResponse::Accepted().json(ActionAccepted { event_id }))
}

/// A client's action as the session takes it.
pub fn submission(action: &Value, reference: Option<&str>) -> Result<Submit, ApiError> {
    let client = Action::from_client(action)?;
    Ok(Submit {
        source: Source::User,
        action: client.action,
        timeout: client.timeout,
        reference: reference.map(|name| Reference::new(name, action)),
    })
}

/// `GET /api/sessions/{id}/events?after=&limit=`
pub async fn range(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let after = cursor(&request)?;
    let limit: usize = body::parameter(&request, "limit")?.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit: 1 to {MAX_PAGE}");
        return Err(ApiError::bad_request("request.invalid_parameter", detail));
    }
    let session = front.open(&identity, Need::Read, id).await?;
    let (events, reached) = session
        .feed
        .events(after, limit)
        .await
        .map_err(|error| ApiError::failed("store.failed", error))?;
    let head = session.feed.head();
    let mut page =
        BytesMut::with_capacity(events.iter().map(|event| event.len() + 1).sum::<usize>() + 64);
    page.put_slice(b"{\"events\":[");
    for (place, event) in events.iter().enumerate() {
        if place > 0 {
            page.put_u8(b',');
        }
        page.put_slice(event);
    }
    page.put_slice(format!("],\"has_more\":{},\"head\":{head}}}", reached < head).as_bytes());
    Ok(HttpResponse::Ok().content_type("application/json").body(page.freeze()))
}

/// The cursor of a request: the id of the last event that the caller has, −1 before the first.
pub fn cursor(request: &HttpRequest) -> Result<i64, ApiError> {
    let after: i64 = body::parameter(request, "after")?.unwrap_or(-1);
    if after < -1 {
        let detail = "after: the id of the last event that you have, or -1";
        return Err(ApiError::bad_request("request.invalid_parameter", detail));
    }
    Ok(after)
}

/// `GET /api/sessions/{id}/events/{event}/output`: all that a command printed, as bytes, as long as
/// its sandbox keeps it.
pub async fn output(
    front: web::Data<Front>,
    identity: Identity,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&path.0)?;
    let event: EventId = path.1.parse().map(EventId).map_err(|_| {
        ApiError::bad_request("request.invalid_parameter", "an event's id is a number")
    })?;
    let session = front.open(&identity, Need::Read, id).await?;
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    let line = mail::ask(&runtime, GetLine).await??;
    let reply = line
        .get(&format!("/output?key={event}"))
        .await
        .map_err(|error| ApiError::unavailable("session.not_ready", error, 1))?;
    if reply.status() == 404 {
        let detail = "the sandbox keeps no output of this event";
        return Err(ApiError::denied(StatusCode::NOT_FOUND, "output.not_found", detail));
    }
    Ok(relay(reply, &session, "text/plain; charset=utf-8", None))
}
