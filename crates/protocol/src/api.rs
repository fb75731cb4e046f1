//! Bodies of the REST interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentState, EventId, Phase, PhaseView, Progress, SessionId, StartStep, frames::Role,
    secret::Secret,
};

/// `POST /api/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CreateSession {
    /// The sandbox's image; the engine `local` has none and refuses it.
    pub image: Option<String>,
    /// Up to 200 characters.
    pub title: Option<String>,
    /// A first message to the agent.
    pub first_message: Option<String>,
    /// A repository to clone into the workspace, before the first message is taken: an https or ssh URL, or
    /// `owner/name`.
    pub repository: Option<String>,
    /// The branch or tag of it that is checked out; else its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Opens the repository, as `token` or `user:token`: given to git once, and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_token: Option<Secret>,
    /// The name of the group of models that the agent uses; else the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What its sandbox may use at most, instead of the configuration's; the engine `local` can't limit that and
    /// refuses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// At most 32; keys and values up to 200 characters.
    pub labels: BTreeMap<String, String>,
}

/// What a sandbox may use at most. What is left out is as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Bytes, 64 MiB or more; swap is not added to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processors' worth of time, 0.1 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionBody {
    pub id: SessionId,
    #[serde(flatten)]
    pub phase: PhaseView,
    pub title: String,
    pub owner: String,
    pub agent_state: AgentState,
    /// The newest event's id; −1 when there is none.
    pub head: i64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; the last event.
    pub updated_at: String,
    pub labels: BTreeMap<String, String>,
    /// `WebSocket`s that are joined now.
    pub clients: u64,
}

/// The answer to `POST /api/sessions`: the session and a token that opens it alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionCreated {
    /// Opens this session with the role `editor`.
    pub token: String,
    #[serde(flatten)]
    pub session: SessionBody,
}

/// `GET /api/sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionList {
    pub sessions: Vec<SessionBody>,
    /// How many there are in all, before the page was cut.
    pub total: usize,
    /// Give it as `page` to go on; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<usize>,
}

/// `POST /api/sessions/{id}/actions`, 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActionAccepted {
    pub event_id: EventId,
}

/// `GET /api/sessions/{id}/events?after=&limit=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// In order of id, from `after`+1.
    pub events: Vec<Value>,
    /// Whether more are there now.
    pub has_more: bool,
    /// The newest event's id; −1 when there is none.
    pub head: i64,
}

/// `GET /api/sessions/{id}/ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortList {
    /// By number.
    pub ports: Vec<PortBody>,
}

/// A port that something listens on in the sandbox, and where a browser finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortBody {
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The plugin whose port it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// By path.
    pub url: String,
    /// On a host of its own, where there is a domain for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_url: Option<String>,
}

/// `POST /api/sessions/{id}/ports/{port}/ticket`: each address signs a browser in for this session's
/// ports, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortTicket {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_url: Option<String>,
    /// Seconds.
    pub expires_in: u64,
}

/// `PUT /api/sessions/{id}/title`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTitle {
    /// 1 to 200 characters.
    pub title: String,
}

/// `POST /api/sessions/{id}/links`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// `viewer` or `editor`.
    pub role: Role,
    /// Seconds, from a minute to thirty days; else a day.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// What it is for; up to 200 characters. Whoever comes by it is called so.
    #[serde(default)]
    pub name: Option<String>,
}

/// A link to one session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShareLink {
    pub id: String,
    pub role: Role,
    pub name: String,
    /// RFC 3339, as the others.
    pub created_at: String,
    pub created_by: String,
    pub expires_at: String,
    /// Since the server began; to the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// `GET /api/sessions/{id}/links`: those that hold, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShareLinkList {
    pub links: Vec<ShareLink>,
}

/// A link that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShareLinkMade {
    #[serde(flatten)]
    pub link: ShareLink,
    /// Opens the session in a browser; it is shown this once.
    pub url: String,
}

/// `GET /api/admin/overview`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminOverview {
    /// Of this moment.
    pub now: OverviewPoint,
    pub history: OverviewHistory,
}

/// The last day, since the server began: closely for an hour, once a minute before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverviewHistory {
    /// Between the newest points.
    pub every_seconds: u64,
    /// The oldest first.
    pub points: Vec<OverviewPoint>,
}

/// How the server was at a time. Totals are since it began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverviewPoint {
    /// RFC 3339.
    pub at: String,
    pub sessions: BTreeMap<Phase, u64>,
    /// `WebSocket`s.
    pub clients: u64,
    /// In all.
    pub events: u64,
    /// In all.
    pub starts: u64,
    /// Of the starts of the last minute; null when there was none.
    pub start_ms: Option<StartTimes>,
    /// In all: starts and sandboxes that failed.
    pub faults: u64,
    /// Cores that the server used since the last point.
    pub cpu: Option<f64>,
    /// The server's resident bytes.
    pub memory: Option<u64>,
    /// The machine's load average of one minute.
    pub load: Option<f64>,
}

/// How long starts took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StartTimes {
    pub p50: f64,
    pub p95: f64,
}

/// A problem body by RFC 9457, media type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// `about:blank`: the code is the type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    pub status: u16,
    /// What was wrong with this request, in words.
    pub detail: String,
    /// Stable; listed in `docs/errors.md`.
    pub code: String,
    /// For a 500: found in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For a 503 or 429: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_content: Option<String>,
    /// For `NOT_FOUND` of a file: where it is now, if it was seen to be renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

/// One client of a session, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientView {
    pub id: u64,
    pub role: Role,
    pub peer: String,
    /// The last event sent; −1 before the first.
    pub cursor: i64,
    /// Events behind the head.
    pub lag: u64,
    /// Seconds since it joined.
    pub connected_for: f64,
}

/// One step of a start with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepTime {
    pub step: StartStep,
    /// Milliseconds from the start's beginning to the step's.
    pub began_ms: u64,
    /// Milliseconds it took; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// `GET /api/admin/sessions/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminSession {
    #[serde(flatten)]
    pub session: SessionBody,
    pub connected: Vec<ClientView>,
    pub start_steps: Vec<StepTime>,
    /// Restarts of the sandbox within the budget's window.
    pub restarts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxView>,
}

/// The sandbox of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxView {
    pub id: String,
    pub engine: String,
    pub generation: u64,
    pub epoch: String,
}

/// `GET /api/admin/engine`: what the engine is and can do, and what waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminEngine {
    pub kind: String,
    /// Found out once, when the server started.
    pub facts: Vec<EngineFact>,
    /// What the configuration asks that the engine can't do, each with what happens instead.
    pub lacks: Vec<String>,
    /// Whether a sandbox can be frozen.
    pub pause: bool,
    /// Whether sandboxes can be started ahead.
    pub pool: bool,
    /// Sessions that wait for a place.
    pub waiting: u64,
    /// Sessions that are being started.
    pub starting: u64,
    /// Sessions whose sandbox answers.
    pub ready: u64,
    /// Images that are being built, in the order of asking.
    #[serde(default)]
    pub builds: Vec<AdminBuild>,
}

/// An image that is being built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminBuild {
    /// The name that it gets.
    pub image: String,
    /// The image that was asked for, which it is built on.
    pub asked: String,
    /// `waiting` (as many are built as may), `making` or `cancelled` (and about to end).
    pub state: String,
    /// Sessions that wait for it.
    pub waiters: u64,
    /// When the first one asked, RFC 3339.
    pub since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Something that an engine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EngineFact {
    pub name: String,
    pub value: String,
}
