//! The sandbox listener: every port of every sandbox, for whoever may use the session.
//!
//! [`address`] says which port is meant, [`access`] and [`crossing`] who may, [`heads`] (with [`cookies`]
//! and [`location`]) what headers become, [`mod@exchange`] carries a request through a tunnel of the session's
//! line, [`stream`] its bytes; [`pages`] is what is said when there is nothing to carry.
//!
//! This listener is served by hyper and not by actix: half-closed streams, trailers, `100 Continue` as the
//! program says it, and connections that end when a browser goes away are all needed here, and an actix
//! request has none of them.

pub mod access;
pub mod address;
pub mod cookies;
pub mod crossing;
pub mod exchange;
pub mod heads;
pub mod location;
pub mod outside;
pub mod pages;
pub mod settings;
pub mod stream;
pub mod waiting;

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{http::StatusCode as Status, web};
use hyper::{
    Method, Request, Response,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use staithe_protocol::SessionId;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout},
};

use self::{
    access::{Caller, Used, check, exchanged, redeem, ticket},
    address::{Found, Target, find},
    exchange::{Body, MOST_HEADERS, Visit, exchange, withheld},
    outside::Outside,
    stream::Carried,
    waiting::Waiting,
};
use crate::{auth::Need, boot::watch_connection, error::ApiError, front::Front};

/// Threads that serve it.
const WORKERS: usize = 2;
/// Connections of browsers in all; more are closed at once.
const MOST_CLIENTS: usize = 8192;
/// How long a request's head may take to come.
const HEAD: Duration = Duration::from_secs(30);
/// At the end, requests under way have so long.
const GRACE: Duration = Duration::from_secs(1);

/// What all requests share.
struct Proxy {
    front: web::Data<Front>,
    used: Used,
    waiting: Mutex<Waiting>,
    places: Mutex<HashMap<SessionId, Arc<Semaphore>>>,
}

/// Serves the listener until the server drains, on threads of its own.
pub fn start(
    front: web::Data<Front>,
    listener: std::net::TcpListener,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + 'static> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("proxy")
        .enable_all()
        .build()?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name("proxy".into()).spawn(move || {
        let outcome = runtime.block_on(serve(front, listener));
        runtime.shutdown_background();
        ended.send(outcome).ok(); // whoever waited is gone at the process's end
    })?;
    Ok(async { end.await.unwrap_or_else(|_| Err(io::Error::other("the proxy panicked"))) })
}

async fn serve(front: web::Data<Front>, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut draining = front.draining.subscribe();
    let (used, waiting, places) = (Used::default(), Mutex::default(), Mutex::default());
    let proxy = Arc::new(Proxy { front, used, waiting, places });
    let clients = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = draining.wait_for(|draining| *draining) => break,
        };
        let Ok(place) = Arc::clone(&clients).try_acquire_owned() else {
            metrics::counter!("staithe_proxy_refused_total", "reason" => "clients").increment(1);
            continue;
        };
        watch_connection(&stream);
        tokio::spawn(connection(Arc::clone(&proxy), stream, peer, place));
    }
    drop(listener);
    let all = u32::try_from(MOST_CLIENTS).unwrap_or(u32::MAX);
    drop(timeout(GRACE, clients.acquire_many(all)).await);
    Ok(())
}

async fn connection(
    proxy: Arc<Proxy>,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let mut draining = proxy.front.draining.subscribe();
    let max_header = proxy.front.settings.proxy.max_header;
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, Infallible>(proxy.answer(peer.ip(), request).await) }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MOST_HEADERS)
        .max_header_size(max_header)
        .max_buf_size((max_header + 8 * 1024).max(64 * 1024))
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut pinned = std::pin::Pin::new(&mut connection);
    let drains = async { drop(draining.wait_for(|draining| *draining).await) };
    let ended = tokio::select! {
        ended = pinned.as_mut() => ended,
        () = drains => {
            pinned.as_mut().graceful_shutdown();
            pinned.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a browser's connection ended early");
    }
    drop(place);
}

/// What a request means.
enum Meaning {
    Carry(Outside, Target),
    Say(Response<Body>),
}

