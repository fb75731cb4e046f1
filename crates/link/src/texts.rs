//! A stream of texts from a runner, on a WebSocket of its own: it is read at the reader's pace.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::{Link, LinkFailed, http::Socket};

/// The buffer for reading, in bytes: there may be one stream for each client.
const BUFFER: usize = 4096;

/// See the module.
pub struct Texts(Socket);

impl Link {
    /// Opens a stream and says the first word on it.
    pub async fn texts(&self, path_and_query: &str, first: String) -> Result<Texts, LinkFailed> {
        let mut socket = self.websocket(path_and_query, BUFFER).await?;
        let said = socket.send(Message::text(first)).await;
        said.map_err(|error| LinkFailed::Http(error.into()))?;
        Ok(Texts(socket))
    }
}

impl Texts {
    /// The next text; none once the stream is cut. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(text.to_string()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}
