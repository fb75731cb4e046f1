//! Loading a session from the store: what its actors start from.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::Deserialize;
use staithe_protocol::{AgentState, EventId, SessionId};
use staithe_store::{Store, StoreFailed};

use crate::{
    agent_session::{restore::Restored, state::Pending},
    event_stream::hash_reference,
    record::SessionRecord,
    session_manager::messages::OpenFailed,
};

/// Events read at a time.
const PAGE: usize = 1024;
/// Bytes read at a time.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A session out of the store.
pub(super) struct Loaded {
    pub(super) record: SessionRecord,
    pub(super) history: History,
    pub(super) references: Vec<u64>,
}

/// What the log says.
pub(crate) struct History {
    pub(crate) head: Option<EventId>,
    pub(crate) agent: AgentState,
    pub(crate) unanswered: Vec<Pending>,
}

/// Loads one session.
pub(super) async fn session(store: Arc<dyn Store>, id: SessionId) -> Result<Loaded, OpenFailed> {
    let unreadable = |error: StoreFailed| OpenFailed::Unreadable(error.to_string());
    let row = store.get_session(id).await.map_err(unreadable)?.ok_or(OpenFailed::NotFound(id))?;
    let record = SessionRecord::from_row(&row)
        .map_err(|error| OpenFailed::Unreadable(format!("its record: {error}")))?;
    let references = store.references(id).await.map_err(unreadable)?;
    let references = references.iter().map(|name| hash_reference(name)).collect();
    let history = history(store, id).await.map_err(unreadable)?;
    Ok(Loaded { record, history, references })
}

/// An event of a later version is kept, replayed, and without meaning here.
fn understood<'a, T: Deserialize<'a>>(id: SessionId, event: EventId, body: &'a [u8]) -> Option<T> {
    let outcome = serde_json::from_slice(body);
    let warn = |error: &serde_json::Error| {
        tracing::warn!(session_id = %id, event_id = %event, %error, "a stored event can't be understood");
    };
    outcome.inspect_err(warn).ok()
}

/// What of a stored event decides whether it has to be understood whole.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(default)]
    cause: Option<EventId>,
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    observation: Option<Cow<'a, str>>,
}

/// Reads a session's log from its beginning. Of a long one, nearly all is history: only what has no
/// observation yet, and what changed the agent's state, is understood whole.
pub(crate) async fn history(store: Arc<dyn Store>, id: SessionId) -> Result<History, StoreFailed> {
    let mut restored = Restored::default();
    let mut open: BTreeMap<EventId, Bytes> = BTreeMap::new();
    let mut head = None;
    loop {
        let page = store.read(id, head, PAGE, PAGE_BYTES).await?;
        let Some(last) = page.last() else { break };
        head = Some(last.id);
        for stored in page {
            let Some(glance) = understood::<Glance<'_>>(id, stored.id, &stored.body) else {
                continue;
            };
            if let Some(cause) = glance.cause.filter(|_| glance.observation.is_some()) {
                open.remove(&cause);
            }
            if glance.observation.as_deref() == Some("agent_state_changed") {
                restored.extend(understood(id, stored.id, &stored.body));
            }
            if glance.action.is_some() {
                open.insert(stored.id, stored.body);
            }
        }
    }
    for (event, body) in open {
        restored.extend(understood(id, event, &body));
    }
    let (agent, unanswered) = restored.finish();
    Ok(History { head, agent, unanswered })
}
