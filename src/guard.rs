//! What stands before every handler: the Host header, origins, rates, security headers, the access log.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, Uri, header, header::HeaderValue},
    middleware::Next,
    web,
};
use governor::{DefaultKeyedRateLimiter, Quota};
use tokio::time::Instant;

use crate::{
    auth::{self, Shown, peer_ip},
    error::ApiError,
    front::Front,
};

/// The policy of every page: nothing from elsewhere, nothing inline.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                   connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";

/// What the page of a session may do beyond `CSP`: show what runs in its sandbox, and have style sheets that its
/// libraries make. An extension of its response.
#[derive(Clone, Debug)]
pub struct PagePolicy {
    /// Of this one answer; hexadecimal.
    pub nonce: String,
    /// Origins, parted by spaces.
    pub frames: String,
}

/// One subject's changes of models' keys: twenty at once, then one in two seconds.
const KEY_CHANGES: Quota =
    Quota::per_minute(NonZeroU32::new(30).unwrap()).allow_burst(NonZeroU32::new(20).unwrap());

/// What is let in.
pub struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Any name is a possible one where the server was told to listen beyond loopback.
    any_host: bool,
    requests: DefaultKeyedRateLimiter<String>,
    /// Of models, by subject: each goes through the disk.
    key_changes: DefaultKeyedRateLimiter<String>,
}

impl Guard {
    /// A guard for a listener. On loopback only loopback's names are answered, so that a page of
    /// another name that was made to point here (DNS rebinding) gets nothing.
    pub fn new(
        loopback: bool,
        hosts: Vec<String>,
        origins: Vec<String>,
        per_second: u32,
        burst: u32,
    ) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        Self {
            any_host: !loopback && hosts.is_empty(),
            hosts,
            origins,
            requests: DefaultKeyedRateLimiter::keyed(quota),
            key_changes: DefaultKeyedRateLimiter::keyed(KEY_CHANGES),
        }
    }

    /// Forgets callers that have been quiet.
    pub fn upkeep(&self) {
        self.requests.retain_recent();
        self.key_changes.retain_recent();
    }

    /// Whether this value of the Host header is answered.
    pub fn knows_host(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        });
        self.any_host
            || ["localhost", "127.0.0.1", "[::1]"].contains(&name)
            || self.hosts.iter().any(|known| known == host || known == name)
    }

    /// Whether a browser's page may act with the sign-in that the browser sends along: only pages of
    /// this very origin, or of one in the configuration.
    fn trusts_origin(&self, request: &HttpRequest) -> bool {
        let Some(origin) = request.headers().get(header::ORIGIN) else {
            // Browsers name the origin of every request that changes something and of every
            // WebSocket; where it is missing, this says whether a page of ours asked.
            let site = request.headers().get("Sec-Fetch-Site");
            return site.is_some_and(|site| site == "same-origin" || site == "none");
        };
        let Ok(origin) = origin.to_str() else { return false };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let same = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
        same.is_some_and(|authority| Some(authority.as_str()) == host)
            || self.origins.iter().any(|known| known == origin)
    }

    /// Everything that can be said before the handler runs.
    fn admit(&self, front: &Front, request: &HttpRequest) -> Result<(), ApiError> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.knows_host(host)) {
            let detail = "this name is not answered here; add it to server.allowed_hosts";
            return Err(ApiError::denied(
                StatusCode::MISDIRECTED_REQUEST,
                "request.unknown_host",
                detail,
            ));
        }
        let shown = auth::identify(front, request);
        self.admit_rate(
            request,
            shown.as_ref().ok().map(|(identity, _)| identity.subject.as_str()),
        )?;
        let by_cookie = matches!(shown, Ok((_, Shown::Cookie)));
        let websocket = request.headers().contains_key(header::SEC_WEBSOCKET_KEY);
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let trusted = self.trusts_origin(request);
        let foreign = request.headers().contains_key(header::ORIGIN) && !trusted;
        if (changes || websocket) && (foreign || (by_cookie && !trusted)) {
            let detail = "a page of another origin may not do this; see server.allowed_origins";
            return Err(ApiError::denied(StatusCode::FORBIDDEN, "request.foreign_origin", detail));
        }
        Ok(())
    }

    /// Counts a request of somebody who isn't known, at an address.
    pub fn admit_stranger(&self, ip: IpAddr) -> Result<(), ApiError> {
        self.admit_key(&format!("@{ip}"))
    }

    fn admit_rate(&self, request: &HttpRequest, subject: Option<&str>) -> Result<(), ApiError> {
        let ip = peer_ip(request);
        self.admit_key(&format!("{}@{ip}", subject.unwrap_or_default()))
    }

    fn admit_key(&self, key: &String) -> Result<(), ApiError> {
        self.requests.check_key(key).map_err(|_| too_many(1))
    }

    /// Counts a change of a model's key.
    pub fn admit_key_change(&self, subject: &str) -> Result<(), ApiError> {
        self.key_changes.check_key(&subject.to_owned()).map_err(|_| too_many(2))
    }
}

