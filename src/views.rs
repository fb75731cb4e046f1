//! What pages are given: templates get these and nothing else.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// What every page needs.
#[derive(Debug, Serialize)]
pub struct Page<'a> {
    pub static_base: String,
    pub lang: &'a str,
    /// The messages of the language.
    pub t: &'a Value,
    pub version: &'static str,
    pub signed_in: bool,
    pub operator: bool,
    /// Empty when nobody is signed in.
    pub user_name: String,
    /// `viewer`, `editor`, `user`, `operator`; empty when nobody is signed in.
    pub role: &'static str,
    /// Whether this build has the libraries of the terminal, the editor and the plots.
    pub has_libraries: bool,
    /// By page: the modules that its own need, so that they are fetched at once and not one after the other.
    pub modules: &'a BTreeMap<&'static str, Vec<String>>,
}

/// The sign-in page.
#[derive(Debug, Serialize)]
pub struct SignIn<'a> {
    #[serde(flatten)]
    pub page: Page<'a>,
    /// `""`, `wrong_token` or `used_link`.
    pub error: &'a str,
    pub next: &'a str,
}

/// The sessions.
#[derive(Debug, Serialize)]
pub struct SessionsPage<'a> {
    #[serde(flatten)]
    pub page: Page<'a>,
    /// Whether a session may be given limits of its own.
    pub has_limits: bool,
    /// GiB; none: no limit.
    pub most_memory: Option<f64>,
    pub most_cpus: Option<f64>,
}

/// One session.
#[derive(Debug, Serialize)]
pub struct SessionPage<'a> {
    #[serde(flatten)]
    pub page: Page<'a>,
    pub session_id: String,
    pub session_title: String,
    /// For style sheets that the page's libraries make; of this answer alone.
    pub nonce: String,
}

/// A link that somebody who is signed in followed.
#[derive(Debug, Serialize)]
pub struct JoinPage<'a> {
    #[serde(flatten)]
    pub page: Page<'a>,
    /// `viewer` or `editor`.
    pub guest: &'a str,
    pub link: &'a str,
}

/// In place of what runs in a sandbox.
#[derive(Debug, Serialize)]
pub struct PortPage<'a> {
    pub lang: &'a str,
    /// The messages of the language.
    pub t: &'a Value,
    /// `nothing`, `waking`, `ended`, `sign_in` or `refused`.
    pub kind: &'a str,
    pub detail: &'a str,
    pub code: &'a str,
    /// Whether it is worth to look again.
    pub refresh: bool,
    pub control_url: String,
}

/// What can't be shown.
#[derive(Debug, Serialize)]
pub struct ErrorPage<'a> {
    #[serde(flatten)]
    pub page: Page<'a>,
    pub status: u16,
    pub title: String,
    pub detail: String,
    pub code: &'a str,
}
