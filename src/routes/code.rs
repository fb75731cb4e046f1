//! Questions about a workspace's content: search, and what git says. The sandbox answers; here it is only
//! passed on.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use serde::{Deserialize, de::DeserializeOwned};
use staithe_actors::Reply;
use staithe_protocol::{
    files::FileDenied,
    git::GitDenied,
    search::{Search, SearchDenied},
};

use super::{body, files};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// The largest refusal of a runner, in bytes.
const REFUSAL: usize = 64 * 1024;
/// A proxy before us would keep results back otherwise.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `POST /api/sessions/{id}/search`: lines of JSON, as they are found. Who ends the request ends the search.
pub async fn search(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let search: Search = body::json(payload, front.settings.max_body).await?;
    let session = front.open(&identity, Need::Read, id).await?;
    let line = files::line(&session).await?;
    let reply = match &search {
        Search::Content(search) => line.post_json("/search/content", search).await,
        Search::Names(search) => line.post_json("/search/names", search).await,
    };
    let reply = reply.map_err(files::unreachable_runner)?;
    if reply.status() != 200 {
        return Err(refusal::<SearchDenied>(reply).await);
    }
    let mut response = files::relay(reply, &session, "application/x-ndjson", None);
    response.headers_mut().insert(UNBUFFERED, HeaderValue::from_static("no"));
    Ok(response)
}

/// `GET /api/sessions/{id}/git/…`: what git says of the repository that the folder `?path=` is in.
pub async fn git(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let question = request.path().rsplit('/').next().unwrap_or_default();
    let address = format!("/git/{question}?{}", request.query_string());
    let line = files::line(&session).await?;
    let reply = line.get(&address).await.map_err(files::unreachable_runner)?;
    if reply.status() != 200 {
        return Err(refusal::<GitDenied>(reply).await);
    }
    Ok(files::relay(reply, &session, "application/json", None))
}

/// A runner's refusal with a code of its own.
trait Coded: DeserializeOwned {
    /// Status, code and words.
    fn said(self) -> (u16, &'static str, String);
}

impl Coded for SearchDenied {
    fn said(self) -> (u16, &'static str, String) {
        (self.code.status(), self.code.as_str(), self.message)
    }
}

impl Coded for GitDenied {
    fn said(self) -> (u16, &'static str, String) {
        (self.code.status(), self.code.as_str(), self.message)
    }
}

async fn refusal<T: Coded>(reply: Reply) -> ApiError {
    #[derive(Deserialize)]
    struct Detail {
        detail: String,
    }
    let status = reply.status();
    let failed = |error| ApiError::failed("sandbox.refused", error);
    let body = match reply.whole(REFUSAL).await {
        Ok(body) => body,
        Err(error) => return failed(error.to_string()),
    };
    if let Ok(denied) = serde_json::from_slice::<T>(&body) {
        let (status, code, message) = denied.said();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        let retry = (status == StatusCode::TOO_MANY_REQUESTS).then_some(1);
        return ApiError { retry_after: retry, ..ApiError::denied(status, code, message) };
    }
    if let Ok(denied) = serde_json::from_slice::<FileDenied>(&body) {
        return denied.into();
    }
    match serde_json::from_slice::<Detail>(&body) {
        Ok(Detail { detail }) if status == 400 => {
            ApiError::bad_request("request.invalid_parameter", detail)
        }
        _ => failed(format!("the runner answered {status}")),
    }
}
