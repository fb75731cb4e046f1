//! Requests and frames as bytes, so that they can be wrong in every way.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The longest that an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One HTTP request, built by parts that nobody checks.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the body's length is told.
    announced: bool,
}

impl Request {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        let (method, path) = (method.to_owned(), path.into());
        Self { method, path, headers: Vec::new(), body: Vec::new(), announced: true }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).body(body)
    }

    pub(crate) fn put(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new("PUT", path).body(body)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header. An empty `Host` or `Authorization` is left out altogether.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn anonymous(self) -> Self {
        self.header("Authorization", "")
    }

    /// The body goes as one chunk, its length untold.
    pub(crate) fn chunked(mut self) -> Self {
        let mut chunked = format!("{:x}\r\n", self.body.len()).into_bytes();
        chunked.extend_from_slice(&self.body);
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        self.body = chunked;
        self.announced = false;
        self.header("Transfer-Encoding", "chunked")
    }

    /// The bytes; with `token` shown unless the row says otherwise.
    pub(crate) fn bytes(&self, address: &str, token: &str) -> Vec<u8> {
        let named = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !named("Host") {
            write!(head, "Host: {address}\r\n").expect("a string takes it");
        }
        if !named("Authorization") {
            write!(head, "Authorization: Bearer {token}\r\n").expect("a string takes it");
        }
        if !named("Connection") {
            head += "Connection: close\r\n";
        }
        if self.announced && (!self.body.is_empty() || self.method == "POST") {
            write!(head, "Content-Length: {}\r\n", self.body.len()).expect("a string takes it");
        }
        for (name, value) in self.headers.iter().filter(|(name, value)| {
            !(value.is_empty() && ["Host", "Authorization"].contains(&name.as_str()))
        }) {
            write!(head, "{name}: {value}\r\n").expect("a string takes it");
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `status code`; a redirection's place instead of a code; `-` where there is neither.
    pub(crate) fn shown(&self) -> String {
        let body = self.json();
        let code = body["code"].as_str().or_else(|| self.header("location")).unwrap_or("-");
        let problem = self.header("content-type") == Some("application/problem+json");
        if self.status >= 400 && body["code"].is_string() {
            assert!(problem, "a problem has its own content type: {}", self.head);
            assert_eq!(body["status"], self.status, "{body}");
        }
        format!("{} {code}", self.status)
    }
}

/// Sends bytes on a connection of their own and reads what comes until the server closes.
pub(crate) async fn exchange(address: &str, bytes: &[u8]) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    let (mut from, mut to) = stream.into_split();
    let bytes = bytes.to_owned();
    // The server may refuse, and close, before all is sent.
    let sending = tokio::spawn(async move {
        drop(to.write_all(&bytes).await);
        to
    });
    let mut all = Vec::new();
    let reading = async {
        let mut piece = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            all.extend_from_slice(&piece[..length]);
            if is_whole(&all) {
                break;
            }
        }
    };
    timeout(LIMIT, reading).await.ok()?;
    sending.abort();
    parse(&all)
}

fn is_whole(all: &[u8]) -> bool {
    let Some(answer) = parse(all) else { return false };
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    length.is_some_and(|length: usize| answer.body.len() >= length)
}

/// An HTTP answer.
pub(crate) fn parse(all: &[u8]) -> Option<Answer> {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: all[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunked(&answer.body);
    }
    Some(answer)
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..end]).ok();
        let length = length.and_then(|length| usize::from_str_radix(length, 16).ok()).unwrap_or(0);
        let from = end + 2;
        if length == 0 || rest.len() < from + length + 2 {
            break;
        }
        body.extend_from_slice(&rest[from..from + length]);
        rest = &rest[from + length + 2..];
    }
    body
}

/// One frame of a client: its first byte (FIN, reserved bits, opcode), masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [7, 77, 177, 27];
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A frame's head that tells of a masked payload.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..0x7e), _) => bytes.push(0x80 | length),
        (_, Ok(length)) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 0x7f);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// A WebSocket as bytes.
pub(crate) struct RawSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What a server's frame says.
#[derive(Debug)]
pub(crate) enum Said {
    Text(Value),
    Close(u16),
    /// A ping or pong.
    Control(u8),
    /// The connection ended without a word.
    Cut,
}

impl RawSocket {
    /// Joins; the server's answer when it refuses.
    pub(crate) async fn join(
        address: &str,
        request: &Request,
        token: &str,
    ) -> Result<Self, Answer> {
        let request = request
            .clone()
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(&request.bytes(address, token)).await.expect("it takes the request");
        let mut socket = Self { stream, buffer: Vec::new() };
        loop {
            if let Some(end) = socket.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let answer = parse(&socket.buffer).expect("an answer");
                if answer.status == 101 {
                    socket.buffer.drain(..end + 4);
                    return Ok(socket);
                }
                if is_whole(&socket.buffer) {
                    return Err(answer);
                }
            }
            if !socket.fill().await {
                let none = Answer { status: 0, head: String::new(), body: Vec::new() };
                return Err(parse(&socket.buffer).unwrap_or(none));
            }
        }
    }

    /// Whether more came.
    async fn fill(&mut self) -> bool {
        let mut piece = vec![0; 65536];
        match timeout(LIMIT, self.stream.read(&mut piece)).await {
            Ok(Ok(length @ 1..)) => {
                self.buffer.extend_from_slice(&piece[..length]);
                true
            }
            Ok(_) => false,
            Err(late) => panic!("{late}: the server says nothing for {LIMIT:?}"),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // One that was cut is noticed by reading.
        drop(timeout(LIMIT, self.stream.write_all(bytes)).await);
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(&frame(0x81, text.as_bytes())).await;
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            if let Some((opcode, payload)) = self.take() {
                return match opcode {
                    1 => {
                        Said::Text(serde_json::from_slice(&payload).expect("text frames are JSON"))
                    }
                    8 => Said::Close(
                        payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code)),
                    ),
                    other => Said::Control(other),
                };
            }
            if !self.fill().await {
                return Said::Cut;
            }
        }
    }

    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        let (length, from) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*self.buffer.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let end = from + usize::try_from(length).ok()?;
        let payload = self.buffer.get(from..end)?.to_vec();
        self.buffer.drain(..end);
        Some((first & 0x0f, payload))
    }

    /// The next frame that answers something; how the socket ended, when it did.
    pub(crate) async fn answer(&mut self) -> Result<Value, String> {
        loop {
            match self.next().await {
                Said::Text(frame) => {
                    let kind = frame["type"].as_str().unwrap_or_default();
                    if !["hello", "event", "partial", "presence"].contains(&kind) {
                        return Ok(frame);
                    }
                }
                Said::Control(_) => {}
                Said::Close(code) => return Err(format!("close {code}")),
                Said::Cut => return Err("cut".to_owned()),
            }
        }
    }
}

/// An answering frame as `type code`.
pub(crate) fn shown(answer: &Result<Value, String>) -> String {
    match answer {
        Ok(frame) => {
            let word = |key: &str| frame[key].as_str().unwrap_or_default();
            format!("{} {}", word("type"), word("code")).trim_end().to_owned()
        }
        Err(end) => end.clone(),
    }
}
