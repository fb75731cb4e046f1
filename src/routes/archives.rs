//! Folders of a workspace as archives, both ways: `/api/sessions/{id}/archive/{path}`.

use std::fmt::Write as _;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    body,
    files::{
        Upload, allow_size, announced, line, origin, refusal, relay, unreachable_runner, whole,
    },
};
use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{ArchiveLimits, Front, session_id},
};

/// An archive's form and its media type.
fn format(request: &HttpRequest) -> Result<(&'static str, &'static str), ApiError> {
    match body::parameter::<String>(request, "format")?.as_deref() {
        Some("zip") => Ok(("zip", "application/zip")),
        Some("tar") => Ok(("tar", "application/x-tar")),
        Some("tar.zst") => Ok(("tar.zst", "application/zstd")),
        _ => Err(ApiError::bad_request("BAD_MESSAGE", "format: zip, tar or tar.zst is expected")),
    }
}

/// The folder, decoded; the workspace itself is empty.
fn path_of(request: &HttpRequest) -> Result<String, ApiError> {
    let path = request.uri().path();
    let raw = path.split_once("/archive").map_or("", |(_, raw)| raw.trim_start_matches('/'));
    body::decode(raw)
}

/// `GET …?format=zip|tar|tar.zst&ignore=<pattern>…`: the folder, packed while it is sent.
pub async fn get(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(request.match_info().query("id"))?;
    let session = front.open(&identity, Need::Read, id).await?;
    let (format, mime) = format(&request)?;
    let path = path_of(&request)?;
    let mut address = format!("/archive?path={}&format={format}", body::encode(&path));
    for pattern in body::parameters(&request, "ignore")? {
        write!(address, "&ignore={}", body::encode(&pattern))
            .expect("writing to a string succeeds");
    }
    let reply = line(&session).await?.get(&address).await.map_err(unreachable_runner)?;
    if reply.status() != 200 {
        return Err(refusal(reply).await);
    }
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("workspace");
    Ok(relay(reply, &session, mime, Some(format!("{name}.{format}"))))
}

/// `PUT …?format=zip|tar|tar.zst&on_conflict=fail|overwrite|skip`: the body is unpacked into the folder,
/// which is made if it is missing; all of it or nothing. The answer: `{path, entries, bytes, skipped}`.
pub async fn put(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(request.match_info().query("id"))?;
    front.authorize(&identity, Need::Write, id)?;
    let (format, _) = format(&request)?;
    let path = path_of(&request)?;
    let on_conflict: Option<String> = body::parameter(&request, "on_conflict")?;
    let limit = front.settings.max_upload;
    allow_size(announced(&request), limit)?;
    let session = front.open(&identity, Need::Write, id).await?;
    let ArchiveLimits { entries, bytes, ratio } = front.settings.archives;
    let address = format!(
        "/archive?path={}&format={format}&on_conflict={}&max_entries={entries}&max_bytes={bytes}&max_ratio={ratio}",
        body::encode(&path),
        body::encode(on_conflict.as_deref().unwrap_or("fail")),
    );
    let upload = Upload { method: hyper::Method::PUT, address, headers: vec![origin()], limit };
    let reply = upload.send(&session, &request, payload).await?;
    if reply.status() != 200 {
        return Err(refusal(reply).await);
    }
    whole(reply).await
}
