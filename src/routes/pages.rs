//! The pages, and the choice of their language.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    cookie::{Cookie, SameSite},
    http::{StatusCode, header},
    web,
};
use serde::Serialize;
use staithe_protocol::frames::Role;

use crate::{
    assets::{Assets, LANGUAGES},
    auth::{self, Identity, Need},
    error::ApiError,
    front::{Front, session_id},
    guard::PagePolicy,
    routes::ports,
    views::{ErrorPage, JoinPage, Page, SessionPage, SessionsPage, SignIn},
};

/// The cookie of a chosen language.
const LANG_COOKIE: &str = "lang";

/// `GET /`: the sessions.
pub async fn sessions(front: web::Data<Front>, request: HttpRequest) -> HttpResponse {
    match signed_in(&front, &request) {
        Ok(identity) => {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let page = SessionsPage {
                page: page(&front, &request, Some(&identity)),
                has_limits: front.engine.kind != "local",
                most_memory: front.settings.most.memory.map(gib),
                most_cpus: front.settings.most.cpus,
            };
            render(&front, &request, "pages/sessions.html", &page, StatusCode::OK)
        }
        Err(elsewhere) => elsewhere,
    }
}

/// `GET /sessions/{id}`
pub async fn session(
    front: web::Data<Front>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let identity = match signed_in(&front, &request) {
        Ok(identity) => identity,
        Err(elsewhere) => return elsewhere,
    };
    let allowed = session_id(&id).and_then(|id| {
        front.authorize(&identity, Need::Read, id)?;
        front.registry.body(id).ok_or_else(ApiError::no_session)
    });
    match allowed {
        Ok(session) => {
            let frames = ports::outside(&front, &request).map_or_else(
                |_| "'none'".to_owned(),
                |outside| front.settings.proxy.origins(&outside),
            );
            let policy = PagePolicy { nonce: uuid::Uuid::new_v4().as_simple().to_string(), frames };
            let view = SessionPage {
                page: page(&front, &request, Some(&identity)),
                session_id: session.id.to_string(),
                session_title: session.title,
                nonce: policy.nonce.clone(),
            };
            let mut response =
                render(&front, &request, "pages/session.html", &view, StatusCode::OK);
            response.extensions_mut().insert(policy);
            response
        }
        Err(denied) => error(&front, &request, &denied),
    }
}

/// `GET /admin`
pub async fn admin(front: web::Data<Front>, request: HttpRequest) -> HttpResponse {
    let identity = match signed_in(&front, &request) {
        Ok(identity) => identity,
        Err(elsewhere) => return elsewhere,
    };
    match identity.must_operate() {
        Ok(()) => {
            let page = page(&front, &request, Some(&identity));
            render(&front, &request, "pages/admin.html", &page, StatusCode::OK)
        }
        Err(denied) => error(&front, &request, &denied),
    }
}

/// The sign-in page.
pub fn sign_in(front: &Front, request: &HttpRequest, error: &str, next: &str) -> HttpResponse {
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    let view = SignIn { page: page(front, request, None), error, next };
    render(front, request, "pages/sign_in.html", &view, status)
}

/// Whether somebody who is signed in wants to go on as the guest that a link makes of them.
pub fn join(
    front: &Front,
    request: &HttpRequest,
    known: &Identity,
    role: Role,
    link: &str,
) -> HttpResponse {
    let view = JoinPage { page: page(front, request, Some(known)), guest: role.as_str(), link };
    render(front, request, "pages/join.html", &view, StatusCode::OK)
}

/// An error as a page.
pub fn error(front: &Front, request: &HttpRequest, error: &ApiError) -> HttpResponse {
    let identity = auth::identify(front, request).ok().map(|(identity, _)| identity);
    let page = page(front, request, identity.as_ref());
    let words = |group: &str, key: &str| page.t[group][key].as_str().map(str::to_owned);
    let status = error.status.as_str();
    let title =
        words("status", status).or_else(|| error.status.canonical_reason().map(str::to_owned));
    let detail = words("said", &error.detail).unwrap_or_else(|| error.detail.clone());
    let view = ErrorPage {
        status: error.status.as_u16(),
        title: title.unwrap_or_else(|| status.to_owned()),
        detail: error.id.as_ref().map_or_else(|| detail.clone(), |id| format!("{detail} ({id})")),
        code: error.code,
        page,
    };
    render(front, request, "pages/error.html", &view, error.status)
}

