//! Servers at addresses: JSON and streams of events, and what goes wrong there.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use staithe_agent::mcp::settings::{McpKind, McpPhase, McpServer};
use tokio::net::TcpListener;

use super::{call, error, hub, is, python, said, settled, until};

type Seen = (Method, String, Option<String>);

/// How an address answers.
#[derive(Clone)]
enum Manner {
    Json,
    Events,
    /// Another place is told; with its address.
    Elsewhere(String),
    Status(u16),
    Silent,
    Garbage,
}

#[derive(Clone)]
struct Site {
    manner: Manner,
    /// Of each request: method, path, the header with the token.
    seen: Arc<Mutex<Vec<Seen>>>,
    address: String,
}

impl Site {
    async fn open(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/mcp", listener.local_addr().unwrap());
        let site = Self { manner, seen: Arc::default(), address };
        tokio::spawn({
            let site = site.clone();
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let site = site.clone();
                    let service = service_fn(move |request| {
                        let site = site.clone();
                        async move { Ok::<_, Infallible>(site.answer(request).await) }
                    });
                    let io = TokioIo::new(stream);
                    tokio::spawn(
                        hyper::server::conn::http1::Builder::new().serve_connection(io, service),
                    );
                }
            }
        });
        site
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let token = parts.headers.get("authorization").and_then(|it| it.to_str().ok());
        let entry = (parts.method.clone(), parts.uri.path().to_owned(), token.map(str::to_owned));
        self.seen.lock().unwrap().push(entry);
        let respond = |status: u16, kind: &str, body: String| {
            let response = Response::builder().status(status).header("content-type", kind);
            response.body(Full::from(body)).unwrap()
        };
        match &self.manner {
            Manner::Silent => return std::future::pending().await,
            Manner::Status(status) => {
                return respond(*status, "text/plain", format!("you said {token:?}"));
            }
            Manner::Garbage => return respond(200, "application/json", "<html>".into()),
            Manner::Elsewhere(place) => {
                let response = Response::builder().status(307).header("location", place);
                return response.body(Full::default()).unwrap();
            }
            Manner::Json | Manner::Events => {}
        }
        if parts.method != Method::POST {
            return respond(StatusCode::METHOD_NOT_ALLOWED.as_u16(), "text/plain", String::new());
        }
        let body = body.collect().await.unwrap().to_bytes();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        if asked.get("id").is_none() {
            return respond(202, "text/plain", String::new());
        }
        let said = result(&asked).to_string();
        if matches!(self.manner, Manner::Json) {
            return respond(200, "application/json", said);
        }
        let events = format!(": hello\n\nevent: message\nid: 1\ndata: {said}\n\n");
        let mut response = respond(200, "text/event-stream", events);
        response.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
        response
    }

    fn server(&self, name: &str) -> McpServer {
        let mut server = python(name, "plain");
        server.kind = McpKind::Http {
            url: self.address.clone(),
            headers: [("Authorization".to_owned(), "Bearer t0p-secret".into())].into(),
        };
        (server.restarts, server.start_timeout) = (0, Duration::from_secs(5));
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn result(asked: &Value) -> Value {
    let result = match asked["method"].as_str().unwrap() {
        "initialize" => json!({
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "site", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [
            { "name": "ask", "description": "Asks", "inputSchema": { "type": "object" } },
            { "name": "leak", "inputSchema": { "type": "object" } },
        ] }),
        "tools/call" if asked["params"]["name"] == "leak" => {
            json!({ "content": [{ "type": "text", "text": "your key is t0p-secret" }] })
        }
        _ => {
            json!({ "content": [{ "type": "text", "text": asked["params"]["arguments"].to_string() }] })
        }
    };
    json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result })
}

#[tokio::test]
async fn an_address_answers_as_json_or_as_events_and_gets_its_headers() {
    for manner in [Manner::Json, Manner::Events] {
        let site = Site::open(manner).await;
        let hub = settled(vec![site.server("site")]).await;
        assert!(is(McpPhase::Up)(&hub.states()[0]), "{hub:?}");
        assert_eq!(said(&hub, "ask", json!({ "n": 1 })).await, "{\"n\":1}");
        assert_eq!(said(&hub, "leak", json!({})).await, "your key is ***");
        for (_, path, token) in site.seen() {
            assert_eq!((path.as_str(), token.as_deref()), ("/mcp", Some("Bearer t0p-secret")));
        }
        assert!(site.seen().len() >= 4);
    }
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_with_the_headers() {
    let thief = Site::open(Manner::Json).await;
    let site = Site::open(Manner::Elsewhere(thief.address.clone())).await;
    let hub = settled(vec![site.server("site")]).await;
    let state = until(&hub, "site", is(McpPhase::Failed)).await;
    assert!(state.reason.as_ref().unwrap().contains("redirects to another host"), "{state:?}");
    assert_eq!(thief.seen(), []);

    // The same place under another path is the same place.
    let site = Site::open(Manner::Elsewhere("/other".into())).await;
    let hub = settled(vec![site.server("site")]).await;
    until(&hub, "site", is(McpPhase::Failed)).await;
    let paths: Vec<String> = site.seen().into_iter().map(|(_, path, _)| path).collect();
    assert!(paths.len() <= 6 && paths[1..].iter().all(|path| path == "/other"), "{paths:?}");
    assert!(site.seen().iter().all(|(_, _, token)| token.is_some()));
}

#[tokio::test]
async fn an_address_that_fails_says_how_without_its_headers_and_holds_nobody_up() {
    let mut silent = Site::open(Manner::Silent).await.server("silent");
    silent.start_timeout = Duration::from_millis(500);
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut nobody = python("nobody", "plain");
    nobody.restarts = 0;
    nobody.kind = McpKind::Http { url: format!("http://{refused}/mcp"), headers: [].into() };
    let hub = hub(vec![
        silent,
        Site::open(Manner::Status(403)).await.server("forbidden"),
        Site::open(Manner::Status(500)).await.server("broken"),
        Site::open(Manner::Garbage).await.server("garbage"),
        nobody,
        Site::open(Manner::Json).await.server("good"),
    ]);
    until(&hub, "good", is(McpPhase::Up)).await;
    assert_eq!(said(&hub, "ask", json!({})).await, "{}");
    for (name, expected) in [
        ("silent", "within 0.5 s"),
        ("forbidden", "403"),
        ("broken", "500"),
        ("garbage", "<html>"),
        ("nobody", "refused"),
    ] {
        let state = until(&hub, name, is(McpPhase::Failed)).await;
        let reason = state.reason.unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
        assert!(!reason.contains("t0p-secret"), "{name}: {reason}");
    }
    let down = call(&hub, "no_tool").await;
    assert!(error(&down).contains("no_tool"));
}
