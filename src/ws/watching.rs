//! A client's watch of its session's files: one stream of the runner, which goes on by itself when the
//! line or the sandbox was away. The server keeps a cursor and nothing else.

use std::time::Duration;

use futures_util::stream;
use staithe_actors::{
    SessionHandle, Texts, mail, runtime::messages::GetLine, session::messages::PeekRuntime,
};
use staithe_protocol::{
    Phase,
    frames::ServerFrame,
    watch::{Batch, Interest},
};
use tokio::time::sleep;

use super::{answers::encode, outbox::Out, side::Frames};
use crate::routes::body;

/// Watches of one socket at a time.
pub const MOST: usize = 8;
/// The first pause before a runner is asked again; it doubles up to [`MOST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(2);

/// The name of a watch among a socket's streams.
pub fn name(reference: &str) -> String {
    format!("{PREFIX}{reference}")
}

/// Before the names of all of them.
pub const PREFIX: &str = "watch:";

/// One watch.
pub struct Watching {
    pub session: SessionHandle,
    pub reference: String,
    pub interest: Interest,
    /// Epoch and number of the last batch that the client has.
    pub cursor: Option<(String, u64)>,
}

impl Watching {
    /// Its frames, for as long as the session is.
    pub fn frames(self) -> Frames {
        let state = (self, None::<Texts>);
        Box::pin(stream::unfold(state, |(mut watching, mut texts)| async move {
            loop {
                if texts.is_none() {
                    texts = Some(watching.open().await?);
                }
                match texts.as_mut()?.next().await.map(|text| serde_json::from_str(&text)) {
                    Some(Ok(batch)) => return Some((watching.frame(batch), (watching, texts))),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a runner told of files what can't be read");
                        texts = None;
                        sleep(MOST_PAUSE).await;
                    }
                    None => {
                        texts = None;
                        sleep(FIRST_PAUSE).await;
                    }
                }
            }
        }))
    }

    fn frame(&mut self, batch: Batch) -> Out {
        self.cursor = Some((batch.epoch.clone(), batch.seq));
        Out::Text(encode(&ServerFrame::Files { reference: self.reference.clone(), batch }))
    }

    /// Opens the runner's stream once there is one, without waking anybody. None: the session ended.
    async fn open(&mut self) -> Option<Texts> {
        let query = self.cursor.as_ref().map(|(epoch, seq)| {
            let epoch = body::encode(epoch);
            format!("?since={seq}&epoch={epoch}")
        });
        let path = format!("/watch{}", query.unwrap_or_default());
        let first = serde_json::to_string(&self.interest).ok()?;
        let mut pause = FIRST_PAUSE;
        loop {
            let ready = self.session.snapshot.wait_for(|now| now.phase.phase == Phase::Ready);
            drop(ready.await.ok()?);
            let runtime = mail::ask(&self.session.addr, PeekRuntime).await.ok()?;
            if let Ok(Ok(line)) = mail::ask(&runtime, GetLine).await {
                match line.texts(&path, first.clone()).await {
                    Ok(texts) => return Some(texts),
                    Err(error) => tracing::debug!(%error, "a runner's files can't be watched now"),
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(MOST_PAUSE);
        }
    }
}
