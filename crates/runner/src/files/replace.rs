//! New content for a file, so that a reader sees the old or the new and never a part.
//!
//! The file is another one afterwards: mode, owner, access list and `user.*` attributes are carried
//! over, set-user and set-group bits are not (as when it is written to), and other hard links keep the
//! old content.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr,
        flistxattr, fsetxattr, fstat, openat, renameat, renameat_with, statat, unlinkat,
    },
    io::Errno,
};
use staithe_protocol::files::{EntryType, FileCode, FileDenied};

use super::{
    confine::{Place, denied, denied_io},
    version,
};
use crate::shell::live::nonce;

/// The mode of a new file.
const NEW: u32 = 0o664;
/// How temporary files are called; they are left out of lists.
const TEMPORARY: &str = ".staithe-";

/// A name for something temporary.
pub(crate) fn temporary_name() -> std::io::Result<String> {
    Ok(format!("{TEMPORARY}{}.tmp", nonce()?))
}

/// Attributes of a file that are kept, in bytes.
const MOST_ATTRIBUTES: usize = 64 * 1024;

/// Whether a name is that of a temporary file.
pub(crate) fn is_temporary(name: &str) -> bool {
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
        let temporary = temporary_name().map_err(|e| denied_io(&e, &place.relative))?;
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

    /// Goes on with one that [`Replacement::keep`] left. Its size so far is told.
    pub(super) fn reopen(place: &Place, temporary: &str) -> Result<(Self, u64), FileDenied> {
        let fail = |errno| denied(errno, &place.relative);
        let parent = place.parent.try_clone().map_err(|e| denied_io(&e, &place.relative))?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            openat(&parent, temporary, flags | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
        let stat = fstat(&file).map_err(fail)?;
        if version::kind(&stat) != EntryType::File {
            return Err(fail(Errno::NOENT));
        }
        let replacement = Self {
            parent,
            temporary: Some(temporary.to_owned()),
            file: File::from(file),
            relative: place.relative.clone(),
        };
        Ok((replacement, version::size(&stat)))
    }

    /// Leaves the temporary file for later. Its name.
    pub(super) fn keep(mut self) -> Option<String> {
        self.temporary.take()
    }

    /// What was written.
    pub(super) fn file(&self) -> &File {
        &self.file
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
        place: &Place,
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
        // As when it is written to: what ran with its owner's rights does so no longer.
        let kept = old.map(|stat| stat.st_mode & 0o1777);
        let wanted = mode.map(|mode| mode & 0o7777).or(kept).unwrap_or(NEW);
        fchmod(self.file.as_fd(), Mode::from_raw_mode(wanted)).map_err(fail)?;
        if old.is_some()
            && let Ok(old) = place.open(OFlags::RDONLY)
        {
            keep_attributes(&old, &self.file, mode.is_none());
        }
        self.file.sync_all().map_err(|error| denied_io(&error, &self.relative))
    }

    /// Puts the file in its place. Without `replace`, nothing may be there. Says the file's state and
    /// whether somebody else was quicker to replace it again.
    pub(super) fn put(&mut self, place: &Place, replace: bool) -> Result<(Stat, bool), FileDenied> {
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

/// Copies what users attached to a file, and its access list unless a mode was asked for. What the file
/// system does not take is lost: the content matters more.
fn keep_attributes(old: &OwnedFd, new: &File, with_access: bool) {
    let mut names = vec![0; MOST_ATTRIBUTES];
    let Ok(length) = flistxattr(old, &mut names[..]) else { return };
    let mut value = vec![0; MOST_ATTRIBUTES];
    for name in names[..length].split(|byte| *byte == 0) {
        let is_access = name == b"system.posix_acl_access";
        if !(name.starts_with(b"user.") || (is_access && with_access)) {
            continue;
        }
        if let Ok(length) = fgetxattr(old, name, &mut value[..]) {
            fsetxattr(new, name, &value[..length], XattrFlags::empty()).ok();
        }
    }
}

/// Renames; without `replace` nothing may be there.
pub(crate) fn rename(
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
