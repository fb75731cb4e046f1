//! HTTP/1.1 as bytes, for both ends: what a library would not send has to be sent, too.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One end of a connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// A start line and headers.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The first header of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("it is taken").expect("it can be written");
    }

    /// Reads more. False: there is no more; also when it was broken off.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        matches!(read.expect("something comes"), Ok(n) if n > 0)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).collect();
                return Some(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next head; none when the connection ended before.
    pub(crate) async fn try_head(&mut self) -> Option<Head> {
        let start = self.line().await?;
        let headers = self.headers().await?;
        Some(Head { start, headers })
    }

    pub(crate) async fn head(&mut self) -> Head {
        self.try_head().await.expect("a head comes")
    }

    async fn headers(&mut self) -> Option<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(headers);
            }
            let (name, value) = line.split_once(':').expect("a header");
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// So many bytes.
    pub(crate) async fn exact(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.read.drain(..length).collect())
    }

    /// A chunk; empty at the end, before the trailers.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().await?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(Vec::new());
        }
        let chunk = self.exact(length).await?;
        assert_eq!(self.line().await.as_deref(), Some(""));
        Some(chunk)
    }

    /// Everything until the other side ends its direction. None: it was broken off.
    pub(crate) async fn rest(&mut self) -> Option<Vec<u8>> {
        loop {
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
            match read.expect("it ends") {
                Ok(0) => return Some(std::mem::take(&mut self.read)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The body that belongs to a head, and its trailers. None: it is not whole.
    pub(crate) async fn body(&mut self, head: &Head) -> Option<(Vec<u8>, Vec<(String, String)>)> {
        let is_chunked =
            head.get("transfer-encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked"));
        if is_chunked {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk().await?;
                if chunk.is_empty() {
                    return Some((body, self.headers().await?));
                }
                body.extend(chunk);
            }
        }
        match head.get("content-length") {
            Some(length) => Some((self.exact(length.parse().unwrap()).await?, Vec::new())),
            None if head.start.starts_with("HTTP/") => Some((self.rest().await?, Vec::new())),
            None => Some((Vec::new(), Vec::new())),
        }
    }
}
