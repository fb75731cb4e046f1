//! The server's end of a tunnel to a port in the sandbox: see [`staithe_protocol::tunnel`].

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use staithe_protocol::tunnel::{END, MOST_FRAME, PROTOCOL};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};

use crate::{
    Link, LinkFailed,
    http::{Reply, Upgraded},
};

/// Bytes both ways. Its `shutdown` ends our direction only; dropping it breaks both off.
pub struct Tunnel {
    inner: BufReader<Upgraded>,
    reading: Reading,
    /// The frame that is being written, and how much of it is.
    frame: Vec<u8>,
    written: usize,
    ended: bool,
}

/// What comes next.
enum Reading {
    Length { first: Option<u8> },
    Bytes { left: usize },
    Ended,
}

impl Link {
    /// Opens a tunnel to a port. The reply instead, when there is none to be had.
    pub async fn tunnel(&self, port: u16) -> Result<Result<Tunnel, Reply>, LinkFailed> {
        let opened = self.upgrade(&format!("/tunnel/{port}"), PROTOCOL).await?;
        Ok(opened.map(Tunnel::new))
    }
}

impl Tunnel {
    pub(crate) fn new(stream: Upgraded) -> Self {
        Self {
            inner: BufReader::with_capacity(MOST_FRAME, stream),
            reading: Reading::Length { first: None },
            frame: Vec::new(),
            written: 0,
            ended: false,
        }
    }

    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.frame.len() {
            let rest = &self.frame[self.written..];
            let wrote = ready!(Pin::new(self.inner.get_mut()).poll_write(context, rest))?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += wrote;
        }
        self.frame.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if matches!(this.reading, Reading::Ended) || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let come = ready!(Pin::new(&mut this.inner).poll_fill_buf(context))?;
            let Some(byte) = come.first().copied() else {
                let broken = "the stream to the sandbox was broken off";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, broken)));
            };
            match this.reading {
                Reading::Length { first: None } => {
                    this.reading = Reading::Length { first: Some(byte) };
                    Pin::new(&mut this.inner).consume(1);
                }
                Reading::Length { first: Some(first) } => {
                    this.reading = match u16::from_be_bytes([first, byte]) {
                        END => Reading::Ended,
                        length => Reading::Bytes { left: usize::from(length) },
                    };
                    Pin::new(&mut this.inner).consume(1);
                }
                Reading::Bytes { left } => {
                    let most = left.min(come.len()).min(buffer.remaining());
                    buffer.put_slice(&come[..most]);
                    Pin::new(&mut this.inner).consume(most);
                    this.reading = match left - most {
                        0 => Reading::Length { first: None },
                        left => Reading::Bytes { left },
                    };
                    return Poll::Ready(Ok(()));
                }
                Reading::Ended => {}
            }
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_drain(context))?;
        let taken = &bytes[..bytes.len().min(MOST_FRAME)];
        let length = u16::try_from(taken.len()).map_err(io::Error::other)?;
        self.frame.extend_from_slice(&length.to_be_bytes());
        self.frame.extend_from_slice(taken);
        // What can't be written now is written by the next call, or by a flush.
        if let Poll::Ready(Err(error)) = self.poll_drain(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(self.inner.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.poll_drain(context))?;
            self.frame.extend_from_slice(&END.to_be_bytes());
            self.ended = true;
        }
        self.poll_flush(context)
    }
}