/// An error in the form that the caller reads: a page for a browser's navigation, else a problem body.
pub fn problem(front: &Front, request: &HttpRequest, denied: &ApiError) -> HttpResponse {
    let wants_page = !request.path().starts_with("/api/")
        && request
            .headers()
            .get(header::ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
    if wants_page { error(front, request, denied) } else { denied.error_response() }
}

#[expect(clippy::result_large_err, reason = "it is the answer itself, made once")]
fn signed_in(front: &Front, request: &HttpRequest) -> Result<Identity, HttpResponse> {
    auth::identify(front, request).map(|(identity, _)| identity).map_err(|denied| {
        // Another sign-in would not help, or whoever came by a link has none.
        if denied.status != StatusCode::UNAUTHORIZED || denied.code == "auth.link_over" {
            return error(front, request, &denied);
        }
        let next: String = request
            .uri()
            .to_string()
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/login?next={next}")))
            .finish()
    })
}

fn page<'a>(front: &'a Front, request: &HttpRequest, identity: Option<&Identity>) -> Page<'a> {
    let lang = language(request);
    Page {
        static_base: front.assets.base(),
        lang,
        t: front.assets.catalogue(lang),
        version: env!("CARGO_PKG_VERSION"),
        signed_in: identity.is_some(),
        operator: identity.is_some_and(|identity| identity.role == Role::Operator),
        user_name: identity.map(|identity| identity.subject.clone()).unwrap_or_default(),
        role: identity.map_or("", |identity| identity.role.as_str()),
        has_libraries: Assets::without_libraries().is_none(),
        modules: front.assets.modules(),
    }
}

/// The language that was asked for by the address, chosen earlier, or preferred by the browser.
fn language(request: &HttpRequest) -> &'static str {
    let accepted = || preferred(request.headers().get(header::ACCEPT_LANGUAGE)?.to_str().ok()?);
    asked(request)
        .and_then(|asked| known(&asked))
        .or_else(|| request.cookie(LANG_COOKIE).and_then(|cookie| known(cookie.value())))
        .or_else(accepted)
        .unwrap_or(LANGUAGES[0])
}

fn known(wanted: &str) -> Option<&'static str> {
    LANGUAGES.into_iter().find(|l| l.eq_ignore_ascii_case(wanted.trim()))
}

/// The first language of an `Accept-Language` header that there is.
pub fn preferred(accepted: &str) -> Option<&'static str> {
    accepted.split(',').find_map(|entry| {
        let tag = entry.split(';').next()?.trim();
        known(tag)
            .or_else(|| tag.to_ascii_lowercase().starts_with("zh").then_some("zh-CN"))
            .or_else(|| tag.to_ascii_lowercase().starts_with("en").then_some("en"))
    })
}

fn asked(request: &HttpRequest) -> Option<String> {
    let query = request.query_string();
    query.split('&').find_map(|pair| pair.strip_prefix("lang=")).map(str::to_owned)
}

fn render(
    front: &Front,
    request: &HttpRequest,
    template: &str,
    view: &impl Serialize,
    status: StatusCode,
) -> HttpResponse {
    let context = match tera::Context::from_serialize(view) {
        Ok(context) => context,
        Err(error) => return ApiError::failed("page.failed", error).error_response(),
    };
    match front.assets.templates.render(template, &context) {
        Ok(html) => {
            let mut response = HttpResponse::build(status);
            response.content_type("text/html; charset=utf-8");
            if asked(request).is_some() {
                let cookie = Cookie::build(LANG_COOKIE, language(request))
                    .path("/")
                    .same_site(SameSite::Lax)
                    .permanent()
                    .finish();
                response.cookie(cookie);
            }
            response.body(html)
        }
        Err(error) => ApiError::failed("page.failed", format!("{error:?}")).error_response(),
    }
}
