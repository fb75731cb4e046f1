//! File operations in the workspace. Nothing here goes through the shell, so a busy shell delays
//! nothing.
//!
//! | file | what |
//! |---|---|
//! | `path`, `lines` (pure) | paths of clients; lines of a text |
//! | `confine` | the only way to a file: beneath the workspace, checked by the kernel |
//! | `version` | what a file is now |
//! | `replace` | new content, put in place at once |
//! | `ops`, `change`, `list` | the operations |
//! | `action` | the actions `read` and `write` |
//!
//! All of it blocks, and is called from threads for that.

pub mod action;
mod change;
mod confine;
mod lines;
mod list;
mod ops;
pub mod path;
mod replace;
mod version;

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::fstat;
use staithe_protocol::files::{Encoding, FileCode, FileDenied, FileDone, FileOp};

pub use self::{
    change::{Precondition, Upload},
    ops::Opened,
    replace::is_temporary,
};
use self::{
    confine::{Place, Root, denied},
    version::Snapshot,
};

/// Locks for changes; two places seldom share one.
const LOCKS: usize = 64;

/// The workspace's files.
pub struct Files {
    root: Root,
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Files {
    /// Holds the workspace open.
    pub fn open(workspace: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Root::open(workspace)?,
            locks: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
        })
    }

    /// The workspace's path.
    pub fn workspace(&self) -> &str {
        &self.root.path
    }

    /// Holds a folder open; its path, relative to the workspace.
    pub fn folder(&self, path: &str) -> Result<(String, OwnedFd), FileDenied> {
        let relative = self.root.relative(path)?;
        let folder = self.root.folder(&relative)?;
        Ok((relative, folder))
    }

    /// Carries an operation out.
    pub fn carry_out(&self, op: FileOp) -> Result<FileDone, FileDenied> {
        match op {
            FileOp::Read { path, offset, length } => self.read(&path, offset, length),
            FileOp::Create { path, content, encoding, mode, create_parents } => {
                let content = decode(content, encoding)?;
                self.create(&path, &content, mode, create_parents)
            }
            FileOp::Write { path, content, encoding, if_match, force, mode, create_parents } => {
                let content = decode(content, encoding)?;
                let precondition = Precondition::new(if_match, force);
                self.write(&path, &content, &precondition, mode, create_parents)
            }
            FileOp::Patch { path, if_match, edits } => self.patch(&path, if_match, &edits),
            FileOp::Delete { path, if_match, recursive, force } => {
                self.delete(&path, &Precondition::new(if_match, force), recursive)
            }
            FileOp::Rename { path, to, if_match, overwrite } => {
                self.rename(&path, &to, if_match, overwrite)
            }
            FileOp::Mkdir { path, parents } => self.mkdir(&path, parents),
            FileOp::Stat { path } => self.stat(&path),
            FileOp::List { path, depth } => self.list(&path, depth),
        }
    }

    /// Locks a place against other changes through us.
    fn lock(&self, place: &Place) -> Result<MutexGuard<'_, ()>, FileDenied> {
        let lock = &self.locks[self.lock_number(place)?];
        Ok(lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Locks two places, always in the same order.
    fn lock_both(
        &self,
        one: &Place,
        other: &Place,
    ) -> Result<(MutexGuard<'_, ()>, Option<MutexGuard<'_, ()>>), FileDenied> {
        let (one, other) = (self.lock_number(one)?, self.lock_number(other)?);
        let take = |at: usize| self.locks[at].lock().unwrap_or_else(PoisonError::into_inner);
        let first = take(one.min(other));
        Ok((first, (one != other).then(|| take(one.max(other)))))
    }

    /// By the folder itself, so that two paths to one file share a lock.
    fn lock_number(&self, place: &Place) -> Result<usize, FileDenied> {
        let folder = fstat(&place.parent).map_err(|errno| denied(errno, &place.relative))?;
        let hash = self.hasher.hash_one((folder.st_dev, folder.st_ino, &place.name));
        Ok(usize::try_from(hash % LOCKS as u64).unwrap_or(0))
    }
}

/// The bytes of a message's content.
fn decode(content: String, encoding: Encoding) -> Result<Vec<u8>, FileDenied> {
    let content = match encoding {
        Encoding::Utf8 => content.into_bytes(),
        Encoding::Base64 => data_encoding::BASE64.decode(content.as_bytes()).map_err(|error| {
            FileDenied::new(FileCode::BadMessage, format!("The content is no base64: {error}."))
        })?,
    };
    if content.len() as u64 > staithe_protocol::files::MAX_INLINE_CONTENT {
        return Err(replace::too_large("The content has more than 16 MiB."));
    }
    Ok(content)
}

/// Bytes as a message's content.
fn encode(bytes: Vec<u8>) -> (String, Encoding) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, Encoding::Utf8),
        Err(error) => (data_encoding::BASE64.encode(error.as_bytes()), Encoding::Base64),
    }
}

#[cfg(test)]
mod tests;
