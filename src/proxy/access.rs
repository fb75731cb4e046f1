//! Who asks for a port, and whether they may.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::http::StatusCode;
use hyper::{HeaderMap, Method, header};
use tokio::time::Instant;

use super::{
    address::{Form, Target},
    cookies, crossing,
    outside::Outside,
};
use crate::{
    auth::{COOKIE, Identity, Need, two_sign_ins},
    error::ApiError,
    front::Front,
};

/// The cookie that a ticket becomes.
pub const SANDBOX_COOKIE: &str = "staithe_sandbox";
/// The parameter that carries a ticket.
pub const TICKET: &str = "staithe_ticket";
/// How long the cookie opens what the ticket opened, at most.
const SANDBOX_TTL: Duration = Duration::from_hours(24);
/// How long a ticket works, when it isn't used.
pub const TICKET_TTL: Duration = Duration::from_mins(1);

/// What a caller showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Header,
    /// The cookie of the control pages, which opens all that its user may open.
    SignIn,
    /// The cookie of this session alone.
    Sandbox,
}

/// A caller who may go on.
#[derive(Debug)]
pub struct Caller {
    pub identity: Identity,
    /// By what; where `Authorization` was ours, it stays here.
    pub shown: Shown,
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
    let foreign = |why| ApiError::denied(StatusCode::FORBIDDEN, "proxy.foreign_page", why);
    if caller.shown != Shown::Header {
        crossing::allow(method, headers, outside, target).map_err(foreign)?;
    }
    if caller.shown == Shown::SignIn && target.form != Form::Host {
        crossing::allow_sign_in(method, headers).map_err(foreign)?;
    }
    Ok(caller)
}

/// The cookie that a page by path uses from now on in place of the sign-in: it is sent for its own session only.
pub fn exchanged(
    front: &Front,
    caller: &Caller,
    headers: &HeaderMap,
    outside: &Outside,
    target: &Target,
) -> Option<String> {
    let is_due =
        caller.shown == Shown::SignIn && target.form != Form::Host && crossing::navigates(headers);
    // As long as the sign-in: a page out of the browser's store asks for no other.
    let lifetime = front.settings.sign_in_ttl;
    is_due.then(|| sandbox_cookie(front, &caller.identity, outside, target, lifetime)).flatten()
}

fn identify(front: &Front, headers: &HeaderMap, target: &Target) -> Result<Caller, ApiError> {
    let shown = bearer(headers).map(|token| front.identify(token));
    let mut denied = ApiError::denied(
        StatusCode::UNAUTHORIZED,
        "auth.required",
        "sign in, or send Authorization: Bearer <token>",
    );
    // One of ours that is too old is no program's, either.
    let mut keep_authorization = true;
    match shown {
        Some(Ok(identity)) => {
            return Ok(Caller { identity, shown: Shown::Header, keep_authorization: false });
        }
        Some(Err(error)) => {
            keep_authorization = !["auth.expired_token", "auth.link_over"].contains(&error.code);
            denied = error;
        }
        None => {}
    }
    let by_cookie = |identity, shown| Caller { identity, shown, keep_authorization };
    if let Some(token) = cookies::value(headers, SANDBOX_COOKIE)
        && let Ok((identity, session)) = front.keys.open_sandbox(token)
        && session == target.session
        && front.links.check(&identity).is_ok()
    {
        return Ok(by_cookie(identity, Shown::Sandbox));
    }
    if cookies::values(headers, COOKIE).nth(1).is_some() {
        return Err(two_sign_ins());
    }
    match cookies::value(headers, COOKIE).map(|token| front.identify(token)) {
        Some(Ok(identity)) => Ok(by_cookie(identity, Shown::SignIn)),
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
