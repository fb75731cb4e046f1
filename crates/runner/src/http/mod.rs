//! The requests. Bulk goes over them, with the socket's own flow control; what the reference's clients
//! ask is answered in `api`.

pub mod words;

use std::{fs::File, rc::Rc};

use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use staithe_protocol::{
    files::{FileCode, FileDenied},
    runner::{KEY_HEADER, LINK_PATH},
};

use self::words::{Answer, Body, Refusal, bad, fault, header_value, ok, query, stream_of, upgrade};
use crate::{
    api, app::App, files::Precondition, git, link, plugins, search, terminals, tunnel, watch,
};

/// The largest file that is taken, in bytes.
const MOST_UPLOAD: u64 = 8 * 1024 * 1024 * 1024;

/// Replaces whatever is there.
const FORCE: HeaderName = HeaderName::from_static("x-force");

/// Answers a request.
pub async fn answer(app: Rc<App>, request: Request<Incoming>) -> Response<Body> {
    match route(&app, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

async fn route(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if let Some(answer) = api::without_key(app, &request) {
        return answer;
    }
    let given = request.headers().get(KEY_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    // A page in a browser could reach what asks for no key; its requests say where it comes from.
    if app.is_open && request.headers().contains_key(header::ORIGIN) {
        let text = "Requests of web pages are not answered without a key.".to_owned();
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, text));
    }
    if !app.knows(given) {
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, "Invalid API Key".to_owned()));
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, LINK_PATH) => {
            let app = Rc::clone(app);
            upgrade(request, move |upgraded| link::serve(app, upgraded))
        }
        (_, path) if api::has(path) => api::answer(app, request).await,
        (&Method::GET, "/files/content") => download(app, &request).await,
        (&Method::PUT, "/files/content") => upload(app, request).await,
        (&Method::GET, "/output") => output(app, &request),
        (_, path) => match path.split('/').nth(1) {
            Some("terminals") => terminals::answer(app, request).await,
            Some("watch") => watch::answer(app, request).await,
            Some("search") => search::answer(app, request).await,
            Some("git") => git::answer(app, request).await,
            Some("tunnel") => tunnel::answer(app, request).await,
            Some("plugins") => plugins::answer(app, request).await,
            _ => Err(words::nothing_at(path)),
        },
    }
}

async fn download(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let path = query(request, "path").ok_or_else(|| bad("`path` is missing"))?;
    let opened = app
        .on_files(move |files| files.open_for_stream(&path))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    let mut response = Response::new(stream_of(opened.file, opened.size));
    let headers = response.headers_mut();
    headers.insert(header::ETAG, header_value(&format!("\"{}\"", opened.version))?);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(opened.size));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

async fn upload(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    let path = query(&request, "path").ok_or_else(|| bad("`path` is missing"))?;
    let create_parents = matches!(query(&request, "create_parents").as_deref(), Some("true" | "1"));
    let precondition = precondition(request.headers())?;
    let mut body = request.into_body();
    let too_large = || FileDenied::new(FileCode::TooLarge, "The file has more than 8 GiB.");
    if body.size_hint().lower() > MOST_UPLOAD {
        return Err(Refusal::File(too_large()));
    }
    let mut upload = app
        .on_files(move |files| files.begin_upload(&path, create_parents))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| bad(&format!("the body was cut: {error}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        size += piece.len() as u64;
        if size > MOST_UPLOAD {
            return Err(Refusal::File(too_large()));
        }
        upload.write(&piece).map_err(Refusal::File)?;
    }
    let done = app
        .on_files(move |files| files.finish_upload(upload, &precondition, None))
        .await
        .ok_or_else(fault)?
        .map_err(Refusal::File)?;
    Ok(ok(&done))
}

/// `If-Match`, `If-None-Match: *` or `X-Force: true`.
fn precondition(headers: &HeaderMap) -> Result<Precondition, Refusal> {
    if let Some(version) = headers.get(header::IF_MATCH) {
        let version = version.to_str().map_err(|_| bad("`If-Match` is no text"))?;
        return Ok(Precondition::Version(version.trim_matches('"').to_owned()));
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        return Ok(Precondition::Version("absent".to_owned()));
    }
    let force = headers.get(FORCE).is_some_and(|value| value == "true");
    Ok(Precondition::new(None, force))
}

fn output(app: &Rc<App>, request: &Request<Incoming>) -> Answer {
    let key = query(request, "key").ok_or_else(|| bad("`key` is missing"))?;
    let missing =
        || Refusal::Detail(StatusCode::NOT_FOUND, "No output is kept under this key.".to_owned());
    let file = File::open(app.shells.output(&key).ok_or_else(missing)?).map_err(|_| missing())?;
    let size = file.metadata().map_err(|_| missing())?.len();
    let mut response = Response::new(stream_of(file, size));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}
