//! What an event stream shares with its readers: the log is the queue, a reader holds only a cursor.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use bytes::{BufMut, Bytes, BytesMut};
use dashmap::DashMap;
use staithe_protocol::{
    EventId, SessionId,
    api::ClientView,
    frames::{Role, ServerFrame},
};
use staithe_store::{Store, StoreFailed};
use tokio::{sync::watch, time::Instant};

use super::{
    log::{Partials, Recent},
    messages::PublishPartial,
};

/// Before an event's own JSON in its frame.
const PREFIX: &[u8] = br#"{"type":"event","event":"#;
/// Its length.
pub(super) const PREFIX_LEN: usize = PREFIX.len();

/// The readable side of one session's stream. Shared by the stream, which writes, and any number of
/// readers; its locks are held for memory copies only.
pub struct Feed {
    session: SessionId,
    store: Arc<dyn Store>,
    head: watch::Sender<i64>,
    output: watch::Sender<u64>,
    /// Set when the stream has ended: nothing more will come, also not after a restart.
    closed: watch::Sender<bool>,
    deleted: AtomicBool,
    recent: Mutex<Recent>,
    partials: Mutex<Partials>,
    clients: DashMap<u64, Arc<ClientState>>,
    next_client: AtomicU64,
    /// When a client left last.
    left: Mutex<Option<Instant>>,
}

/// Who joins.
#[derive(Clone, Debug)]
pub struct ClientInfo {
    pub role: Role,
    pub peer: Option<SocketAddr>,
}

#[derive(Debug)]
struct ClientState {
    info: ClientInfo,
    since: Instant,
    cursor: AtomicI64,
}

/// A reader's place in a stream. Dropping it leaves.
pub struct Subscription {
    /// The newest durable event when the reader joined; −1 when there was none.
    pub head: i64,
    /// Tells of a newer head.
    pub heads: watch::Receiver<i64>,
    /// Tells of newer output.
    pub outputs: watch::Receiver<u64>,
    /// Tells that the stream has ended: join again.
    pub closed: watch::Receiver<bool>,
    pub feed: Arc<Feed>,
    client: u64,
    state: Arc<ClientState>,
}

