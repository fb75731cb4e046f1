//! The terminals that one socket follows. Each is a stream of its own from the runner, which keeps all
//! that is behind: here are only its place, and input on its way.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use actix_web::rt::task::JoinHandle;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use staithe_actors::{Frame, Reading, SessionHandle, Writing};
use staithe_protocol::{
    frames::{ClientFrame, ServerFrame},
    terminal::{
        MAX_INPUT, NewTerminal, REPLAY, TerminalAsk, TerminalCode, TerminalDenied, TerminalInfo,
        TerminalNews, TerminalSize,
    },
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout},
};

use super::{
    answers::{Done, Hands, answer, denied, encode},
    outbox::Out,
};
use crate::{auth::Need, error::ApiError, terminals};

/// Buffer of a stream, in bytes.
const BUFFER: usize = 4 * 1024;
/// How long a stream that was cut is tried to be opened again.
const UNREACHABLE: Duration = Duration::from_secs(10);
/// Between two tries; it doubles up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// See [`Terminals::turns`].
const TURNS: usize = 8;
/// How long the runner's first word may take.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// What a socket follows, by number.
#[derive(Default)]
pub struct Terminals {
    followed: RefCell<HashMap<u32, Followed>>,
    /// What is asked of one terminal is asked in the order in which it came; two seldom share a turn.
    turns: [Mutex<()>; TURNS],
}

struct Followed {
    /// The `ref` of its `terminal.open`.
    reference: String,
    input: Rc<Input>,
}

/// Input on its way to the runner: bounded in bytes.
#[derive(Default)]
struct Input {
    waiting: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    added: Notify,
}

impl Input {
    /// What a message costs: one that is small holds more than its bytes.
    fn cost(bytes: &Bytes) -> usize {
        bytes.len().max(64)
    }

