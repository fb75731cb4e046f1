//! The requests. Bulk goes over them, with the socket's own flow control; the reference's clients use
//! `/execute_action` and `/list_files`.

pub mod words;

use std::{fs::File, rc::Rc};

use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;
use staithe_protocol::{
    Action,
    files::{FileCode, FileDenied},
    runner::{KEY_HEADER, LINK_PATH, Limits},
};

use self::words::{
    Answer, Body, Refusal, bad, fault, header_value, ok, query, read_json, stream_of, upgrade,
};
use crate::{app::App, files::Precondition, git, link, plugins, search, terminals, tunnel, watch};

/// The largest file that is taken, in bytes.
const MOST_UPLOAD: u64 = 8 * 1024 * 1024 * 1024;
/// Limits of an action that names none: the reference's.
const DEFAULT_TIMEOUT_MS: u64 = 120_000;
const NO_CHANGE_MS: u64 = 10_000;
const MOST_OUTPUT: u64 = 30_000;

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
    match (request.method(), path.as_str()) {
        (&Method::GET, "/alive") => return Ok(ok(&serde_json::json!({ "status": "ok" }))),
        (&Method::GET, "/server_info") => return Ok(ok(&app.info())),
        _ => {}
    }
    let given = request.headers().get(KEY_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if !app.knows(given) {
        return Err(Refusal::Detail(StatusCode::FORBIDDEN, "Invalid API Key".to_owned()));
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, LINK_PATH) => {
            let app = Rc::clone(app);
            upgrade(request, move |upgraded| link::serve(app, upgraded))
        }
        (&Method::POST, "/execute_action") => execute(app, request).await,
        (&Method::POST, "/list_files") => list(app, request).await,
        (&Method::GET, "/files/content") => download(app, &request).await,
        (&Method::PUT, "/files/content") => upload(app, request).await,
        (&Method::GET, "/output") => output(app, &request),
        (_, path) => match path.split('/').nth(1) {
            Some("terminals") => terminals::answer(app, request).await,
            Some("watch") => watch::answer(app, request),
            Some("search") => search::answer(app, request).await,
            Some("git") => git::answer(app, request).await,
            Some("tunnel") => tunnel::answer(app, request).await,
            Some("plugins") => plugins::answer(app, request).await,
            _ => Err(words::nothing_at(path)),
        },
    }
}

async fn execute(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    #[derive(Deserialize)]
    struct Execute {
        action: Action,
        #[serde(default)]
        timeout: Option<f64>,
    }
    let Execute { action, timeout } = read_json(request).await?;
    let timeout = timeout
        .map(|seconds| {
            std::time::Duration::try_from_secs_f64(seconds).map_err(|_| bad("`timeout` is no time"))
        })
        .transpose()?;
    let timeout_ms = timeout.map_or(DEFAULT_TIMEOUT_MS, |timeout| {
        u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
    });
    let limits = Limits { timeout_ms, no_change_ms: NO_CHANGE_MS, max_output: MOST_OUTPUT };
    Ok(ok(&app.act(app.new_key(), action, limits).await))
}

async fn list(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    #[derive(Default, Deserialize)]
    struct List {
        #[serde(default)]
        path: Option<String>,
    }
    let List { path } = read_json(request).await?;
    let names = app.on_files(move |files| files.names(&path.unwrap_or_default())).await;
    Ok(ok(&names.unwrap_or_default()))
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
