//! Uploads that can be resumed: tus 1.0 below `/api/sessions/{id}/uploads`. The runner keeps them, so
//! they outlive this server.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web,
};
use staithe_actors::Reply;
use staithe_protocol::SessionId;

use super::{
    body,
    files::{Upload, allow_size, headers, origin, refusal},
};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// What the runner is told of a request.
const ASKED: [&str; 9] = [
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Metadata",
    "Upload-Defer-Length",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "X-Force",
];
/// What a client is told of an answer.
const TOLD: [&str; 7] = [
    "tus-resumable",
    "tus-version",
    "tus-extension",
    "upload-offset",
    "upload-length",
    "upload-expires",
    "etag",
];

/// `OPTIONS`: what this server can do.
pub async fn options(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    front.authorize(&identity, Need::Read, session_id(&id)?)?;
    let mut response = HttpResponse::NoContent();
    response
        .insert_header(("Tus-Resumable", "1.0.0"))
        .insert_header(("Tus-Version", "1.0.0"))
        .insert_header(("Tus-Extension", "creation,creation-with-upload,expiration,termination"));
    if front.settings.max_upload > 0 {
        response.insert_header(("Tus-Max-Size", front.settings.max_upload.to_string()));
    }
    Ok(response.finish())
}

/// `POST`: a new upload. `Upload-Length`; `Upload-Metadata` with `path`, and `if_match`, `force`, `mode`,
/// `create_parents` where they are wanted.
pub async fn create(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let length = request.headers().get("Upload-Length").and_then(|text| text.to_str().ok());
    allow_size(length.and_then(|text| text.parse().ok()), front.settings.max_upload)?;
    forward(&front, (&identity, id), &request, "/uploads".to_owned(), payload).await
}

/// `HEAD`: how much has come. `PATCH`: more. `DELETE`: no more.
pub async fn go_on(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (session, upload) = id.into_inner();
    let id = session_id(&session)?;
    front.authorize(&identity, Need::Write, id)?;
    let address = format!("/uploads/{}", body::encode(&upload));
    forward(&front, (&identity, id), &request, address, payload).await
}

async fn forward(
    front: &Front,
    (identity, id): (&Identity, SessionId),
    request: &HttpRequest,
    address: String,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(identity, Need::Write, id).await?;
    let method = match *request.method() {
        Method::POST => hyper::Method::POST,
        Method::HEAD => hyper::Method::HEAD,
        Method::PATCH => hyper::Method::PATCH,
        _ => hyper::Method::DELETE,
    };
    let mut headers = headers(request, &ASKED);
    headers.push(origin());
    // Its length was looked at when it was made.
    let upload = Upload { method, address, headers, limit: 0 };
    answer(id, upload.send(&session, request, payload).await?).await
}

async fn answer(id: SessionId, reply: Reply) -> Result<HttpResponse, ApiError> {
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let told: Vec<_> =
        TOLD.iter().filter_map(|name| Some((*name, reply.header(name)?.to_owned()))).collect();
    let location = reply.header("location").map(|location| format!("/api/sessions/{id}{location}"));
    let mut response = if status.is_success() {
        HttpResponse::build(status)
    } else {
        let told_to_wait = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let mut error = refusal(reply).await;
        error.status = status;
        error.retry_after = error.retry_after.or(told_to_wait);
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        let problem = serde_json::to_vec(&error.problem());
        let problem = problem.map_err(|error| ApiError::failed("sandbox.refused", error))?;
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = error.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        for header in told {
            response.insert_header(header);
        }
        return Ok(response.body(problem));
    };
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    for header in told {
        response.insert_header(header);
    }
    if let Some(location) = location {
        response.insert_header((header::LOCATION, location));
    }
    Ok(response.finish())
}
