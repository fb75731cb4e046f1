//! One request to a program in a sandbox, on a connection of its own.

use std::{io, sync::Mutex};

use actix::Addr;
use actix_web::http::StatusCode as Status;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Incoming},
    client::conn::http1,
    header::{self, HeaderValue},
    http::response,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use staithe_actors::{
    Link, LinkFailed, SessionHandle, Tunnel, mail,
    runtime::{
        Runtime,
        messages::{GetLine, GetPlugins},
    },
    session::messages::{GetRuntime, PeekRuntime},
};
use staithe_protocol::Phase;
use tokio::{
    sync::oneshot,
    time::{Duration, Instant, sleep, timeout_at},
};

use super::{
    access::{self, Caller},
    address::{Form, Target},
    heads,
    location::Place,
    outside::Outside,
    settings::ProxySettings,
    stream::{Answer, Carried, Connection, Pulse, Question, copy_both_ways},
};
use crate::{error::ApiError, in_use::InUse};

/// A body that is sent to a browser.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Most headers of an answer.
pub const MOST_HEADERS: usize = 200;
/// Between two looks whether a line that was cut is there again.
const LOOK: Duration = Duration::from_millis(200);

/// Everything about one request but itself.
pub struct Visit<'a> {
    pub settings: &'a ProxySettings,
    pub outside: &'a Outside,
    pub target: &'a Target,
    pub caller: &'a Caller,
    pub session: &'a SessionHandle,
}

/// The line to a session's runner, once the session is awake.
async fn line(visit: &Visit<'_>) -> Result<(Link, Addr<Runtime>), ApiError> {
    let deadline = Instant::now() + visit.settings.wake_wait;
    let mut snapshot = visit.session.snapshot.clone();
    loop {
        // One that is awake is used when its program is reached: a page that waits for one that never comes
        // must not keep it awake.
        let runtime = if snapshot.borrow().phase.phase == Phase::Ready {
            mail::ask(&visit.session.addr, PeekRuntime).await?
        } else {
            mail::ask(&visit.session.addr, GetRuntime).await?
        };
        if let Ok(link) = mail::ask(&runtime, GetLine).await? {
            return Ok((link, runtime));
        }
        let phase = snapshot.borrow_and_update().phase.phase;
        if matches!(phase, Phase::Stopping | Phase::Stopped | Phase::Failed) {
            let detail = "the session's sandbox does not run; start the session";
            return Err(ApiError::denied(Status::CONFLICT, "session.not_running", detail));
        }
        let moved = async {
            tokio::select! {
                changed = snapshot.changed() => changed.is_ok(),
                () = sleep(LOOK) => true,
            }
        };
        match timeout_at(deadline, moved).await {
            Ok(true) => {}
            Ok(false) => return Err(ApiError::no_session()),
            Err(_) => return Err(waking()),
        }
    }
}

fn waking() -> ApiError {
    ApiError::unavailable("proxy.waking", "the session's sandbox is starting", 2)
}

/// The target as its plugin is served, if it is one's.
async fn as_served(runtime: &Addr<Runtime>, target: &Target) -> Result<Target, ApiError> {
    let plugins = mail::ask(runtime, GetPlugins).await?;
    let of_port = plugins.into_iter().find(|plugin| plugin.port == Some(target.port));
    let base = of_port.and_then(|plugin| plugin.base_path);
    Ok(base.map_or_else(|| target.clone(), |base| target.served_below(&base)))
}

async fn tunnel(visit: &Visit<'_>, link: Link) -> Result<Tunnel, ApiError> {
    let port = visit.target.port;
    let reply = match link.tunnel(port).await {
        Ok(Ok(tunnel)) => return Ok(tunnel),
        Ok(Err(reply)) => reply,
        Err(LinkFailed::Connect(_) | LinkFailed::Down | LinkFailed::Cut) => return Err(waking()),
        Err(error) => return Err(ApiError::unavailable("RUNTIME_UNAVAILABLE", error, 1)),
    };
    Err(match reply.status() {
        502 => {
            let detail = format!("nothing listens on port {port} in the sandbox");
            let denied = ApiError::denied(Status::BAD_GATEWAY, "proxy.nothing_listens", detail);
            ApiError { retry_after: Some(2), ..denied }
        }
        504 => late("what listens on the port takes no connection"),
        503 => ApiError::unavailable("proxy.too_many", "too many connections to this sandbox", 1),
        403 => withheld(),
        status => ApiError::failed("sandbox.refused", format!("a tunnel was answered {status}")),
    })
}

/// A port that is nobody's to reach.
pub fn withheld() -> ApiError {
    let detail = "this port is the server's or its runner's own";
    ApiError::denied(Status::FORBIDDEN, "proxy.port_withheld", detail)
}

fn late(detail: &str) -> ApiError {
    ApiError::denied(Status::GATEWAY_TIMEOUT, "proxy.late", detail)
}