impl Proxy {
    async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> Response<Body> {
        let headers = request.headers().clone();
        let outside = Outside::of(&headers, peer, &self.front.settings.proxy.trusted);
        let mut refreshes = true;
        let mut cookie = None;
        let response = match self.understand(outside.clone(), &request) {
            Ok(Meaning::Carry(outside, target)) => {
                let carried = match self.caller(&outside, &target, &request) {
                    Ok(caller) => {
                        cookie = exchanged(&self.front, &caller, &headers, &outside, &target);
                        self.carry(&outside, &target, &caller, request).await
                    }
                    Err(error) => Err(error),
                };
                if carried.as_ref().is_err_and(|error| error.code == "proxy.nothing_listens") {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    refreshes = waiting.goes_on(target.session, target.port, Instant::now());
                }
                carried
            }
            Ok(Meaning::Say(response)) => Ok(response),
            Err(error) => Err(error),
        };
        let mut response = response.unwrap_or_else(|error| {
            tracing::debug!(code = error.code, "a request to a sandbox was refused");
            pages::refuse(&self.front, &headers, outside.as_ref(), &error, refreshes)
        });
        if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        let class = match response.status().as_u16() {
            100..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        metrics::counter!("staithe_proxy_requests_total", "status" => class).increment(1);
        response
    }

    fn understand(
        &self,
        outside: Option<Outside>,
        request: &Request<Incoming>,
    ) -> Result<Meaning, ApiError> {
        let settings = &self.front.settings.proxy;
        let outside = outside.ok_or_else(|| {
            ApiError::bad_request("proxy.bad_host", "one Host header with a name is expected")
        })?;
        let is_below = address::label_below(&outside.host, &settings.domain).is_some();
        if !is_below && !self.front.guard.knows_host(&outside.host) {
            let detail = "this name is not answered here; add it to server.allowed_hosts";
            let status = Status::MISDIRECTED_REQUEST;
            return Err(ApiError::denied(status, "request.unknown_host", detail));
        }
        let uri = request.uri();
        if uri.authority().is_some() || *request.method() == Method::CONNECT {
            let detail = "only a path is expected: this is no proxy for other hosts";
            return Err(ApiError::bad_request("proxy.no_forward_proxy", detail));
        }
        let query = uri.query().unwrap_or_default();
        let target = match find(&outside.host, &settings.domain, uri.path()) {
            Found::Port(target) => target,
            Found::Slash(target) => {
                let path = format!("{}{}/", outside.prefix, target.prefix);
                return Ok(Meaning::Say(pages::redirect(&path, query, None)));
            }
            Found::Nothing => {
                let detail = "no sandbox content is served at this address";
                return Err(ApiError::denied(Status::NOT_FOUND, "sandbox.nothing_here", detail));
            }
        };
        if let Some((token, rest)) = ticket(query)
            && *request.method() == Method::GET
        {
            let cookie = redeem(&self.front, &self.used, token, &outside, &target);
            // One that is no good is cut out as well: whoever is signed in goes on.
            let path = format!("{}{}", outside.prefix, uri.path());
            return Ok(Meaning::Say(pages::redirect(&path, &rest, cookie.as_deref())));
        }
        Ok(Meaning::Carry(outside, target))
    }

    fn caller(
        &self,
        outside: &Outside,
        target: &Target,
        request: &Request<Incoming>,
    ) -> Result<Caller, ApiError> {
        let front = &self.front;
        check(front, request.method(), request.headers(), outside, target)
            .or_else(|error| front.guard.admit_stranger(outside.client).and(Err(error)))
    }

    async fn carry(
        &self,
        outside: &Outside,
        target: &Target,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, ApiError> {
        let front = &self.front;
        let settings = &front.settings.proxy;
        if settings.withheld.contains(&target.port) {
            return Err(withheld());
        }
        let place = self.place(target.session)?;
        let need = if settings.viewers { Need::Read } else { Need::Write };
        let session = front.open(&caller.identity, need, target.session).await?;
        let carried = Carried::new(session.addr.clone(), place);
        let visit = Visit { settings, outside, target, caller, session: &session };
        exchange(visit, request, carried).await
    }

    /// A place among the connections to a session.
    fn place(&self, session: SessionId) -> Result<OwnedSemaphorePermit, ApiError> {
        let most = self.front.settings.proxy.max_connections;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() > 1024 {
            places.retain(|_, place| place.available_permits() < most);
        }
        let of_session = places.entry(session).or_insert_with(|| Arc::new(Semaphore::new(most)));
        Arc::clone(of_session).try_acquire_owned().map_err(|_| {
            metrics::counter!("staithe_proxy_refused_total", "reason" => "session").increment(1);
            ApiError::unavailable("proxy.too_many", "too many connections to this sandbox", 1)
        })
    }
}
