//! Whether the server works, and its figures.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use staithe_protocol::Phase;

use super::body;
use crate::{auth::Identity, error::ApiError, front::Front};

/// Characters of a nonce: 128 bits in hexadecimal.
const NONCE: usize = 32;

/// `GET /health?nonce=`: open to anyone who reaches the server; says nothing about anybody's work. With a nonce (32
/// hexadecimal digits) there is `proof`: whoever has the data directory's keys sees by it that this server has them, and
/// may show it a token. Nobody else can use it, for anything.
pub async fn health(
    front: web::Data<Front>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let nonce = body::parameter::<String>(&request, "nonce")?;
    let proof = match nonce {
        None => None,
        Some(nonce) if nonce.len() == NONCE && nonce.bytes().all(|b| b.is_ascii_hexdigit()) => {
            let address = format!("http://{}", request.app_config().local_addr());
            Some(front.keys.prove(&nonce, &address)?)
        }
        Some(_) => {
            let detail = "nonce: 32 hexadecimal digits are expected";
            return Err(ApiError::bad_request("request.invalid_parameter", detail));
        }
    };
    let status = if front.registry.is_draining() { "draining" } else { "ok" };
    let mut answer = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime": front.started.elapsed().as_secs_f64(),
        "engine": { "kind": front.engine.kind, "isolation": front.engine.isolation },
    });
    if let Some(proof) = proof {
        answer["proof"] = proof.into();
    }
    Ok(HttpResponse::Ok().json(answer))
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
