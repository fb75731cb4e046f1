//! Whether the server works, and its figures.

use actix_web::{HttpResponse, web};
use serde_json::json;
use staithe_protocol::Phase;

use crate::{auth::Identity, error::ApiError, front::Front};

/// `GET /health`: open to anyone who reaches the server; says nothing about anybody's work.
pub async fn health(front: web::Data<Front>) -> HttpResponse {
    let status = if front.registry.is_draining() { "draining" } else { "ok" };
    HttpResponse::Ok().json(json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": front.started.elapsed().as_secs_f64(),
        "engine": { "kind": front.engine.kind, "isolation": front.engine.isolation },
    }))
}

/// `GET /metrics`: for operators, in Prometheus' text format.
pub async fn metrics(
    front: web::Data<Front>,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    identity.must_operate()?;
    for phase in Phase::ALL {
        let count = u32::try_from(front.registry.count(phase)).unwrap_or(u32::MAX);
        metrics::gauge!("staithe_sessions", "phase" => phase.as_str()).set(f64::from(count));
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(front.metrics.render()))
}
