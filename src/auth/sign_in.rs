//! Signing a browser in: by a link that works once, or by a pasted token.

use std::{collections::HashSet, num::NonZeroU32, sync::Mutex, sync::PoisonError, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
    http::header,
    web,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use serde::Deserialize;

use super::{COOKIE, Identity, peer_ip};
use crate::{error::ApiError, front::Front, routes::pages};

/// How long a link works, when it isn't used: a day, as people start a server and look later.
pub const LINK_TTL: Duration = Duration::from_hours(24);

/// Links that were used, and addresses that guess.
pub struct SignIns {
    used: Mutex<HashSet<String>>,
    attempts: DefaultKeyedRateLimiter<std::net::IpAddr>,
}

impl SignIns {
    /// Lets one address try so often a minute.
    pub fn new(attempts_per_minute: u32) -> Self {
        let quota =
            Quota::per_minute(NonZeroU32::new(attempts_per_minute).unwrap_or(NonZeroU32::MIN));
        Self { used: Mutex::default(), attempts: DefaultKeyedRateLimiter::keyed(quota) }
    }

    /// Whether this is a link's first use.
    fn first_use(&self, jti: &str) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(jti.to_owned())
    }

    /// Forgets addresses that have been quiet.
    pub fn upkeep(&self) {
        self.attempts.retain_recent();
    }
}

/// The sign-in page's query: a link's token, where to go afterwards.
#[derive(Debug, Deserialize)]
pub struct Query {
    token: Option<String>,
    next: Option<String>,
}

/// The sign-in page's form.
#[derive(Debug, Deserialize)]
pub struct Form {
    token: String,
    next: Option<String>,
}

/// `GET /login`
pub async fn page(
    front: web::Data<Front>,
    request: HttpRequest,
    query: web::Query<Query>,
) -> HttpResponse {
    let query = query.into_inner();
    let Some(token) = query.token else {
        return pages::sign_in(&front, &request, "", &query.next.unwrap_or_default());
    };
    match front.keys.open_link(&token) {
        Ok((identity, jti)) if front.sign_ins.first_use(&jti) => {
            signed_in(&front, &identity, query.next.as_deref())
        }
        // A browser that is signed in already may follow its link again.
        _ if super::identify(&front, &request).is_ok() => redirect(query.next.as_deref()),
        _ => pages::sign_in(&front, &request, "used_link", ""),
    }
}

/// `POST /login`
pub async fn submit(
    front: web::Data<Front>,
    request: HttpRequest,
    form: web::Form<Form>,
) -> HttpResponse {
    let form = form.into_inner();
    // Right ones count too: beyond the limit nobody learns whether a guess was right.
    if front.sign_ins.attempts.check_key(&peer_ip(&request)).is_ok() {
        if let Ok(identity) = front.keys.identify(form.token.trim()) {
            return signed_in(&front, &identity, form.next.as_deref());
        }
        let next = form.next.unwrap_or_default();
        return pages::sign_in(&front, &request, "wrong_token", &next);
    }
    let status = actix_web::http::StatusCode::TOO_MANY_REQUESTS;
    let detail = "too many sign-ins from this address";
    let denied = ApiError::denied(status, "auth.too_many_attempts", detail);
    pages::error(&front, &request, &ApiError { retry_after: Some(60), ..denied })
}

/// `POST /logout`
pub async fn sign_out() -> HttpResponse {
    let mut gone = cookie(String::new());
    gone.make_removal();
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/login")).cookie(gone).finish()
}

fn signed_in(front: &Front, identity: &Identity, next: Option<&str>) -> HttpResponse {
    match front.keys.sign(identity, front.settings.sign_in_ttl) {
        Ok(token) => {
            let mut response = redirect(next);
            if let Err(error) = response.add_cookie(&cookie(token)) {
                return actix_web::ResponseError::error_response(&ApiError::failed(
                    "auth.cookie",
                    error,
                ));
            }
            response
        }
        Err(error) => actix_web::ResponseError::error_response(&error),
    }
}

fn cookie(value: String) -> Cookie<'static> {
    Cookie::build(COOKIE, value).path("/").http_only(true).same_site(SameSite::Lax).finish()
}

/// Only to a path of our own: `//host` and `/\host` would leave, and browsers take tabs and line ends
/// out of an address before they read it.
fn redirect(next: Option<&str>) -> HttpResponse {
    let own = next.filter(|next| {
        next.starts_with('/')
            && !next[1..].starts_with(['/', '\\'])
            && !next.contains(char::is_control)
    });
    HttpResponse::SeeOther().insert_header((header::LOCATION, own.unwrap_or("/"))).finish()
}
