//! What the actors ask of whoever makes images that are not simply fetched.

use async_trait::async_trait;
use staithe_engine::EngineFailed;
use staithe_protocol::{Fault, Progress};
use tokio_util::sync::CancellationToken;

/// An engine's error as a fault. On the codes that it gives to an engine that is away, or that was cut in the
/// middle of a call, a start is tried again as long as an engine may be away.
pub use crate::runtime::connect::fault_of;

/// See the module. It is asked to make one image at most once at a time. Its calls run beside the actors:
/// what blocks has to go to a thread.
#[async_trait]
pub trait ImageMaker: Send + Sync {
    /// The image that sandboxes are made of when `asked` is asked for: `asked` itself, or what is built on
    /// it. Always the same for the same image.
    fn name_of(&self, asked: &str) -> String;

    /// Whether that image is there and still what it should be. True for images that are not built: they
    /// are the engine's to fetch.
    async fn is_made(&self, asked: &str) -> Result<bool, EngineFailed>;

    /// Builds it. `tell` is called as it goes on, as often as there is something to tell. When `cancel` is
    /// cancelled it ends soon, with any fault. A fault leaves nothing.
    async fn make(
        &self,
        asked: &str,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), Fault>;
}
