//! New content for a file, so that a reader sees the old or the new and never a part.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat, openat,
        renameat, renameat_with, statat, unlinkat,
    },
    io::Errno,
};
use staithe_protocol::files::{FileCode, FileDenied};

use super::confine::{Place, denied, denied_io};
use crate::shell::live::nonce;

/// The mode of a new file.
const NEW: u32 = 0o664;
/// How temporary files are called; they are left out of lists.
const TEMPORARY: &str = ".staithe-";

/// Whether a name is that of a temporary file.
pub fn is_temporary(name: &str) -> bool {
    let nonce = name.strip_prefix(TEMPORARY).and_then(|rest| rest.strip_suffix(".tmp"));
    nonce.is_some_and(|nonce| nonce.len() == 32)
}

/// Content on its way into a file; gone again unless it is put in place.
pub(super) struct Replacement {
    parent: OwnedFd,
    temporary: Option<String>,
    file: File,
    relative: String,
}

impl Replacement {
    /// Begins beside the file that is to be replaced.
    pub(super) fn begin(place: &Place) -> Result<Self, FileDenied> {
        let fail = |errno| denied(errno, &place.relative);
        let parent = place.parent.try_clone().map_err(|e| denied_io(&e, &place.relative))?;
        let nonce = nonce().map_err(|e| denied_io(&e, &place.relative))?;
        let temporary = format!("{TEMPORARY}{nonce}.tmp");
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let file = openat(
            &parent,
            temporary.as_str(),
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )
        .map_err(fail)?;
        let relative = place.relative.clone();
        Ok(Self { parent, temporary: Some(temporary), file: File::from(file), relative })
    }

    /// Appends content.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied> {
        self.file.write_all(bytes).map_err(|error| denied_io(&error, &self.relative))
    }

    /// Gives the file its mode and owner and makes the content durable.
    pub(super) fn settle(
        &mut self,
        old: Option<&Stat>,
        mode: Option<u32>,
    ) -> Result<(), FileDenied> {
        let fail = |errno| denied(errno, &self.relative);
        if let Some(old) = old {
            let mine = fstat(self.file.as_fd()).map_err(fail)?;
            if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid) {
                let owner = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
                // Only root may give files away; the content matters more than the owner.
                fchown(self.file.as_fd(), Some(owner.0), Some(owner.1)).ok();
            }
        }
        let mode = mode.or(old.map(|stat| stat.st_mode)).unwrap_or(NEW) & 0o7777;
        fchmod(self.file.as_fd(), Mode::from_raw_mode(mode)).map_err(fail)?;
        self.file.sync_all().map_err(|error| denied_io(&error, &self.relative))
    }

    /// Puts the file in its place. Without `replace`, nothing may be there. Says the file's state and
    /// whether somebody else was quicker to replace it again.
    pub(super) fn put(mut self, place: &Place, replace: bool) -> Result<(Stat, bool), FileDenied> {
        let fail = |errno| denied(errno, &place.relative);
        let Some(temporary) = &self.temporary else { return Err(fail(Errno::BADF)) };
        rename(&self.parent, temporary, &place.parent, &place.name, replace).map_err(fail)?;
        self.temporary = None;
        let mine = fstat(self.file.as_fd()).map_err(fail)?;
        let there = place.stat()?;
        let racy = there.is_none_or(|there| there.st_ino != mine.st_ino);
        Ok((mine, racy))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            unlinkat(&self.parent, temporary.as_str(), AtFlags::empty()).ok();
        }
    }
}

/// Renames; without `replace` nothing may be there.
pub(super) fn rename(
    from: &OwnedFd,
    name: &str,
    to: &OwnedFd,
    new: &str,
    replace: bool,
) -> Result<(), Errno> {
    if replace {
        return renameat(from, name, to, new);
    }
    match renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // A file system without this flag: look first. We hold the place's lock; only a program that
        // writes at the same moment could still lose a file.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if statat(to, new, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return Err(Errno::EXIST);
            }
            renameat(from, name, to, new)
        }
        result => result,
    }
}

/// The refusal of content that one message can't carry.
pub(super) fn too_large(what: &str) -> FileDenied {
    FileDenied::new(FileCode::TooLarge, format!("{what} Use /files/content, which streams."))
}
