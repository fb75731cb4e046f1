//! File operations in the workspace. Nothing here goes through the shell, so a busy shell delays
//! nothing.
//!
//! | file | what |
//! |---|---|
//! | `path`, `lines`, `diff`, `ignore`, `moved` (pure) | paths of clients; lines and diffs of a text; patterns; renames |
//! | `confine`, `walk` | the only way to a file: beneath the workspace, checked by the kernel or name by name |
//! | `version` | what a file is now |
//! | `replace`, `sweep` | new content, put in place at once; what killed runners left of it |
//! | `ops`, `change`, `list` | the operations |
//! | `action` | the actions `read` and `write` |
//! | `reach` | what the sandbox API needs beside that |
//!
//! All of it blocks, and is called from threads for that.

pub mod action;
mod change;
pub(crate) mod confine;
mod diff;
pub(crate) mod ignore;
mod lines;
pub(crate) mod list;
mod moved;
mod ops;
pub mod path;
mod reach;
pub(crate) mod replace;
pub(crate) mod sweep;
pub(crate) mod version;
mod walk;

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::fstat;
use staithe_protocol::files::{Encoding, FileCode, FileDenied, FileDone, FileOp};

use self::{
    change::Change,
    confine::{Place, Root, denied},
    moved::Moved,
    version::Snapshot,
};
pub use self::{
    change::{Precondition, Upload},
    confine::Way,
    ops::Opened,
    replace::is_temporary,
};

/// Locks for changes; two places seldom share one.
const LOCKS: usize = 64;

/// The workspace's files.
pub struct Files {
    root: Root,
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
    moved: Mutex<Moved>,
}

impl Files {
    /// Holds the workspace open.
    pub fn open(workspace: &Path) -> io::Result<Self> {
        Ok(Self {
            root: Root::open(workspace)?,
            locks: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
            moved: Mutex::default(),
        })
    }

    /// The same; paths are kept beneath it in a way of the caller's choice.
    pub fn open_in_way(workspace: &Path, way: Way) -> io::Result<Self> {
        let files = Self::open(workspace)?;
        Ok(Self { root: files.root.in_way(way), ..files })
    }

    /// The workspace's path.
    pub fn workspace(&self) -> &str {
        &self.root.path
    }

    /// The workspace itself, held open.
    pub fn folder(&self) -> Result<OwnedFd, FileDenied> {
        self.root.folder("")
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// A client's path, relative to the workspace.
    pub fn relative(&self, path: &str) -> Result<String, FileDenied> {
        self.root.relative(path)
    }

    /// Holds a folder open; its path, relative to the workspace.
    pub fn folder_at(&self, path: &str) -> Result<(String, OwnedFd), FileDenied> {
        let relative = self.root.relative(path)?;
        let folder = self.root.folder(&relative)?;
        Ok((relative, folder))
    }

    /// Carries an operation out.
    pub fn carry_out(&self, op: FileOp) -> Result<FileDone, FileDenied> {
        let path = path_of(&op).to_owned();
        self.do_it(op).map_err(|denied| self.with_moved(denied, &path))
    }

    /// A rename was seen: whoever asks for the old path is told the new one. Both relative.
    pub fn moved(&self, from: &str, to: &str) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).note(from, to);
    }

    fn with_moved(&self, mut denied: FileDenied, path: &str) -> FileDenied {
        if denied.code == FileCode::NotFound
            && let Ok(relative) = self.root.relative(path)
        {
            let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            denied.moved_to = moved.now(&relative);
        }
        denied
    }

    fn do_it(&self, op: FileOp) -> Result<FileDone, FileDenied> {
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
            FileOp::Patch { path, if_match, edits, diff } => {
                self.patch(&path, if_match, &Change::new(edits, diff)?)
            }
            FileOp::Delete { path, if_match, recursive, force } => {
                self.delete(&path, &Precondition::new(if_match, force), recursive)
            }
            FileOp::Rename { path, to, if_match, overwrite } => {
                self.rename(&path, &to, if_match, overwrite)
            }
            FileOp::Mkdir { path, parents } => self.mkdir(&path, parents),
            FileOp::Stat { path } => self.stat(&path),
            FileOp::List { path, depth, ignore, versions } => {
                self.list(&path, depth, &ignore, versions)
            }
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

/// The path that an operation is about.
fn path_of(op: &FileOp) -> &str {
    match op {
        FileOp::Read { path, .. }
        | FileOp::Create { path, .. }
        | FileOp::Write { path, .. }
        | FileOp::Patch { path, .. }
        | FileOp::Delete { path, .. }
        | FileOp::Rename { path, .. }
        | FileOp::Mkdir { path, .. }
        | FileOp::Stat { path }
        | FileOp::List { path, .. } => path,
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
