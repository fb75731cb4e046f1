//! The store's contract without a disk, for tests of what uses it. Nothing outlives the value.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use staithe_protocol::ids::{EventId, SessionId};

use crate::{
    Appended, CLAIM_LIFETIME_MS, Claim, NewClaim, NewEvent, ReferenceHit, SessionRow, Store,
    StoreFailed, StoredEvent,
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    rows: BTreeMap<SessionId, SessionRow>,
    logs: HashMap<SessionId, Log>,
    claims: HashMap<(String, String), KeptClaim>,
}

#[derive(Debug, Default)]
struct Log {
    /// By id, which is dense from 0.
    events: Vec<Bytes>,
    references: HashMap<String, ReferenceHit>,
}

#[derive(Debug)]
struct KeptClaim {
    value: SessionId,
    digest: [u8; 32],
    at_ms: i64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn append(&mut self, event: NewEvent) -> Result<(), StoreFailed> {
        let NewEvent { session, id, body, reference } = event;
        let expected = EventId(self.events.len() as u64);
        if id != expected {
            return Err(StoreFailed::Diverged { session, expected, offered: id });
        }
        self.events.push(body);
        if let Some(reference) = reference {
            let hit = ReferenceHit { event: id, digest: reference.digest };
            self.references.entry(reference.name).or_insert(hit);
        }
        Ok(())
    }

    fn read(&self, first: u64, max_events: usize, max_bytes: usize) -> Vec<StoredEvent> {
        let mut bytes = 0;
        (0..)
            .zip(&self.events)
            .skip_while(|(id, _)| *id < first)
            .take(max_events)
            .take_while(|(id, body)| {
                bytes += body.len();
                bytes <= max_bytes || *id == first
            })
            .map(|(id, body)| StoredEvent { id: EventId(id), body: body.clone() })
            .collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn append(&self, event: NewEvent) -> Appended {
        let mut kept = self.kept();
        Appended::done(kept.logs.entry(event.session).or_default().append(event))
    }

    async fn read(
        &self,
        session: SessionId,
        after: Option<EventId>,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredEvent>, StoreFailed> {
        let first = after.map_or(0, |after| after.0.saturating_add(1));
        let kept = self.kept();
        let log = kept.logs.get(&session);
        Ok(log.map(|log| log.read(first, max_events, max_bytes)).unwrap_or_default())
    }

    async fn range(&self, session: SessionId) -> Result<Option<(EventId, EventId)>, StoreFailed> {
        let length = self.kept().logs.get(&session).map_or(0, |log| log.events.len() as u64);
        Ok(length.checked_sub(1).map(|newest| (EventId(0), EventId(newest))))
    }

    async fn find_reference(
        &self,
        session: SessionId,
        reference: &str,
    ) -> Result<Option<ReferenceHit>, StoreFailed> {
        let kept = self.kept();
        Ok(kept.logs.get(&session).and_then(|log| log.references.get(reference).copied()))
    }

    async fn references(&self, session: SessionId) -> Result<Vec<String>, StoreFailed> {
        let kept = self.kept();
        Ok(kept
            .logs
            .get(&session)
            .map_or_else(Vec::new, |log| log.references.keys().cloned().collect()))
    }

    async fn put_session(&self, record: SessionRow) -> Result<(), StoreFailed> {
        self.kept().rows.insert(record.id, record);
        Ok(())
    }

    async fn get_session(&self, id: SessionId) -> Result<Option<SessionRow>, StoreFailed> {
        Ok(self.kept().rows.get(&id).cloned())
    }

    async fn list_sessions(&self) -> Result<Vec<SessionRow>, StoreFailed> {
        Ok(self.kept().rows.values().cloned().collect())
    }

    async fn delete_session(&self, id: SessionId) -> Result<(), StoreFailed> {
        let mut kept = self.kept();
        kept.rows.remove(&id);
        kept.logs.remove(&id);
        kept.claims.retain(|_, claim| claim.value != id);
        Ok(())
    }

    async fn claim(&self, claim: NewClaim) -> Result<Claim, StoreFailed> {
        let NewClaim { scope, key, digest, value, record, now_ms } = claim;
        let mut kept = self.kept();
        kept.claims.retain(|_, kept| kept.at_ms >= now_ms.saturating_sub(CLAIM_LIFETIME_MS));
        if let Some(first) = kept.claims.get(&(scope.clone(), key.clone())) {
            return Ok(Claim::Existing { value: first.value, digest: first.digest });
        }
        kept.claims.insert((scope, key), KeptClaim { value, digest, at_ms: now_ms });
        kept.rows.insert(record.id, record);
        Ok(Claim::New)
    }
}
