//! Files of a workspace over REST: the same operations as the WebSocket's, and bytes of any size.

use std::io;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use futures_util::StreamExt;
use staithe_actors::{
    Link, Reply, SessionHandle, mail,
    runtime::messages::{DoFile, GetLine},
    session::messages::GetRuntime,
};
use staithe_protocol::files::{EntryType, FileDenied, FileDone, FileOp};
use tokio::sync::mpsc;

use super::body;
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
};

/// Largest answer of the runner to an upload.
const ANSWER: usize = 2 * 1024 * 1024;
/// Pieces of an upload that wait for the runner.
const PIECES: usize = 4;

/// Carries a file operation out.
pub async fn do_file(session: &SessionHandle, op: FileOp) -> Result<FileDone, ApiError> {
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    Ok(mail::ask(&runtime, DoFile { op, reference: None, origin: None }).await??)
}

pub(super) async fn line(session: &SessionHandle) -> Result<Link, ApiError> {
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    mail::ask(&runtime, GetLine).await?.map_err(ApiError::from)
}

/// The part of the address behind `/files/`, decoded.
fn path_of(request: &HttpRequest) -> Result<String, ApiError> {
    let path = request.uri().path();
    let raw = path.split_once("/files/").map_or("", |(_, raw)| raw);
    body::decode(raw)
}

fn depth(request: &HttpRequest) -> Result<Option<u32>, ApiError> {
    body::parameter(request, "depth")
}

/// `GET /api/sessions/{id}/files`: the workspace's top folder.
pub async fn root(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let op = FileOp::List { path: String::new(), depth: depth(&request)? };
    Ok(HttpResponse::Ok().json(do_file(&session, op).await?))
}

/// `POST /api/sessions/{id}/files`: any operation, as `{"op": …}`.
pub async fn operate(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let limit = staithe_protocol::frames::MAX_CLIENT_MESSAGE;
    let content = body::whole(payload, limit).await?;
    let op: FileOp = body::parse(&content)
        .map_err(|error| ApiError::bad_request("BAD_MESSAGE", error.detail))?;
    let need = if op.mutates() { Need::Write } else { Need::Read };
    let session = front.open(&identity, need, id).await?;
    Ok(HttpResponse::Ok().json(do_file(&session, op).await?))
}

/// `GET /api/sessions/{id}/files/{path}`: a file's bytes, or a folder's list. `?stat=1` tells of either
/// without its content; `?download=1` has a browser save it.
pub async fn get(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id.0)?).await?;
    let path = path_of(&request)?;
    let stat = do_file(&session, FileOp::Stat { path: path.clone() }).await?;
    if body::parameter::<u8>(&request, "stat")?.is_some_and(|stat| stat != 0) {
        return Ok(HttpResponse::Ok().json(stat));
    }
    if is_folder(&stat) {
        let op = FileOp::List { path, depth: depth(&request)? };
        return Ok(HttpResponse::Ok().json(do_file(&session, op).await?));
    }
    let download =
        body::parameter::<u8>(&request, "download")?.is_some_and(|download| download != 0);
    let reply = line(&session)
        .await?
        .get(&format!("/files/content?path={}", body::encode(&path)))
        .await
        .map_err(unreachable_runner)?;
    if reply.status() != 200 {
        return Err(refusal(reply).await);
    }
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(relay(reply, "application/octet-stream", download.then_some(name)))
}

fn is_folder(stat: &FileDone) -> bool {
    stat.version.as_deref() == Some("dir")
        || stat.entries.as_ref().and_then(|e| e.first()).is_some_and(|e| e.kind == EntryType::Dir)
}

