//! What is said when there is nothing to carry: a page for people, a problem body for programs.

use actix_web::http::header::ACCEPT_LANGUAGE;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};

use super::{exchange::Body, outside::Outside};
use crate::{
    assets::LANGUAGES, error::ApiError, front::Front, routes::pages::preferred, views::PortPage,
};

/// A page's own policy: its style, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Leads to a path of this host.
pub fn redirect(path: &str, query: &str, cookie: Option<&str>) -> Response<Body> {
    let mark = if query.is_empty() { "" } else { "?" };
    let mut response = answer(StatusCode::TEMPORARY_REDIRECT, Bytes::new());
    if cookie.is_some() {
        *response.status_mut() = StatusCode::SEE_OTHER;
    }
    let headers = response.headers_mut();
    // `//host` would lead away.
    let path = format!("/{}", path.trim_start_matches('/'));
    if let Ok(location) = HeaderValue::from_str(&format!("{path}{mark}{query}")) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Says why not, in the form that the caller reads. `refreshes`: a page may ask again by itself.
pub fn refuse(
    front: &Front,
    headers: &HeaderMap,
    outside: Option<&Outside>,
    error: &ApiError,
    refreshes: bool,
) -> Response<Body> {
    let status =
        StatusCode::from_u16(error.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_navigation = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let page =
        outside.filter(|_| is_navigation).and_then(|it| page(front, headers, it, error, refreshes));
    let is_page = page.is_some();
    let body = page.unwrap_or_else(|| serde_json::to_string(&error.problem()).unwrap_or_default());
    let mut response = answer(status, Bytes::from(body));
    let headers = response.headers_mut();
    let mut say = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if is_page {
        say(header::CONTENT_TYPE, "text/html; charset=utf-8");
        say(header::VARY, "Accept, Accept-Language");
        let ancestors = outside.map(|it| front.settings.proxy.ancestors(it)).unwrap_or_default();
        say(header::CONTENT_SECURITY_POLICY, &format!("{POLICY}; frame-ancestors {ancestors}"));
    } else {
        say(header::CONTENT_TYPE, "application/problem+json");
    }
    if let Some(seconds) = error.retry_after {
        say(header::RETRY_AFTER, &seconds.to_string());
    }
    if status == StatusCode::UNAUTHORIZED {
        say(header::WWW_AUTHENTICATE, "Bearer realm=\"staithe\"");
    }
    response
}

fn page(
    front: &Front,
    headers: &HeaderMap,
    outside: &Outside,
    error: &ApiError,
    refreshes: bool,
) -> Option<String> {
    let accepted = headers.get(ACCEPT_LANGUAGE.as_str()).and_then(|value| value.to_str().ok());
    let lang = accepted.and_then(preferred).unwrap_or(LANGUAGES[0]);
    let kind = match error.code {
        "proxy.nothing_listens" => "nothing",
        "proxy.waking" => "waking",
        "session.not_running" => "ended",
        code if code.starts_with("auth.") && error.status.as_u16() == 401 => "sign_in",
        _ => "refused",
    };
    let view = PortPage {
        lang,
        t: front.assets.catalogue(lang),
        kind,
        detail: &error.detail,
        code: error.code,
        refresh: refreshes && matches!(kind, "nothing" | "waking"),
        control_url: front.settings.proxy.control_origin(outside),
    };
    let context = tera::Context::from_serialize(&view).ok()?;
    let html = front.assets.templates.render("pages/port.html", &context);
    html.inspect_err(|error| tracing::error!(?error, "a page could not be made")).ok()
}

fn answer(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response =
        Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
