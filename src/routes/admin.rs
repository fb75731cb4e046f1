//! What operators ask and order.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use staithe_actors::{
    images::messages::{GetMakings, MakingView},
    mail,
    runtime::messages::GetStats,
    session::messages::{GetAdminView, PeekRuntime},
    session_manager::messages::{Drain, Reconcile},
};
use staithe_protocol::{
    Phase, StartStep,
    api::{AdminBuild, AdminEngine, EngineFact, SessionBody},
};

use super::{
    body,
    sessions::{cut, log_lines},
};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// `GET /api/admin/sessions?phase=&q=&owner=&sort=&order=&page=&limit=`
pub async fn list(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    let invalid = |detail: String| ApiError::bad_request("request.invalid_parameter", detail);
    let mut sessions = front.registry.bodies();
    let text =
        |name| body::parameter::<String>(&request, name).map(|v| v.filter(|v| !v.is_empty()));
    if let Some(wanted) = text("phase")? {
        let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == wanted);
        let phase = phase.ok_or_else(|| invalid(format!("phase: {wanted:?} is none")))?;
        sessions.retain(|session| session.phase.phase == phase);
    }
    if let Some(owner) = text("owner")? {
        sessions.retain(|session| session.owner == owner);
    }
    if let Some(wanted) = text("q")?.map(|q| q.to_lowercase()) {
        sessions.retain(|session| matches_text(session, &wanted));
    }
    let sort = text("sort")?.unwrap_or_else(|| "created_at".into());
    match sort.as_str() {
        "created_at" => sessions.sort_by_key(|session| session.id),
        "updated_at" => sessions.sort_by(|a, b| a.updated_at.cmp(&b.updated_at)),
        "title" => sessions.sort_by_key(|session| session.title.to_lowercase()),
        "owner" => sessions.sort_by(|a, b| a.owner.cmp(&b.owner)),
        "phase" => sessions.sort_by_key(|session| session.phase.phase.as_str()),
        "clients" => sessions.sort_by_key(|session| session.clients),
        other => return Err(invalid(format!("sort: {other:?} is not possible here"))),
    }
    match text("order")?.as_deref() {
        None | Some("desc") => sessions.reverse(),
        Some("asc") => {}
        Some(other) => return Err(invalid(format!("order: {other:?} is neither asc nor desc"))),
    }
    Ok(HttpResponse::Ok().json(cut(sessions, &request)?))
}

fn matches_text(session: &SessionBody, wanted: &str) -> bool {
    let contains = |text: &str| text.to_lowercase().contains(wanted);
    contains(&session.title)
        || session.id.to_string().contains(wanted)
        || contains(&session.owner)
        || session.labels.iter().any(|(key, value)| contains(key) || contains(value))
}

/// `GET /api/admin/sessions/{id}`: one session whole.
pub async fn get(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let view = mail::ask(&session.addr, GetAdminView).await?;
    let mut body = serde_json::to_value(view).map_err(|e| ApiError::failed("server.failed", e))?;
    if session.snapshot.borrow().phase.phase == Phase::Ready {
        let runtime = mail::ask(&session.addr, PeekRuntime).await?;
        body["stats"] = json!(mail::ask(&runtime, GetStats).await?);
    }
    Ok(HttpResponse::Ok().json(body))
}

/// `GET /api/admin/sessions/{id}/log?tail=`: the sandbox's own last lines.
pub async fn log(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    let lines = log_lines(&front, &request, &identity, session_id(&id)?).await?;
    Ok(HttpResponse::Ok().json(json!({ "lines": lines })))
}

/// `POST /api/admin/drain`: no new sessions; running ones are suspended, or left running as configured.
pub async fn drain(front: web::Data<Front>, identity: Identity) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    mail::ask(&front.manager, Drain { keep_sandboxes: front.settings.keep_sandboxes }).await?;
    Ok(HttpResponse::Ok().json(json!({ "draining": true, "running": front.registry.running() })))
}

/// `POST /api/admin/reconcile`
pub async fn reconcile(
    front: web::Data<Front>,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    let report = mail::ask(&front.manager, Reconcile).await?;
    let report = report.map_err(|e| ApiError::failed("sandbox.engine_failed", e))?;
    Ok(HttpResponse::Ok().json(report))
}

/// `GET /api/admin/overview`: how the server is, and was over the last day.
pub async fn overview(
    front: web::Data<Front>,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    Ok(HttpResponse::Ok().json(front.overview.view(&front)))
}

/// `GET /api/admin/engine`: what the engine is, what it lacks, and what waits for it.
pub async fn engine(front: web::Data<Front>, identity: Identity) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    let sessions = front.registry.bodies();
    let count = |wanted: &dyn Fn(&SessionBody) -> bool| {
        sessions.iter().filter(|session| wanted(session)).count() as u64
    };
    let waits = |session: &SessionBody| session.phase.step == Some(StartStep::Queue);
    let engine = &front.engine;
    let fact =
        |(name, value): &(String, String)| EngineFact { name: name.clone(), value: value.clone() };
    let makings = mail::ask(&front.manager, GetMakings).await?;
    Ok(HttpResponse::Ok().json(AdminEngine {
        builds: makings.into_iter().map(build).collect(),
        kind: engine.kind.clone(),
        facts: engine.facts.iter().map(fact).collect(),
        lacks: engine.lacks.clone(),
        pause: engine.pause,
        pool: engine.pool,
        waiting: count(&waits),
        starting: count(&|session| session.phase.phase == Phase::Starting && !waits(session)),
        ready: count(&|session| session.phase.phase == Phase::Ready),
    }))
}

fn build(making: MakingView) -> AdminBuild {
    AdminBuild {
        image: making.image,
        asked: making.asked,
        state: making.stage.as_str().to_owned(),
        waiters: making.waiters as u64,
        since: making.since,
        progress: making.progress,
    }
}

/// `GET /api/admin/config`: what holds, secrets masked.
pub async fn config(front: web::Data<Front>, identity: Identity) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    Ok(HttpResponse::Ok().json(json!({ "config": front.settings.shown_config })))
}
