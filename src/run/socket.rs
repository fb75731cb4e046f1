//! A session's stream, joined again by its cursor however often the connection dies: every event comes once, in order,
//! and every command is sent until it is answered.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use staithe_protocol::{SUBPROTOCOL, SessionId};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, client::IntoClientRequest as _, error::Error, protocol::WebSocketConfig,
    },
};

use super::wire::{RunFailed, Server, refusal};
use crate::caller::Carrier;

/// Frames that wait to be shown.
const MOST_WAITING: usize = 256;
/// The largest frame that is taken, in bytes: an event with a picture in it.
const MOST_FRAME: usize = 64 * 1024 * 1024;
/// How often it is joined again in a row before it is given up, and the first wait, which doubles up to the longest.
const MOST_TRIES: u32 = 12;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a command is sent again that the server can't take.
const MOST_PUT_OFF: Duration = Duration::from_mins(2);
/// Between two questions whether the server is there, and how long it may say nothing.
const PING: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(50);
/// How long joining may take.
const DEADLINE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<Box<dyn Carrier>>;

/// What comes of a session.
#[derive(Debug)]
pub(super) enum News {
    /// A frame, and how it was written.
    Frame(Value, String),
    /// The connection died, and is being made anew.
    Lost(String),
    /// It is there again.
    Back,
    /// A command can't be taken now, and is sent again; why.
    Later(String),
    /// For good.
    Gone(RunFailed),
}

/// A session's stream.
pub(super) struct Stream {
    pub(super) news: mpsc::Receiver<News>,
    commands: mpsc::Sender<(String, Value)>,
    /// Of refs: unique among all runs.
    run: String,
    sent: u64,
}

impl Stream {
    /// Joins after this event.
    pub(super) fn join(server: Server, session: SessionId, after: i64) -> Self {
        let (tell, news) = mpsc::channel(MOST_WAITING);
        let (commands, asked) = mpsc::channel(MOST_WAITING);
        let line = Line {
            server,
            session,
            cursor: after,
            open: BTreeMap::new(),
            later: BTreeMap::new(),
            tell,
        };
        tokio::spawn(line.run(asked));
        Self { news, commands, run: uuid::Uuid::new_v4().as_simple().to_string(), sent: 0 }
    }

    /// One whose session is a test.
    #[cfg(test)]
    pub(super) fn played(
        news: mpsc::Receiver<News>,
        commands: mpsc::Sender<(String, Value)>,
    ) -> Self {
        Self { news, commands, run: "test".to_owned(), sent: 0 }
    }

    /// Asks for an action; the ref of its answer.
    pub(super) async fn act(&mut self, action: &Value) -> String {
        self.sent += 1;
        let reference = format!("{}-{}", self.run, self.sent);
        let frame = json!({ "type": "do", "ref": reference, "action": action });
        // If the line is gone, its last news says so.
        drop(self.commands.send((reference.clone(), frame)).await);
        reference
    }
}

struct Line {
    server: Server,
    session: SessionId,
    cursor: i64,
    /// Commands without an answer.
    open: BTreeMap<String, Value>,
    /// Those that are sent again, and when.
    later: BTreeMap<String, Later>,
    tell: mpsc::Sender<News>,
}

/// A command that could not be taken when it was sent.
#[derive(Clone, Copy, Debug)]
struct Later {
    /// When that was first said.
    since: Instant,
    /// When it is sent again; none: it was.
    at: Option<Instant>,
}

/// Why a connection is no more.
enum Ended {
    /// Nobody listens.
    Unheard,
    Broken(RunFailed),
}

impl From<RunFailed> for Ended {
    fn from(failed: RunFailed) -> Self {
        Self::Broken(failed)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Broken(RunFailed::cut(error))
    }
}

impl Line {
    async fn run(mut self, mut asked: mpsc::Receiver<(String, Value)>) {
        let (mut tries, mut joined_before) = (0, false);
        loop {
            let failed = match self.open().await {
                Ok(mut socket) => {
                    if std::mem::replace(&mut joined_before, true)
                        && self.tell.send(News::Back).await.is_err()
                    {
                        return;
                    }
                    tries = 0;
                    match self.carry(&mut socket, &mut asked).await {
                        Ended::Unheard => return,
                        Ended::Broken(failed) => failed,
                    }
                }
                Err(failed) => failed,
            };
            if !failed.may_pass() || tries >= MOST_TRIES {
                drop(self.tell.send(News::Gone(failed)).await);
                return;
            }
            if tries == 0 && self.tell.send(News::Lost(failed.to_string())).await.is_err() {
                return;
            }
            sleep(FIRST_WAIT.saturating_mul(1 << tries.min(16)).min(LONGEST_WAIT)).await;
            tries += 1;
        }
    }

