//! What the front reads without asking anybody: every session's snapshot, and the live ones' handles.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix::Addr;
use dashmap::{DashMap, mapref::multiple::RefMulti};
use staithe_protocol::{AgentState, Phase, PhaseView, SessionId, StartStep, api::SessionBody};
use tokio::sync::watch;

use crate::{event_stream::feed::Feed, record::SessionRecord, session::Session};

/// What others may see of a session.
#[derive(Clone, Debug)]
pub struct SessionSnapshot {
    pub id: SessionId,
    pub title: String,
    pub owner: String,
    pub labels: BTreeMap<String, String>,
    pub phase: PhaseView,
    pub agent_state: AgentState,
    /// RFC 3339.
    pub created_at: String,
    pub updated_ms: i64,
    /// The newest event when the session was loaded; a live one's feed knows better.
    pub head: i64,
    /// The engine's name of its workspace, when there has been one.
    pub workspace: Option<String>,
}

impl SessionSnapshot {
    /// Of a session that rests.
    pub fn of(record: &SessionRecord, head: i64) -> Self {
        Self {
            id: record.id,
            title: record.title.clone(),
            owner: record.owner.clone(),
            labels: record.labels.clone(),
            phase: PhaseView { fault: record.fault.clone(), ..PhaseView::of(record.phase) },
            agent_state: record.agent_state,
            created_at: record.created_at.clone(),
            updated_ms: record.updated_ms,
            head,
            workspace: record.workspace.clone(),
        }
    }

    /// As a body of the REST interface.
    pub fn body(&self, feed: &Feed) -> SessionBody {
        self.with(feed.head(), feed.client_count())
    }

    /// As a body, of a session that isn't live.
    pub fn resting_body(&self) -> SessionBody {
        self.with(self.head, 0)
    }

    /// The phase with its step: a start that has not said more is looking for the sandbox.
    pub fn phase_view(&self) -> PhaseView {
        let mut view = self.phase.clone();
        if view.phase == Phase::Starting {
            view.step.get_or_insert(StartStep::Find);
        }
        view
    }

    fn with(&self, head: i64, clients: usize) -> SessionBody {
        let updated = jiff::Timestamp::from_millisecond(self.updated_ms).unwrap_or_default();
        SessionBody {
            id: self.id,
            phase: self.phase_view(),
            title: self.title.clone(),
            owner: self.owner.clone(),
            agent_state: self.agent_state,
            head,
            created_at: self.created_at.clone(),
            updated_at: updated.to_string(),
            labels: self.labels.clone(),
            clients: clients as u64,
        }
    }
}

/// A live session.
#[derive(Clone)]
pub struct SessionHandle {
    pub addr: Addr<Session>,
    pub feed: Arc<Feed>,
    pub snapshot: watch::Receiver<SessionSnapshot>,
}

impl SessionHandle {
    /// As a body of the REST interface.
    pub fn body(&self) -> SessionBody {
        self.snapshot.borrow().body(&self.feed)
    }
}

pub(super) struct Entry {
    pub(super) snapshot: watch::Receiver<SessionSnapshot>,
    pub(super) live: Option<SessionHandle>,
}

/// Every session of this installation. Written by the manager alone.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Arc<DashMap<SessionId, Entry>>,
    draining: Arc<AtomicBool>,
}

impl Registry {
    pub(super) fn rest(&self, snapshot: SessionSnapshot) {
        let (_, receiver) = watch::channel(snapshot);
        let id = receiver.borrow().id;
        self.entries.insert(id, Entry { snapshot: receiver, live: None });
    }

    pub(super) fn go_live(&self, id: SessionId, handle: SessionHandle) {
        self.entries.insert(id, Entry { snapshot: handle.snapshot.clone(), live: Some(handle) });
    }

    /// The actor is gone; what was last seen of it stays.
    pub(super) fn go_down(&self, id: SessionId) {
        if let Some(mut entry) = self.entries.get_mut(&id)
            && let Some(live) = entry.live.take()
        {
            let mut snapshot = live.snapshot.borrow().clone();
            snapshot.head = live.feed.head();
            entry.snapshot = watch::channel(snapshot).1;
        }
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.entries.remove(&id);
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether nothing new is taken any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether there is such a session.
    pub fn contains(&self, id: SessionId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Whose session it is.
    pub fn owner(&self, id: SessionId) -> Option<String> {
        Some(self.entries.get(&id)?.snapshot.borrow().owner.clone())
    }

    /// A session that is live now.
    pub fn live(&self, id: SessionId) -> Option<SessionHandle> {
        self.entries.get(&id)?.live.clone()
    }

    /// One session's body.
    pub fn body(&self, id: SessionId) -> Option<SessionBody> {
        Some(body(&*self.entries.get(&id)?))
    }

    /// All sessions' bodies, in no order.
    pub fn bodies(&self) -> Vec<SessionBody> {
        self.entries.iter().map(|entry| body(entry.value())).collect()
    }

    /// Sessions by phase.
    pub fn count(&self, phase: Phase) -> usize {
        self.entries.iter().filter(|entry| entry.snapshot.borrow().phase.phase == phase).count()
    }

    /// Sessions that hold, or are getting, a sandbox.
    pub fn running(&self) -> usize {
        [Phase::Starting, Phase::Ready, Phase::Stopping].map(|phase| self.count(phase)).iter().sum()
    }

    pub(super) fn known(&self) -> BTreeMap<SessionId, super::reconcile::Known> {
        let known = |entry: &Entry| super::reconcile::Known {
            phase: entry.snapshot.borrow().phase.phase,
            live: entry.live.is_some(),
        };
        self.entries.iter().map(|entry| (*entry.key(), known(entry.value()))).collect()
    }

    /// What sessions keep: their workspaces, and what belongs to their sandboxes' names.
    pub(super) fn workspaces(&self, name_prefix: &str) -> BTreeSet<String> {
        let kept = |entry: RefMulti<'_, SessionId, Entry>| {
            let workspace = entry.snapshot.borrow().workspace.clone();
            [Some(format!("{name_prefix}{}", entry.key())), workspace]
        };
        self.entries.iter().flat_map(kept).flatten().collect()
    }

    pub(super) fn live_sessions(&self) -> Vec<SessionHandle> {
        self.entries.iter().filter_map(|entry| entry.live.clone()).collect()
    }
}

fn body(entry: &Entry) -> SessionBody {
    match &entry.live {
        Some(live) => live.body(),
        None => entry.snapshot.borrow().resting_body(),
    }
}
