//! What may be asked of [`Images`](super::Images), most of it through the manager.

use actix::Message;
use serde::Serialize;
use staithe_protocol::{Fault, Progress};
use tokio::sync::watch;

use super::state::Stage;

/// Sent by whoever wants a sandbox of this image, when it isn't made yet: have it made. The first one
/// begins it, later ones join. Who drops what is answered does not want it any more; when nobody does, the
/// making is cancelled. None: nobody makes images now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<watch::Receiver<Making>>")]
pub struct HaveImage {
    pub asked: String,
}

/// How the making of an image goes, for each who waits for it. Closed without an outcome, it is to be asked
/// for again.
#[derive(Clone, Debug, Default)]
pub struct Making {
    pub progress: Option<Progress>,
    pub outcome: Option<Result<(), Fault>>,
}

/// Sent by operators: what is being made now, in the order of asking.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<MakingView>")]
pub struct GetMakings;

/// One making, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MakingView {
    /// The name that it gets.
    pub image: String,
    /// What was asked for by whoever was first.
    pub asked: String,
    pub stage: Stage,
    /// How many wait for it.
    pub waiters: usize,
    /// When the first one asked, RFC 3339.
    pub since: String,
    pub progress: Option<Progress>,
}

/// Sent by the manager when it drains: cancel all, begin nothing. Answered when every maker has ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DrainImages;