fn too_many(retry_after: u64) -> ApiError {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let denied = ApiError::denied(status, "request.too_many", "too many requests");
    ApiError { retry_after: Some(retry_after), ..denied }
}

/// The middleware.
#[expect(clippy::missing_panics_doc, reason = "it can't: boot gives every app its front")]
pub async fn stand(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let front = request.app_data::<web::Data<Front>>().expect("every app has its front").clone();
    let method = request.method().clone();
    let path = request.path().to_owned();
    let mut response = match front.guard.admit(&front, request.request()) {
        Ok(()) => match next.call(request).await {
            Ok(response) => response.map_into_boxed_body(),
            Err(error) => return Err(error),
        },
        Err(denied) => request.into_response(denied.error_response()).map_into_boxed_body(),
    };
    secure(&mut response, &path);
    let took = began.elapsed();
    let status = response.status().as_u16();
    if took > Duration::from_secs(1) || status >= 500 {
        tracing::warn!(%method, path, status, took_ms = millis(took), "request answered late or badly");
    } else {
        tracing::debug!(%method, path, status, took_ms = millis(took), "request answered");
    }
    Ok(response)
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn secure(response: &mut ServiceResponse<BoxBody>, path: &str) {
    let has_cache_rule = response.headers().contains_key(header::CACHE_CONTROL);
    let own = response.response().extensions().get::<PagePolicy>().map(|policy| {
        let PagePolicy { nonce, frames } = policy;
        let styles = CSP.replace("style-src 'self'", &format!("style-src 'self' 'nonce-{nonce}'"));
        format!("{styles}; frame-src {frames}")
    });
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    let raw_file = path.contains("/files/");
    // A file of the workspace is shown as bytes, never run as a page of this origin.
    set(
        header::CONTENT_SECURITY_POLICY,
        if raw_file { "sandbox; default-src 'none'" } else { CSP },
    );
    if !has_cache_rule {
        set(header::CACHE_CONTROL, "no-store");
    }
    if let Some(own) = own.and_then(|own| HeaderValue::try_from(own).ok()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, own);
    }
}

/// What no route takes.
pub async fn not_found(front: web::Data<Front>, request: HttpRequest) -> HttpResponse {
    let error = ApiError::denied(
        StatusCode::NOT_FOUND,
        "route.not_found",
        "there is nothing at this address",
    );
    crate::routes::pages::problem(&front, &request, &error)
}

/// A known address asked in a way that it isn't made for.
pub async fn wrong_method() -> HttpResponse {
    let detail = "this address does not take this method";
    ApiError::denied(StatusCode::METHOD_NOT_ALLOWED, "route.method_not_allowed", detail)
        .error_response()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn guard() -> Guard {
        Guard::new(true, vec!["box.example".into()], vec!["https://ui.example".into()], 10, 10)
    }

    #[test]
    fn only_names_of_this_machine_and_configured_ones_are_answered() {
        let guard = guard();
        for known in ["localhost", "127.0.0.1:3000", "[::1]:3000", "box.example:80", "localhost:1"]
        {
            assert!(guard.knows_host(known), "{known}");
        }
        for unknown in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""] {
            assert!(!guard.knows_host(unknown), "{unknown}");
        }
    }

    #[test]
    fn only_pages_of_this_origin_and_configured_ones_are_trusted() {
        let guard = guard();
        let asked = |origin: Option<&str>, site: Option<&str>| {
            let mut request =
                TestRequest::default().insert_header((header::HOST, "127.0.0.1:3000"));
            if let Some(origin) = origin {
                request = request.insert_header((header::ORIGIN, origin));
            }
            if let Some(site) = site {
                request = request.insert_header(("Sec-Fetch-Site", site));
            }
            guard.trusts_origin(&request.to_http_request())
        };
        assert!(asked(Some("http://127.0.0.1:3000"), None));
        assert!(asked(Some("https://ui.example"), None));
        assert!(asked(None, Some("same-origin")));
        for foreign in [
            "http://127.0.0.1:3001",
            "null",
            "https://evil.example",
            "http://127.0.0.1:3000.evil.example",
        ] {
            assert!(!asked(Some(foreign), Some("same-site")), "{foreign}");
        }
        assert!(!asked(None, None));
        assert!(!asked(None, Some("cross-site")));
    }
}
