//! Loading a session from the store: what its actors start from.

use std::sync::Arc;

use staithe_protocol::{AgentState, Event, EventId, SessionId};
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

/// Reads a session's log from its beginning.
pub(crate) async fn history(store: Arc<dyn Store>, id: SessionId) -> Result<History, StoreFailed> {
    let mut restored = Restored::default();
    let mut head = None;
    loop {
        let page = store.read(id, head, PAGE, PAGE_BYTES).await?;
        let Some(last) = page.last() else { break };
        head = Some(last.id);
        for stored in page {
            match serde_json::from_slice::<Event>(&stored.body) {
                Ok(event) => restored.take(event),
                // An event of a later version: kept, replayed, and without meaning here.
                Err(error) => {
                    tracing::warn!(session_id = %id, event_id = %stored.id, %error, "a stored event can't be understood");
                }
            }
        }
    }
    let (agent, unanswered) = restored.finish();
    Ok(History { head, agent, unanswered })
}
