//! The store from outside.

mod contract;
mod durability;
mod opening;
mod writing;

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use rusqlite::Connection;
use staithe_protocol::ids::{EventId, SessionId};
use staithe_store::{NewEvent, Reference, SessionRow, SqliteStore, Store, StoredEvent};
use tempfile::TempDir;

fn temp_dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

#[track_caller]
fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(dir).expect("the store opens")
}

/// What an operator's shell would open.
fn raw(dir: &Path) -> Connection {
    Connection::open(dir.join("staithe.db")).expect("the database opens")
}

/// The body that every test gives to this event.
fn body(session: SessionId, id: u64) -> Bytes {
    format!("{session} {id} {}", "x".repeat(usize::try_from(id % 300).expect("small"))).into()
}

fn event(session: SessionId, id: u64) -> NewEvent {
    NewEvent { session, id: EventId(id), body: body(session, id), reference: None }
}

/// An event with a reference named after it.
fn referenced(session: SessionId, id: u64) -> NewEvent {
    NewEvent { reference: Some(reference(&format!("r{id}"), 7)), ..event(session, id) }
}

fn reference(name: &str, digest: u8) -> Reference {
    Reference { name: name.to_owned(), digest: [digest; 32] }
}

fn row(id: SessionId, text: &str) -> SessionRow {
    SessionRow { id, body: Bytes::copy_from_slice(text.as_bytes()), updated_ms: 1 }
}

async fn all(store: &dyn Store, session: SessionId) -> Vec<StoredEvent> {
    store.read(session, None, usize::MAX, usize::MAX).await.expect("the log is read")
}

/// How many events each session has, after checking that they are dense from 0 and unharmed.
async fn check_logs(store: &dyn Store, sessions: &[SessionId]) -> BTreeMap<SessionId, u64> {
    let mut lengths = BTreeMap::new();
    for session in sessions {
        let events = all(store, *session).await;
        for (id, event) in (0..).zip(&events) {
            assert_eq!(event.id, EventId(id), "the log of {session} has a gap");
            assert_eq!(event.body, body(*session, id), "event {id} of {session} was harmed");
        }
        lengths.insert(*session, events.len() as u64);
    }
    lengths
}
