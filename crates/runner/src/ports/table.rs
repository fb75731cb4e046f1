//! What the kernel's tables of sockets say, and what is told of it. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use staithe_protocol::port::Port;

/// The state of a listening socket.
const LISTENS: &str = "0A";

/// A listening socket that can be reached by loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Socket {
    pub(super) port: u16,
    pub(super) inode: u64,
}

/// The listening sockets of `/proc/net/tcp` or `/proc/net/tcp6`.
pub(super) fn listening(table: &str) -> impl Iterator<Item = Socket> {
    table.lines().skip(1).filter_map(socket)
}

fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let state = words.nth(1)?;
    let inode = words.nth(5)?.parse().ok()?;
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes())),
        32 => {
            let mut octets = [0; 16];
            for (at, word) in octets.chunks_exact_mut(4).enumerate() {
                let digits = address.get(at * 8..at * 8 + 8)?;
                word.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok().filter(|port| *port > 0)?;
    (state == LISTENS && is_reached(address)).then_some(Socket { port, inode })
}

/// Whether loopback reaches who listens there. Others it does not, such as 127.0.0.11, where Docker resolves
/// names in a container.
pub(super) fn is_reached(address: IpAddr) -> bool {
    address == IpAddr::V4(Ipv4Addr::LOCALHOST)
        || address == IpAddr::V6(Ipv6Addr::LOCALHOST)
        || address.is_unspecified()
}

/// What was told, and which ports were gone at the last look: a program that is started anew has its
/// port back a moment later, and nobody has to hear of that.
#[derive(Debug, Default)]
pub(super) struct Told {
    ports: BTreeMap<u16, (Port, bool)>,
}

impl Told {
    /// What is there now, one entry for each port. Whether there is something to tell.
    pub(super) fn look(&mut self, now: impl IntoIterator<Item = Port>) -> bool {
        let now: BTreeMap<u16, Port> = now.into_iter().map(|port| (port.port, port)).collect();
        let mut changed = false;
        self.ports.retain(|number, (_, missed)| {
            let stays = now.contains_key(number) || !*missed;
            *missed = !now.contains_key(number);
            changed |= !stays;
            stays
        });
        for (number, port) in now {
            changed |= self.ports.get(&number).is_none_or(|(known, _)| *known != port);
            self.ports.insert(number, (port, false));
        }
        changed
    }

    /// All of them, by number.
    pub(super) fn ports(&self) -> Vec<Port> {
        self.ports.values().map(|(port, _)| port.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 x 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 x 100 0 0 10 0
   2: 0B00007F:A3C1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 x 100 0 0 10 0
   3: 020011AC:0051 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 x 100 0 0 10 0
   4: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 555 1 x 100 0 0 10 0
   5: nonsense
";
    const TABLE6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 666 1 x 100 0 0 10 0
   1: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 x 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:0BBA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 888 1 x 100 0 0 10 0
";

    #[cfg(target_endian = "little")]
    #[test]
    fn only_what_listens_and_loopback_reaches_counts() {
        let found = |table| listening(table).map(|s| (s.port, s.inode)).collect::<Vec<_>>();
        assert_eq!(found(TABLE), [(8080, 111), (80, 222)]);
        assert_eq!(found(TABLE6), [(3000, 666), (3001, 777), (3002, 888)]);
    }

    fn port(port: u16, pid: u32) -> Port {
        Port { port, pid: Some(pid), program: None, plugin: None }
    }

    #[test]
    fn a_port_is_gone_when_two_looks_miss_it() {
        let mut told = Told::default();
        assert!(!told.look([]));
        assert!(told.look([port(1, 7), port(2, 7)]));
        assert!(!told.look([port(1, 7), port(2, 7)]));
        assert!(!told.look([port(1, 7)]));
        assert_eq!(told.ports().len(), 2);
        assert!(!told.look([port(1, 7), port(2, 7)]));
        assert!(!told.look([port(1, 7)]));
        assert!(told.look([port(1, 7)]), "now it is gone");
        assert_eq!(told.ports(), [port(1, 7)]);
        assert!(told.look([port(1, 8)]), "another program has it");
    }
}
