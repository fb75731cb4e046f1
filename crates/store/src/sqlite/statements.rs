//! Every statement, with its types on both sides. The tables are in `open.rs`.

use bytes::Bytes;
use rusqlite::{
    Connection, OptionalExtension, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef},
};
use staithe_protocol::ids::{EventId, SessionId};

use crate::{CLAIM_LIFETIME_MS, Claim, NewClaim, NewEvent, ReferenceHit, SessionRow, StoredEvent};

/// A session's id in its text form, so that an operator's shell can read it.
struct Session(SessionId);

/// An event's id. `SQLite`'s integers end at 2^63 - 1, which no log reaches.
struct Event(EventId);

impl ToSql for Session {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for Session {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for Event {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Event {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let id = value.as_i64()?;
        u64::try_from(id).map(|id| Self(EventId(id))).map_err(|_| FromSqlError::OutOfRange(id))
    }
}

/// Writes one event and its reference. A reference that is taken stays with the first event.
pub(super) fn append(db: &Connection, event: &NewEvent) -> rusqlite::Result<()> {
    let (session, id) = (Session(event.session), Event(event.id));
    db.prepare_cached("INSERT INTO events (session, id, body) VALUES (?1, ?2, ?3)")?.execute((
        &session,
        &id,
        &event.body[..],
    ))?;
    if let Some(reference) = &event.reference {
        db.prepare_cached(
            "INSERT INTO event_references (session, name, event, digest) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute((&session, &reference.name, &id, reference.digest))?;
    }
    Ok(())
}

/// The id of the newest event.
pub(super) fn newest(db: &Connection, session: SessionId) -> rusqlite::Result<Option<EventId>> {
    db.prepare_cached("SELECT max(id) FROM events WHERE session = ?1")?
        .query_one([Session(session)], |row| row.get(0))
        .map(|newest: Option<Event>| newest.map(|newest| newest.0))
}

pub(super) fn read(
    db: &Connection,
    session: SessionId,
    after: Option<EventId>,
    max_events: usize,
    max_bytes: usize,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let mut statement = db.prepare_cached(
        "SELECT id, body FROM events WHERE session = ?1 AND id >= ?2 ORDER BY id LIMIT ?3",
    )?;
    let first = Event(EventId(after.map_or(0, |after| after.0.saturating_add(1))));
    let limit = i64::try_from(max_events).unwrap_or(i64::MAX);
    let mut rows = statement.query((Session(session), first, limit))?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob()?;
        bytes += body.len();
        if bytes > max_bytes && !events.is_empty() {
            break;
        }
        let id = row.get::<_, Event>(0)?.0;
        events.push(StoredEvent { id, body: Bytes::copy_from_slice(body) });
    }
    Ok(events)
}

pub(super) fn range(
    db: &Connection,
    session: SessionId,
) -> rusqlite::Result<Option<(EventId, EventId)>> {
    // Two look-ups: one `SELECT min(id), max(id)` would scan the whole log.
    db.prepare_cached(
        "SELECT (SELECT min(id) FROM events WHERE session = ?1),
                (SELECT max(id) FROM events WHERE session = ?1)",
    )?
    .query_one([Session(session)], |row| {
        let (oldest, newest): (Option<Event>, Option<Event>) = row.try_into()?;
        Ok(oldest.zip(newest).map(|(oldest, newest)| (oldest.0, newest.0)))
    })
}

pub(super) fn find_reference(
    db: &Connection,
    session: SessionId,
    name: &str,
) -> rusqlite::Result<Option<ReferenceHit>> {
    db.prepare_cached(
        "SELECT event, digest FROM event_references WHERE session = ?1 AND name = ?2",
    )?
    .query_row((Session(session), name), |row| {
        Ok(ReferenceHit { event: row.get::<_, Event>(0)?.0, digest: row.get(1)? })
    })
    .optional()
}

pub(super) fn references(db: &Connection, session: SessionId) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached("SELECT name FROM event_references WHERE session = ?1")?
        .query_map([Session(session)], |row| row.get(0))?
        .collect()
}

pub(super) fn put_session(db: &Connection, record: &SessionRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO sessions (id, body, updated_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET body = excluded.body, updated_ms = excluded.updated_ms",
    )?
    .execute((Session(record.id), &record.body[..], record.updated_ms))
    .map(drop)
}

pub(super) fn get_session(db: &Connection, id: SessionId) -> rusqlite::Result<Option<SessionRow>> {
    db.prepare_cached("SELECT id, body, updated_ms FROM sessions WHERE id = ?1")?
        .query_row([Session(id)], session_row)
        .optional()
}

pub(super) fn list_sessions(db: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
    db.prepare_cached("SELECT id, body, updated_ms FROM sessions ORDER BY id")?
        .query_map([], session_row)?
        .collect()
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let body = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
    Ok(SessionRow { id: row.get::<_, Session>(0)?.0, body, updated_ms: row.get(2)? })
}

pub(super) fn delete_session(db: &Connection, id: SessionId) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM events WHERE session = ?1",
        "DELETE FROM event_references WHERE session = ?1",
        "DELETE FROM claims WHERE value = ?1",
        "DELETE FROM sessions WHERE id = ?1",
    ] {
        db.prepare_cached(statement)?.execute([Session(id)])?;
    }
    Ok(())
}

/// Removes what is too old, then gives the key to the first: the claim and the record with it.
pub(super) fn claim(db: &Connection, claim: &NewClaim) -> rusqlite::Result<Claim> {
    let NewClaim { scope, key, digest, value, record, now_ms } = claim;
    db.prepare_cached("DELETE FROM claims WHERE at_ms < ?1")?
        .execute([now_ms.saturating_sub(CLAIM_LIFETIME_MS)])?;
    let first = db
        .prepare_cached("SELECT value, digest FROM claims WHERE scope = ?1 AND key = ?2")?
        .query_row((scope, key), |row| {
            Ok(Claim::Existing { value: row.get::<_, Session>(0)?.0, digest: row.get(1)? })
        })
        .optional()?;
    if let Some(existing) = first {
        return Ok(existing);
    }
    db.prepare_cached(
        "INSERT INTO claims (scope, key, digest, value, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((scope, key, digest, Session(*value), now_ms))?;
    put_session(db, record)?;
    Ok(Claim::New)
}

/// Copies the log into the database, as far as no reader is in the way.
pub(super) fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_one([], |_| Ok(()))
}
