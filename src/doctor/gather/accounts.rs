//! Names of users and groups, as this machine's files have them.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use crate::doctor::facts::{Denied, SocketOwner};

/// A user's name, or number.
pub(crate) fn user(uid: u32) -> String {
    named("/etc/passwd", uid).map_or_else(|| uid.to_string(), |fields| fields[0].clone())
}

/// Who this process is.
pub(crate) fn us() -> String {
    user(rustix::process::geteuid().as_raw())
}

/// Why a socket is closed to us.
pub(crate) fn denied(socket: &Path) -> io::Result<Denied> {
    let us = us();
    let found = match fs::metadata(socket) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Denied { user: us, socket: None });
        }
        Err(error) => return Err(error),
    };
    let group = named("/etc/group", found.gid());
    let listed = group.as_ref().is_some_and(|fields| {
        let members = fields.get(3).map(String::as_str).unwrap_or_default();
        members.split(',').any(|member| member == us)
    });
    let socket = SocketOwner {
        owner: user(found.uid()),
        group: group.map_or_else(|| found.gid().to_string(), |fields| fields[0].clone()),
        mode: found.mode() & 0o7777,
        listed,
    };
    Ok(Denied { user: us, socket: Some(socket) })
}

/// The line of this number in a file such as `/etc/passwd`.
fn named(file: &str, number: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    lines.find(|fields| fields.get(2).is_some_and(|field| *field == number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_name_stay_numbers() {
        assert_eq!(user(0), "root");
        assert_eq!(user(3_999_999_999), "3999999999");
    }

    #[test]
    fn a_sockets_owner_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        let found = denied(&path).expect("it can be looked at");
        assert_eq!(found.user, us());
        assert_eq!(found.socket.expect("whose it is").owner, us());
        assert!(denied(&dir.path().join("none")).is_err());
    }
}
