//! How repositories are fetched for sessions.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use staithe_protocol::{frames::Role, runner::Credential, secret::Secret};

use super::units::Span;

/// See `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Git {
    pub clone_timeout: Span,
    pub tokens_for: TokensFor,
    pub tokens: BTreeMap<String, SecretString>,
}

/// Whose sessions may be cloned with the configuration's tokens. Who may, holds them: the sandbox is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokensFor {
    Operators,
    Everyone,
}

impl TokensFor {
    /// Whether a session that this caller makes is one of them.
    pub fn includes(self, role: Role) -> bool {
        match self {
            Self::Operators => role == Role::Operator,
            Self::Everyone => matches!(role, Role::User | Role::Operator),
        }
    }
}

/// `token` or `user:token`. Those who give tokens out take any name beside one.
pub fn as_credential(text: &str) -> Credential {
    let (user, token) = text.split_once(':').unwrap_or(("x-access-token", text));
    Credential { user: user.to_owned(), token: Secret::new(token) }
}

impl Git {
    /// What opens repositories, by host.
    pub fn credentials(&self) -> BTreeMap<String, Credential> {
        let one = |(host, token): (&String, &SecretString)| {
            let host = host.to_ascii_lowercase();
            let place = host.strip_suffix(":443").unwrap_or(&host);
            (place.to_owned(), as_credential(token.expose_secret()))
        };
        self.tokens.iter().map(one).collect()
    }

    /// What must not appear anywhere: with a user's name before it, the token alone too.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        self.tokens.values().flat_map(|secret| {
            let whole = secret.expose_secret();
            let token = whole.split_once(':').map(|(_, token)| token.to_owned());
            [Some(whole.to_owned()), token].into_iter().flatten()
        })
    }

    /// What is wrong with it.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (host, token) in &self.tokens {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
            if host.is_empty() || !host.chars().all(plain) {
                faults.push(format!(
                    "git.tokens: {host:?} is no host, as \"git.example\" or \"git.example:8443\""
                ));
            }
            let token = token.expose_secret();
            let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
            if token.len() < 6 || token.len() > 1000 || !visible {
                faults.push(format!("git.tokens.{host}: 6 to 1000 visible characters"));
            }
        }
        if self.clone_timeout.0.is_zero() {
            faults.push("git.clone_timeout: more than 0s".to_owned());
        }
        faults
    }
}
