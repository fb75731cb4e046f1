//! A network namespace begins with its loopback interface down: this raises it.

use std::io;

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// The loopback interface's number in every network namespace.
const LOOPBACK: i32 = 1;

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
const IFF_UP: u32 = 1;

/// Raises it, by one netlink message.
pub(super) fn up() -> io::Result<()> {
    let socket = net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // NETLINK_ROUTE
    )?;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes()); // nlmsghdr: length,
    message.extend(RTM_NEWLINK.to_ne_bytes()); // type,
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes()); // flags,
    message.extend([0; 8]); // sequence, port;
    message.extend([0; 4]); // ifinfomsg: family, type,
    message.extend(LOOPBACK.to_ne_bytes()); // index,
    message.extend(IFF_UP.to_ne_bytes()); // flags,
    message.extend(IFF_UP.to_ne_bytes()); // which of them change
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    net::sendto(&socket, &message, SendFlags::empty(), &kernel)?;

    let mut answer = [0_u8; 256];
    let (length, _) = net::recv(&socket, &mut answer, RecvFlags::empty())?;
    match answer[..length].get(16..20).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
