//! Streams that one socket carries beside the events: terminals and changes of files.
//!
//! They are pulled, one frame at a time and in turn, only when the outbox has room: what is behind a slow
//! client's stream waits there, in the sandbox.

use std::{cell::RefCell, pin::Pin, task::Poll};

use futures_util::{Stream, future::poll_fn};
use tokio::sync::Notify;
use tokio_stream::StreamMap;

use super::outbox::Out;

/// Frames of one stream.
pub type Frames = Pin<Box<dyn Stream<Item = Out>>>;

/// The streams of one socket, by name.
#[derive(Default)]
pub struct Side {
    streams: RefCell<StreamMap<String, Frames>>,
    /// The one frame that waits for room, and whose it is.
    next: RefCell<Option<(String, Out)>>,
    opened: Notify,
}

impl Side {
    /// Adds a stream, in place of one of this name.
    pub fn open(&self, name: &str, frames: Frames) {
        self.close(name);
        self.streams.borrow_mut().insert(name.to_owned(), frames);
        self.opened.notify_one();
    }

    /// Ends a stream; nothing of it is told any more. Whether there was one.
    pub fn close(&self, name: &str) -> bool {
        self.next.borrow_mut().take_if(|(of, _)| of == name);
        self.streams.borrow_mut().remove(name).is_some()
    }

    /// How many there are whose names begin so.
    pub fn count_of(&self, prefix: &str) -> usize {
        self.streams.borrow().keys().filter(|name| name.starts_with(prefix)).count()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.streams.borrow().len()
    }

    /// The size of the frame that is next, in bytes; none if none is.
    pub fn size(&self) -> Option<usize> {
        self.next.borrow().as_ref().map(|(_, out)| out.size())
    }

    /// The frame that is next.
    pub fn take(&self) -> Option<Out> {
        self.next.borrow_mut().take().map(|(_, out)| out)
    }

    /// Waits until a frame is next. Cancel safe.
    pub async fn ready(&self) {
        loop {
            if self.next.borrow().is_some() {
                return;
            }
            let opened = self.opened.notified();
            let next = poll_fn(|context| {
                let mut streams = self.streams.borrow_mut();
                match Pin::new(&mut *streams).poll_next(context) {
                    Poll::Ready(Some(frame)) => Poll::Ready(frame),
                    Poll::Ready(None) | Poll::Pending => Poll::Pending,
                }
            });
            tokio::select! {
                biased;
                frame = next => *self.next.borrow_mut() = Some(frame),
                () = opened => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[actix_web::test]
    async fn a_stream_that_is_opened_later_is_heard_and_an_ended_one_is_gone() {
        let side = Rc::new(Side::default());
        let waiting = actix_web::rt::spawn({
            let side = Rc::clone(&side);
            async move { side.ready().await }
        });
        actix_web::rt::task::yield_now().await;
        side.open("a", Box::pin(stream::iter([Out::Binary(Bytes::from_static(b"x"))])));
        waiting.await.expect("it ran");
        assert_eq!(side.size(), Some(1));
        assert!(matches!(side.take(), Some(Out::Binary(bytes)) if bytes == "x"));
        side.open("b", Box::pin(stream::pending()));
        let nothing = futures_util::poll!(Box::pin(side.ready()));
        assert!(nothing.is_pending());
        assert_eq!(side.count(), 1);
        assert!(side.close("b") && !side.close("a"));
    }

    #[actix_web::test]
    async fn a_frame_of_a_stream_that_is_closed_or_opened_anew_is_not_told() {
        let side = Side::default();
        let frames = |text: &'static [u8]| -> Frames {
            Box::pin(stream::iter([Out::Binary(Bytes::from_static(text))]).chain(stream::pending()))
        };
        side.open("a", frames(b"old"));
        side.ready().await;
        assert!(side.close("a"));
        assert!(side.take().is_none());
        side.open("a", frames(b"old"));
        side.ready().await;
        side.open("a", frames(b"new"));
        side.ready().await;
        assert!(matches!(side.take(), Some(Out::Binary(bytes)) if bytes == "new"));
    }
}
