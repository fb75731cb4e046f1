//! Streams to what listens in the sandbox: see [`staithe_protocol::tunnel`].

pub mod carry;

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};
use staithe_protocol::tunnel::PROTOCOL;
use tokio::{net::TcpStream, task::spawn_local, time::timeout};

use self::carry::carry;
use crate::{
    app::App,
    http::words::{Answer, Body, Refusal, bad, empty, nothing_at},
};

/// Tunnels that may be open at a time. Each costs two buffers of [`MOST_FRAME`].
const MOST_TUNNELS: usize = 512;
/// How long a port may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How many are open; one per process.
#[derive(Default)]
pub struct Tunnels(Rc<Cell<usize>>);

/// One of the places; given back when it is dropped.
struct Place(Rc<Cell<usize>>);

impl Tunnels {
    fn take(&self) -> Option<Place> {
        let open = self.0.get();
        (open < MOST_TUNNELS).then(|| {
            self.0.set(open + 1);
            Place(Rc::clone(&self.0))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Answers a request below `/tunnel`.
pub async fn answer(app: &Rc<App>, mut request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let port = path.strip_prefix("/tunnel/").ok_or_else(|| nothing_at(path))?;
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| bad("a port is a number from 1 to 65535"))?;
    if !is_asked_by(&request) {
        return Err(bad("a tunnel is opened here, by `Upgrade: staithe-tunnel`"));
    }
    if app.ports.is_withheld(port) {
        return Err(refused(StatusCode::FORBIDDEN, "This port is not given out."));
    }
    let place = app.tunnels.take().ok_or_else(|| {
        refused(StatusCode::SERVICE_UNAVAILABLE, "Too many tunnels are open in this sandbox.")
    })?;
    let mut target = connect(port).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    spawn_local(async move {
        if let Ok(upgraded) = upgrade.await {
            let carried = {
                let (mut from_target, mut to_target) = target.split();
                carry(upgraded, &mut from_target, &mut to_target).await
            };
            if carried.is_err() {
                // Broken off is not ended: the program is told so by a reset.
                target.set_zero_linger().ok();
            }
        }
        drop(place);
    });
    Ok(switched())
}

/// Whether a request wants such a stream.
pub fn is_asked_by(request: &Request<Incoming>) -> bool {
    let asks = request.headers().get(header::UPGRADE).is_some_and(|wanted| wanted == PROTOCOL);
    request.method() == Method::GET && asks
}

/// The answer before the frames.
pub fn switched() -> Response<Body> {
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

fn refused(status: StatusCode, detail: &str) -> Refusal {
    Refusal::Detail(status, detail.to_owned())
}

/// Programs listen on either loopback, or on both.
async fn connect(port: u16) -> Result<TcpStream, Refusal> {
    let mut late = false;
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        match timeout(CONNECT, TcpStream::connect((address, port))).await {
            // A port that connects to itself: nothing listens, and the kernel gave this very port.
            Ok(Ok(stream)) if stream.local_addr().ok() == stream.peer_addr().ok() => {}
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).ok(); // it then only is slower
                return Ok(stream);
            }
            Ok(Err(_)) => {}
            Err(_) => late = true,
        }
    }
    Err(if late {
        refused(StatusCode::GATEWAY_TIMEOUT, "What listens took no connection in time.")
    } else {
        refused(StatusCode::BAD_GATEWAY, "Nothing listens on this port.")
    })
}
