//! What all requests share: bodies, refusals, parameters.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{self, HeaderValue},
};
use rustix::fs::{Stat, fstat};
use serde::{Serialize, de::DeserializeOwned};
use staithe_protocol::files::{FileCode, FileDenied};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The largest body that is read whole, in bytes.
const MOST_BODY: usize = 32 * 1024 * 1024;
/// A file goes out in pieces of this size, in bytes.
const PIECE: usize = 256 * 1024;

pub type Body = UnsyncBoxBody<Bytes, io::Error>;
pub type Answer = Result<Response<Body>, Refusal>;

/// A refused request.
#[derive(Debug)]
pub enum Refusal {
    /// `{"detail":…}`, as the reference says it.
    Detail(StatusCode, String),
    File(FileDenied),
    /// The same, with another status than its code's own.
    Coded(StatusCode, FileDenied),
}

impl Refusal {
    /// The response that says it.
    pub fn response(&self) -> Response<Body> {
        match self {
            Self::Detail(status, detail) => json(*status, &serde_json::json!({ "detail": detail })),
            Self::File(denied) => json(status_of(denied.code), denied),
            Self::Coded(status, denied) => json(*status, denied),
        }
    }
}

/// Answers a request for a WebSocket; what is to be said on it, `speak` says once it is open.
pub fn upgrade<F: Future<Output = ()> + 'static>(
    mut request: Request<Incoming>,
    speak: impl FnOnce(hyper::upgrade::Upgraded) -> F + 'static,
) -> Answer {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return Err(bad("a WebSocket is opened here"));
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        if let Ok(upgraded) = upgrade.await {
            speak(upgraded).await;
        }
    });
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, header_value(&accept)?);
    Ok(response)
}

/// A part of a file, read as the client takes it. With `unchanged`, the last piece is only sent if the
/// file is still as it was.
pub fn stream_of(file: File, part: Range<u64>, unchanged: Option<Stat>) -> Body {
    let pieces = stream::unfold(Some((file, part)), move |state| async move {
        let (file, part) = state?;
        if part.is_empty() {
            return None;
        }
        let read = tokio::task::spawn_blocking(move || {
            let piece = read_piece(&file, &part, unchanged.as_ref());
            (file, part, piece)
        });
        match read.await {
            Ok((file, part, Ok(piece))) => {
                let rest = part.start + piece.len() as u64..part.end;
                Some((Ok(Frame::data(Bytes::from(piece))), Some((file, rest))))
            }
            Ok((_, _, Err(error))) => Some((Err(error), None)),
            Err(lost) => Some((Err(io::Error::other(lost)), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn read_piece(file: &File, part: &Range<u64>, unchanged: Option<&Stat>) -> io::Result<Vec<u8>> {
    let most = usize::try_from(part.end - part.start).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; most];
    let length = file.read_at(&mut piece, part.start)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into()); // it shrank
    }
    piece.truncate(length);
    if let (true, Some(was)) = (part.start + length as u64 == part.end, unchanged) {
        let now = fstat(file)?;
        let state = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        if state(&now) != state(was) {
            return Err(io::Error::other("the file was written to meanwhile"));
        }
    }
    Ok(piece)
}

/// A body of JSON.
pub async fn read_json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
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
pub fn query(request: &Request<Incoming>, name: &str) -> Option<String> {
    queries(request, name).next()?
}

/// All values of a parameter that may be there more than once; none is one that is no text.
pub fn queries(request: &Request<Incoming>, name: &str) -> impl Iterator<Item = Option<String>> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let wanted = pairs.filter_map(|pair| pair.split_once('=')).filter(move |(key, _)| *key == name);
    wanted.map(|(_, value)| unescape(value))
}

/// Undoes `%xx` and `+`. None: that was no text.
pub fn unescape(text: &str) -> Option<String> {
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

/// 404.
pub fn nothing_at(path: &str) -> Refusal {
    Refusal::Detail(StatusCode::NOT_FOUND, format!("There is no {path} here."))
}

/// 400.
pub fn bad(detail: &str) -> Refusal {
    Refusal::Detail(StatusCode::BAD_REQUEST, detail.to_owned())
}

/// Ours.
pub fn fault() -> Refusal {
    Refusal::File(FileDenied::new(FileCode::Internal, "The operation was lost to a fault."))
}

/// A text as a header's value.
pub fn header_value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| fault())
}

/// 200 with JSON.
pub fn ok(value: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
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

/// No body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// The status that says the same.
pub fn status_of(code: FileCode) -> StatusCode {
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
