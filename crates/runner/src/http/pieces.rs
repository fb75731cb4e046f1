//! Pieces of an answer, from a thread that makes them to whoever reads them: a reader that takes nothing does
//! not hold the thread for ever.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::mpsc::{self, OwnedPermit, Receiver, Sender, error::SendTimeoutError},
};

/// The thread's end. It is used on a thread that is none of the runtime's.
pub struct Pieces<T> {
    send: Sender<T>,
    /// Room for the last piece, so that the end is told also to whoever stalls.
    last: Option<OwnedPermit<T>>,
    runtime: Handle,
    patience: Duration,
}

/// Why a piece was not sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent<T> {
    /// The reader is gone.
    Gone,
    /// It took nothing for as long as is waited.
    Stalled(T),
}

/// For at most so many pieces that wait, and one more at the end. Called in the runtime.
pub fn pieces<T>(most: usize, patience: Duration) -> (Pieces<T>, Receiver<T>) {
    let (send, receive) = mpsc::channel(most + 1);
    let last = send.clone().try_reserve_owned().ok(); // it is empty
    (Pieces { send, last, runtime: Handle::current(), patience }, receive)
}

impl<T> Pieces<T> {
    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    /// Hands a piece over; waits while there is no room.
    pub fn send(&self, piece: T) -> Result<(), Unsent<T>> {
        let sending = self.send.send_timeout(piece, self.patience);
        self.runtime.block_on(sending).map_err(|unsent| match unsent {
            SendTimeoutError::Timeout(piece) => Unsent::Stalled(piece),
            SendTimeoutError::Closed(_) => Unsent::Gone,
        })
    }

    /// The last piece, for which there is always room.
    pub fn end(mut self, piece: T) {
        if let Some(room) = self.last.take() {
            room.send(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_nothing_holds_no_thread_for_ever_and_is_told_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sent, read) = runtime.block_on(async {
            let (pieces, mut receive) = pieces(2, Duration::from_millis(50));
            let (said, stalled) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let sent: Vec<_> = (0..3).map(|number| pieces.send(number)).collect();
                pieces.end(9);
                said.send(sent).unwrap();
            });
            let sent = stalled.await.unwrap();
            let mut read = Vec::new();
            while let Some(piece) = receive.recv().await {
                read.push(piece);
            }
            (sent, read)
        });
        assert_eq!(sent, [Ok(()), Ok(()), Err(Unsent::Stalled(2))]);
        assert_eq!(read, [0, 1, 9]);
    }

    #[test]
    fn who_reads_on_gets_all_and_who_goes_is_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (pieces, mut receive) = pieces(1, Duration::from_mins(1));
            let (gone, waits) = std::sync::mpsc::channel();
            let sending = std::thread::spawn(move || {
                let all = (0..1000).all(|number| pieces.send(number).is_ok());
                waits.recv().unwrap();
                (all, pieces.send(1000), pieces.is_closed())
            });
            for number in 0..1000 {
                assert_eq!(receive.recv().await, Some(number));
            }
            drop(receive);
            gone.send(()).unwrap();
            assert_eq!(sending.join().unwrap(), (true, Err(Unsent::Gone), true));
        });
    }
}
