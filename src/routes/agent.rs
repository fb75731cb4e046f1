//! A session's agent: how it is, and what people choose of it.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use staithe_actors::{
    SessionHandle,
    agent_session::choice::{AgentChoice, LimitsChoice},
    mail,
    models::Models,
    session::messages::{ChooseAgent, LookAtAgent},
};
use staithe_protocol::SessionId;

use super::body;
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// The largest limits: what is above is a mistake.
const MOST_COUNT: u64 = 1_000_000_000_000;
const MOST_COST: f64 = 1_000_000.0;
/// A year, in seconds.
const MOST_TIME: u64 = 365 * 24 * 3600;

/// `GET /api/sessions/{id}/agent`
pub async fn get(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let view = mail::ask(&session.addr, LookAtAgent).await??;
    Ok(HttpResponse::Ok().json(view))
}

/// `PUT /api/sessions/{id}/agent`: what is left out stays.
pub async fn choose(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let choice: AgentChoice = body::json(payload, front.settings.max_body).await?;
    take(&front, id, &session, choice).await
}

/// The name of a group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedModel {
    model: String,
}

/// `PUT /api/sessions/{id}/model`
pub async fn choose_model(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let WantedModel { model } = body::json(payload, front.settings.max_body).await?;
    take(&front, id, &session, AgentChoice { model: Some(model), ..AgentChoice::default() }).await
}

async fn take(
    front: &Front,
    id: SessionId,
    session: &SessionHandle,
    choice: AgentChoice,
) -> Result<HttpResponse, ApiError> {
    let owner = front.registry.owner(id).ok_or_else(ApiError::no_session)?;
    check(front, &owner, &choice)?;
    let view = mail::ask(&session.addr, ChooseAgent(choice)).await??;
    Ok(HttpResponse::Ok().json(view))
}

/// Whether a choice can hold in a session of this owner, whose keys open the model.
pub fn check(front: &Front, owner: &str, choice: &AgentChoice) -> Result<(), ApiError> {
    if let Some(model) = &choice.model {
        front.models.settings(owner, model)?;
    }
    let LimitsChoice { steps, cost, tokens, time } = choice.limits;
    let good = steps.is_none_or(|steps| steps <= MOST_COUNT)
        && tokens.is_none_or(|tokens| tokens <= MOST_COUNT)
        && cost.is_none_or(|cost| (0.0..=MOST_COST).contains(&cost))
        && time.is_none_or(|time| time <= MOST_TIME);
    if good {
        return Ok(());
    }
    let detail =
        "limits: 0 (none) or more, up to 10^12 steps or tokens, 10^6 US dollars, a year of seconds";
    Err(ApiError::denied(StatusCode::UNPROCESSABLE_ENTITY, "agent.invalid", detail))
}
