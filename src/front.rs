//! What every request handler may reach.

use std::{sync::Arc, time::Duration};

use actix::Addr;
use serde::Serialize;
use staithe_actors::{
    Registry, Secrets, SessionHandle, SessionManager, mail, session_manager::messages::OpenSession,
};
use staithe_protocol::{SessionId, api::Resources};
use tokio::{sync::watch, time::Instant};

use crate::{
    assets::Assets,
    auth::{Identity, Need, keys::Keys, sign_in::SignIns},
    config::git::TokensFor,
    error::ApiError,
    guard::Guard,
    links::Links,
    models::book::Book,
    overview::Overview,
    presence::Presence,
    proxy::settings::ProxySettings,
};

/// Shared by all workers.
pub struct Front {
    pub manager: Addr<SessionManager>,
    pub registry: Registry,
    pub keys: Keys,
    pub sign_ins: SignIns,
    pub guard: Guard,
    pub assets: Assets,
    pub settings: FrontSettings,
    pub engine: EngineView,
    /// Models and keys.
    pub models: Arc<Book>,
    /// Links that let others into sessions.
    pub links: Links,
    /// Figures of the last day.
    pub overview: Overview,
    /// Who looks at which session.
    pub presence: Arc<Presence>,
    /// What must not get out.
    pub secrets: Secrets,
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub started: Instant,
    /// Set when the server is asked to end.
    pub draining: watch::Sender<bool>,
}

/// What an archive that is unpacked may be; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    pub entries: u64,
    pub bytes: u64,
    /// Of the bytes unpacked to those of the archive.
    pub ratio: u64,
}

/// What the front is told by the configuration.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    pub sign_in_ttl: Duration,
    pub session_token_ttl: Duration,
    pub max_body: usize,
    /// Bytes; 0: no limit.
    pub max_upload: u64,
    pub archives: ArchiveLimits,
    /// The effective configuration as TOML, secrets masked.
    pub shown_config: String,
    pub keep_sandboxes: bool,
    pub proxy: ProxySettings,
    /// Patterns; none: any image.
    pub allowed_images: Vec<String>,
    /// What a session may be given; where one is none, as much as it likes.
    pub most: Resources,
    /// Whose sessions the configuration's tokens of git open repositories for.
    pub git_tokens_for: TokensFor,
}

/// The engine. `/health` tells its kind and isolation to anyone; the rest is for operators.
#[derive(Clone, Debug)]
pub struct EngineView {
    pub kind: String,
    pub isolation: IsolationView,
    /// What it is, as name and value.
    pub facts: Vec<(String, String)>,
    /// What the configuration asks that it can't do.
    pub lacks: Vec<String>,
    pub pause: bool,
    pub pool: bool,
}

/// What a sandbox is kept from here, and what not.
#[derive(Clone, Debug, Serialize)]
pub struct IsolationView {
    pub tier: String,
    pub protects: Vec<String>,
    pub exposes: Vec<String>,
}

impl Front {
    /// Who shows this token, if it still holds.
    pub fn identify(&self, token: &str) -> Result<Identity, ApiError> {
        let identity = self.keys.identify(token)?;
        self.links.check(&identity)?;
        Ok(identity)
    }

    /// Whether a caller may do this in a session.
    pub fn authorize(
        &self,
        identity: &Identity,
        need: Need,
        id: SessionId,
    ) -> Result<(), ApiError> {
        identity.may(need, id, self.registry.owner(id).as_deref())
    }

    /// A session's handle, for a caller who may do this in it.
    pub async fn open(
        &self,
        identity: &Identity,
        need: Need,
        id: SessionId,
    ) -> Result<SessionHandle, ApiError> {
        self.authorize(identity, need, id)?;
        if let Some(handle) = self.registry.live(id) {
            return Ok(handle);
        }
        Ok(mail::ask(&self.manager, OpenSession(id)).await??)
    }
}

/// Parses an id from a path.
pub fn session_id(text: &str) -> Result<SessionId, ApiError> {
    text.parse().map_err(|_| ApiError::no_session())
}