/// Carries a request in and its answer out.
pub async fn exchange(
    visit: Visit<'_>,
    mut request: Request<Incoming>,
    mut carried: Carried,
) -> Result<Response<Body>, ApiError> {
    let (link, runtime) = line(&visit).await?;
    let target = as_served(&runtime, visit.target).await?;
    let visit = Visit { target: &target, ..visit };
    let tunnel = tunnel(&visit, link).await?;
    carried.begins();
    let mut client = http1::Builder::new();
    let handshake = client
        .max_buf_size(visit.settings.max_header.max(64 * 1024))
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(tunnel));
    let (mut sender, connection) = handshake.await.map_err(|error| broken(&error))?;
    let connection = Connection::new(tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a sandbox's program ended early");
        }
    }));
    let wanted = heads::wanted_upgrade(request.headers());
    let upgrade = wanted.is_some().then(|| hyper::upgrade::on(&mut request));
    let pulse = Pulse::default();
    let inward = inward(&visit, request, wanted.as_ref(), &pulse)?;
    let sent = pulse.guard(visit.settings.response_timeout, sender.send_request(inward)).await;
    let response = match sent {
        Some(Ok(response)) => response,
        Some(Err(error)) => return Err(broken(&error)),
        None => return Err(late("the program gave no answer in time")),
    };
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    match upgrade {
        Some(upgrade) if is_upgrade => Ok(switch(&visit, response, upgrade, carried, connection)),
        None if is_upgrade => Err(ApiError::denied(
            Status::BAD_GATEWAY,
            "proxy.bad_answer",
            "the program changed the protocol without being asked",
        )),
        _ => {
            let (parts, body) = response.into_parts();
            let idle = visit.settings.idle_timeout;
            let body = Answer::new(body, idle, carried, connection, pulse).boxed_unsync();
            Ok(outward(&visit, &parts, body))
        }
    }
}

/// Whether a request ended because its own body stood still.
fn stalled(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|it| it.downcast_ref::<io::Error>());
    error.is_user() && source.is_some_and(|source| source.kind() == io::ErrorKind::TimedOut)
}

fn broken(error: &hyper::Error) -> ApiError {
    if stalled(error) {
        let detail = "the request's body stood still for too long";
        return ApiError::denied(Status::REQUEST_TIMEOUT, "proxy.stalled", detail);
    }
    let detail = if error.is_parse() || error.is_parse_too_large() {
        "the program's answer can't be understood, or its headers are too large"
    } else {
        "the program ended the connection before it answered"
    };
    tracing::debug!(%error, "a sandbox's program gave no answer");
    ApiError::denied(Status::BAD_GATEWAY, "proxy.bad_answer", detail)
}

/// The request as the program gets it.
fn inward(
    visit: &Visit<'_>,
    request: Request<Incoming>,
    wanted: Option<&HeaderValue>,
    pulse: &Pulse,
) -> Result<Request<Question>, ApiError> {
    let (parts, body) = request.into_parts();
    let malformed =
        |error: hyper::http::Error| ApiError::bad_request("request.malformed_path", error);
    // A ticket is ours, also where it was not taken.
    let query = parts.uri.query().map(|query| match access::ticket(query) {
        Some((_, rest)) if rest.is_empty() => String::new(),
        Some((_, rest)) => format!("?{rest}"),
        None => format!("?{query}"),
    });
    let path = format!("{}{}", visit.target.path, query.unwrap_or_default());
    let keep = visit.caller.keep_authorization;
    let mut headers = heads::inward(&parts.headers, visit.outside, visit.target, keep);
    let waits = heads::waits_for_continue(&headers) && !body.is_end_stream();
    if !waits {
        headers.remove(header::EXPECT);
    }
    if let Some(protocol) = wanted {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    } else {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if body.size_hint().exact().is_none() {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let (asks, asked) = oneshot::channel();
    let idle = visit.settings.idle_timeout;
    let in_use = InUse::new(visit.session.addr.clone());
    let body = Question::new(body, idle, pulse.clone(), in_use, waits.then_some(asked));
    let mut inward =
        Request::builder().method(parts.method).uri(path).body(body).map_err(malformed)?;
    *inward.headers_mut() = headers;
    if waits {
        let asks = Mutex::new(Some(asks));
        hyper::ext::on_informational(&mut inward, move |told| {
            let asks = asks.lock().ok().and_then(|mut asks| asks.take());
            if told.status() == StatusCode::CONTINUE
                && let Some(asks) = asks
            {
                // Nobody waits any more when the answer is there already.
                asks.send(()).ok();
            }
        });
    }
    Ok(inward)
}

fn outward(visit: &Visit<'_>, parts: &response::Parts, body: Body) -> Response<Body> {
    let place = Place {
        host: &visit.outside.host,
        outer: &visit.outside.prefix,
        prefix: &visit.target.prefix,
        port: visit.target.port,
        whole: visit.target.form == Form::Whole,
    };
    let ancestors = visit.settings.ancestors(visit.outside);
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = heads::outward(&parts.headers, &place, &ancestors);
    response
}

/// The program took the upgrade: from here on only bytes are carried.
fn switch(
    visit: &Visit<'_>,
    mut response: Response<Incoming>,
    client: OnUpgrade,
    carried: Carried,
    mut connection: Connection,
) -> Response<Body> {
    let program = hyper::upgrade::on(&mut response);
    let (parts, _) = response.into_parts();
    let idle = visit.settings.idle_timeout;
    tokio::spawn(async move {
        let ends = tokio::try_join!(client, program);
        connection.let_go();
        let carried = match ends {
            Ok((client, program)) => {
                copy_both_ways(TokioIo::new(client), TokioIo::new(program), idle, carried).await
            }
            Err(error) => Err(io::Error::other(error)),
        };
        if let Err(error) = carried {
            tracing::debug!(%error, "an upgraded connection was broken off");
        }
    });
    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut response = outward(visit, &parts, nothing);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = parts.headers.get(header::UPGRADE) {
        headers.insert(header::UPGRADE, protocol.clone());
    }
    response
}
