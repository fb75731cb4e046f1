//! The line to the runner in a sandbox.
//!
//! A [`Link`] keeps one WebSocket open and opens it again when it is cut; [`Link::call`] sends a
//! request over it and waits, under a deadline, for the one answer. Dropping the future of a call
//! tells the runner that nobody waits any more. Bulk bytes travel on HTTP requests of their own
//! ([`http`]), so that the socket's flow control is theirs too.
//!
//! The link never repeats a call by itself: whoever sent it knows whether it may be sent twice
//! (an action with a key may; see `staithe_protocol::runner::Call::Act`).

mod connect;
pub mod duplex;
pub mod http;
pub mod pipe;
mod pump;
pub mod texts;
pub mod tunnel;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use staithe_protocol::{
    plugin::PluginState,
    port::Port,
    runner::{Answer, Call, Hello, ToRunner},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
};

/// Opens streams to a runner.
pub type Dialer = dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn Stream>>> + Send + Sync;

/// Where a runner listens.
#[derive(Clone)]
pub enum Address {
    /// A unix socket. Its path may be longer than a socket address holds.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// A function that opens a stream.
    Dialed(Arc<Dialer>),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
            Self::Dialed(_) => f.write_str("through the engine"),
        }
    }
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailed {
    /// The line was down when the call was made.
    #[error("the sandbox's runner can't be reached")]
    Down,
    /// The line was cut while the call was under way: it may have been carried out.
    #[error("the line to the sandbox's runner was cut")]
    Cut,
    /// The deadline passed: it may have been carried out.
    #[error("the sandbox's runner did not answer within {0:?}")]
    TimedOut(Duration),
    /// The runner could not be spoken with.
    #[error("the sandbox's runner could not be reached")]
    Connect(#[source] std::io::Error),
    /// An HTTP exchange with the runner failed.
    #[error("an exchange with the sandbox's runner failed")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What happens on a line. Bounded: whoever does not read slows the line, and the runner then leaves
/// output out and counts it.
#[derive(Debug)]
pub enum LinkEvent {
    /// The line is open (again).
    Up(Hello),
    /// The line was cut; it is being opened again.
    Down {
        /// Why, in words.
        reason: String,
    },
    /// Output of a command.
    Output { key: Option<String>, offset: u64, text: String, skipped: u64 },
    /// A plugin is in another state.
    Plugin(PluginState),
    /// What is listened on in the sandbox now.
    Ports(Vec<Port>),
}

/// A handle to one line; clones share it. The line ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Link {
    calls: mpsc::Sender<Outgoing>,
    next_id: Arc<AtomicU64>,
    address: Address,
    key: Arc<str>,
}

/// What handles tell the pump.
#[derive(Debug)]
enum Outgoing {
    Call { request: Box<ToRunner>, id: u64, answer: oneshot::Sender<Result<Answer, LinkFailed>> },
    Cancel { id: u64 },
}

/// Calls that wait to be written; beyond it, callers wait in turn.
const CALLS: usize = 64;
/// Events that wait to be read.
const EVENTS: usize = 64;

impl Link {
    /// Opens a line; the events tell when it is up.
    pub fn open(address: Address, key: &str) -> (Self, mpsc::Receiver<LinkEvent>) {
        let (calls, call_queue) = mpsc::channel(CALLS);
        let (events, event_queue) = mpsc::channel(EVENTS);
        let key: Arc<str> = key.into();
        tokio::spawn(pump::run(address.clone(), key.clone(), call_queue, events));
        (Self { calls, next_id: Arc::new(AtomicU64::new(1)), address, key }, event_queue)
    }

    /// Sends a call and waits for its answer, `deadline` at most.
    pub async fn call(&self, call: Call, deadline: Duration) -> Result<Answer, LinkFailed> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let request = Box::new(ToRunner::Request { id, call });
        let exchange = async {
            self.calls
                .send(Outgoing::Call { request, id, answer })
                .await
                .map_err(|_| LinkFailed::Down)?;
            answered.await.map_err(|_| LinkFailed::Cut)?
        };
        let mut abandoned = CancelOnDrop { id, calls: &self.calls, armed: true };
        let outcome = tokio::time::timeout(deadline, exchange).await;
        abandoned.armed = outcome.is_err();
        outcome.unwrap_or(Err(LinkFailed::TimedOut(deadline)))
    }
}

/// Tells the runner, when possible at once, that nobody waits for this call.
struct CancelOnDrop<'a> {
    id: u64,
    calls: &'a mpsc::Sender<Outgoing>,
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            // A full queue loses nothing but a courtesy: the answer is dropped when it comes.
            drop(self.calls.try_send(Outgoing::Cancel { id: self.id }));
        }
    }
}
