//! Content of files out and in: streams of any size.

use std::rc::Rc;

use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use super::{
    pour::{End, Sink, pour},
    ranges::{Asked, asked},
    words::{Answer, Refusal, bad, empty, fault, header_value, ok, query, stream_of},
};
use crate::{
    app::App,
    files::{Precondition, Upload},
};

/// Replaces whatever is there.
const FORCE: HeaderName = HeaderName::from_static("x-force");
/// Who asks, for those who watch.
const ORIGIN: HeaderName = HeaderName::from_static("x-origin");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Sink for Upload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), staithe_protocol::files::FileDenied> {
        Self::write(self, bytes)
    }
}

/// `GET` and `HEAD /files/content?path=`: all of a file, or the part that `Range` names. The tag is the
/// file's version. All bytes are of one file, whatever is put in its place meanwhile; if it is written to
/// itself, the answer breaks off.
pub async fn download(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let path = query(request, "path").ok_or_else(|| bad("`path` is missing"))?;
    let opened = app
        .on_files(move |files| files.open_for_stream(&path))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let tag = format!("\"{}\"", opened.version);
    let is_known = text(header::IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
    });
    let size = opened.size;
    let (status, part) = match asked(text(header::RANGE), text(header::IF_RANGE), &tag, size) {
        _ if is_known => (StatusCode::NOT_MODIFIED, 0..0),
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, header_value(&tag)?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    match status {
        StatusCode::NOT_MODIFIED => return Ok(response),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            headers.insert(header::CONTENT_RANGE, header_value(&format!("bytes */{size}"))?);
            return Ok(response);
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            headers.insert(header::CONTENT_RANGE, header_value(&range)?);
        }
        _ => {}
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(header::CONTENT_TYPE, OCTETS);
    if request.method() != Method::HEAD {
        *response.body_mut() = stream_of(opened.file, part, Some(opened.stat));
    }
    Ok(response)
}

/// `PUT /files/content?path=&create_parents=`: the body becomes the file.
pub async fn upload(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = query(&request, "path").ok_or_else(|| bad("`path` is missing"))?;
    let create_parents = is_set(&request, "create_parents");
    let precondition = precondition(request.headers())?.unwrap_or(Precondition::None);
    let origin = origin(request.headers());
    let upload = app
        .on_files(move |files| files.begin_upload(&path, create_parents))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    let poured = pour(request.into_body(), upload, std::future::pending()).await;
    let (mut upload, end) = poured.ok_or_else(fault)?;
    match end {
        End::Whole => {}
        End::Cut(reason) => return Err(bad(&reason)),
        End::Denied(denied) => return Err(Refusal::File(denied)),
    }
    let size = upload.size();
    let done = app
        .place(&app.files, size, move |files| files.finish_upload(&mut upload, &precondition, None))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    app.watch.own(origin, &done.path, done.version.as_deref());
    Ok(ok(&done))
}

/// Whether a parameter says yes.
pub fn is_set(request: &Request<Incoming>, name: &str) -> bool {
    matches!(query(request, name).as_deref(), Some("true" | "1"))
}

/// Who asks.
pub fn origin(headers: &HeaderMap) -> Option<String> {
    headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned)
}

/// `If-Match`, `If-None-Match: *` or `X-Force: true`; none if none of them is there.
pub fn precondition(headers: &HeaderMap) -> Result<Option<Precondition>, Refusal> {
    if let Some(version) = headers.get(header::IF_MATCH) {
        let version = version.to_str().map_err(|_| bad("`If-Match` is no text"))?;
        return Ok(Some(Precondition::Version(version.trim_matches('"').to_owned())));
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Some(Precondition::Version("absent".to_owned())));
    }
    let force = headers.get(FORCE).is_some_and(|value| value == "true");
    Ok(force.then_some(Precondition::Force))
}
