//! Plugins of a session: what they do, starting and stopping them, and the address of VS Code.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use serde::de::DeserializeOwned;
use serde_json::json;
use staithe_actors::{
    Link, Reply, mail,
    runtime::messages::{GetLine, GetPlugins},
    session::messages::{GetRuntime, PeekRuntime},
};
use staithe_protocol::{
    SessionId,
    plugin::{PluginPhase, PluginState, VscodeDoor},
};

use super::{body, ports::outside};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
    proxy::access::{TICKET, TICKET_TTL},
};

/// Most bytes of a runner's answer.
const MOST_ANSWER: usize = 64 * 1024;
/// How long an address waits for VS Code to begin, in milliseconds.
const WAIT_MS: u64 = 25_000;
/// The longest that a caller may have a plugin waited for, in milliseconds.
const MOST_WAIT_MS: u64 = 60_000;

/// `GET /api/sessions/{id}/plugins`: none while the sandbox rests; asking neither wakes it nor keeps it awake.
pub async fn list(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let plugins = match front.registry.live(id) {
        Some(session) => {
            let runtime = mail::ask(&session.addr, PeekRuntime).await?;
            mail::ask(&runtime, GetPlugins).await?
        }
        None => Vec::new(),
    };
    Ok(HttpResponse::Ok().json(json!({ "plugins": plugins })))
}

/// `POST /api/sessions/{id}/plugins/{name}/{start|stop|restart}?wait_ms=`: its state, after at most that wait.
pub async fn command(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (id, name, word) = path.into_inner();
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Write, id)?;
    let wait: u64 = body::parameter(&request, "wait_ms")?.unwrap_or(0);
    if wait > MOST_WAIT_MS {
        let detail = format!("wait_ms: at most {MOST_WAIT_MS}");
        return Err(ApiError::bad_request("request.invalid_parameter", detail));
    }
    if !["start", "stop", "restart"].contains(&word.as_str()) {
        return Err(ApiError::bad_request("request.invalid", "start, stop or restart"));
    }
    let link = line(&front, &identity, id).await?;
    let state = say(&link, &name, &word, wait).await?.ok_or_else(|| not_wanted(&name))?;
    Ok(HttpResponse::Ok().json(state))
}

/// `GET /api/sessions/{id}/vscode-url`, and the same under `/api/conversations/{id}`.
pub async fn vscode_url(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    address(&front, &request, &identity, session_id(&id)?).await
}

/// `GET /api/vscode-url?session=`: of that session, or of the one that the caller's token opens.
pub async fn vscode_url_of(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    let named: Option<String> = body::parameter(&request, "session")?;
    let id = match (named, identity.session) {
        (Some(named), _) => session_id(&named)?,
        (None, Some(own)) => own,
        (None, None) => {
            let detail = "session: which one is meant?";
            return Err(ApiError::bad_request("request.invalid_parameter", detail));
        }
    };
    address(&front, &request, &identity, id).await
}

/// Has VS Code running and says where: `{"vscode_url": …}`, null where the session is not to have it.
async fn address(
    front: &Front,
    request: &HttpRequest,
    identity: &Identity,
    id: SessionId,
) -> Result<HttpResponse, ApiError> {
    // Who has it can write every file and run everything.
    front.authorize(identity, Need::Write, id)?;
    let place = front.settings.proxy.sandbox_base(&outside(front, request)?);
    let link = line(front, identity, id).await?;
    let Some(state) = say(&link, "vscode", "start", WAIT_MS).await? else {
        return Ok(HttpResponse::Ok().json(json!({ "vscode_url": null })));
    };
    match state.state {
        PluginPhase::Ready => {}
        PluginPhase::Failed => {
            let detail = state.detail.unwrap_or_default();
            return Err(ApiError::unavailable("plugin.failed", detail, 30));
        }
        PluginPhase::Starting | PluginPhase::Restarting | PluginPhase::Stopped => {
            let detail = "VS Code does not answer yet; it goes on starting";
            return Err(ApiError::unavailable("plugin.not_ready", detail, 5));
        }
    }
    let reply = link.get("/plugins/vscode/token").await.map_err(cut)?;
    let door: VscodeDoor = read(reply, "plugin.not_ready").await?;
    let VscodeDoor { token, base_path, folder, .. } = door;
    // So that it opens in a browser that is not signed in there; used up, it is left out there.
    let ticket = front.keys.sign_ticket(identity, id, TICKET_TTL)?;
    let folder = body::encode(&folder);
    let url = format!("{place}{base_path}/?tkn={token}&folder={folder}&{TICKET}={ticket}");
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "vscode_url": url })))
}

async fn line(front: &Front, identity: &Identity, id: SessionId) -> Result<Link, ApiError> {
    let session = front.open(identity, Need::Write, id).await?;
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    Ok(mail::ask(&runtime, GetLine).await??)
}

/// Says a word to a plugin. None: the session has none of this name.
async fn say(
    link: &Link,
    name: &str,
    word: &str,
    wait_ms: u64,
) -> Result<Option<PluginState>, ApiError> {
    let path = format!("/plugins/{}/{word}?wait_ms={wait_ms}", body::encode(name));
    let reply = link.post_json(&path, &json!({})).await.map_err(cut)?;
    if reply.status() == 404 {
        return Ok(None);
    }
    read(reply, "sandbox.refused").await.map(Some)
}

/// A runner's JSON; another status than success is told with this code.
async fn read<T: DeserializeOwned>(reply: Reply, code: &'static str) -> Result<T, ApiError> {
    let status = reply.status();
    let bytes = reply.whole(MOST_ANSWER).await.map_err(cut)?;
    if status >= 300 {
        return Err(ApiError::unavailable(code, "the plugin does not run any more", 1));
    }
    serde_json::from_slice(&bytes).map_err(|error| ApiError::failed("sandbox.refused", error))
}

fn cut(error: impl std::fmt::Display) -> ApiError {
    ApiError::unavailable("session.not_ready", error, 1)
}

fn not_wanted(name: &str) -> ApiError {
    let detail = format!("the session has no plugin {name:?}; see sandbox.plugins");
    ApiError::denied(StatusCode::NOT_FOUND, "plugin.not_found", detail)
}
