//! A server of the Model Context Protocol at an address on loopback, with one tool, `tide`, that answers what it is
//! told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Serves until it is dropped.
pub struct FakeMcp {
    /// `http://127.0.0.1:PORT/mcp`.
    pub url: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    keys: Vec<Option<String>>,
    calls: Vec<Value>,
}

impl Drop for FakeMcp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeMcp {
    /// # Panics
    ///
    /// Where loopback has no port left.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("it is bound"));
        let seen = Arc::<Mutex<Seen>>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&seen)));
        Self { url, seen, task }
    }

    /// What each request had as `authorization`.
    pub fn keys(&self) -> Vec<Option<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// The arguments of each call.
    pub fn calls(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Seen>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request| serve(Arc::clone(&seen), request));
        // How it ends is the client's business.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn serve(
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let key = parts.headers.get("authorization").and_then(|key| key.to_str().ok());
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.keys.push(key.map(str::to_owned));
    if parts.method != Method::POST {
        return Ok(answer(405, String::new()));
    }
    let result = match asked["method"].as_str().unwrap_or_default() {
        _ if asked["id"].is_null() => return Ok(answer(202, String::new())),
        "initialize" => json!({
            "protocolVersion": "2025-06-18",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "fake", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [
            { "name": "tide", "description": "When the tide is high", "inputSchema": { "type": "object" } },
        ] }),
        _ => {
            let arguments = asked["params"]["arguments"].clone();
            let text = format!("high water for {arguments}");
            seen.calls.push(arguments);
            json!({ "content": [{ "type": "text", "text": text }] })
        }
    };
    Ok(answer(200, json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string()))
}

fn answer(status: u16, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body)).unwrap_or_default()
}
