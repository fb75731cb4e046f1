//! Files of a workspace over REST: the same operations as the WebSocket's, and bytes of any size.

use std::io;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
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
    in_use::InUse,
};

/// Largest answer of the runner to an upload.
const ANSWER: usize = 2 * 1024 * 1024;
/// Pieces of an upload that wait for the runner, and room to break it off.
const PIECES: usize = 5;

/// Carries a file operation out.
pub async fn do_file(session: &SessionHandle, op: FileOp) -> Result<FileDone, ApiError> {
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    let origin = Some(origin().1);
    Ok(mail::ask(&runtime, DoFile { op, reference: None, origin }).await??)
}

/// The line to a session's runner.
pub async fn line(session: &SessionHandle) -> Result<Link, ApiError> {
    let runtime = mail::ask(&session.addr, GetRuntime).await?;
    mail::ask(&runtime, GetLine).await?.map_err(ApiError::from)
}

/// The part of the address behind `/files/`, decoded.
fn path_of(request: &HttpRequest) -> Result<String, ApiError> {
    let path = request.uri().path();
    let raw = path.split_once("/files/").map_or("", |(_, raw)| raw);
    body::decode(raw)
}

/// A folder's list: `?depth=`, `?ignore=` (any number of them) and `?versions=1`.
fn list(request: &HttpRequest, path: String) -> Result<FileOp, ApiError> {
    Ok(FileOp::List {
        path,
        depth: body::parameter(request, "depth")?,
        ignore: body::parameters(request, "ignore")?,
        versions: body::parameter::<u8>(request, "versions")?.unwrap_or(0) != 0,
    })
}

/// `GET /api/sessions/{id}/files`: the workspace's top folder.
pub async fn root(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let session = front.open(&identity, Need::Read, session_id(&id)?).await?;
    let op = list(&request, String::new())?;
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

/// `GET` and `HEAD /api/sessions/{id}/files/{path}`: a file's bytes, or the part that `Range` names (with
/// `If-Range`; the tag is the version), or a folder's list. `?stat=1` tells of either
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
        let op = list(&request, path)?;
        return Ok(HttpResponse::Ok().json(do_file(&session, op).await?));
    }
    let download =
        body::parameter::<u8>(&request, "download")?.is_some_and(|download| download != 0);
    let wanted = headers(&request, &["Range", "If-Range", "If-None-Match"]);
    let method =
        if request.method() == Method::HEAD { hyper::Method::HEAD } else { hyper::Method::GET };
    let reply = line(&session)
        .await?
        .request(method, &format!("/files/content?path={}", body::encode(&path)), &wanted, None)
        .await
        .map_err(unreachable_runner)?;
    if !matches!(reply.status(), 200 | 206 | 304 | 416) {
        return Err(refusal(reply).await);
    }
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(relay(reply, &session, "application/octet-stream", download.then_some(name)))
}

/// Headers of a request that the runner is to see, as they are.
pub fn headers(request: &HttpRequest, names: &[&'static str]) -> Vec<(&'static str, String)> {
    let value = |name: &'static str| {
        let value = request.headers().get(name)?.to_str().ok()?;
        Some((name, value.to_owned()))
    };
    names.iter().filter_map(|name| value(name)).collect()
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
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id.0)?;
    front.authorize(&identity, Need::Write, id)?;
    let path = path_of(&request)?;
    let parents = body::parameter::<u8>(&request, "create_parents")?.unwrap_or(0);
    let limit = front.settings.max_upload;
    allow_size(announced(&request), limit)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let address =
        format!("/files/content?path={}&create_parents={}", body::encode(&path), parents != 0);
    let mut headers = conditions(&request);
    headers.push(origin());
    let upload = Upload { method: hyper::Method::PUT, address, headers, limit };
    let reply = upload.send(&session, &request, payload).await?;
    if reply.status() != 200 {
        return Err(refusal(reply).await);
    }
    whole(reply).await
}

/// A runner's answer of JSON, as it is.
pub async fn whole(reply: Reply) -> Result<HttpResponse, ApiError> {
    let answer = reply.whole(ANSWER).await.map_err(|e| ApiError::failed("sandbox.refused", e))?;
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}

/// Who asks over REST, for those who watch.
pub fn origin() -> (&'static str, String) {
    ("X-Origin", format!("client:rest-{}", uuid::Uuid::new_v4().as_simple()))
}

