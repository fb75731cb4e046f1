//! Connections and requests of a fake model.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::{Asked, FakeModel, Inner, Protocol, Script, Step, shapes::Shape};

/// The connection breaks.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by the script")
    }
}

impl std::error::Error for Cut {}

type Answer = Response<UnsyncBoxBody<Bytes, Cut>>;

/// Counts a connection while it is there.
struct Counted(Arc<Inner>);

impl Counted {
    fn new(inner: Arc<Inner>) -> Self {
        inner.open.fetch_add(1, Ordering::SeqCst);
        Self(inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) async fn accept(inner: Arc<Inner>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(Counted::new(inner.clone()), stream));
    }
}

async fn connection(counted: Counted, stream: TcpStream) {
    // Pieces are sent as they are, not together.
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| serve(counted.0.clone(), request));
    // How it ends is the client's business.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn serve(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if let Some(what) = path.strip_prefix("/_fake/") {
        return Ok(control(&inner, &parts.method, what, &body));
    }
    let Some(protocol) = Protocol::of(parts.uri.path()) else {
        return Ok(whole(
            404,
            "application/json",
            json!({"error": {"message": "no such path"}}).to_string(),
        ));
    };
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let asked = Asked { protocol, path, headers, body };
    let (number, step) = inner.take(&asked);
    let Some(step) = step else {
        let message = "the script of the fake model is at its end";
        return Ok(whole(
            500,
            "application/json",
            json!({"error": {"message": message}}).to_string(),
        ));
    };
    if step.silent {
        hold(&inner).await;
    }
    if step.status.is_some() || step.body.is_some() {
        return Ok(instead(step));
    }
    let shape = Shape { step: &step, asked: &asked, number };
    let mut frames = shape.frames();
    if let Some((at, frame)) = &step.insert {
        frames.insert((*at).min(frames.len()), shape.frame(frame));
    }
    let content_type = shape.content_type();
    Ok(head(200, content_type).body(streamed(inner, &step, frames)).expect("a response"))
}

/// Until somebody releases it.
async fn hold(inner: &Inner) {
    inner.released.acquire().await.expect("it is never closed").forget();
}

fn head(status: u16, content_type: &str) -> hyper::http::response::Builder {
    let status = StatusCode::from_u16(status).expect("a status");
    Response::builder().status(status).header(CONTENT_TYPE, content_type)
}

fn whole(status: u16, content_type: &str, body: String) -> Answer {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    head(status, content_type).body(body.boxed_unsync()).expect("a response")
}

/// An error, or whatever else the script has instead of an answer.
fn instead(step: Step) -> Answer {
    let (content_type, body) = match step.body.unwrap_or(Value::Null) {
        Value::String(text) => ("text/html", text),
        Value::Null => ("text/plain", String::new()),
        body => ("application/json", body.to_string()),
    };
    let mut answer = whole(step.status.unwrap_or(200), content_type, body);
    for (name, value) in step.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        answer.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    answer
}

/// What is still to be sent.
enum Sent {
    Bytes(Bytes),
    Hold,
    Cut,
}

/// The frames one by one, in pieces, held and cut where the script says.
fn streamed(inner: Arc<Inner>, step: &Step, frames: Vec<String>) -> UnsyncBoxBody<Bytes, Cut> {
    let mut queue = Vec::new();
    let count = frames.len();
    for (at, frame) in frames.into_iter().map(Some).chain([None]).enumerate() {
        if step.hold_after == Some(at) {
            queue.push(Sent::Hold);
        }
        if step.cut_after == Some(at) {
            queue.push(Sent::Cut);
        }
        if step.stop_after == Some(at) || at == count {
            break;
        }
        let frame = frame.unwrap_or_default().into_bytes();
        let size = if step.bytes == 0 { frame.len() } else { step.bytes };
        queue.extend(frame.chunks(size).map(|piece| Sent::Bytes(Bytes::copy_from_slice(piece))));
    }
    let stream = stream::unfold(queue.into_iter(), move |mut queue| {
        let inner = inner.clone();
        async move {
            loop {
                match queue.next()? {
                    Sent::Bytes(bytes) => {
                        // Each piece is written before the next is there.
                        tokio::task::yield_now().await;
                        return Some((Ok(Frame::data(bytes)), queue));
                    }
                    Sent::Hold => hold(&inner).await,
                    Sent::Cut => return Some((Err(Cut), queue)),
                }
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// What programs of other languages use.
fn control(inner: &Arc<Inner>, method: &Method, what: &str, body: &Bytes) -> Answer {
    let model = FakeModel { inner: inner.clone() };
    let said = match (method, what) {
        (&Method::GET, "asked") => json!(model.asked()),
        (&Method::GET, "open") => json!({"open": model.open()}),
        (&Method::POST, "release") => {
            model.release();
            json!({})
        }
        (&Method::POST, "script") => match serde_json::from_slice::<Script>(body) {
            Ok(script) => {
                model.add(script);
                json!({})
            }
            Err(error) => {
                return whole(
                    400,
                    "application/json",
                    json!({"error": error.to_string()}).to_string(),
                );
            }
        },
        _ => return whole(404, "application/json", json!({"error": "no such path"}).to_string()),
    };
    whole(200, "application/json", said.to_string())
}

impl FakeModel {
    /// More steps of both kinds.
    pub fn add(&self, script: Script) {
        self.script(script.steps);
        for (marker, steps) in script.marked {
            self.script_for(&marker, steps);
        }
    }
}
