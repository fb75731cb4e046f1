//! Links to one session: making, listing, taking back, and following one.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use serde::Deserialize;
use staithe_protocol::{
    SessionId,
    api::{NewLink, ShareLinkList, ShareLinkMade},
    frames::Role,
};

use super::{body, pages, ports::outside};
use crate::{
    auth::{Identity, Need, sign_in},
    error::ApiError,
    front::{Front, session_id},
    links::{self, Kept},
};

/// How long a link may hold, in seconds: a minute to thirty days.
const HOLDS: std::ops::RangeInclusive<u64> = 60..=2_592_000;
/// What is taken when nothing is said: a day.
const USUALLY: u64 = 86_400;
/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// Only who may change the session and came by no link: a guest lets in nobody.
fn host(front: &Front, identity: &Identity, id: &str) -> Result<SessionId, ApiError> {
    let id = session_id(id)?;
    front.authorize(identity, Need::Write, id)?;
    if identity.link.is_some() {
        let detail = "whoever came by a link can't make or see links";
        return Err(ApiError::denied(StatusCode::FORBIDDEN, "auth.forbidden", detail));
    }
    Ok(id)
}

/// `POST /api/sessions/{id}/links`
pub async fn create(
    front: web::Data<Front>,
    request: HttpRequest,
    identity: Identity,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let id = host(&front, &identity, &id)?;
    let wanted: NewLink = body::json(payload, front.settings.max_body).await?;
    let invalid = |detail: String| ApiError::bad_request("request.invalid", detail);
    if !matches!(wanted.role, Role::Viewer | Role::Editor) {
        return Err(invalid("role: viewer or editor".into()));
    }
    let holds = wanted.expires_in.unwrap_or(USUALLY);
    if !HOLDS.contains(&holds) {
        return Err(invalid(format!("expires_in: {} to {} seconds", HOLDS.start(), HOLDS.end())));
    }
    let name = wanted.name.unwrap_or_default().trim().to_owned();
    if name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        return Err(invalid(format!("name: at most {MAX_NAME} characters, no control characters")));
    }
    let created = jiff::Timestamp::now().as_second();
    let kept = Kept {
        session: id,
        role: wanted.role,
        name,
        created_by: identity.subject.clone(),
        created,
        expires: created.saturating_add_unsigned(holds),
    };
    let keep = {
        let (front, kept) = (front.clone(), kept.clone());
        web::block(move || front.links.add(kept))
    };
    let link = keep.await.map_err(|error| ApiError::failed("link.not_kept", error))??;
    let guest = Identity {
        subject: if kept.name.is_empty() { "guest".to_owned() } else { kept.name.clone() },
        role: kept.role,
        session: Some(id),
        until: None,
        link: Some(link.clone()),
    };
    let token = front.keys.sign_share(&guest, Duration::from_secs(holds))?;
    let base = front.settings.proxy.control_base(&outside(&front, &request)?);
    let made = ShareLinkMade {
        url: format!("{base}/join?link={token}"),
        link: links::shown(&link, &kept, None),
    };
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(made))
}

/// `GET /api/sessions/{id}/links`
pub async fn list(
    front: web::Data<Front>,
    identity: Identity,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = host(&front, &identity, &id)?;
    Ok(HttpResponse::Ok().json(ShareLinkList { links: front.links.of(id) }))
}

/// `DELETE /api/sessions/{id}/links/{link}`: whoever came by it is out at once.
pub async fn remove(
    front: web::Data<Front>,
    identity: Identity,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (id, link) = path.into_inner();
    let id = host(&front, &identity, &id)?;
    let work = {
        let front = front.clone();
        web::block(move || front.links.remove(id, &link))
    };
    work.await.map_err(|error| ApiError::failed("link.not_kept", error))??;
    Ok(HttpResponse::NoContent().finish())
}

/// What follows a link's `/join`.
#[derive(Debug, Deserialize)]
pub struct Query {
    link: String,
}

/// Who comes by a link, and to which session.
fn opened(front: &Front, link: &str) -> Result<(Identity, SessionId), ApiError> {
    let guest = front.keys.open_share(link)?;
    front.links.check(&guest)?;
    let id = guest.session.ok_or_else(ApiError::no_session)?;
    Ok((guest, id))
}

/// `GET /join?link=`: signs the browser in for the link's session alone. One that may do as much there already is only
/// led there, and one that is signed in as somebody else is asked: a foreign page could have sent it here.
pub async fn follow(
    front: web::Data<Front>,
    request: HttpRequest,
    query: web::Query<Query>,
) -> HttpResponse {
    let (guest, id) = match opened(&front, &query.link) {
        Ok(opened) => opened,
        Err(error) => return pages::error(&front, &request, &error),
    };
    let next = format!("/sessions/{id}");
    let need = if guest.role == Role::Viewer { Need::Read } else { Need::Write };
    match crate::auth::identify(&front, &request) {
        Ok((known, _)) if front.authorize(&known, need, id).is_ok() => {
            sign_in::redirect(Some(&next))
        }
        Ok((known, _)) if known.link.is_none() => {
            pages::join(&front, &request, &known, guest.role, &query.link)
        }
        _ => sign_in::signed_in(&front, &request, &guest, Some(&next)),
    }
}

/// `POST /join`: the same, for whoever agreed to be signed in as another.
pub async fn join(
    front: web::Data<Front>,
    request: HttpRequest,
    form: web::Form<Query>,
) -> HttpResponse {
    match opened(&front, &form.link) {
        Ok((guest, id)) => {
            sign_in::signed_in(&front, &request, &guest, Some(&format!("/sessions/{id}")))
        }
        Err(error) => pages::error(&front, &request, &error),
    }
}
