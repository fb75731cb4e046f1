//! Operations that change something: each checks and acts under its place's lock.

use std::io::{Read as _, Seek as _};

use rustix::fs::{AtFlags, Mode, Stat, fstatvfs, mkdirat, unlinkat};
use staithe_protocol::files::{
    EntryType, FileCode, FileDenied, FileDone, LineEdit, MAX_HASHED, MAX_INLINE_CONTENT,
};

use super::{
    Files, Snapshot,
    confine::{Place, denied, denied_io},
    diff, lines,
    list::remove_tree,
    ops::done,
    replace::{Replacement, rename, too_large},
    version::{self, ABSENT, DIR, by_content, conflict},
};

/// What must be there for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// This version; `absent` is nothing.
    Version(String),
    /// Whatever is there gives way.
    Force,
    /// Nothing was said: right only if nothing is there.
    None,
}

impl Precondition {
    /// From an operation's fields.
    pub fn new(if_match: Option<String>, force: bool) -> Self {
        match if_match {
            Some(version) => Self::Version(version),
            None if force => Self::Force,
            None => Self::None,
        }
    }

    /// Whether the change may be made.
    fn check(&self, path: &str, current: Option<&Snapshot>) -> Result<(), FileDenied> {
        let version = current.map_or(ABSENT, |snapshot| &snapshot.version);
        match self {
            Self::Version(wanted) if wanted != version => Err(conflict(path, current)),
            Self::None if current.is_some() => Err(FileDenied::new(
                FileCode::PreconditionRequired,
                format!("{path:?} exists: say the version that you replace, or force."),
            )),
            Self::Version(_) | Self::Force | Self::None => Ok(()),
        }
    }
}

/// What a patch changes.
pub(super) enum Change {
    Edits(Vec<LineEdit>),
    Diff(String),
}

impl Change {
    /// One of both.
    pub(super) fn new(
        edits: Option<Vec<LineEdit>>,
        diff: Option<String>,
    ) -> Result<Self, FileDenied> {
        match (edits, diff) {
            (Some(edits), None) => Ok(Self::Edits(edits)),
            (None, Some(diff)) => Ok(Self::Diff(diff)),
            _ => Err(FileDenied::new(
                FileCode::BadMessage,
                "A patch needs `edits` or `diff`, one of both.",
            )),
        }
    }
}

/// Content that comes in pieces.
pub struct Upload {
    place: Place,
    replacement: Replacement,
    /// Of what came; none if some of it came to an earlier one.
    hash: Option<sha2::Sha256>,
    size: u64,
}

impl Upload {
    /// Appends a piece.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied> {
        use sha2::Digest as _;

        self.replacement.write(bytes)?;
        self.size += bytes.len() as u64;
        if let Some(hash) = self.hash.as_mut().filter(|_| self.size <= MAX_HASHED) {
            hash.update(bytes);
        }
        Ok(())
    }

    /// Bytes that are there.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the content will be, relative to the workspace.
    pub fn path(&self) -> &str {
        &self.place.relative
    }

    /// Leaves what came for later; the name that [`Files::resume_upload`] wants.
    pub fn keep(self) -> Option<String> {
        self.replacement.keep()
    }

    /// The version of the content, once its file is in place.
    fn version(&mut self, stat: &Stat) -> Result<String, FileDenied> {
        if self.size > MAX_HASHED {
            return Ok(version::by_stat(stat));
        }
        if let Some(hash) = self.hash.take() {
            return Ok(version::by_hash(hash));
        }
        let mut content = Vec::new();
        let mut file = self.replacement.file();
        file.rewind()
            .and_then(|()| file.take(MAX_HASHED).read_to_end(&mut content))
            .map_err(|error| denied_io(&error, &self.place.relative))?;
        Ok(by_content(&content))
    }
}

impl Files {
    pub(super) fn create(
        &self,
        path: &str,
        content: &[u8],
        mode: Option<u32>,
        create_parents: bool,
    ) -> Result<FileDone, FileDenied> {
        let place = self.root.place(&self.root.relative(path)?, create_parents)?;
        let _lock = self.lock(&place)?;
        if place.stat()?.is_some() {
            return Err(denied(rustix::io::Errno::EXIST, &place.relative));
        }
        let mut replacement = Replacement::begin(&place)?;
        replacement.write(content)?;
        replacement.settle(None, mode, &place)?;
        let (stat, racy) = replacement.put(&place, false)?;
        let version = by_content(content); // a message's content is never too large for it
        Ok(FileDone {
            previous_version: Some(ABSENT.to_owned()),
            racy: racy.then_some(true),
            ..done(place.relative, &stat, version)
        })
    }

