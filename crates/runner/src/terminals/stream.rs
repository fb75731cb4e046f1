//! One client's stream of one terminal: news as texts, output and input as bytes (their form is in
//! `staithe_protocol::terminal`).

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use staithe_protocol::terminal::{
    MAX_INPUT, REPLAY, TerminalCode, TerminalDenied, TerminalNews, TerminalSize,
};
use tokio::sync::Notify;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    ring::Next,
    terminal::{Follower, Terminal},
    used,
};
use crate::app::App;

/// Most output in one message, in bytes.
const PIECE: usize = 32 * 1024;
/// Buffers of a stream, in bytes.
const BUFFER: usize = 4 * 1024;
/// Refusals that wait to be told; those of more input are added to the last.
const MOST_REFUSALS: usize = 16;

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Sink = SplitSink<Socket, Message>;

/// What a client wants.
pub struct Wish {
    pub client: String,
    /// Where it goes on; none: it begins.
    pub from: Option<u64>,
    pub may_type: bool,
}

async fn open(upgraded: Upgraded) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_INPUT))
        .max_frame_size(Some(MAX_INPUT));
    Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

/// Tells why there is no stream, and closes.
pub async fn refuse(upgraded: Upgraded, denied: TerminalDenied) {
    let (mut sink, _) = open(upgraded).await.split();
    let code = denied.code.as_str().to_owned();
    drop(say(&mut sink, &TerminalNews::Gone { code, reason: denied.reason }).await);
    drop(sink.close().await);
}

/// Speaks until the client is gone or the program's end is told.
pub async fn serve(app: Rc<App>, terminal: Rc<Terminal>, wish: Wish, upgraded: Upgraded) {
    let (mut sink, stream) = open(upgraded).await.split();
    let follower = terminal.join(&wish.client);
    let refusals = Refusals::default();
    tokio::select! {
        () = listen(&app, stream, &follower, wish.may_type, &refusals) => return,
        told = speak(&mut sink, &follower, wish.from, &refusals) => drop(told), // cut, or all is told
    }
    drop(sink.close().await);
}

/// Input that was not taken, as it is still to be told.
#[derive(Default)]
struct Refusals {
    waiting: RefCell<VecDeque<TerminalNews>>,
    added: Notify,
}

impl Refusals {
    fn add(&self, denied: TerminalDenied, length: usize) {
        let mut waiting = self.waiting.borrow_mut();
        let length = length as u64;
        let code = denied.code.as_str();
        if waiting.len() >= MOST_REFUSALS {
            if let Some(TerminalNews::Refused { code: last, bytes, .. }) = waiting.back_mut()
                && last == code
            {
                *bytes += length;
                return;
            }
            waiting.pop_front();
        }
        let (code, reason) = (code.to_owned(), denied.reason);
        waiting.push_back(TerminalNews::Refused { code, reason, bytes: length });
        self.added.notify_one();
    }
}

async fn listen(
    app: &App,
    mut stream: SplitStream<Socket>,
    follower: &Follower,
    may_type: bool,
    refusals: &Refusals,
) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let taken = if may_type {
            follower.terminal.type_in(&follower.client, &bytes)
        } else {
            let reason = "this client may only watch".to_owned();
            Err(TerminalDenied { code: TerminalCode::WatchOnly, reason })
        };
        match taken {
            Ok(()) => used(app),
            Err(denied) => refusals.add(denied, bytes.len()),
        }
    }
}

/// What was told of things that may change at any time.
#[derive(PartialEq, Eq)]
struct Told {
    title: String,
    name: String,
    driver: Option<String>,
}

/// The stream was cut.
struct Cut;

async fn say(sink: &mut Sink, news: &TerminalNews) -> Result<(), Cut> {
    let text = serde_json::to_string(news).map_err(|_| Cut)?;
    sink.send(Message::text(text)).await.map_err(|_| Cut)
}

async fn speak(
    sink: &mut Sink,
    follower: &Follower,
    from: Option<u64>,
    refusals: &Refusals,
) -> Result<(), Cut> {
    let terminal = &follower.terminal;
    let mut changes = terminal.changes();
    let mut info = terminal.info();
    let mut told =
        Told { title: info.title.clone(), name: info.name.clone(), driver: info.driver.clone() };
    let resumes = from.filter(|from| (info.oldest..=info.offset).contains(from));
    if let Some(from) = resumes {
        info.size = terminal.size_at(from);
    }
    let mut size = info.size;
    say(sink, &TerminalNews::Opened { info, you: follower.client.clone() }).await?;
    let mut place = match resumes {
        Some(from) => from,
        None => replay(sink, terminal, &mut size).await?,
    };
    loop {
        changes.borrow_and_update();
        news(sink, terminal, &mut told, refusals).await?;
        match terminal.next(place, size, PIECE) {
            Next::Bytes(bytes) => {
                sink.send(Message::binary(placed(place, &bytes))).await.map_err(|_| Cut)?;
                place += bytes.len() as u64;
            }
            Next::Size(other) => {
                size = other;
                say(sink, &TerminalNews::Size { offset: place, size }).await?;
            }
            Next::Lost => place = replay(sink, terminal, &mut size).await?,
            Next::Nothing => {
                if let Some(exit) = terminal.exit() {
                    return say(sink, &TerminalNews::Exit { exit, offset: place }).await;
                }
                tokio::select! {
                    more = changes.changed() => more.map_err(|_| Cut)?,
                    () = refusals.added.notified() => {}
                }
            }
        }
    }
}

/// Tells what else has changed.
async fn news(
    sink: &mut Sink,
    terminal: &Terminal,
    told: &mut Told,
    refusals: &Refusals,
) -> Result<(), Cut> {
    loop {
        let Some(refused) = refusals.waiting.borrow_mut().pop_front() else { break };
        say(sink, &refused).await?;
    }
    let info = terminal.info();
    let now = Told { title: info.title, name: info.name, driver: info.driver };
    if (&now.title, &now.name) != (&told.title, &told.name) {
        let (title, name) = (now.title.clone(), now.name.clone());
        say(sink, &TerminalNews::Title { title, name }).await?;
    }
    if now.driver != told.driver {
        say(sink, &TerminalNews::Driver { driver: now.driver.clone() }).await?;
    }
    *told = now;
    Ok(())
}

/// Sends the state as it is now; where the live bytes go on.
async fn replay(sink: &mut Sink, terminal: &Terminal, size: &mut TerminalSize) -> Result<u64, Cut> {
    let replay = terminal.replay();
    *size = replay.size;
    let bytes = replay.bytes.len() as u64;
    say(sink, &TerminalNews::Replay { offset: replay.offset, bytes, size: replay.size }).await?;
    for piece in replay.bytes.chunks(PIECE) {
        let message = placed(replay.offset | REPLAY, piece);
        sink.send(Message::binary(message)).await.map_err(|_| Cut)?;
    }
    Ok(replay.offset)
}

fn placed(place: u64, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(8 + bytes.len());
    message.put_u64(place);
    message.put_slice(bytes);
    message.freeze()
}
