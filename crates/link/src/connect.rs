//! Connecting to a runner's socket: however long its path is, and to no other socket.

use std::{io, os::fd::AsRawFd, path::Path, time::Duration};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    net::sockopt,
};
use tokio::net::{TcpStream, UnixStream};

use crate::{Address, Stream};

/// Between two probes of a silent peer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a peer may acknowledge nothing of what is sent, in milliseconds.
const USER_TIMEOUT_MS: u32 = 120_000;

/// Opens a connection.
pub(crate) async fn connect(address: &Address) -> io::Result<Box<dyn Stream>> {
    match address {
        Address::Unix(path) => Ok(Box::new(connect_unix(path).await?)),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            // A peer that vanishes without a word is noticed: streams may be silent for hours.
            sockopt::set_socket_keepalive(&stream, true)?;
            sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE)?;
            sockopt::set_tcp_keepintvl(&stream, KEEP_ALIVE)?;
            sockopt::set_tcp_user_timeout(&stream, USER_TIMEOUT_MS)?;
            Ok(Box::new(stream))
        }
        Address::Dialed(dial) => dial().await,
    }
}

/// The socket lies in a directory that the sandbox can write: it could be replaced by a link to a
/// socket of the host's. So the file itself is opened, looked at, and connected to by its handle,
/// which also takes any path where a socket address holds 108 bytes.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let socket = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&socket)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("the runner's socket was replaced by something else"));
    }
    UnixStream::connect(Path::new("/proc/self/fd").join(socket.as_raw_fd().to_string())).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_to_another_socket_is_refused_and_a_long_path_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).expect("a deep directory");
        let short = dir.path().join("s");
        let _listener = tokio::net::UnixListener::bind(&short).expect("it listens");
        std::fs::rename(&short, deep.join("runner.sock")).expect("it moves");
        connect_unix(&deep.join("runner.sock")).await.expect("the socket itself is connected to");
        std::os::unix::fs::symlink(deep.join("runner.sock"), dir.path().join("link"))
            .expect("a link");
        let refused = connect_unix(&dir.path().join("link")).await;
        assert!(refused.is_err(), "{refused:?}");
    }
}
