//! Who asks, and what they may do.

pub mod keys;
pub mod sign_in;

use std::{
    future::{Ready, ready},
    net::IpAddr,
    time::Duration,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::StatusCode, http::header, web};
use serde::{Deserialize, Serialize};
use staithe_protocol::{SessionId, frames::Role};

use crate::{error::ApiError, front::Front, proxy::cookies::named};

/// The sign-in cookie's name.
pub const COOKIE: &str = "staithe_sign_in";

/// A caller whose word was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Whose sessions they are.
    pub subject: String,
    pub role: Role,
    /// The one session that it opens, for the roles `viewer` and `editor`.
    pub session: Option<SessionId>,
    /// When the token that was shown ends, in seconds since 1970; none for those that the configuration names.
    #[serde(skip)]
    pub until: Option<u64>,
    /// The link by which they came, which can be taken back.
    #[serde(skip)]
    pub link: Option<String>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Read,
    Write,
}

impl Identity {
    /// So long, and no longer than what was shown.
    pub fn at_most(&self, lifetime: Duration) -> Duration {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let left = self.until.map(|until| Duration::from_secs(until.saturating_sub(now)));
        left.map_or(lifetime, |left| left.min(lifetime))
    }

    /// Whether this caller may make sessions.
    pub fn may_create(&self) -> Result<(), ApiError> {
        match self.role {
            Role::User | Role::Operator => Ok(()),
            Role::Viewer | Role::Editor => Err(forbidden("this token opens one session only")),
        }
    }

    /// Whether this caller operates the server.
    pub fn must_operate(&self) -> Result<(), ApiError> {
        if self.role == Role::Operator { Ok(()) } else { Err(forbidden("this is for operators")) }
    }

    /// Whether this caller may do this in a session of that owner.
    pub fn may(&self, need: Need, id: SessionId, owner: Option<&str>) -> Result<(), ApiError> {
        match (self.role, self.session) {
            (Role::Operator, _) => {}
            (Role::Viewer | Role::Editor, only) => {
                if only != Some(id) {
                    return Err(forbidden("this token opens another session"));
                }
            }
            (Role::User, _) => {
                if owner != Some(&self.subject) {
                    return Err(ApiError::no_session());
                }
            }
        }
        if owner.is_none() {
            return Err(ApiError::no_session());
        }
        if need == Need::Write && self.role == Role::Viewer {
            let detail = "a viewer changes nothing";
            return Err(ApiError::denied(StatusCode::FORBIDDEN, "auth.read_only", detail));
        }
        Ok(())
    }
}

fn forbidden(detail: &str) -> ApiError {
    ApiError::denied(StatusCode::FORBIDDEN, "auth.forbidden", detail)
}

/// How the caller showed who they are. A cookie is sent by a browser on its own, so it takes a check
/// of the origin too (see [`crate::guard`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Bearer,
    Cookie,
}

/// Checks a request's credentials.
pub fn identify(front: &Front, request: &HttpRequest) -> Result<(Identity, Shown), ApiError> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.ok_or_else(|| {
            unauthorized("auth.malformed", "Authorization: Bearer <token> is expected")
        })?;
        return Ok((front.identify(token)?, Shown::Bearer));
    }
    let cookies = request.headers().get_all(header::COOKIE).map(header::HeaderValue::as_bytes);
    let mut sign_ins = named(cookies, COOKIE);
    match (sign_ins.next(), sign_ins.next()) {
        (Some(token), None) => Ok((front.identify(token)?, Shown::Cookie)),
        (Some(_), Some(_)) => Err(two_sign_ins()),
        (None, _) => {
            Err(unauthorized("auth.required", "sign in, or send Authorization: Bearer <token>"))
        }
    }
}

/// A page of a sandbox that shares our host can set one for a path, and so somebody else's sign-in. The browser
/// sends that one first, and does not say which is which.
pub fn two_sign_ins() -> ApiError {
    let detail = "two sign-ins came along; remove this site's cookies and sign in again";
    ApiError::bad_request("auth.ambiguous", detail)
}

fn unauthorized(code: &'static str, detail: &str) -> ApiError {
    ApiError::denied(StatusCode::UNAUTHORIZED, code, detail)
}

impl FromRequest for Identity {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let front = request.app_data::<web::Data<Front>>().expect("every app has its front");
        ready(identify(front, request).map(|(identity, _)| identity))
    }
}

/// The address that counts as the caller's for limits.
pub fn peer_ip(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(role: Role, session: Option<SessionId>) -> Identity {
        Identity { subject: "ann".into(), role, session, until: None, link: None }
    }

    #[test]
    fn each_role_opens_what_is_its_own_and_nothing_else() {
        let [mine, other] = [(); 2].map(|()| SessionId::generate());
        let cases = [
            (identity(Role::Operator, None), other, Some("bob"), Need::Write, None),
            (identity(Role::User, None), mine, Some("ann"), Need::Write, None),
            (identity(Role::User, None), other, Some("bob"), Need::Read, Some("session.not_found")),
            (identity(Role::Editor, Some(mine)), mine, Some("bob"), Need::Write, None),
            (
                identity(Role::Editor, Some(mine)),
                other,
                Some("ann"),
                Need::Read,
                Some("auth.forbidden"),
            ),
            (identity(Role::Viewer, Some(mine)), mine, Some("ann"), Need::Read, None),
            (
                identity(Role::Viewer, Some(mine)),
                mine,
                Some("ann"),
                Need::Write,
                Some("auth.read_only"),
            ),
            (identity(Role::Operator, None), other, None, Need::Read, Some("session.not_found")),
        ];
        for (identity, id, owner, need, expected) in cases {
            let code = identity.may(need, id, owner).err().map(|error| error.code);
            assert_eq!(code, expected, "{identity:?} {need:?}");
        }
    }
}
