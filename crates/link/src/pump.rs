//! The task behind a line: connects, carries calls and answers, connects again.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use staithe_protocol::runner::{Answer, FromRunner, Hello, KEY_HEADER, LINK_PATH, ToRunner};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use crate::{Address, LinkEvent, LinkFailed, Outgoing, Stream, connect};

/// How long connecting and the runner's first word may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The first pause before connecting again; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// The largest message taken from a runner, in bytes: the largest inline file in base64, and its frame.
pub(crate) const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// Buffers of a line. Thousands of lines are idle most of the time, so they are small.
const BUFFER: usize = 4096;

type Socket = WebSocketStream<Box<dyn Stream>>;
type Waiting = HashMap<u64, oneshot::Sender<Result<Answer, LinkFailed>>>;

/// Carries a line until its last handle is gone.
pub(crate) async fn run(
    address: Address,
    key: Arc<str>,
    mut calls: mpsc::Receiver<Outgoing>,
    events: mpsc::Sender<LinkEvent>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(&address, &key).await {
            Ok((socket, hello)) => {
                pause = FIRST_PAUSE;
                if events.send(LinkEvent::Up(hello)).await.is_err() {
                    return;
                }
                let Some(reason) = carry(socket, &mut calls, &events).await else { return };
                if events.send(LinkEvent::Down { reason }).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::trace!(%error, "the runner does not answer yet"),
        }
        if refuse_for(&mut calls, pause).await.is_err() {
            return;
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Answers what is asked while the line is down. `Err` when the last handle is gone.
async fn refuse_for(calls: &mut mpsc::Receiver<Outgoing>, pause: Duration) -> Result<(), ()> {
    let wait = sleep(pause);
    tokio::pin!(wait);
    loop {
        tokio::select! {
            () = &mut wait => return Ok(()),
            call = calls.recv() => match call {
                Some(Outgoing::Call { answer, .. }) => drop(answer.send(Err(LinkFailed::Down))),
                Some(Outgoing::Cancel { .. }) => {}
                None => return Err(()),
            },
        }
    }
}

async fn open(address: &Address, key: &str) -> io::Result<(Socket, Hello)> {
    timeout(HANDSHAKE, async {
        let stream = connect::connect(address).await?;
        let mut request =
            format!("ws://runner{LINK_PATH}").into_client_request().map_err(io::Error::other)?;
        let key = HeaderValue::from_str(key).map_err(io::Error::other)?;
        request.headers_mut().insert(KEY_HEADER, key);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (mut socket, _) = client_async_with_config(request, stream, Some(config))
            .await
            .map_err(io::Error::other)?;
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text)? {
                    FromRunner::Hello(hello) => return Ok((socket, hello)),
                    other => {
                        return Err(io::Error::other(format!("no hello from runner: {other:?}")));
                    }
                },
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    })
    .await
    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Carries one connection. The reason why it ended, or nothing when the last handle is gone.
async fn carry(
    mut socket: Socket,
    calls: &mut mpsc::Receiver<Outgoing>,
    events: &mpsc::Sender<LinkEvent>,
) -> Option<String> {
    let mut waiting = Waiting::new();
    let reason = loop {
        tokio::select! {
            call = calls.recv() => {
                let Some(call) = call else {
                    drop(socket.close(None).await);
                    return None;
                };
                if let Err(error) = write(&mut socket, &mut waiting, call).await {
                    break error.to_string();
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(word) => {
                        if let Some(event) = take(word, &mut waiting)
                            && events.send(event).await.is_err()
                        {
                            return None;
                        }
                    }
                    Err(error) => break format!("the runner sent what can't be read: {error}"),
                },
                Some(Ok(_)) => {}
                Some(Err(error)) => break error.to_string(),
                None => break "the runner closed the line".to_owned(),
            },
        }
    };
    for (_, answer) in waiting {
        drop(answer.send(Err(LinkFailed::Cut)));
    }
    Some(reason)
}

async fn write(
    socket: &mut Socket,
    waiting: &mut Waiting,
    call: Outgoing,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let word = match call {
        Outgoing::Call { request, id, answer } => {
            waiting.insert(id, answer);
            *request
        }
        Outgoing::Cancel { id } => {
            if waiting.remove(&id).is_none() {
                return Ok(());
            }
            ToRunner::Cancel { id }
        }
    };
    let text = serde_json::to_string(&word).expect("a call is plain data with string keys");
    socket.send(Message::text(text)).await
}

fn take(word: FromRunner, waiting: &mut Waiting) -> Option<LinkEvent> {
    match word {
        FromRunner::Answer { id, answer } => {
            if let Some(waiter) = waiting.remove(&id) {
                drop(waiter.send(Ok(answer)));
            }
            None
        }
        FromRunner::Output { key, offset, text, skipped } => {
            Some(LinkEvent::Output { key, offset, text, skipped })
        }
        FromRunner::Plugin { plugin } => Some(LinkEvent::Plugin(plugin)),
        FromRunner::Ports { ports } => Some(LinkEvent::Ports(ports)),
        FromRunner::Hello(_) => None,
    }
}
