//! Bodies and raw bytes on their way, with what goes with them: the idle limit, the place among the
//! connections, and that the session is in use.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use actix::Addr;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use staithe_actors::session::Session;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, oneshot},
    task::JoinHandle,
    time::{Instant, Sleep, sleep, timeout},
};

use crate::in_use::InUse;

/// Bytes that are copied at a time.
const PIECE: usize = 16 * 1024;
/// How long a program may take to say whether it wants a body, before it gets it unasked.
const CONTINUE: Duration = Duration::from_secs(1);

/// What is kept while something is carried.
pub struct Carried {
    in_use: InUse,
    _place: OwnedSemaphorePermit,
}

impl Carried {
    pub fn new(session: Addr<Session>, place: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("staithe_proxy_open").increment(1.0);
        Self { in_use: InUse::new(session), _place: place }
    }

    /// The program is there: now it is used, and not before.
    pub fn begins(&mut self) {
        self.in_use.say();
    }

    /// Bytes went one way.
    fn moved(&mut self, inward: bool, bytes: usize) {
        let direction = if inward { "in" } else { "out" };
        metrics::counter!("staithe_proxy_bytes_total", "direction" => direction)
            .increment(bytes as u64);
        self.in_use.moved();
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        metrics::gauge!("staithe_proxy_open").decrement(1.0);
    }
}

/// A connection's task. Dropped, it is broken off, unless it was let go.
pub struct Connection(Option<JoinHandle<()>>);

impl Connection {
    pub fn new(task: JoinHandle<()>) -> Self {
        Self(Some(task))
    }

    /// It may end by itself.
    pub fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

/// Runs out when nothing moved for so long.
struct Idle {
    limit: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, sleep: None }
    }

    fn moved(&mut self) {
        self.sleep = None;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        self.sleep.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context)
    }
}

fn nothing_moved() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing moved for too long")
}

/// An answer's body on its way to the browser. It is cut when the program's is cut.
pub struct Answer {
    body: Incoming,
    idle: Idle,
    carried: Carried,
    connection: Connection,
    pulse: Pulse,
}

impl Answer {
    pub fn new(
        body: Incoming,
        idle: Option<Duration>,
        carried: Carried,
        connection: Connection,
        pulse: Pulse,
    ) -> Self {
        let mut answer = Self { body, idle: Idle::new(idle), carried, connection, pulse };
        if answer.body.is_end_stream() {
            answer.ends();
        }
        answer
    }

    /// The connection may end by itself, unless a part of the request is not sent yet: nobody wants that.
    fn ends(&mut self) {
        if self.pulse.sent.load(Ordering::Acquire) {
            self.connection.let_go();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.moved();
                self.carried.moved(false, frame.data_ref().map_or(0, Bytes::len));
                if self.body.is_end_stream() {
                    self.ends();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "an answer out of a sandbox was cut");
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            Poll::Ready(None) => {
                self.ends();
                Poll::Ready(None)
            }
            Poll::Pending => match self.idle.poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(nothing_moved()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body on its way to the program.
pub struct Question {
    body: Incoming,
    idle: Idle,
    pulse: Pulse,
    in_use: InUse,
    /// Where the client waits to be asked for it: until the program asks, or for a moment.
    gate: Option<(oneshot::Receiver<()>, Pin<Box<Sleep>>)>,
    /// It is not wanted any more.
    refused: bool,
}

impl Question {
    pub fn new(
        body: Incoming,
        idle: Option<Duration>,
        pulse: Pulse,
        in_use: InUse,
        wanted: Option<oneshot::Receiver<()>>,
    ) -> Self {
        if body.is_end_stream() {
            pulse.sent.store(true, Ordering::Release);
        }
        let gate = wanted.map(|wanted| (wanted, Box::pin(sleep(CONTINUE))));
        Self { body, idle: Idle::new(idle), pulse, in_use, gate, refused: false }
    }
}

impl Body for Question {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.refused {
            return Poll::Pending;
        }
        if let Some((wanted, patience)) = &mut self.gate {
            match Pin::new(wanted).poll(context) {
                Poll::Ready(Ok(())) => {}
                // The answer is there: it is not wanted any more.
                Poll::Ready(Err(_)) => {
                    self.refused = true;
                    return Poll::Pending;
                }
                Poll::Pending => ready!(patience.as_mut().poll(context)),
            }
            self.gate = None;
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.moved();
                self.pulse.beat();
                self.in_use.moved();
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                metrics::counter!("staithe_proxy_bytes_total", "direction" => "in")
                    .increment(bytes);
                if self.body.is_end_stream() {
                    self.pulse.sent.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(None) => {
                self.pulse.sent.store(true, Ordering::Release);
                Poll::Ready(None)
            }
            Poll::Pending => match self.idle.poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(nothing_moved()))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Copies both ways until both are ended, one is broken off, or nothing moves for too long.
pub async fn copy_both_ways(
    client: impl AsyncRead + AsyncWrite,
    program: impl AsyncRead + AsyncWrite,
    idle: Option<Duration>,
    carried: Carried,
) -> io::Result<()> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_program, to_program) = tokio::io::split(program);
    let carried = Mutex::new(carried);
    let pulse = Pulse::default();
    let moved = |inward: bool, bytes: usize| {
        pulse.beat();
        carried.lock().unwrap_or_else(PoisonError::into_inner).moved(inward, bytes);
    };
    let copying = async {
        tokio::try_join!(
            copy(from_client, to_program, |bytes| moved(true, bytes)),
            copy(from_program, to_client, |bytes| moved(false, bytes)),
        )
        .map(drop)
    };
    pulse.guard(idle, copying).await.unwrap_or_else(|| Err(nothing_moved()))
}

/// When something last moved, and whether a request was sent whole.
#[derive(Clone)]
pub struct Pulse {
    last: Arc<Mutex<Instant>>,
    sent: Arc<AtomicBool>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { last: Arc::new(Mutex::new(Instant::now())), sent: Arc::default() }
    }
}

impl Pulse {
    /// Something moves.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn quiet(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Waits as long as it goes on, and no longer than `limit` after the last movement.
    pub async fn guard<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(limit) = limit else { return Some(work.await) };
        let mut work = std::pin::pin!(work);
        loop {
            match timeout(limit.saturating_sub(self.quiet()), &mut work).await {
                Ok(done) => return Some(done),
                Err(_) if self.quiet() >= limit => return None,
                Err(_) => {}
            }
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut moved: impl FnMut(usize),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        moved(read);
        to.write_all(&piece[..read]).await?;
        to.flush().await?;
    }
}