    pub(super) fn write(
        &self,
        path: &str,
        content: &[u8],
        precondition: &Precondition,
        mode: Option<u32>,
        create_parents: bool,
    ) -> Result<FileDone, FileDenied> {
        let mut upload = self.begin_upload(path, create_parents)?;
        upload.write(content)?;
        self.finish_upload(&mut upload, precondition, mode)
    }

    /// Begins to replace a file by content that comes in pieces.
    pub fn begin_upload(&self, path: &str, create_parents: bool) -> Result<Upload, FileDenied> {
        use sha2::Digest as _;

        let place = self.root.target(&self.root.relative(path)?, create_parents)?;
        if place.stat()?.is_some_and(|stat| version::kind(&stat) == EntryType::Dir) {
            return Err(denied(rustix::io::Errno::ISDIR, &place.relative));
        }
        let replacement = Replacement::begin(&place)?;
        Ok(Upload { place, replacement, hash: Some(sha2::Sha256::new()), size: 0 })
    }

    /// Goes on with one that was kept; `path` is the one that it told.
    pub fn resume_upload(&self, path: &str, kept: &str) -> Result<Upload, FileDenied> {
        let place = self.root.place(&self.root.relative(path)?, false)?;
        let (replacement, size) = Replacement::reopen(&place, kept)?;
        Ok(Upload { place, replacement, hash: None, size })
    }

    /// Whether a file may be replaced now, and this many bytes find room beside it.
    pub fn may_upload(
        &self,
        upload: &Upload,
        precondition: &Precondition,
        size: u64,
    ) -> Result<(), FileDenied> {
        let Upload { place, .. } = upload;
        precondition.check(&place.relative, Snapshot::at(place)?.as_ref())?;
        let disk =
            fstatvfs(upload.replacement.file()).map_err(|errno| denied(errno, &place.relative))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < size {
            return Err(denied(rustix::io::Errno::NOSPC, &place.relative));
        }
        Ok(())
    }

    /// All content has come: the file is replaced, if what is there may be. Refused, it may be tried
    /// again.
    pub fn finish_upload(
        &self,
        upload: &mut Upload,
        precondition: &Precondition,
        mode: Option<u32>,
    ) -> Result<FileDone, FileDenied> {
        let Upload { place, replacement, .. } = upload;
        let _lock = self.lock(place)?;
        let current = Snapshot::at(place)?;
        precondition.check(&place.relative, current.as_ref())?;
        let old = current.as_ref().map(|snapshot| &snapshot.stat);
        replacement.settle(old, mode, place)?;

        // Somebody beside us may have written since; nothing of theirs is lost unless forced.
        let unchanged = match &current {
            Some(snapshot) => snapshot.is_still_at(place)?,
            None => place.stat()?.is_none(),
        };
        if !unchanged && *precondition != Precondition::Force {
            return Err(conflict(&place.relative, Snapshot::at(place)?.as_ref()));
        }
        let replace = current.is_some() || *precondition == Precondition::Force;
        let (stat, racy) = replacement.put(place, replace)?;
        let version = upload.version(&stat)?;
        Ok(FileDone {
            previous_version: Some(current.map_or_else(|| ABSENT.to_owned(), |s| s.version)),
            racy: (racy || !unchanged).then_some(true),
            ..done(upload.place.relative.clone(), &stat, version)
        })
    }

    pub(super) fn patch(
        &self,
        path: &str,
        if_match: String,
        change: &Change,
    ) -> Result<FileDone, FileDenied> {
        let relative = self.root.relative(path)?;
        let place = self.root.target(&relative, false)?;
        let precondition = Precondition::Version(if_match);
        let current = Snapshot::at(&place)?;
        let Some(snapshot) = &current else {
            return Err(conflict(&relative, None));
        };
        precondition.check(&relative, current.as_ref())?;
        let text = snapshot.content.as_deref().map(std::str::from_utf8);
        let Some(Ok(text)) = text else {
            return Err(FileDenied::new(
                FileCode::BadMessage,
                format!("{relative:?} is no UTF-8 text of at most 16 MiB."),
            ));
        };
        // The version is checked again under the lock, where the content is put in place.
        let patched = match change {
            Change::Edits(edits) => lines::patch(text, edits)?,
            Change::Diff(diff) => diff::apply(text, diff)?,
        };
        if patched.len() as u64 > MAX_INLINE_CONTENT {
            return Err(too_large("The file would have more than 16 MiB."));
        }
        self.write(&relative, patched.as_bytes(), &precondition, None, false)
    }