/// The length that a body has by its head.
pub fn announced(request: &HttpRequest) -> Option<u64> {
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Refuses more than an upload may have; 0 is no limit.
pub fn allow_size(size: Option<u64>, limit: u64) -> Result<(), ApiError> {
    if limit > 0 && size.is_some_and(|size| size > limit) {
        return Err(too_large(limit));
    }
    Ok(())
}

/// A request's body on its way to a runner, at the runner's pace.
pub struct Upload {
    pub method: hyper::Method,
    pub address: String,
    pub headers: Vec<(&'static str, String)>,
    /// Bytes; 0: no limit.
    pub limit: u64,
}

impl Upload {
    /// Sends it. A body that is cut is cut for the runner, too.
    pub async fn send(
        self,
        session: &SessionHandle,
        request: &HttpRequest,
        mut payload: web::Payload,
    ) -> Result<Reply, ApiError> {
        let line = line(session).await?;
        let mut in_use = InUse::new(session.addr.clone());
        let Self { method, address, mut headers, limit } = self;
        if let Some(length) = announced(request) {
            headers.push(("Content-Length", length.to_string()));
        }
        let (pieces, queue) = mpsc::channel::<io::Result<bytes::Bytes>>(PIECES);
        let room = pieces.clone().reserve_owned().await;
        let mut unfinished = Unfinished(room.ok());
        let send = line.request(method, &address, &headers, Some(queue));
        let read = async move {
            let mut total = 0_u64;
            while let Some(piece) = payload.next().await {
                let Ok(piece) = piece else { return false };
                total += piece.len() as u64;
                in_use.moved();
                if limit > 0 && total > limit {
                    return true;
                }
                if pieces.send(Ok(piece)).await.is_err() {
                    return false; // the runner has answered already
                }
            }
            drop(unfinished.0.take());
            false
        };
        let (reply, over) = tokio::join!(send, read);
        if over {
            return Err(too_large(limit));
        }
        reply.map_err(unreachable_runner)
    }
}

/// Breaks a body off when it goes away before its end, so that a part never counts as the whole.
struct Unfinished(Option<mpsc::OwnedPermit<io::Result<bytes::Bytes>>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(room) = self.0.take() {
            room.send(Err(io::ErrorKind::UnexpectedEof.into()));
        }
    }
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

/// There is no line to the runner.
pub fn unreachable_runner(error: staithe_actors::LinkFailed) -> ApiError {
    ApiError::unavailable("RUNTIME_UNAVAILABLE", error, 1)
}

/// What a runner refused, in our words.
pub async fn refusal(reply: Reply) -> ApiError {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Refused {
        File(FileDenied),
        Detail { detail: String },
    }
    let status = reply.status();
    match reply.whole(ANSWER).await.map(|body| serde_json::from_slice::<Refused>(&body)) {
        Ok(Ok(Refused::File(denied))) => denied.into(),
        Ok(Ok(Refused::Detail { detail })) if status == 400 => {
            ApiError::bad_request("BAD_MESSAGE", detail)
        }
        _ => ApiError::failed("sandbox.refused", format!("the runner answered {status}")),
    }
}

/// Passes a runner's bytes on, at the pace of whoever reads them. The session is in use as long as they move.
pub fn relay(
    reply: Reply,
    session: &SessionHandle,
    mime: &'static str,
    save_as: Option<String>,
) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    // Bytes as they are: a compressed copy would need a version of its own.
    response.insert_header((header::CONTENT_ENCODING, "identity"));
    if !matches!(status, StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE) {
        response.content_type(mime);
    }
    let version = reply.header("etag").map(|tag| format!("\"{}\"", tag.trim_matches('"')));
    if let Some(version) = version {
        response.insert_header((header::ETAG, version));
    }
    for name in [header::ACCEPT_RANGES, header::CONTENT_RANGE] {
        if let Some(value) = reply.header(name.as_str()) {
            response.insert_header((name, value.to_owned()));
        }
    }
    if let Some(name) = save_as {
        let disposition = format!("attachment; filename*=UTF-8''{}", body::encode(&name));
        response.insert_header((header::CONTENT_DISPOSITION, disposition));
    }
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    let mut in_use = InUse::new(session.addr.clone());
    let pieces = Box::pin(reply.into_stream().inspect(move |_| in_use.moved()));
    match length {
        Some(length) => response.body(actix_web::body::SizedStream::new(length, pieces)),
        None => response.streaming(pieces),
    }
}
