//! Who asks for a port, and whether they may.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::http::StatusCode;
use hyper::{HeaderMap, Method, header};
use tokio::time::Instant;

use super::{address::Target, cookies, crossing, outside::Outside};
use crate::{
    auth::{COOKIE, Identity, Need},
    error::ApiError,
    front::Front,
};

/// The cookie that a ticket becomes.
pub const SANDBOX_COOKIE: &str = "staithe_sandbox";
/// The parameter that carries a ticket.
pub const TICKET: &str = "staithe_ticket";
/// How long a ticket works, when it isn't used.
pub const TICKET_TTL: Duration = Duration::from_mins(1);

/// A caller who may go on.
/// How long the cookie opens what the ticket opened, at most.
const SANDBOX_TTL: Duration = Duration::from_hours(24);
#[derive(Debug)]
pub struct Caller {
    pub identity: Identity,
    /// Whether `Authorization` was ours: then it stays here.
    pub by_header: bool,
    /// Whether it is not ours but the program's.
    pub keep_authorization: bool,
}

/// Tickets that were used, until they would have expired.
#[derive(Default)]
pub struct Used(Mutex<HashMap<String, Instant>>);

impl Used {
    fn first_use(&self, id: String) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        used.retain(|_, until| *until > now);
        // Longer than the ticket lives, by more than clocks may differ.
        used.insert(id, now + 2 * TICKET_TTL).is_none()
    }
}

/// The caller of a request.
pub fn check(
    front: &Front,
    method: &Method,
    headers: &HeaderMap,
    outside: &Outside,
    target: &Target,
) -> Result<Caller, ApiError> {
    let caller = identify(front, headers, target)?;
    let proxy = &front.settings.proxy;
    let need = if proxy.viewers { Need::Read } else { Need::Write };
    front.authorize(&caller.identity, need, target.session)?;
    if !caller.by_header {
        crossing::allow(method, headers, outside, target)
            .map_err(|why| ApiError::denied(StatusCode::FORBIDDEN, "proxy.foreign_page", why))?;
    }
    Ok(caller)
}

fn identify(front: &Front, headers: &HeaderMap, target: &Target) -> Result<Caller, ApiError> {
    let shown = bearer(headers).map(|token| front.keys.identify(token));
    let mut denied = ApiError::denied(
        StatusCode::UNAUTHORIZED,
        "auth.required",
        "sign in, or send Authorization: Bearer <token>",
    );
    // One of ours that is too old is no program's, either.
    let mut keep_authorization = true;
    match shown {
        Some(Ok(identity)) => {
            return Ok(Caller { identity, by_header: true, keep_authorization: false });
        }
        Some(Err(error)) => {
            keep_authorization = error.code != "auth.expired_token";
            denied = error;
        }
        None => {}
    }
    let by_cookie = |identity| Caller { identity, by_header: false, keep_authorization };
    if let Some(token) = cookies::value(headers, SANDBOX_COOKIE)
        && let Ok((identity, session)) = front.keys.open_sandbox(token)
        && session == target.session
    {
        return Ok(by_cookie(identity));
    }
    match cookies::value(headers, COOKIE).map(|token| front.keys.identify(token)) {
        Some(Ok(identity)) => Ok(by_cookie(identity)),
        Some(Err(error)) => Err(error),
        None => Err(denied),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A ticket in a query, and the query without it.
pub fn ticket(query: &str) -> Option<(&str, String)> {
    let named = |pair: &&str| pair.strip_prefix(TICKET).is_some_and(|rest| rest.starts_with('='));
    let pair = query.split('&').find(named)?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !named(pair)).collect();
    Some((&pair[TICKET.len() + 1..], rest.join("&")))
}

/// The cookie for a ticket that is good; none when it was used or is no good.
pub fn redeem(
    front: &Front,
    used: &Used,
    token: &str,
    outside: &Outside,
    target: &Target,
) -> Option<String> {
    let (identity, session, id) = front.keys.open_ticket(token).ok()?;
    if session != target.session || !used.first_use(id) {
        return None;
    }
    sandbox_cookie(front, &identity, outside, target, SANDBOX_TTL.min(front.settings.sign_in_ttl))
}

/// The cookie that opens this session's ports, for so long and no longer than what the caller showed.
fn sandbox_cookie(
    front: &Front,
    identity: &Identity,
    outside: &Outside,
    target: &Target,
    lifetime: Duration,
) -> Option<String> {
    let lifetime = identity.at_most(lifetime);
    let token = front.keys.sign_sandbox(identity, target.session, lifetime).ok()?;
    let path = format!("{}{}/", outside.prefix, target.session_path);
    let secure = if outside.proto == "https" { "; Secure" } else { "" };
    let seconds = lifetime.as_secs();
    Some(format!(
        "{SANDBOX_COOKIE}={token}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_cut_out_and_the_rest_stays() {
        assert_eq!(ticket("a=1&staithe_ticket=x.y&b=%26"), Some(("x.y", "a=1&b=%26".into())));
        assert_eq!(ticket("staithe_ticket=x"), Some(("x", String::new())));
        assert_eq!(ticket("staithe_tickets=x&a"), None);
        assert_eq!(ticket(""), None);
    }

    #[test]
    fn a_ticket_is_good_once() {
        let used = Used::default();
        assert!(used.first_use("a".into()) && used.first_use("b".into()));
        assert!(!used.first_use("a".into()));
    }
}
