//! A `WebSocket` client of `staithe.v1` that keeps its cursor and checks that ids are dense.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{WebSocketConfig, frame::CloseFrame},
    },
};

use super::{PROMPT, Server};

/// One joined socket.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    /// The first frame.
    pub hello: Value,
    /// The newest event that was received.
    pub cursor: i64,
    /// How the server said good-bye.
    pub closed: Option<CloseFrame>,
}

impl Client {
    /// Joins with events up to `after` known; −1 for none.
    pub async fn connect(server: &Server, sid: &str, token: &str, after: i64) -> Self {
        let joined = Self::try_connect(server.address(), sid, token, after, None).await;
        joined.unwrap_or_else(|error| panic!("{sid} can't be joined after {after}: {error:#}"))
    }

    /// Joins as one who is seen, and hears who else is there.
    pub async fn connect_seen(server: &Server, sid: &str, token: &str) -> Self {
        let joined = Self::join(server.address(), sid, token, (-1, "&presence=1"), None).await;
        joined.unwrap_or_else(|error| panic!("{sid} can't be joined: {error:#}"))
    }

    /// Joins, if it can be; `receive_buffer` makes the kernel's buffer small.
    pub async fn try_connect(
        address: &str,
        sid: &str,
        token: &str,
        after: i64,
        receive_buffer: Option<u32>,
    ) -> anyhow::Result<Self> {
        Self::join(address, sid, token, (after, ""), receive_buffer).await
    }

    async fn join(
        address: &str,
        sid: &str,
        token: &str,
        (after, more): (i64, &str),
        receive_buffer: Option<u32>,
    ) -> anyhow::Result<Self> {
        let join = async {
            let uri = format!("ws://{address}/api/sessions/{sid}/ws?after={after}{more}");
            let mut request = uri.into_client_request()?;
            let headers = request.headers_mut();
            headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}"))?);
            headers.insert("sec-websocket-protocol", HeaderValue::from_static("staithe.v1"));
            let socket = TcpSocket::new_v4()?;
            if let Some(bytes) = receive_buffer {
                socket.set_recv_buffer_size(bytes)?;
            }
            let stream = socket.connect(address.parse()?).await?;
            stream.set_nodelay(true)?;
            let mut config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
            if receive_buffer.is_some() {
                config = config.read_buffer_size(4096);
            }
            let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
            let mut client = Self { socket, hello: Value::Null, cursor: after, closed: None };
            client.hello = client.recv_json(PROMPT).await?;
            anyhow::ensure!(client.hello["type"] == "hello", "not a hello: {}", client.hello);
            Ok(client)
        };
        timeout(PROMPT, join).await.context("joining takes too long")?
    }

    /// Sends a frame; a socket that is gone is noticed by the next read.
    pub async fn send_json(&mut self, frame: &Value) {
        self.send_text(frame.to_string()).await;
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: String) {
        drop(timeout(PROMPT, self.socket.send(Message::text(text))).await);
    }

    /// The next text frame. An error when the socket ends or nothing comes; see `closed`.
    pub async fn recv_json(&mut self, limit: Duration) -> anyhow::Result<Value> {
        let until = Instant::now() + limit;
        loop {
            let message = tokio::time::timeout_at(until, self.socket.next());
            match message.await.with_context(|| format!("nothing came in {limit:?}"))? {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    self.note(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    self.closed = close;
                    bail!("the server said good-bye: {:?}", self.closed);
                }
                Some(Ok(_)) => {} // pings are answered by the library
                Some(Err(error)) => return Err(error.into()),
                None => bail!("the socket ended"),
            }
        }
    }

    /// The next frame that is wanted; the others are passed over.
    pub async fn until(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + limit;
        loop {
            let frame = self.recv_json(end.saturating_duration_since(Instant::now())).await;
            match frame {
                Ok(frame) if wanted(&frame) => return frame,
                Ok(_) => {}
                Err(error) => panic!("the wanted frame did not come: {error:#}"),
            }
        }
    }

    /// Asks for a command to be run, without waiting.
    pub async fn send_run(&mut self, reference: &str, command: &str) {
        self.send_json(&run_frame(reference, command)).await;
    }

    /// Sends a frame with a `ref` and waits for its answer.
    pub async fn ask(&mut self, frame: &Value) -> Value {
        self.send_json(frame).await;
        let reference = frame["ref"].clone();
        self.until(PROMPT, |answer| answer["ref"] == reference).await
    }

    /// Runs a command; the observation's event.
    pub async fn run(&mut self, reference: &str, command: &str) -> Value {
        self.send_run(reference, command).await;
        let (mut cause, mut early) = (None, Vec::new());
        loop {
            let frame = self.recv_json(PROMPT).await.unwrap();
            if frame["ref"] == reference {
                assert_eq!(frame["type"], "done", "{frame}");
                cause = Some(frame["event_id"].clone());
            } else if frame["type"] == "event" && frame["event"]["observation"].is_string() {
                early.push(frame["event"].clone()); // it may overtake the answer
            }
            if let Some(cause) = &cause
                && let Some(place) = early.iter().position(|event| event["cause"] == *cause)
            {
                return early.swap_remove(place);
            }
        }
    }

    /// Reads events up to and with an id.
    pub async fn events_up_to(&mut self, id: i64) -> Vec<Value> {
        let mut events = Vec::new();
        while self.cursor < id {
            let frame = self.recv_json(PROMPT).await.unwrap();
            if frame["type"] == "event" {
                events.push(frame["event"].clone());
            }
        }
        events
    }

    fn note(&mut self, frame: &Value) {
        if frame["type"] == "event" {
            let id = frame["event"]["id"].as_i64();
            assert_eq!(id, Some(self.cursor + 1), "once, in order, dense: {frame}");
            self.cursor += 1;
        }
    }
}

/// The frame that asks for a command to be run.
pub fn run_frame(reference: &str, command: &str) -> Value {
    let action = json!({ "action": "run", "args": { "command": command } });
    json!({ "type": "do", "ref": reference, "action": action })
}
