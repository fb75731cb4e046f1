//! The ports that are listened on in a sandbox, and the addresses that lead there.

use std::net::IpAddr;

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use staithe_actors::{mail, runtime::messages::GetPorts, session::messages::PeekRuntime};
use staithe_protocol::{
    SessionId,
    api::{PortBody, PortList, PortTicket},
};

use crate::{
    auth::{Identity, Need, peer_ip},
    error::ApiError,
    front::{Front, session_id},
    proxy::{
        access::{TICKET, TICKET_TTL},
        outside::Outside,
    },
};

/// From where a request comes, as far as it can be believed.
pub fn outside(front: &Front, request: &HttpRequest) -> Result<Outside, ApiError> {
    let mut headers = hyper::HeaderMap::new();
    for (name, value) in request.headers() {
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = hyper::header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let peer: IpAddr = peer_ip(request);
    Outside::of(&headers, peer, &front.settings.proxy.trusted).ok_or_else(|| {
        ApiError::bad_request("proxy.bad_host", "one Host header with a name is expected")
    })
}

fn need(front: &Front) -> Need {
    if front.settings.proxy.viewers { Need::Read } else { Need::Write }
}

fn body(front: &Front, outside: &Outside, id: SessionId, port: u16) -> PortBody {
    let urls = front.settings.proxy.urls(outside, id, port);
    PortBody { port, program: None, plugin: None, url: urls.by_path, host_url: urls.by_host }
}

/// `GET /api/sessions/{id}/ports`: none while the sandbox rests; asking neither wakes it nor keeps it awake.
pub async fn list(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let outside = outside(&front, &request)?;
    let ports = match front.registry.live(id) {
        Some(session) => {
            let runtime = mail::ask(&session.addr, PeekRuntime).await?;
            mail::ask(&runtime, GetPorts).await?
        }
        None => Vec::new(),
    };
    let with_urls = ports.into_iter().map(|port| PortBody {
        program: port.program,
        plugin: port.plugin,
        ..body(&front, &outside, id, port.port)
    });
    Ok(HttpResponse::Ok().json(PortList { ports: with_urls.collect() }))
}

/// `POST /api/sessions/{id}/ports/{port}/ticket`: addresses that open the port in a browser without a
/// sign-in there, once, within a minute.
pub async fn ticket(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&path.0)?;
    front.authorize(&identity, need(&front), id)?;
    let port = path.1.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| {
        ApiError::bad_request("request.invalid_parameter", "a port is a number from 1 to 65535")
    })?;
    let urls = body(&front, &outside(&front, &request)?, id, port);
    // Each address has a ticket of its own: each works once.
    let with_ticket = |url: String| -> Result<String, ApiError> {
        let token = front.keys.sign_ticket(&identity, id, TICKET_TTL)?;
        Ok(format!("{url}?{TICKET}={token}"))
    };
    let ticket = PortTicket {
        url: with_ticket(urls.url)?,
        host_url: urls.host_url.map(with_ticket).transpose()?,
        expires_in: TICKET_TTL.as_secs(),
    };
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(ticket))
}
