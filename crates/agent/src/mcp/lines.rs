//! The words of a program, looked at as they pass: no line may be too long, and what is no message is remembered.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The largest message that a server may send, in bytes.
pub(super) const MOST_MESSAGE: usize = 8 * 1024 * 1024;
/// So much of a line that is no message is told.
const MOST_SHOWN: usize = 200;
/// The last lines that a server logged, and most bytes of one.
const MOST_LOGGED: usize = 8;

/// What is known of a server when it fails.
#[derive(Default)]
pub(super) struct Clues(Mutex<Known>);

#[derive(Default)]
struct Known {
    fault: Option<String>,
    garbage: Option<String>,
    logged: Vec<String>,
}

impl Clues {
    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A line of its log.
    pub(super) fn log(&self, line: &str) {
        self.with(|known| {
            if known.logged.len() >= MOST_LOGGED {
                known.logged.remove(0);
            }
            known.logged.push(line[..line.floor_char_boundary(MOST_SHOWN)].to_owned());
        });
    }

    /// The cause of an end, where it is known better than by the end itself.
    pub(super) fn fault(&self) -> Option<String> {
        self.with(|known| known.fault.clone())
    }

    /// What else may explain it.
    pub(super) fn rest(&self) -> Vec<String> {
        self.with(|known| {
            let garbage = known
                .garbage
                .iter()
                .map(|line| format!("It also printed what is no message: {line}"));
            let logged = (!known.logged.is_empty())
                .then(|| format!("It logged:\n{}", known.logged.join("\n")));
            garbage.chain(logged).collect()
        })
    }
}

/// A program's output.
pub(super) struct Lines<R> {
    inner: R,
    clues: Arc<Clues>,
    /// Of the line that is being read.
    length: usize,
    head: Vec<u8>,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R, clues: Arc<Clues>) -> Self {
        Self { inner, clues, length: 0, head: Vec::new() }
    }

    fn look(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            self.length += piece.len();
            let room = MOST_SHOWN.saturating_sub(self.head.len());
            self.head.extend(&piece[..piece.len().min(room)]);
            if self.length > MOST_MESSAGE {
                let text = format!("it sent a message of more than {MOST_MESSAGE} bytes");
                self.clues.with(|known| known.fault = Some(text.clone()));
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let Some(end) = end else { return Ok(()) };
            let line = String::from_utf8_lossy(&self.head);
            if !line.trim().is_empty() && !line.trim_start().starts_with(['{', '[']) {
                self.clues.with(|known| {
                    known.garbage.get_or_insert_with(|| line.trim().to_owned());
                });
            }
            (self.length, self.head) = (0, Vec::new());
            bytes = &bytes[end + 1..];
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        Poll::Ready(self.look(&buffer.filled()[before..]))
    }
}
