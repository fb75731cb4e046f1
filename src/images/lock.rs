//! Of all processes on this data directory, one at a time builds an image.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Held until it is dropped, or its process ends.
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

impl Lock {
    /// Waits for it; `waits` is called once when another process has it. None: cancelled meanwhile.
    pub(super) async fn take(
        dir: &Path,
        tag: &str,
        cancel: &CancellationToken,
        waits: impl Fn(),
    ) -> io::Result<Option<Self>> {
        fs::create_dir_all(dir)?;
        let path = dir.join(format!("{tag}.lock"));
        let file =
            File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut told = false;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self(file))),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
            if !told {
                told = true;
                waits();
            }
            tokio::select! {
                () = tokio::time::sleep(TRY_EVERY) => {}
                () = cancel.cancelled() => return Ok(None),
            }
        }
    }
}
