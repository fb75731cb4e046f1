//! Loading a session from the store: what its actors start from.

use std::sync::Arc;

use serde::Deserialize;
use staithe_agent::controller::Controller;
use staithe_protocol::{Event, EventId, SessionId};
use staithe_store::{Store, StoreFailed};

use crate::{
    agent_session::{chosen::Chosen, found::Found, restore::Restored, state::Pending},
    event_stream::hash_reference,
    record::SessionRecord,
    session_manager::messages::OpenFailed,
    settings::Settings,
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
pub struct History {
    pub(crate) head: Option<EventId>,
    pub(crate) controller: Box<Controller>,
    pub(crate) unanswered: Vec<Pending>,
    pub(crate) found: Found,
}

impl History {
    /// Of a log without events.
    pub(crate) fn new(chosen: &Chosen) -> Self {
        let controller = Box::new(Controller::new(chosen.configured.clone()));
        Self { head: None, controller, unanswered: Vec::new(), found: Found::default() }
    }
}

/// Loads one session.
pub(super) async fn session(
    store: Arc<dyn Store>,
    settings: Arc<Settings>,
    id: SessionId,
) -> Result<Loaded, OpenFailed> {
    let unreadable = |error: StoreFailed| OpenFailed::Unreadable(error.to_string());
    let row = store.get_session(id).await.map_err(unreadable)?.ok_or(OpenFailed::NotFound(id))?;
    let record = SessionRecord::from_row(&row)
        .map_err(|error| OpenFailed::Unreadable(format!("its record: {error}")))?;
    let references = store.references(id).await.map_err(unreadable)?;
    let references = references.iter().map(|name| hash_reference(name)).collect();
    let history = history(store, id, &settings.chosen(&record)).await.map_err(unreadable)?;
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

/// Reads a session's log from its beginning.
pub(crate) async fn history(
    store: Arc<dyn Store>,
    id: SessionId,
    chosen: &Chosen,
) -> Result<History, StoreFailed> {
    let mut history = History::new(chosen);
    let mut restored = Restored::default();
    loop {
        let page = store.read(id, history.head, PAGE, PAGE_BYTES).await?;
        let Some(last) = page.last() else { break };
        history.head = Some(last.id);
        for stored in page {
            if let Some(event) = understood::<Event>(id, stored.id, &stored.body) {
                history.controller.restore(&event);
                restored.take(&event);
            }
        }
    }
    (history.unanswered, history.found) = restored.finish();
    Ok(history)
}
