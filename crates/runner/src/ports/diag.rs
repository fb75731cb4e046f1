//! The kernel's own list of listening sockets, asked for by netlink (`sock_diag(7)`).
//!
//! `/proc/net/tcp` goes through every connection's bucket of the whole machine, whoever asks: a millisecond or
//! two each time. Three hundred sandboxes that looked there once a second had the machine to themselves. Here
//! the kernel goes through what listens and nothing else.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{SOCK_DIAG, SocketAddrNetlink},
        recv, sendto, socket_with,
    },
};

use super::table::{Socket, is_reached};

/// `struct nlmsghdr`, in bytes.
const HEAD: usize = 16;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// `struct inet_diag_msg`.
const ANSWER: usize = 72;

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const ALL: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const FAILED: u16 = 2;
const DONE: u16 = 3;

const TCP: u8 = 6;
/// The state of a listening socket.
const LISTENS: u8 = 10;

/// The kernel's answers come in parts of at most 32 KiB.
const PART: usize = 32 * 1024;
/// The most parts of one answer: some 29,000 sockets.
const MOST_PARTS: usize = 64;

/// The listening sockets that loopback reaches, of both families.
///
/// # Errors
/// The kernel has no such list, or does not give it to us.
pub(super) fn listening() -> io::Result<Vec<Socket>> {
    let line = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    let mut found = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        match ask(&line, family, &mut found) {
            // Without IPv6 there is no second list.
            Err(Errno::NOENT) if family == AddressFamily::INET6 => {}
            other => other?,
        }
    }
    Ok(found)
}

fn ask(line: &OwnedFd, family: AddressFamily, found: &mut Vec<Socket>) -> Result<(), Errno> {
    let number = u8::try_from(family.as_raw()).map_err(|_| Errno::INVAL)?;
    sendto(line, &question(number), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut part = vec![0; PART];
    for _ in 0..MOST_PARTS {
        // The kernel answers before `sendto` is back: there is nothing to wait for, and nothing is waited for.
        let (_, length) = recv(line, &mut part[..], RecvFlags::DONTWAIT)?;
        if read(part.get(..length).ok_or(Errno::MSGSIZE)?, found)? {
            return Ok(());
        }
    }
    Err(Errno::MSGSIZE)
}

/// Everything that listens in a family.
fn question(family: u8) -> [u8; HEAD + QUESTION] {
    let mut bytes = [0; HEAD + QUESTION];
    bytes[..4].copy_from_slice(&72_u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&ALL.to_ne_bytes());
    bytes[HEAD] = family;
    bytes[HEAD + 1] = TCP;
    bytes[HEAD + 4..HEAD + 8].copy_from_slice(&(1_u32 << LISTENS).to_ne_bytes());
    bytes
}

/// One part of an answer. Whether it was the last.
fn read(mut part: &[u8], found: &mut Vec<Socket>) -> Result<bool, Errno> {
    while let Some((head, _)) = part.split_first_chunk::<HEAD>() {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
        let length = usize::try_from(length).map_err(|_| Errno::BADMSG)?;
        let body = part.get(HEAD..length).ok_or(Errno::BADMSG)?;
        match u16::from_ne_bytes([head[4], head[5]]) {
            DONE => return Ok(true),
            FAILED => {
                let code = body.first_chunk::<4>().ok_or(Errno::BADMSG)?;
                return Err(Errno::from_raw_os_error(-i32::from_ne_bytes(*code)));
            }
            BY_FAMILY => found.extend(socket(body.first_chunk().ok_or(Errno::BADMSG)?)),
            _ => {}
        }
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn socket(body: &[u8; ANSWER]) -> Option<Socket> {
    let [family, state, ..] = *body;
    let port = u16::from_be_bytes([body[4], body[5]]);
    let address = if u32::from(family) == u32::from(AddressFamily::INET.as_raw()) {
        IpAddr::V4(Ipv4Addr::new(body[8], body[9], body[10], body[11]))
    } else {
        IpAddr::V6(Ipv6Addr::from(*body[8..].first_chunk::<16>()?)).to_canonical()
    };
    let inode = u32::from_ne_bytes(*body[68..].first_chunk()?);
    let counts = state == LISTENS && port > 0 && is_reached(address);
    counts.then_some(Socket { port, inode: inode.into() })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::{SocketAddr, TcpListener},
        os::fd::AsRawFd as _,
    };

    use super::*;

    #[test]
    fn what_listens_here_is_found_with_its_inode() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(address.parse::<SocketAddr>().unwrap()).unwrap();
            let port = listener.local_addr().unwrap().port();
            let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd()));
            let found = listening().unwrap();
            let ours: Vec<_> = found.iter().filter(|socket| socket.port == port).collect();
            let link = link.unwrap().to_str().unwrap().to_owned();
            assert!(ours.iter().any(|it| format!("socket:[{}]", it.inode) == link), "{address}");
            drop(listener);
        }
    }

    #[test]
    fn what_loopback_does_not_reach_is_none_and_a_connection_neither() {
        let other = TcpListener::bind("127.0.0.3:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _one = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let found = listening().unwrap();
        assert!(found.iter().all(|it| it.port != other.local_addr().unwrap().port()));
        let inodes: BTreeSet<_> =
            found.iter().filter(|it| it.port == port).map(|it| it.inode).collect();
        assert_eq!(inodes.len(), 1);
    }

    #[test]
    fn a_broken_answer_is_an_error_and_a_refusal_is_told() {
        let mut head = question(2)[..HEAD].to_vec();
        assert_eq!(read(&head, &mut Vec::new()), Err(Errno::BADMSG), "it promises 72 bytes");
        head[4..6].copy_from_slice(&FAILED.to_ne_bytes());
        head[..4].copy_from_slice(&20_u32.to_ne_bytes());
        head.extend((-2_i32).to_ne_bytes());
        assert_eq!(read(&head, &mut Vec::new()), Err(Errno::NOENT));
        head[4..6].copy_from_slice(&DONE.to_ne_bytes());
        assert_eq!(read(&head, &mut Vec::new()), Ok(true));
        assert_eq!(read(&[], &mut Vec::new()), Ok(false));
    }
}