impl Subscription {
    /// Says how far the reader is, for operators.
    pub fn advance(&self, cursor: i64) {
        self.state.cursor.store(cursor, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        *lock(&self.feed.left) = Some(Instant::now());
        self.feed.clients.remove(&self.client);
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Feed {
    /// A feed whose newest durable event is `head`.
    pub fn new(session: SessionId, store: Arc<dyn Store>, head: Option<EventId>) -> Arc<Self> {
        Arc::new(Self {
            session,
            store,
            head: watch::Sender::new(head.map_or(-1, as_cursor)),
            output: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            deleted: AtomicBool::new(false),
            recent: Mutex::default(),
            partials: Mutex::default(),
            clients: DashMap::with_shard_amount(2),
            next_client: AtomicU64::new(0),
            left: Mutex::default(),
        })
    }

    /// The newest durable event; −1 when there is none.
    pub fn head(&self) -> i64 {
        *self.head.borrow()
    }

    pub(crate) fn subscribe_heads(&self) -> watch::Receiver<i64> {
        self.head.subscribe()
    }

    /// Joins.
    pub fn subscribe(self: &Arc<Self>, info: ClientInfo) -> Subscription {
        let client = self.next_client.fetch_add(1, Ordering::Relaxed);
        let state =
            Arc::new(ClientState { info, since: Instant::now(), cursor: AtomicI64::new(-1) });
        self.clients.insert(client, state.clone());
        let heads = self.head.subscribe();
        let head = *heads.borrow();
        Subscription {
            head,
            heads,
            outputs: self.output.subscribe(),
            closed: self.closed.subscribe(),
            feed: self.clone(),
            client,
            state,
        }
    }

    /// Frames of durable events after a cursor, in order, at least one when there is one, about
    /// `max_bytes`; with the cursor after them.
    pub async fn frames(
        &self,
        cursor: i64,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, i64), StoreFailed> {
        let head = self.head();
        if cursor >= head {
            return Ok((Vec::new(), cursor));
        }
        let after = as_event(cursor);
        let up_to = as_event(head).unwrap_or_default();
        let recent = lock(&self.recent).after(after, up_to, max_bytes);
        let events = match recent {
            Some(events) => events,
            None => self
                .store
                .read(self.session, after, 1024, max_bytes)
                .await?
                .into_iter()
                .take_while(|event| event.id <= up_to)
                .map(|event| (event.id, frame(&event.body)))
                .collect(),
        };
        let cursor = events.last().map_or(cursor, |(id, _)| as_cursor(*id));
        Ok((events.into_iter().map(|(_, frame)| frame).collect(), cursor))
    }

    /// As [`frames`](Self::frames), without the frames around the events.
    pub(crate) async fn bodies(
        &self,
        cursor: i64,
        max_bytes: usize,
    ) -> Result<(Vec<Bytes>, i64), StoreFailed> {
        let (frames, reached) = self.frames(cursor, max_bytes).await?;
        let body = |frame: Bytes| frame.slice(PREFIX_LEN..frame.len() - 1);
        Ok((frames.into_iter().map(body).collect(), reached))
    }

    /// As [`frames`](Self::frames), without the frames around the events: at most `limit`.
    pub async fn events(
        &self,
        cursor: i64,
        limit: usize,
    ) -> Result<(Vec<Bytes>, i64), StoreFailed> {
        let mut events: Vec<Bytes> = Vec::new();
        let mut reached = cursor;
        while events.len() < limit {
            let (frames, next) = self.frames(reached, EVENTS_BYTES).await?;
            if frames.is_empty() {
                break;
            }
            let taken = frames.len().min(limit - events.len());
            events.extend(
                frames[..taken].iter().map(|frame| frame.slice(PREFIX_LEN..frame.len() - 1)),
            );
            reached =
                if taken == frames.len() { next } else { next - as_count(frames.len() - taken) };
        }
        Ok((events, reached))
    }

    /// The oldest event that the log keeps.
    pub async fn oldest(&self) -> Result<Option<EventId>, StoreFailed> {
        Ok(self.store.range(self.session).await?.map(|(oldest, _)| oldest))
    }

    /// Frames of output from a number on, for a reader with events up to `cursor`.
    pub fn output(&self, from: u64, cursor: i64, max: usize) -> (Vec<Bytes>, u64) {
        lock(&self.partials).from(from, cursor, max)
    }

    /// The clients, for operators.
    pub fn clients(&self) -> Vec<ClientView> {
        let head = self.head();
        let view = |entry: dashmap::mapref::multiple::RefMulti<'_, u64, Arc<ClientState>>| {
            let cursor = entry.cursor.load(Ordering::Relaxed);
            ClientView {
                id: *entry.key(),
                role: entry.info.role,
                peer: entry.info.peer.map(|peer| peer.to_string()).unwrap_or_default(),
                cursor,
                lag: u64::try_from(head - cursor).unwrap_or(0),
                connected_for: entry.since.elapsed().as_secs_f64(),
            }
        };
        let mut clients: Vec<_> = self.clients.iter().map(view).collect();
        clients.sort_by_key(|client| client.id);
        clients
    }

    /// How many clients there are.
    pub fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// When a client left last.
    pub fn last_left(&self) -> Option<Instant> {
        *lock(&self.left)
    }

    pub(super) fn publish(&self, id: EventId, frame: Bytes) {
        lock(&self.recent).push(id, frame);
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Relaxed);
    }

    /// Whether the session is being deleted: when its stream ends, joining again is of no use.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(super) fn publish_head(&self, head: EventId) {
        let before = self.head.send_replace(as_cursor(head));
        let more = u64::try_from(as_cursor(head) - before).unwrap_or_default();
        metrics::counter!("staithe_events_total").increment(more);
    }

    pub(super) fn observed(&self, cause: EventId, by: EventId) {
        lock(&self.partials).observed(cause, by);
    }

    pub(super) fn answered(&self, by: EventId) {
        lock(&self.partials).answered(by);
    }

    pub(super) fn publish_partial(&self, partial: PublishPartial) {
        let PublishPartial { cause, kind, offset, text, skipped } = partial;
        let encode = |seq| {
            let frame = ServerFrame::Partial { cause, kind, seq, text, offset, skipped };
            Bytes::from(serde_json::to_vec(&frame).expect("a frame is plain data"))
        };
        let next = {
            let mut partials = lock(&self.partials);
            let dropped = partials.push(cause, kind, encode);
            metrics::counter!("staithe_event_stream_dropped_total").increment(dropped);
            partials.next()
        };
        self.output.send_replace(next);
    }
}

/// Bytes of events read at a time for a range.
const EVENTS_BYTES: usize = 256 * 1024;

fn as_count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An event's frame around its JSON.
pub fn frame(body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX.len() + body.len() + 1);
    frame.put_slice(PREFIX);
    frame.put_slice(body);
    frame.put_u8(b'}');
    frame.freeze()
}

/// As a cursor: −1 stands before the first event.
pub fn as_cursor(id: EventId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

/// The event that a cursor stands on.
pub fn as_event(cursor: i64) -> Option<EventId> {
    u64::try_from(cursor).ok().map(EventId)
}

/// A panic while such a lock was held leaves plain data behind that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