    async fn open(&self) -> Result<Socket, RunFailed> {
        let joining = async {
            let stream = self.server.connect().await?;
            let (session, cursor) = (self.session, self.cursor);
            let url = format!(
                "ws://{}/api/sessions/{session}/ws?after={cursor}",
                self.server.address.authority
            );
            let mut request = url.into_client_request().map_err(RunFailed::here)?;
            let bearer = format!("Bearer {}", self.server.token);
            let headers = request.headers_mut();
            headers.insert("Authorization", bearer.parse().map_err(RunFailed::here)?);
            headers.insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().map_err(RunFailed::here)?);
            let config = WebSocketConfig::default()
                .max_message_size(Some(MOST_FRAME))
                .max_frame_size(Some(MOST_FRAME));
            match client_async_with_config(request, stream, Some(config)).await {
                Ok((socket, _)) => Ok(socket),
                Err(Error::Http(answer)) => {
                    let body = answer.body().clone().unwrap_or_default();
                    Err(refusal(answer.status().as_u16(), &body))
                }
                Err(error) => Err(RunFailed::cut(error)),
            }
        };
        match timeout(DEADLINE, joining).await {
            Ok(joined) => joined,
            Err(_) => Err(RunFailed::Cut("joining took too long".to_owned())),
        }
    }

    /// Carries frames until the connection ends.
    async fn carry(
        &mut self,
        socket: &mut Socket,
        asked: &mut mpsc::Receiver<(String, Value)>,
    ) -> Ended {
        match self.carry_on(socket, asked).await {
            Err(ended) => ended,
            Ok(()) => Ended::Unheard,
        }
    }

    async fn carry_on(
        &mut self,
        socket: &mut Socket,
        asked: &mut mpsc::Receiver<(String, Value)>,
    ) -> Result<(), Ended> {
        // Answered before or not: asked again by the same ref, a command is not carried out twice.
        for frame in self.open.values() {
            socket.send(Message::text(frame.to_string())).await?;
        }
        self.later.values_mut().for_each(|later| later.at = None);
        let mut ping = interval(PING);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.frame(text.as_str()).await?,
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(error.into()),
                        None => return Err(RunFailed::cut("it was closed").into()),
                    }
                }
                command = asked.recv() => {
                    let Some((reference, frame)) = command else { return Ok(()) };
                    let text = frame.to_string();
                    self.open.insert(reference, frame);
                    socket.send(Message::text(text)).await?;
                }
                () = due(&self.later) => {
                    let now = Instant::now();
                    for (reference, later) in &mut self.later {
                        if later.at.take_if(|at| *at <= now).is_some()
                            && let Some(frame) = self.open.get(reference)
                        {
                            socket.send(Message::text(frame.to_string())).await?;
                        }
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Err(RunFailed::cut("nothing came for long").into());
                    }
                    socket.send(Message::text(r#"{"type":"ping"}"#)).await?;
                }
            }
        }
    }

    async fn frame(&mut self, text: &str) -> Result<(), Ended> {
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return Ok(()) };
        match frame["type"].as_str() {
            Some("pong") => return Ok(()),
            Some("event") => {
                let id = frame["event"]["id"].as_i64().unwrap_or(-1);
                if id <= self.cursor {
                    return Ok(());
                }
                self.cursor = id;
            }
            Some("unavailable") if self.put_off(&frame) => {
                let why = frame["reason"].as_str().unwrap_or_default().to_owned();
                return self.tell.send(News::Later(why)).await.map_err(|_| Ended::Unheard);
            }
            Some("done" | "denied" | "unavailable" | "failed") => {
                let reference = frame["ref"].as_str().unwrap_or_default();
                self.open.remove(reference);
                self.later.remove(reference);
            }
            _ => {}
        }
        let news = News::Frame(frame, text.to_owned());
        self.tell.send(news).await.map_err(|_| Ended::Unheard)
    }

    /// Whether a command that is not taken now is sent again, after as long as the server says.
    fn put_off(&mut self, frame: &Value) -> bool {
        let reference = frame["ref"].as_str().unwrap_or_default();
        if !self.open.contains_key(reference) {
            return false;
        }
        let now = Instant::now();
        let later =
            self.later.entry(reference.to_owned()).or_insert(Later { since: now, at: None });
        let wait = Duration::from_secs(frame["retry_after"].as_u64().unwrap_or(1));
        later.at = Some(now + wait.clamp(FIRST_WAIT, LONGEST_WAIT));
        later.since.elapsed() < MOST_PUT_OFF
    }
}

/// When the next command is to be sent again.
async fn due(later: &BTreeMap<String, Later>) {
    match later.values().filter_map(|later| later.at).min() {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_now_is_sent_again_when_the_server_says_but_not_for_ever() {
        let (tell, mut news) = mpsc::channel(8);
        let server = Server::new("http://127.0.0.1:1", String::new()).expect("an address");
        let mut line = Line {
            server,
            session: SessionId::generate(),
            cursor: -1,
            open: BTreeMap::from([("r".to_owned(), json!({}))]),
            later: BTreeMap::new(),
            tell,
        };
        let begun = Instant::now();
        let frame = |reference: &str| {
            json!({ "type": "unavailable", "ref": reference, "code": "server.busy", "reason": "busy",
                    "retry_after": 3 })
            .to_string()
        };
        assert!(line.frame(&frame("r")).await.is_ok());
        assert!(matches!(news.recv().await, Some(News::Later(why)) if why == "busy"));
        due(&line.later).await;
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert!(line.open.contains_key("r"), "it is sent again");
        sleep(MOST_PUT_OFF).await;
        assert!(line.frame(&frame("r")).await.is_ok());
        assert!(matches!(news.recv().await, Some(News::Frame(..))), "it is given up");
        assert!(line.open.is_empty() && line.later.is_empty());
        assert!(line.frame(&frame("other")).await.is_ok());
        assert!(matches!(news.recv().await, Some(News::Frame(..))), "nobody asked for it");
    }
}
