//! How a program in the sandbox is reached.

use futures_util::future::BoxFuture;
use staithe_protocol::pipe::PipeStart;
use tokio::io::{AsyncRead, AsyncWrite};

/// Opens programs in the session's sandbox.
pub trait Door: Send + Sync + 'static {
    /// Starts a program, or says why it did not, for people.
    fn open(&self, start: PipeStart) -> BoxFuture<'static, Result<Opened, String>>;
}

/// A program that runs. It ends when its stream is dropped.
pub struct Opened {
    /// Its stdin and stdout.
    pub stream: Box<dyn Stream>,
    pub program: Box<dyn Program>,
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// The program behind a stream.
pub trait Program: Send + 'static {
    /// Has it ended; how it did and its last lines, for people. Nothing where that can't be known.
    fn end(self: Box<Self>) -> BoxFuture<'static, String>;
}
