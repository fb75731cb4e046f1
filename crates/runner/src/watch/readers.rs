//! Who listens: each with a cursor of its own, so that a slow one costs one batch and nothing more.
//!
//! `GET /watch?since=<seq>&epoch=<epoch>`, a WebSocket. The reader says what it wants to hear of, as an
//! [`Interest`], and then gets [`Batch`]es; the first comes at once. It may say another interest any time.

use std::rc::Rc;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use staithe_protocol::{
    files::{Encoding, EntryType, FileOp},
    watch::{Batch, Change, Content, Interest, MOST_CONTENT},
};
use tokio::task::spawn_local;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{interest::wants, ring::Next, run::run};
use crate::app::App;

/// The longest interest, in bytes.
const MOST_MESSAGE: usize = 128 * 1024;
/// Buffers of one reader, in bytes.
const BUFFER: usize = 4096;
/// The most text that one batch carries, in bytes.
const MOST_TEXT: usize = 1024 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
/// An epoch, and the last batch of it that a reader has.
type Cursor = (String, u64);

/// Counts as long as it is.
struct Reader(Rc<App>);

impl Reader {
    fn new(app: &Rc<App>) -> Self {
        let watch = &app.watch;
        watch.readers.set(watch.readers.get() + 1);
        watch.poked.notify_one();
        if !watch.running.replace(true) {
            spawn_local(run(Rc::clone(app)));
        }
        Self(Rc::clone(app))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let watch = &self.0.watch;
        watch.readers.set(watch.readers.get() - 1);
        watch.poked.notify_one();
    }
}

/// Speaks with a reader until it goes.
pub async fn serve(app: Rc<App>, upgraded: Upgraded, mut cursor: Option<Cursor>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let mut socket =
        Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let Some(mut interest) = hear(&mut socket).await else { return };
    let _reader = Reader::new(&app);
    let mut news = app.watch.news.subscribe();
    let mut greeted = false;
    let mut skipped = false;
    loop {
        let next = if greeted { app.next(&mut cursor) } else { app.first(&mut cursor) };
        match next {
            Some(batch) => {
                let batch = app.chosen(batch, &interest).await;
                // One of which nothing is wanted moves the cursor, which is told once at the end.
                skipped = greeted && batch.changes.is_empty() && !batch.resync;
                greeted = true;
                if !skipped && !send(&mut socket, &batch).await {
                    return;
                }
                continue;
            }
            None if skipped => {
                skipped = false;
                let Some(batch) = app.still(cursor.as_ref()) else { continue };
                if !send(&mut socket, &batch).await {
                    return;
                }
                continue;
            }
            None => {}
        }
        tokio::select! {
            _ = news.changed() => {}
            heard = hear(&mut socket) => match heard {
                Some(other) => interest = other,
                None => return,
            },
        }
    }
}

async fn send(socket: &mut Socket, batch: &Batch) -> bool {
    let Ok(text) = serde_json::to_string(batch) else { return false };
    socket.send(Message::text(text)).await.is_ok()
}

/// The next interest; none once the reader is gone, or says what is none. Cancel safe.
async fn hear(socket: &mut Socket) -> Option<Interest> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => {
                let interest: Interest = serde_json::from_str(&text).ok()?;
                return interest.fault().is_none().then_some(interest);
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) | Message::Frame(_) => return None,
        }
    }
}

impl App {
    /// What a reader gets first: where it is, if that is still known.
    fn first(&self, cursor: &mut Option<Cursor>) -> Option<Batch> {
        let state = self.watch.state.borrow();
        let state = state.as_ref()?;
        let known = cursor.as_ref().filter(|(epoch, seq)| {
            *epoch == state.epoch && !matches!(state.ring.after(*seq), Next::Resync { .. })
        });
        if let Some((_, seq)) = known {
            return Some(state.batch(*seq, false, &[]));
        }
        let seq = state.ring.head();
        *cursor = Some((state.epoch.clone(), seq));
        Some(state.batch(seq, true, &[]))
    }

    /// What a reader gets next, if there is anything.
    fn next(&self, cursor: &mut Option<Cursor>) -> Option<Batch> {
        let state = self.watch.state.borrow();
        let state = state.as_ref()?;
        let same = cursor.clone().filter(|(epoch, _)| *epoch == state.epoch);
        let Some((epoch, seq)) = same else { return self.first(cursor) };
        let batch = match state.ring.after(seq) {
            Next::Nothing => return None,
            Next::Batch { seq, changes } => state.batch(seq, false, &changes),
            Next::Resync { seq } => state.batch(seq, true, &[]),
        };
        *cursor = Some((epoch, batch.seq));
        Some(batch)
    }

    /// Where a reader is.
    fn still(&self, cursor: Option<&Cursor>) -> Option<Batch> {
        let state = self.watch.state.borrow();
        let state = state.as_ref()?;
        let (_, seq) = cursor?;
        Some(state.batch(*seq, false, &[]))
    }

    /// What is wanted of a batch.
    async fn chosen(&self, mut batch: Batch, interest: &Interest) -> Batch {
        batch.changes.retain(|change| wants(interest, change));
        if interest.content == Content::Small {
            self.fill(&mut batch.changes).await;
        }
        batch
    }

    /// Puts small texts to their changes, where they are still what was told.
    async fn fill(&self, changes: &mut [Change]) {
        let wanted: Vec<(usize, String)> = changes
            .iter()
            .enumerate()
            .filter(|(_, change)| {
                change.kind == Some(EntryType::File)
                    && change.version.is_some()
                    && change.size.is_some_and(|size| size <= MOST_CONTENT)
            })
            .map(|(at, change)| (at, change.path.clone()))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let read = self.on_files(move |files| {
            let mut left = MOST_TEXT;
            let mut texts = Vec::new();
            for (at, path) in wanted {
                let done = files.carry_out(FileOp::Read { path, offset: None, length: None });
                let Ok(done) = done else { continue };
                let text = done.content.filter(|_| done.encoding == Some(Encoding::Utf8));
                let Some(text) = text.filter(|text| text.len() <= left) else { continue };
                left -= text.len();
                texts.push((at, done.version, text));
            }
            texts
        });
        for (at, version, text) in read.await.unwrap_or_default() {
            if version == changes[at].version {
                changes[at].content = Some(text);
            }
        }
    }
}

impl super::State {
    fn batch(&self, seq: u64, resync: bool, changes: &[Change]) -> Batch {
        Batch {
            epoch: self.epoch.clone(),
            seq,
            mode: self.mode,
            resync,
            limited: self.limited,
            changes: changes.to_vec(),
        }
    }
}
