//! A build's context on its way to the engine: written by a thread of its own, a few pieces ahead at most.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use crate::images::WriteContext;

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait.
const AHEAD: usize = 8;

/// Why writing it failed, once it has.
pub(super) type Broken = Arc<Mutex<Option<io::Error>>>;

/// The context as a body. One that breaks off ends with an error, so that the engine never takes half of
/// it for the whole.
pub(super) fn stream(
    write: WriteContext,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Broken) {
    let (pieces, receive) = mpsc::channel(AHEAD);
    let broken = Broken::default();
    let told = Arc::clone(&broken);
    tokio::task::spawn_blocking(move || {
        let mut writer = Pieces { pieces, piece: BytesMut::with_capacity(PIECE) };
        let last = match write(&mut writer).and_then(|()| writer.flush()) {
            Ok(()) => Ok(Bytes::new()),                    // that all is there
            Err(_) if writer.pieces.is_closed() => return, // nobody wants the rest
            Err(error) => Err(keep(&told, error)),
        };
        // The engine may have hung up at this moment.
        writer.pieces.blocking_send(last).ok();
    });
    let from = From { receive, over: false, broken: Arc::clone(&broken) };
    (stream::unfold(from, From::next), broken)
}

/// Why it broke off, when it did.
pub(super) fn taken(broken: &Broken) -> Option<io::Error> {
    broken.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Keeps an error, and gives one of its words.
fn keep(broken: &Broken, error: io::Error) -> io::Error {
    let words = io::Error::other(error.to_string());
    *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    words
}

struct From {
    receive: mpsc::Receiver<io::Result<Bytes>>,
    over: bool,
    broken: Broken,
}

impl From {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if self.over {
            return None;
        }
        let next = match self.receive.recv().await {
            Some(Ok(piece)) if piece.is_empty() => return None,
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => Err(error),
            // A panic: what came is not all.
            None => Err(keep(&self.broken, io::Error::other("its writer broke off"))),
        };
        self.over = next.is_err();
        Some((next, self))
    }
}

struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.piece.len();
        let taken = bytes.len().min(room);
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.pieces.blocking_send(Ok(piece.freeze())).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_context_comes_whole_and_its_writer_is_only_a_little_ahead() {
        let written = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&written);
        let write: WriteContext = Arc::new(move |to| {
            for _ in 0..100 {
                to.write_all(&vec![7; PIECE])?;
                counted.fetch_add(PIECE, Ordering::SeqCst);
            }
            to.write_all(b"end")
        });
        let (stream, broken) = stream(write);
        let mut stream = std::pin::pin!(stream);
        let mut came = 0;
        while let Some(piece) = stream.next().await {
            came += piece.expect("nothing breaks").len();
            let ahead = written.load(Ordering::SeqCst).saturating_sub(came);
            assert!(ahead <= (AHEAD + 1) * PIECE, "{ahead} bytes wait");
        }
        assert_eq!(came, 100 * PIECE + 3);
        assert!(broken.lock().expect("nobody panics").is_none());
    }

    #[tokio::test]
    async fn a_context_that_breaks_off_ends_with_its_error() {
        let write: WriteContext = Arc::new(|to| {
            to.write_all(b"half")?;
            to.flush()?;
            Err(io::Error::new(io::ErrorKind::NotFound, "the file is gone"))
        });
        let (stream, broken) = stream(write);
        let pieces: Vec<_> = stream.collect().await;
        assert_eq!(pieces[0].as_ref().expect("the half"), &Bytes::from_static(b"half"));
        assert!(pieces[1].is_err() && pieces.len() == 2);
        let error = broken.lock().expect("nobody panics").take().expect("it is kept");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_writer_that_panics_has_not_written_the_whole() {
        let write: WriteContext = Arc::new(|to| {
            to.write_all(b"half")?;
            panic!("as a bug would");
        });
        let (stream, broken) = stream(write);
        let pieces: Vec<_> = stream.collect().await;
        assert!(pieces.last().is_some_and(Result::is_err), "{pieces:?}");
        assert!(broken.lock().expect("nobody panics here").is_some());
    }

    #[tokio::test]
    async fn a_context_that_nobody_wants_is_not_written_on() {
        let (ended, end) = tokio::sync::oneshot::channel();
        let ended = Mutex::new(Some(ended));
        let write: WriteContext = Arc::new(move |to| {
            let outcome = (0..1000).try_for_each(|_| to.write_all(&vec![0; PIECE]));
            if let Some(ended) = ended.lock().expect("nobody panics").take() {
                ended.send(outcome.as_ref().map_err(io::Error::kind).err()).ok();
            }
            outcome
        });
        let (stream, broken) = stream(write);
        drop(stream);
        assert_eq!(end.await.expect("it ends"), Some(io::ErrorKind::BrokenPipe));
        assert!(broken.lock().expect("nobody panics").is_none());
    }
}
