//! The requests. Bulk goes over them, with the socket's own flow control; the reference's clients use
//! `/execute_action` and `/list_files`.

use std::{
    fs::File,
    io::{self, Read as _},
    rc::Rc,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Frame, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use staithe_protocol::{
    Action,
    files::{FileCode, FileDenied},
    runner::{KEY_HEADER, LINK_PATH, Limits},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{app::App, files::Precondition, link};

/// The largest body that is read whole, in bytes.
const MOST_BODY: usize = 32 * 1024 * 1024;
/// The largest file that is taken, in bytes.
const MOST_UPLOAD: u64 = 8 * 1024 * 1024 * 1024;
/// A file goes out in pieces of this size, in bytes.
const PIECE: usize = 64 * 1024;
/// Limits of an action that names none: the reference's.
const DEFAULT_TIMEOUT_MS: u64 = 120_000;
const NO_CHANGE_MS: u64 = 10_000;
const MOST_OUTPUT: u64 = 30_000;

/// Replaces whatever is there.
const FORCE: HeaderName = HeaderName::from_static("x-force");

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = Result<Response<Body>, Refusal>;

/// A refused request.
enum Refusal {
    /// `{"detail":…}`, as the reference says it.
    Detail(StatusCode, String),
    File(FileDenied),
}

/// Answers a request.
pub async fn answer(app: Rc<App>, request: Request<Incoming>) -> Response<Body> {
    match route(&app, request).await {
        Ok(response) => response,
        Err(Refusal::Detail(status, detail)) => {
            json(status, &serde_json::json!({ "detail": detail }))
        }
        Err(Refusal::File(denied)) => json(status_of(denied.code), &denied),
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
        (&Method::GET, LINK_PATH) => open_link(app, request),
        (&Method::POST, "/execute_action") => execute(app, request).await,
        (&Method::POST, "/list_files") => list(app, request).await,
        (&Method::GET, "/files/content") => download(app, &request).await,
        (&Method::PUT, "/files/content") => upload(app, request).await,
        (&Method::GET, "/output") => output(app, &request),
        _ => Err(Refusal::Detail(StatusCode::NOT_FOUND, format!("There is no {path} here."))),
    }
}

fn open_link(app: &Rc<App>, mut request: Request<Incoming>) -> Answer {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return Err(bad("a WebSocket is opened here"));
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    let app = Rc::clone(app);
    tokio::task::spawn_local(async move {
        if let Ok(upgraded) = upgrade.await {
            link::serve(app, upgraded).await;
        }
    });
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, header_value(&accept)?);
    Ok(response)
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

/// A file's first `size` bytes, read as the client takes them.
fn stream_of(file: File, size: u64) -> Body {
    let pieces = stream::unfold(Some((file, size)), |state| async move {
        let (mut file, left) = state?;
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if most == 0 {
            return None;
        }
        let mut piece = vec![0; most];
        match file.read(&mut piece) {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)), // it shrank
            Ok(length) => {
                piece.truncate(length);
                let rest = Some((file, left - length as u64));
                Some((Ok(Frame::data(Bytes::from(piece))), rest))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

async fn read_json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let body = Limited::new(request.into_body(), MOST_BODY);
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let text = "The body has more than 32 MiB.".to_owned();
            return Err(Refusal::Detail(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(error) => return Err(bad(&error.to_string())),
    };
    serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))
}

/// A parameter of the request's query.
fn query(request: &Request<Incoming>, name: &str) -> Option<String> {
    let pairs = request.uri().query()?.split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    unescape(value)
}

/// Undoes `%xx` and `+`. None: that was no text.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn bad(detail: &str) -> Refusal {
    Refusal::Detail(StatusCode::BAD_REQUEST, detail.to_owned())
}

fn fault() -> Refusal {
    Refusal::File(FileDenied::new(FileCode::Internal, "The operation was lost to a fault."))
}

fn header_value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| fault())
}

fn ok(value: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, value)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_vec(value) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn status_of(code: FileCode) -> StatusCode {
    match code {
        FileCode::BadMessage | FileCode::OutsideWorkspace => StatusCode::BAD_REQUEST,
        FileCode::NotFound => StatusCode::NOT_FOUND,
        FileCode::PermissionDenied => StatusCode::FORBIDDEN,
        FileCode::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        FileCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FileCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        FileCode::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        FileCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        FileCode::RuntimeNotReady | FileCode::RuntimeUnavailable | FileCode::AgentBusy => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        FileCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        FileCode::Exists
        | FileCode::IsDirectory
        | FileCode::NotDirectory
        | FileCode::NotEmpty
        | FileCode::Conflict => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_may_hold_any_text() {
        assert_eq!(unescape("a%2Fb+c%20%C3%A4"), Some("a/b c ä".into()));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }
}
