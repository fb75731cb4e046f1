//! Connecting to a runner's socket, however long its path is.

use std::{fs::File, io, os::fd::AsRawFd, path::Path};

use tokio::net::UnixStream;

use crate::Address;

/// Opens a connection.
pub(crate) async fn connect(address: &Address) -> io::Result<UnixStream> {
    let Address::Unix(path) = address;
    connect_unix(path).await
}

/// A socket address holds 108 bytes of path; through an open directory any path will do.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = File::open(dir)?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
    UnixStream::connect(short).await
}
