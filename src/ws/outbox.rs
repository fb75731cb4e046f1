//! What waits to be written to one socket: bounded in bytes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Most bytes that wait; one frame larger than this waits alone.
pub const BUDGET: usize = 256 * 1024;
/// What a frame costs beside its bytes.
const OVERHEAD: usize = 64;

/// One thing to write.
#[derive(Debug)]
pub enum Out {
    Text(Bytes),
    Binary(Bytes),
    Ping,
    Pong(Bytes),
    /// The last thing.
    Close(actix_http::ws::CloseCode, &'static str),
}

impl Out {
    /// Its bytes, as far as they count against the budget.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
            Self::Ping | Self::Pong(_) | Self::Close(..) => 0,
        }
    }
}

/// A thing to write with its share of the budget, which is free again once it is written.
#[derive(Debug)]
pub struct Queued {
    pub out: Out,
    _share: OwnedSemaphorePermit,
}

/// The producer's end.
#[derive(Clone, Debug)]
pub struct Outbox {
    budget: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Queued>,
}

/// A share of the budget for one thing.
#[derive(Debug)]
pub struct Share(OwnedSemaphorePermit);

/// The socket is gone.
#[derive(Debug)]
pub struct Gone;

impl Outbox {
    /// An outbox and the queue behind it. The queue itself has no bound; the budget is the bound.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Queued>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { budget: Arc::new(Semaphore::new(BUDGET)), queue }, receiver)
    }

    /// Waits until something of this size fits.
    pub async fn share(&self, bytes: usize) -> Result<Share, Gone> {
        let cost = u32::try_from((bytes + OVERHEAD).min(BUDGET)).unwrap_or(u32::MAX);
        let share = self.budget.clone().acquire_many_owned(cost);
        tokio::select! {
            share = share => share.map(Share).map_err(|_| Gone),
            () = self.queue.closed() => Err(Gone),
        }
    }

    /// Queues something that has its share.
    pub fn put(&self, out: Out, share: Share) -> Result<(), Gone> {
        self.queue.send(Queued { out, _share: share.0 }).map_err(|_| Gone)
    }
}
