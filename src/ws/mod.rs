//! The WebSocket `staithe.v1`.
//!
//! One socket is two parts: [`edge::ClientSocket`], a thin actor that only writes, and [`pump`], a task
//! that reads frames, carries commands out and pulls events from the socket's own cursor into a
//! bounded [`outbox`]. The edge is polled only while the network takes bytes, so the outbox fills
//! exactly when the client is slow, and everything behind it waits (`reference/crates.md` §2.3).
//! [`edge`] and [`reader`] are all that knows of `actix-web-actors`.

pub mod answers;
pub mod edge;
pub mod outbox;
pub mod pump;
pub mod reader;
pub mod side;
pub mod terminals;
pub mod watching;

use actix_web::{Error, HttpRequest, HttpResponse, http::header, web};
use actix_web_actors::ws;
use staithe_actors::{ClientInfo, mail, session::messages::JoinSession};
use staithe_protocol::SUBPROTOCOL;

use crate::{
    auth::{Identity, Need},
    error::ApiError,
    front::{Front, session_id},
    routes::{body, events::cursor},
};

use answers::Hands;
use pump::Pump;

/// The name of the stream that tells who is here.
const PRESENCE: &str = "presence";

/// `GET /api/sessions/{id}/ws?after=<event id>&presence=<0 or 1>`
pub async fn join(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let id = session_id(&id)?;
    front.authorize(&identity, Need::Read, id)?;
    let cursor = cursor(&request)?;
    let mut response = ws::handshake_with_protocols(&request, &[SUBPROTOCOL])
        .map_err(|error| ApiError::bad_request("ws.malformed_handshake", error))?;
    let session = front.open(&identity, Need::Read, id).await?;
    let info = ClientInfo { role: identity.role, peer: request.peer_addr() };
    let subscription = mail::ask(&session.addr, JoinSession(info))
        .await
        .map_err(ApiError::from)?
        .map_err(ApiError::from)?;
    if cursor > subscription.head {
        let detail = format!("after: the newest event is {}", subscription.head);
        return Err(ApiError::bad_request("cursor.beyond_head", detail).into());
    }
    let (outbox, body) = edge::open();
    let hands = Hands::new(front.clone(), identity, id, session);
    if body::parameter::<u8>(&request, "presence")? == Some(1) {
        let (identity, socket) = (&hands.identity, &hands.socket);
        let seat = front.presence.enter(id, socket, &identity.subject, identity.role);
        hands.side.open(PRESENCE, seat.frames());
    }
    let pump = Pump::new(hands, subscription, cursor, outbox);
    actix_web::rt::spawn(pump.run(reader::Frames::new(payload)));
    Ok(response.insert_header((header::CACHE_CONTROL, "no-store")).streaming(body))
}
