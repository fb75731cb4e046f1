//! Opening a path beneath a folder without `openat2`: each name by itself in a folder that is held
//! open, symlinks read and followed here. Whatever is exchanged meanwhile, each step stays beneath.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat, readlinkat},
    io::Errno,
};

/// Symlinks that are followed for one path, as the kernel's own limit.
const MOST_LINKS: usize = 40;
/// Folders beneath each other that are held open at once.
const DEEPEST: usize = 256;

/// Opens `path`, which is relative, beneath `root`. `XDEV`: it leaves. `AGAIN`: something was exchanged
/// meanwhile.
pub(super) fn walk(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut held: Vec<OwnedFd> = Vec::new();
    let mut names: Vec<Vec<u8>> = names_of(path.as_bytes());
    let mut links = 0;
    while let Some(name) = names.pop() {
        if name == b".." {
            // Back the way that was come, wherever that folder is now.
            held.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = held.last().unwrap_or(root).as_fd();
        let is_last = names.is_empty();
        let keeps_link = is_last && flags.contains(OFlags::NOFOLLOW);
        if let (false, Some(link)) = (keeps_link, link_at(here, &name)?) {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::LOOP);
            }
            if link.first() == Some(&b'/') {
                return Err(Errno::XDEV);
            }
            names.extend(names_of(&link));
            continue;
        }
        if is_last {
            return open_last(here, &name, flags);
        }
        if held.len() == DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        held.push(openat(here, name.as_slice(), folder, Mode::empty())?);
    }
    openat(held.last().unwrap_or(root), ".", flags, Mode::empty())
}

/// The last name; it is no symlink unless one may be opened itself.
fn open_last(here: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let may_be_link = flags.contains(OFlags::NOFOLLOW);
    match openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::LOOP) if !may_be_link => Err(Errno::AGAIN), // it has become a symlink
        Ok(opened) if !may_be_link && flags.contains(OFlags::PATH) => {
            // `O_PATH` opens a symlink itself.
            let kind = FileType::from_raw_mode(fstat(&opened)?.st_mode);
            if kind == FileType::Symlink { Err(Errno::AGAIN) } else { Ok(opened) }
        }
        result => result,
    }
}

/// What a symlink says; none if the name is of something else.
fn link_at(here: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match readlinkat(here, name, Vec::new()) {
        Ok(link) => Ok(Some(link.into_bytes())),
        Err(Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A path's names, the last one first.
fn names_of(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').rev();
    names.filter(|name| !matches!(*name, b"" | b".")).map(<[u8]>::to_vec).collect()
}