    fn add(&self, bytes: Bytes) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let total = self.bytes.get() + Self::cost(&bytes);
        if total > MAX_INPUT {
            return false;
        }
        self.bytes.set(total);
        self.waiting.borrow_mut().push_back(bytes);
        self.added.notify_one();
        true
    }

    /// Sends what comes, until the stream is cut, or all is sent and nothing more can come.
    async fn carry(&self, mut writing: Writing, last: &Cell<bool>) {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(bytes) = next else {
                if last.get() {
                    return;
                }
                self.added.notified().await;
                continue;
            };
            self.bytes.set(self.bytes.get() - Self::cost(&bytes));
            // What is on its way when the stream is cut is lost: typed twice would be worse.
            if !matches!(timeout(UNREACHABLE, writing.send(bytes)).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

fn refusal(code: TerminalCode, reason: &str) -> TerminalDenied {
    TerminalDenied { code, reason: reason.to_owned() }
}

/// Takes a binary message. A refusal carries the `ref` under which the terminal was opened.
pub fn type_in(hands: &Hands, bytes: &Bytes) -> Result<(), Box<ServerFrame>> {
    let Some((id, input)) = bytes.split_first_chunk::<4>() else {
        let reason = "a binary message begins with a terminal's number".to_owned();
        return Err(denied(None, TerminalCode::Malformed.as_str(), reason));
    };
    let id = u32::from_be_bytes(*id);
    let followed = hands.terminals.followed.borrow();
    let Some(terminal) = followed.get(&id) else {
        let reason = format!("this socket does not follow terminal {id}");
        return Err(denied(None, TerminalCode::NotFollowed.as_str(), reason));
    };
    let reference = || Some(terminal.reference.clone());
    if let Err(error) = hands.allow(Need::Write) {
        return Err(denied(reference(), error.code, error.detail));
    }
    if !terminal.input.add(bytes.slice_ref(input)) {
        let reason = format!("terminal {id}: at most {MAX_INPUT} bytes of input may wait");
        return Err(denied(reference(), TerminalCode::InputFull.as_str(), reason));
    }
    Ok(())
}

/// Carries a frame about terminals out; the one answer, if there is to be one.
pub async fn carry_out(hands: &Hands, frame: ClientFrame) -> Option<ServerFrame> {
    let one = |info: TerminalInfo| Some(vec![info]);
    let (reference, outcome) = match frame {
        ClientFrame::TerminalOpen {
            reference,
            terminal,
            from,
            epoch,
            name,
            command,
            cwd,
            cols,
            rows,
        } => {
            let what = match terminal {
                Some(id) => What::There { id, from, epoch },
                None => What::New(NewTerminal { name, command, cwd, cols, rows }),
            };
            let outcome = open(hands, what, &reference).await;
            (reference, outcome.map(one))
        }
        ClientFrame::TerminalResize { reference, terminal, cols, rows } => {
            let size = TerminalSize { cols, rows };
            let ask = TerminalAsk::Resize { size, client: Some(hands.socket.to_string()) };
            let outcome = ask_one(hands, terminal, ask).await;
            (reference?, outcome.map(one))
        }
        ClientFrame::TerminalClose { reference, terminal, kill: true } => {
            let outcome = ask_one(hands, terminal, TerminalAsk::Close {}).await;
            (reference, outcome.map(one))
        }
        ClientFrame::TerminalClose { reference, terminal, kill: false }
        | ClientFrame::TerminalDetach { reference, terminal } => {
            (reference, detach(hands, terminal).map(|()| None))
        }
        ClientFrame::TerminalList { reference } => (reference, list(hands).await.map(Some)),
        ClientFrame::TerminalRename { reference, terminal, name } => {
            let outcome = ask_one(hands, terminal, TerminalAsk::Rename { name }).await;
            (reference, outcome.map(one))
        }
        ClientFrame::TerminalDrive { reference, terminal, drive, take } => {
            (reference, drives(hands, terminal, drive, take).await.map(one))
        }
        ClientFrame::Do { .. }
        | ClientFrame::File { .. }
        | ClientFrame::Interrupt { .. }
        | ClientFrame::Watch { .. }
        | ClientFrame::Unwatch { .. }
        | ClientFrame::Ping { .. } => return None,
    };
    Some(answer(reference, outcome, Done::terminals))
}

/// Which terminal is to be followed.
enum What {
    New(NewTerminal),
    There { id: u32, from: Option<u64>, epoch: Option<String> },
}

async fn list(hands: &Hands) -> Result<Vec<TerminalInfo>, ApiError> {
    hands.allow(Need::Read)?;
    terminals::list(&terminals::line(&hands.session).await?).await
}

async fn ask_one(hands: &Hands, id: u32, ask: TerminalAsk) -> Result<TerminalInfo, ApiError> {
    hands.allow(Need::Write)?;
    let _turn = hands.terminals.turns[id as usize % TURNS].lock().await;
    terminals::ask(&terminals::line(&hands.session).await?, id, &ask).await
}

fn not_followed(id: u32) -> ApiError {
    refusal(TerminalCode::NotFollowed, &format!("this socket does not follow terminal {id}")).into()
}

fn detach(hands: &Hands, id: u32) -> Result<(), ApiError> {
    if hands.side.close(&name(id)) { Ok(()) } else { Err(not_followed(id)) }
}

/// Only who follows can drive: who is gone drives no more.
async fn drives(hands: &Hands, id: u32, drive: bool, take: bool) -> Result<TerminalInfo, ApiError> {
    if !hands.terminals.followed.borrow().contains_key(&id) {
        return Err(not_followed(id));
    }
    let client = hands.socket.to_string();
    ask_one(hands, id, TerminalAsk::Drive { client, drive, take }).await
}

fn name(id: u32) -> String {
    format!("terminal {id}")
}

async fn open(hands: &Hands, what: What, reference: &str) -> Result<TerminalInfo, ApiError> {
    let is_new = matches!(what, What::New(_));
    hands.allow(if is_new { Need::Write } else { Need::Read })?;
    let (id, from, epoch) = match what {
        What::New(new) => {
            let line = terminals::line(&hands.session).await?;
            let info = terminals::open(&line, &new).await?;
            (info.id, Some(0), Some(info.epoch))
        }
        What::There { id, from, epoch } => (id, from, epoch),
    };
    let followed_already = || {
        let reason = format!("this socket follows terminal {id} already");
        ApiError::from(refusal(TerminalCode::FollowedAlready, &reason))
    };
    // It is ours from here on, so that a second frame does not follow it, too.
    let input: Rc<Input> = Rc::default();
    {
        let mut followed = hands.terminals.followed.borrow_mut();
        if followed.contains_key(&id) {
            return Err(followed_already());
        }
        let (reference, input) = (reference.to_owned(), Rc::clone(&input));
        followed.insert(id, Followed { reference, input });
    }
    let mut following = Following {
        session: hands.session.clone(),
        place: Place { id, client: hands.socket.to_string(), from, epoch, replay: 0 },
        may_type: hands.allow(Need::Write).is_ok(),
        reference: reference.to_owned(),
        input,
        stream: None,
        first: None,
        over: false,
        _listed: Listed { terminals: Rc::clone(&hands.terminals), id },
    };
    let info = following.begin().await?;
    let frames = stream::unfold(following, async |mut following| {
        let out = following.next().await?;
        Some((out, following))
    });
    hands.side.open(&name(id), Box::pin(frames));
    Ok(info)
}

/// Takes the terminal off the socket's list when it is followed no more.
struct Listed {
    terminals: Rc<Terminals>,
    id: u32,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.terminals.followed.borrow_mut().remove(&self.id);
    }
}

/// Where a client is in a terminal's output.
struct Place {
    id: u32,
    client: String,
    /// None: it has to begin with a replay.
    from: Option<u64>,
    epoch: Option<String>,
    /// Bytes of a replay that are still to come.
    replay: u64,
}

impl Place {
    fn address(&self, may_type: bool) -> String {
        let from = self.from.map_or(String::new(), |from| format!("&from={from}"));
        let epoch = self.epoch.as_deref().map(crate::routes::body::encode);
        let epoch = epoch.map_or(String::new(), |epoch| format!("&epoch={epoch}"));
        let types = if may_type { "&type=1" } else { "" };
        let (id, client) = (self.id, &self.client);
        format!("/terminals/{id}/stream?client={client}{from}{epoch}{types}")
    }

    /// Output came.
    fn moves(&mut self, place: u64, length: u64) {
        if place & REPLAY == 0 {
            self.from = Some(place + length);
            return;
        }
        self.replay = self.replay.saturating_sub(length);
        if self.replay == 0 {
            self.from = Some(place & !REPLAY);
        }
    }

    fn hears(&mut self, news: &TerminalNews) {
        match news {
            TerminalNews::Opened { info, .. } => self.epoch = Some(info.epoch.clone()),
            // Half of a replay is none.
            TerminalNews::Replay { bytes, .. } => (self.from, self.replay) = (None, *bytes),
            _ => {}
        }
    }
}

/// A terminal that is being followed.
struct Following {
    session: SessionHandle,
    place: Place,
    may_type: bool,
    reference: String,
    input: Rc<Input>,
    /// None: it was cut.
    stream: Option<(Reading, Carrier)>,
    /// What came already and is still to be told.
    first: Option<TerminalNews>,
    over: bool,
    _listed: Listed,
}

/// The task that sends input. When this is dropped, what was taken is still sent: who types and leaves
/// has typed.
struct Carrier {
    task: JoinHandle<()>,
    input: Rc<Input>,
    last: Rc<Cell<bool>>,
}

impl Carrier {
    fn new(input: Rc<Input>, writing: Writing) -> Self {
        let last: Rc<Cell<bool>> = Rc::default();
        let task = actix_web::rt::spawn({
            let (input, last) = (Rc::clone(&input), Rc::clone(&last));
            async move { input.carry(writing, &last).await }
        });
        Self { task, input, last }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.last.set(true);
        self.input.added.notify_one();
    }
}

impl Following {
    /// Opens the stream for the first time. What the runner refuses is the answer.
    async fn begin(&mut self) -> Result<TerminalInfo, ApiError> {
        match self.connect().await? {
            TerminalNews::Opened { info, you } => {
                let news = TerminalNews::Opened { info: info.clone(), you };
                self.place.hears(&news);
                self.first = Some(news);
                Ok(info)
            }
            TerminalNews::Gone { code, reason } => Err(gone(&code, reason)),
            other => Err(ApiError::failed("sandbox.refused", format!("no opened: {other:?}"))),
        }
    }

    /// Opens the stream; the first word on it.
    async fn connect(&mut self) -> Result<TerminalNews, ApiError> {
        let cut =
            |error: &dyn std::fmt::Display| ApiError::unavailable("RUNTIME_UNAVAILABLE", error, 1);
        let line = terminals::line(&self.session).await?;
        let address = self.place.address(self.may_type);
        let (writing, mut reading) =
            line.duplex(&address, BUFFER).await.map_err(|error| cut(&error))?;
        let first = timeout(FIRST_WORD, reading.next()).await;
        let Ok(Some(Frame::Text(text))) = first else {
            return Err(cut(&"the runner says nothing of the terminal"));
        };
        let news = serde_json::from_str(&text)
            .map_err(|error| ApiError::failed("sandbox.refused", error))?;
        self.stream = Some((reading, Carrier::new(Rc::clone(&self.input), writing)));
        Ok(news)
    }

    /// The next frame for the client.
    async fn next(&mut self) -> Option<Out> {
        if let Some(news) = self.first.take() {
            return Some(self.tell(news));
        }
        loop {
            if self.over {
                return None;
            }
            let Some((reading, carrier)) = &mut self.stream else {
                let news = self.again().await;
                return Some(self.tell(news));
            };
            let frame = tokio::select! {
                biased;
                frame = reading.next() => frame,
                // Input can't be sent: a stream that takes none is as good as cut.
                _ = &mut carrier.task => None,
            };
            match frame {
                Some(Frame::Text(text)) => match serde_json::from_str::<TerminalNews>(&text) {
                    Ok(news) => {
                        self.place.hears(&news);
                        return Some(self.tell(news));
                    }
                    Err(error) => tracing::warn!(%error, "a terminal said what can't be read"),
                },
                Some(Frame::Binary(bytes)) => {
                    let Some((place, output)) = bytes.split_first_chunk::<8>() else { continue };
                    self.place.moves(u64::from_be_bytes(*place), output.len() as u64);
                    let mut message = BytesMut::with_capacity(4 + bytes.len());
                    message.put_u32(self.place.id);
                    message.put_slice(&bytes);
                    return Some(Out::Binary(message.freeze()));
                }
                None => {
                    // What waits goes over the next one.
                    if let Some((_, carrier)) = self.stream.take() {
                        carrier.task.abort();
                    }
                }
            }
        }
    }

    /// Opens a stream that was cut again, where it was; what is to be told of it.
    async fn again(&mut self) -> TerminalNews {
        let until = Instant::now() + UNREACHABLE;
        let mut pause = PAUSE.0;
        loop {
            match self.connect().await {
                Ok(news) => {
                    self.place.hears(&news);
                    return news;
                }
                Err(error) if Instant::now() + pause >= until => {
                    tracing::debug!(code = error.code, "a terminal can't be followed any more");
                    let code = "terminal.unreachable".to_owned();
                    return TerminalNews::Gone { code, reason: error.detail };
                }
                Err(_) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    fn tell(&mut self, news: TerminalNews) -> Out {
        self.over |= matches!(news, TerminalNews::Exit { .. } | TerminalNews::Gone { .. });
        let reference = self.reference.clone();
        let frame = match news {
            TerminalNews::Refused { code, reason, bytes } => {
                let reason = format!("terminal {}, {bytes} bytes: {reason}", self.place.id);
                *denied(Some(reference), &code, reason)
            }
            news => ServerFrame::Terminal { terminal: self.place.id, reference, news },
        };
        Out::Text(encode(&frame))
    }
}

/// What the runner said on the stream instead of opening it.
fn gone(code: &str, reason: String) -> ApiError {
    match serde_json::from_value::<TerminalCode>(code.into()) {
        Ok(code) => TerminalDenied { code, reason }.into(),
        Err(_) => ApiError::failed("sandbox.refused", format!("{code}: {reason}")),
    }
}