    pub(super) fn delete(
        &self,
        path: &str,
        precondition: &Precondition,
        recursive: bool,
    ) -> Result<FileDone, FileDenied> {
        let place = match self.root.place(&self.root.relative(path)?, false) {
            Err(denied) if denied.code == FileCode::NotFound => {
                return absent_already(self.root.relative(path)?, precondition);
            }
            result => result?,
        };
        let _lock = self.lock(&place)?;
        let Some(stat) = place.stat()? else { return absent_already(place.relative, precondition) };
        let version = match version::kind(&stat) {
            EntryType::Dir => DIR.to_owned(),
            EntryType::File => {
                let current = Snapshot::at(&place)?;
                precondition.check(&place.relative, current.as_ref())?;
                current.map_or_else(|| ABSENT.to_owned(), |snapshot| snapshot.version)
            }
            EntryType::Symlink | EntryType::Other => version::by_stat(&stat),
        };
        match precondition {
            Precondition::Version(wanted) if *wanted != version => {
                return Err(another(version));
            }
            _ => {}
        }
        let fail = |errno| denied(errno, &place.relative);
        match version::kind(&stat) {
            EntryType::Dir if recursive => remove_tree(&place)?,
            EntryType::Dir => {
                unlinkat(&place.parent, place.name.as_str(), AtFlags::REMOVEDIR).map_err(fail)?;
            }
            _ => unlinkat(&place.parent, place.name.as_str(), AtFlags::empty()).map_err(fail)?,
        }
        Ok(FileDone {
            path: place.relative,
            version: Some(ABSENT.to_owned()),
            previous_version: Some(version),
            ..FileDone::default()
        })
    }

    pub(super) fn rename(
        &self,
        path: &str,
        to: &str,
        if_match: Option<String>,
        overwrite: bool,
    ) -> Result<FileDone, FileDenied> {
        let from = self.root.place(&self.root.relative(path)?, false)?;
        let to = self.root.place(&self.root.relative(to)?, false)?;
        let _locks = self.lock_both(&from, &to)?;
        let Some(stat) = from.stat()? else {
            return Err(denied(rustix::io::Errno::NOENT, &from.relative));
        };
        let version = match version::kind(&stat) {
            EntryType::Dir => DIR.to_owned(),
            EntryType::File => {
                let current = Snapshot::at(&from)?;
                if let Some(wanted) = &if_match {
                    Precondition::Version(wanted.clone())
                        .check(&from.relative, current.as_ref())?;
                }
                current.map_or_else(|| ABSENT.to_owned(), |snapshot| snapshot.version)
            }
            EntryType::Symlink | EntryType::Other => version::by_stat(&stat),
        };
        if if_match.is_some_and(|wanted| wanted != version) {
            return Err(another(version));
        }
        rename(&from.parent, &from.name, &to.parent, &to.name, overwrite)
            .map_err(|errno| denied(errno, &to.relative))?;
        self.moved(&from.relative, &to.relative);
        Ok(done(to.relative, &stat, version))
    }

    pub(super) fn mkdir(&self, path: &str, parents: bool) -> Result<FileDone, FileDenied> {
        let place = self.root.place(&self.root.relative(path)?, parents)?;
        match mkdirat(&place.parent, place.name.as_str(), Mode::from_raw_mode(0o775)) {
            Ok(()) => {}
            // As `mkdir -p`: a folder that is there is as good.
            Err(rustix::io::Errno::EXIST) if parents => {
                self.root.folder(&place.relative)?;
            }
            Err(errno) => return Err(denied(errno, &place.relative)),
        }
        Ok(FileDone { path: place.relative, version: Some(DIR.to_owned()), ..FileDone::default() })
    }
}

fn another(version: String) -> FileDenied {
    FileDenied {
        current_version: Some(version),
        ..FileDenied::new(FileCode::Conflict, "Another version is there now.")
    }
}

fn absent_already(path: String, precondition: &Precondition) -> Result<FileDone, FileDenied> {
    match precondition {
        Precondition::Version(version) if version != ABSENT => Err(conflict(&path, None)),
        _ => Ok(FileDone {
            path,
            version: Some(ABSENT.to_owned()),
            already_absent: Some(true),
            ..FileDone::default()
        }),
    }
}
