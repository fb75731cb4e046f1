//! Terminals of a runner, and a follower that checks what comes against its place.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{Method, StatusCode, header::HeaderValue};
use serde_json::{Value, json};
use staithe_protocol::{
    runner::{Call, KEY_HEADER},
    services::Services,
    terminal::{REPLAY, TerminalExit, TerminalInfo, TerminalNews, TerminalSettings, TerminalSize},
};
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use super::{KEY, PATIENCE, Runner};

impl Runner {
    /// Tells how terminals are kept.
    pub(crate) async fn keep_terminals(&self, terminals: TerminalSettings) {
        let services = Services { terminals, ..Services::default() };
        self.line().await.call(Call::Equip { services }).await;
    }

    /// Opens a terminal.
    pub(crate) async fn open(&self, new: &Value) -> TerminalInfo {
        let (status, body) = self.post("/terminals", new).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        serde_json::from_value(body).expect("a terminal")
    }

    /// Asks something of a terminal; the status and the code of a refusal.
    pub(crate) async fn ask(&self, id: u32, ask: &Value) -> (StatusCode, Value) {
        let (status, body) = self.post(&format!("/terminals/{id}"), ask).await;
        (status, body["code"].clone())
    }

    pub(crate) async fn terminals(&self) -> Vec<TerminalInfo> {
        let (_, _, body) = self.http(Method::GET, "/terminals", &[(KEY_HEADER, KEY)], "").await;
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        serde_json::from_value(list["terminals"].clone()).expect("terminals")
    }

    /// Follows a terminal and may type; `query` says more.
    pub(crate) async fn follow(&self, id: u32, query: &str) -> Follow {
        let mut follow = self.try_follow(id, &format!("type=1&{query}")).await;
        match follow.news().await {
            TerminalNews::Opened { info, you } => {
                follow.size = info.size;
                follow.opened = Some((info, you));
            }
            other => panic!("the first word is another one: {other:?}"),
        }
        follow
    }

    pub(crate) async fn try_follow(&self, id: u32, query: &str) -> Follow {
        let mut request = format!("ws://runner/terminals/{id}/stream?{query}")
            .into_client_request()
            .expect("a request");
        request.headers_mut().insert(KEY_HEADER, HeaderValue::from_static(KEY));
        let (socket, _) = client_async(request, self.connect().await).await.expect("a WebSocket");
        Follow {
            socket,
            opened: None,
            size: TerminalSize { cols: 0, rows: 0 },
            place: None,
            screen: Vec::new(),
            live: Vec::new(),
            replays: 0,
            exit: None,
        }
    }
}

/// Somebody who follows.
pub(crate) struct Follow {
    socket: WebSocketStream<UnixStream>,
    pub(crate) opened: Option<(TerminalInfo, String)>,
    pub(crate) size: TerminalSize,
    /// Where the next live byte must be.
    pub(crate) place: Option<u64>,
    /// All that an emulator is to be fed with, since the last replay began.
    pub(crate) screen: Vec<u8>,
    /// Live bytes alone.
    pub(crate) live: Vec<u8>,
    pub(crate) replays: usize,
    pub(crate) exit: Option<TerminalExit>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    News(TerminalNews),
    Bytes,
    End,
}

impl Follow {
    /// Begins where bytes are to come next.
    pub(crate) fn at(mut self, place: u64) -> Self {
        self.place = Some(place);
        self
    }

    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) {
        self.socket.send(Message::binary(bytes.into())).await.expect("the stream is open");
    }

    /// The next message, which must be in its place.
    pub(crate) async fn next(&mut self) -> Came {
        let message = timeout(PATIENCE, self.socket.next()).await.unwrap_or_else(|_| {
            panic!("nothing comes after {:?}", String::from_utf8_lossy(&self.screen))
        });
        match message {
            Some(Ok(Message::Text(text))) => {
                let news: TerminalNews = serde_json::from_str(&text).expect("news");
                match &news {
                    TerminalNews::Replay { offset, size, .. } => {
                        self.replays += 1;
                        self.screen.clear();
                        self.place = Some(*offset);
                        self.size = *size;
                    }
                    TerminalNews::Size { offset, size } => {
                        assert_eq!(self.place, Some(*offset), "a size is told at its place");
                        self.size = *size;
                    }
                    TerminalNews::Exit { offset, exit } => {
                        assert_eq!(self.place, Some(*offset), "the end is told at the end");
                        self.exit = Some(exit.clone());
                    }
                    _ => {}
                }
                Came::News(news)
            }
            Some(Ok(Message::Binary(mut bytes))) => {
                let place = bytes.get_u64();
                assert_eq!(self.place, Some(place & !REPLAY), "bytes come in their place");
                self.screen.extend_from_slice(&bytes);
                if place & REPLAY == 0 {
                    self.place = Some(place + bytes.len() as u64);
                    self.live.extend_from_slice(&bytes);
                }
                Came::Bytes
            }
            Some(Ok(Message::Close(_))) | None => Came::End,
            other => panic!("{other:?}"),
        }
    }

    /// The next news.
    pub(crate) async fn news(&mut self) -> TerminalNews {
        loop {
            match self.next().await {
                Came::News(news) => return news,
                Came::Bytes => {}
                Came::End => panic!("the stream has ended"),
            }
        }
    }

    /// Waits for news that are such.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&TerminalNews) -> bool) -> TerminalNews {
        loop {
            let news = self.news().await;
            if wanted(&news) {
                return news;
            }
        }
    }

    /// Waits until all that was shown contains a text.
    pub(crate) async fn shows(&mut self, text: &str) {
        let wanted = text.as_bytes();
        while !self.screen.windows(wanted.len()).any(|window| window == wanted) {
            if matches!(self.next().await, Came::End) {
                let shown = String::from_utf8_lossy(&self.screen).into_owned();
                panic!("it ended without {text:?}: {shown:?}");
            }
        }
    }

    /// Reads to the end; how the program ended.
    pub(crate) async fn read_to_end(&mut self) -> TerminalExit {
        while !matches!(self.next().await, Came::End) {}
        self.exit.clone().expect("the end is told")
    }

    /// Nothing comes for a while that is long for a machine.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.next()).await.is_err()
    }
}

/// A request for a program.
pub(crate) fn words(words: &[&str]) -> Value {
    json!({ "command": words })
}