/// `PUT /api/sessions/{id}/files/{path}`: the body becomes the file. Headers `If-Match: "<version>"`,
/// or `If-None-Match: *` for a new file, or `X-Force: true`; parents are made with `?create_parents=1`.
pub async fn put(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<(String, String)>,
    mut payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id.0)?;
    front.authorize(&identity, Need::Write, id)?;
    let path = path_of(&request)?;
    let parents = body::parameter::<u8>(&request, "create_parents")?.unwrap_or(0);
    let limit = front.settings.max_upload;
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if limit > 0 && announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    let session = front.open(&identity, Need::Write, id).await?;
    let line = line(&session).await?;
    let address =
        format!("/files/content?path={}&create_parents={}", body::encode(&path), parents != 0);
    let (pieces, queue) = mpsc::channel::<io::Result<bytes::Bytes>>(PIECES);
    let conditions = conditions(&request);
    let send = line.put(&address, &conditions, queue);
    let read = async move {
        let mut total = 0_u64;
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(io::Error::other);
            total += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            let over = limit > 0 && total > limit;
            let piece = if over { Err(io::Error::other("too large")) } else { piece };
            let broken = piece.is_err();
            if pieces.send(piece).await.is_err() || broken {
                return over;
            }
        }
        false
    };
    let (reply, over) = tokio::join!(send, read);
    if over {
        return Err(too_large(limit));
    }
    let reply = reply.map_err(unreachable_runner)?;
    if reply.status() != 200 {
        return Err(refusal(reply).await);
    }
    let answer = reply.whole(ANSWER).await.map_err(|e| ApiError::failed("sandbox.refused", e))?;
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}

fn conditions(request: &HttpRequest) -> Vec<(&'static str, String)> {
    ["If-Match", "If-None-Match", "X-Force"]
        .into_iter()
        .filter_map(|name| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some((name, value.trim_matches('"').to_owned()))
        })
        .collect()
}

fn too_large(limit: u64) -> ApiError {
    let detail = format!("an upload may have {limit} bytes (core.file_uploads_max_file_size_mb)");
    ApiError::denied(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", detail)
}

/// `DELETE /api/sessions/{id}/files/{path}`: headers as for `PUT`; `?recursive=1` for a folder that
/// holds something.
pub async fn delete(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id.0)?;
    front.authorize(&identity, Need::Write, id)?;
    let conditions = conditions(&request);
    let value = |name| conditions.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
    let op = FileOp::Delete {
        path: path_of(&request)?,
        if_match: value("If-Match"),
        recursive: body::parameter::<u8>(&request, "recursive")?.unwrap_or(0) != 0,
        force: value("X-Force").as_deref() == Some("true"),
    };
    let session = front.open(&identity, Need::Write, id).await?;
    Ok(HttpResponse::Ok().json(do_file(&session, op).await?))
}

pub(super) fn unreachable_runner(error: staithe_actors::LinkFailed) -> ApiError {
    ApiError::unavailable("RUNTIME_UNAVAILABLE", error, 1)
}

async fn refusal(reply: Reply) -> ApiError {
    let status = reply.status();
    match reply.whole(ANSWER).await.map(|body| serde_json::from_slice::<FileDenied>(&body)) {
        Ok(Ok(denied)) => denied.into(),
        _ => ApiError::failed("sandbox.refused", format!("the runner answered {status}")),
    }
}

/// Passes a runner's bytes on, at the pace of whoever reads them.
pub fn relay(reply: Reply, mime: &'static str, save_as: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    // Bytes as they are: a compressed copy would need a version of its own.
    response.content_type(mime).insert_header((header::CONTENT_ENCODING, "identity"));
    let version = reply.header("etag").map(|tag| format!("\"{}\"", tag.trim_matches('"')));
    if let Some(version) = version {
        response.insert_header((header::ETAG, version));
    }
    if let Some(name) = save_as {
        let disposition = format!("attachment; filename*=UTF-8''{}", body::encode(&name));
        response.insert_header((header::CONTENT_DISPOSITION, disposition));
    }
    match reply.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => {
            let body = actix_web::body::SizedStream::new(length, Box::pin(reply.into_stream()));
            response.body(body)
        }
        None => response.streaming(Box::pin(reply.into_stream())),
    }
}
