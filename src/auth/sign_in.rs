//! Signing a browser in: by a link that works once, or by a pasted token.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite},
    http::header,
    web,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use serde::Deserialize;
use tokio::time::Instant;

use super::{COOKIE, Identity, peer_ip};
use crate::{
    error::ApiError,
    front::Front,
    routes::{pages, ports::outside},
};

/// How long a link works, when it isn't used: a day, as people start a server and look later.
pub const LINK_TTL: Duration = Duration::from_hours(24);

/// Links that were used, and addresses that guess.
pub struct SignIns {
    used: Mutex<HashSet<String>>,
    attempts: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that failed too often, until then: nobody learns there whether a guess was right.
    shut_out: Mutex<HashMap<IpAddr, Instant>>,
}

/// How long an address that failed too often is shut out.
const SHUT_OUT: Duration = Duration::from_mins(1);

impl SignIns {
    /// Lets one address fail so often a minute.
    pub fn new(attempts_per_minute: u32) -> Self {
        let quota =
            Quota::per_minute(NonZeroU32::new(attempts_per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            used: Mutex::default(),
            attempts: DefaultKeyedRateLimiter::keyed(quota),
            shut_out: Mutex::default(),
        }
    }

    /// Whether this is a link's first use.
    fn first_use(&self, jti: &str) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(jti.to_owned())
    }

    fn is_shut_out(&self, ip: IpAddr) -> bool {
        self.shut_out().get(&ip).is_some_and(|until| Instant::now() < *until)
    }

    /// Counts a failure.
    fn failed(&self, ip: IpAddr) {
        if self.attempts.check_key(&ip).is_err() {
            self.shut_out().insert(ip, Instant::now() + SHUT_OUT);
        }
    }

    fn shut_out(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets addresses that have been quiet.
    pub fn upkeep(&self) {
        self.attempts.retain_recent();
        self.shut_out().retain(|_, until| Instant::now() < *until);
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
            signed_in(&front, &request, &identity, query.next.as_deref())
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
    let ip = peer_ip(&request);
    if !front.sign_ins.is_shut_out(ip) {
        if let Ok(identity) = front.identify(form.token.trim()) {
            return signed_in(&front, &request, &identity, form.next.as_deref());
        }
        front.sign_ins.failed(ip);
        if !front.sign_ins.is_shut_out(ip) {
            let next = form.next.unwrap_or_default();
            return pages::sign_in(&front, &request, "wrong_token", &next);
        }
    }
    let status = actix_web::http::StatusCode::TOO_MANY_REQUESTS;
    let detail = "too many failed sign-ins from this address";
    let denied = ApiError::denied(status, "auth.too_many_attempts", detail);
    pages::error(&front, &request, &ApiError { retry_after: Some(60), ..denied })
}

/// `POST /logout`. Drafts, unsaved text and images of sessions lie in the browser's storage: they go, too.
pub async fn sign_out(front: web::Data<Front>, request: HttpRequest) -> HttpResponse {
    let mut gone = cookie(&front, &request, String::new());
    gone.make_removal();
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, "/login"))
        .insert_header(("Clear-Site-Data", "\"storage\""))
        .cookie(gone)
        .finish()
}

/// Signs a browser in, no longer than what it showed holds, and leads it on.
pub fn signed_in(
    front: &Front,
    request: &HttpRequest,
    identity: &Identity,
    next: Option<&str>,
) -> HttpResponse {
    match front.keys.sign(identity, identity.at_most(front.settings.sign_in_ttl)) {
        Ok(token) => {
            let mut response = redirect(next);
            if let Err(error) = response.add_cookie(&cookie(front, request, token)) {
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

/// Sent over TLS alone where a proxy before us says that the browser came by it, or the settings do.
fn cookie(front: &Front, request: &HttpRequest, value: String) -> Cookie<'static> {
    let by_settings = front.settings.proxy.control_url.starts_with("https://");
    let secure =
        by_settings || outside(front, request).is_ok_and(|outside| outside.proto == "https");
    let cookie = Cookie::build(COOKIE, value).path("/").http_only(true).secure(secure);
    cookie.same_site(SameSite::Lax).finish()
}

/// Only to a path of our own: `//host` and `/\host` would leave, and browsers take tabs and line ends
/// out of an address before they read it.
pub fn redirect(next: Option<&str>) -> HttpResponse {
    let own = next.filter(|next| {
        next.starts_with('/')
            && !next[1..].starts_with(['/', '\\'])
            && !next.contains(char::is_control)
    });
    HttpResponse::SeeOther().insert_header((header::LOCATION, own.unwrap_or("/"))).finish()
}
