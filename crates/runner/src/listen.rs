//! Where servers come in: a unix socket, TCP, or both.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, chownat, open, unlinkat},
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind as bind_address, listen, socket_with,
        sockopt::{
            set_socket_keepalive, set_socket_reuseaddr, set_tcp_keepcnt, set_tcp_keepidle,
            set_tcp_keepintvl,
        },
    },
    process::umask,
};
use staithe_protocol::runner::SOCKET_NAME;
use tokio::net::{TcpStream, UnixStream};

use crate::{account::Account, cli::Serve, fault::Fault, prepare::ids};

/// Connections that may wait to be let in.
const BACKLOG: i32 = 1024;
/// Whoever says nothing so long is asked whether it is still there, so often, this many times.
const QUIET: Duration = Duration::from_mins(1);
const ASK_AGAIN: Duration = Duration::from_secs(15);
const ASKED: u32 = 4;

/// The sockets that are open.
#[derive(Default)]
pub struct Listeners {
    unix: Option<UnixListener>,
    /// Bound, and not listening yet: who comes too early is refused and tries again.
    tcp: Option<OwnedFd>,
}

/// As root: opens what root can, the unix socket for the user. What fails here is tried again by
/// [`bind`].
pub fn bind_early(told: &Serve, account: &Account) -> Listeners {
    let unix = told.socket_dir.as_deref().and_then(|dir| {
        let (folder, listener) = bind_unix(dir, told.open_socket).ok()?;
        let (uid, gid) = ids(account);
        let given = chownat(folder, SOCKET_NAME, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        (given.is_ok() || told.open_socket).then_some(listener)
    });
    Listeners { unix, tcp: told.listen.and_then(|address| bind_tcp(address).ok()) }
}

/// Opens what isn't open yet.
pub fn bind(told: &Serve, early: Listeners) -> Result<Listeners, Fault> {
    let unix = match (early.unix, &told.socket_dir) {
        (None, Some(dir)) => {
            let bound = bind_unix(dir, told.open_socket);
            let what = || format!("can't make the socket in {}", dir.display());
            Some(bound.map_err(|error| Fault::os(what(), error))?.1)
        }
        (unix, _) => unix,
    };
    let tcp = match (early.tcp, told.listen) {
        (None, Some(address)) => {
            let bound = bind_tcp(address);
            Some(bound.map_err(|error| Fault::os(format!("can't listen on {address}"), error))?)
        }
        (tcp, _) => tcp,
    };
    Ok(Listeners { unix, tcp })
}

/// Makes the socket, for this user only or for all. A path of any length is reached through its
/// folder, which is returned.
fn bind_unix(dir: &Path, is_open: bool) -> io::Result<(OwnedFd, UnixListener)> {
    let folder = open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    match unlinkat(&folder, SOCKET_NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let before = umask(Mode::from_raw_mode(if is_open { 0o111 } else { 0o177 }));
    let path = format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd());
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok((folder, listener))
}

fn bind_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    // A server that vanished without a word would keep its lines and tunnels for ever. What is accepted
    // inherits these.
    set_socket_keepalive(&socket, true)?;
    set_tcp_keepidle(&socket, QUIET)?;
    set_tcp_keepintvl(&socket, ASK_AGAIN)?;
    set_tcp_keepcnt(&socket, ASKED)?;
    bind_address(&socket, &address)?;
    Ok(socket)
}

fn listen_tcp(socket: OwnedFd) -> io::Result<tokio::net::TcpListener> {
    listen(&socket, BACKLOG)?;
    tokio::net::TcpListener::from_std(TcpListener::from(socket))
}

/// The same, as tasks wait for them.
pub struct Doors {
    unix: Option<tokio::net::UnixListener>,
    tcp: Option<tokio::net::TcpListener>,
}

/// Somebody who came in.
pub enum Guest {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Doors {
    pub fn open(listeners: Listeners) -> io::Result<Self> {
        Ok(Self {
            unix: listeners.unix.map(tokio::net::UnixListener::from_std).transpose()?,
            tcp: listeners.tcp.map(listen_tcp).transpose()?,
        })
    }

    /// Waits for the next one.
    pub async fn accept(&self) -> io::Result<Guest> {
        let unix = async {
            match &self.unix {
                Some(listener) => Ok(Guest::Unix(listener.accept().await?.0)),
                None => std::future::pending().await,
            }
        };
        let tcp = async {
            match &self.tcp {
                Some(listener) => {
                    let stream = listener.accept().await?.0;
                    stream.set_nodelay(true)?; // output goes as it comes
                    Ok(Guest::Tcp(stream))
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            guest = unix => guest,
            guest = tcp => guest,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{socket_keepalive, tcp_keepcnt, tcp_keepidle};

    use super::*;

    #[test]
    fn who_comes_in_by_tcp_is_asked_whether_it_is_still_there() {
        let socket = bind_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        listen(&socket, BACKLOG).unwrap();
        let listener = TcpListener::from(socket);
        let _guest = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(socket_keepalive(&accepted).unwrap());
        let told = (tcp_keepidle(&accepted).unwrap(), tcp_keepcnt(&accepted).unwrap());
        assert_eq!(told, (QUIET, ASKED));
    }
}
