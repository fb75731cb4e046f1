//! An archive becomes a folder: first into a temporary one beside it, then moved.

use std::{
    fs::File,
    io::{Read, Seek as _, Write as _},
    os::fd::OwnedFd,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fchmod, linkat, mkdirat, openat, statat, symlinkat},
    io::Errno,
};
use serde::Serialize;
use staithe_protocol::files::{FileCode, FileDenied};

use super::{
    Format, install,
    names::{inside, stays},
    tar_in, zip_in,
};
use crate::{
    files::{
        Files,
        confine::{denied, denied_io},
        list::{open_folder, remove_folder},
        path::split,
        replace::temporary_name,
    },
    http::pour::Sink,
};

/// Below this many bytes no ratio is looked at.
const HARMLESS: u64 = 16 * 1024 * 1024;
/// What is copied at once, in bytes.
const PIECE: usize = 128 * 1024;

/// What to do about what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// Nothing is unpacked.
    Fail,
    Overwrite,
    Skip,
}

/// What an archive may be; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub entries: u64,
    /// Unpacked, in bytes.
    pub bytes: u64,
    /// Of the bytes unpacked to those of the archive.
    pub ratio: u64,
}

/// What was done.
#[derive(Debug, Serialize)]
pub(super) struct Unpacked {
    /// Relative to the workspace.
    pub path: String,
    pub entries: u64,
    pub bytes: u64,
    /// Files that were there and stayed.
    pub skipped: u64,
}

/// An archive on its way. Everything of it lies in one temporary folder, which goes with it.
pub(super) struct Unpacking {
    /// The folder that is unpacked into, relative to the workspace.
    path: String,
    parent: OwnedFd,
    temporary: String,
    tree: OwnedFd,
    archive: File,
    size: u64,
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        remove_folder(&self.parent, &self.temporary).ok(); // nothing else can be done about it
    }
}

impl Sink for Unpacking {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FileDenied> {
        self.size += bytes.len() as u64;
        self.archive.write_all(bytes).map_err(|error| denied_io(&error, &self.path))
    }
}

impl Unpacking {
    pub(super) fn begin(files: &Files, path: &str) -> Result<Self, FileDenied> {
        let path = files.relative(path)?;
        let parent = if path.is_empty() {
            files.root().folder("")?
        } else {
            files.root().place(&path, true)?.parent
        };
        let fail = |errno| denied(errno, &path);
        let temporary = temporary_name().map_err(|error| denied_io(&error, &path))?;
        mkdirat(&parent, temporary.as_str(), Mode::from_raw_mode(0o700)).map_err(fail)?;
        let made = (|| {
            let folder = open_folder(&parent, temporary.as_str())?;
            mkdirat(&folder, "tree", Mode::from_raw_mode(0o775))?;
            let tree = open_folder(&folder, "tree")?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            let archive = openat(&folder, "archive", flags, Mode::from_raw_mode(0o600))?;
            Ok((tree, File::from(archive)))
        })();
        match made {
            Ok((tree, archive)) => Ok(Self { path, parent, temporary, tree, archive, size: 0 }),
            Err(errno) => {
                remove_folder(&parent, &temporary).ok();
                Err(fail(errno))
            }
        }
    }

    /// The archive is here.
    pub(super) fn finish(
        &mut self,
        files: &Files,
        format: Format,
        limits: Limits,
        on_conflict: OnConflict,
    ) -> Result<Unpacked, FileDenied> {
        self.archive.rewind().map_err(|error| denied_io(&error, &self.path))?;
        let mut tree = Tree {
            root: &self.tree,
            last: None,
            limits,
            archive: self.size,
            entries: 0,
            bytes: 0,
            buffer: vec![0; PIECE],
        };
        match format {
            Format::Zip => zip_in::read(&self.archive, &mut tree)?,
            Format::Tar => tar_in::read(&self.archive, &mut tree)?,
            Format::TarZst => tar_in::read_compressed(&self.archive, &mut tree)?,
        }
        let (entries, bytes) = (tree.entries, tree.bytes);
        let skipped = install::install(
            files,
            &self.path,
            (&self.parent, &self.temporary),
            &self.tree,
            on_conflict,
        )?;
        Ok(Unpacked { path: self.path.clone(), entries, bytes, skipped })
    }
}

/// The folder that entries are made in.
pub(super) struct Tree<'a> {
    root: &'a OwnedFd,
    /// The folder of the last entry, which the next one often lies in too.
    last: Option<(String, OwnedFd)>,
    limits: Limits,
    /// Bytes of the archive.
    archive: u64,
    entries: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

/// What an entry is.
pub(super) enum Kind {
    Folder,
    File,
    Link(Vec<u8>),
    /// Another name of an entry before.
    Same(Vec<u8>),
}

/// An entry's head.
pub(super) struct Head {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: Option<u32>,
    /// Seconds since 1970.
    pub mtime: Option<u64>,
}

impl Tree<'_> {
    /// Makes an entry.
    pub(super) fn add(&mut self, head: &Head, content: &mut dyn Read) -> Result<(), FileDenied> {
        self.entries += 1;
        if self.limits.entries > 0 && self.entries > self.limits.entries {
            let text = format!("The archive has more than {} entries.", self.limits.entries);
            return Err(FileDenied::new(FileCode::TooLarge, text));
        }
        let path = inside(&head.path)?;
        if path.is_empty() {
            return match head.kind {
                Kind::Folder => Ok(()),
                _ => Err(bad(&path, "has no name")),
            };
        }
        match &head.kind {
            Kind::Folder => {
                let folder = self.folder(&path)?;
                if let Some(mode) = head.mode {
                    let mode = Mode::from_raw_mode(mode & 0o777 | 0o700);
                    let opened = open_folder(folder, ".").map_err(|errno| denied(errno, &path))?;
                    fchmod(&opened, mode).map_err(|errno| denied(errno, &path))?;
                }
                Ok(())
            }
            Kind::File => self.file(&path, head, content),
            Kind::Link(target) => {
                let target = std::str::from_utf8(target).map_err(|_| bad(&path, "is no UTF-8"))?;
                stays(&path, target)?;
                let (folder, name) = split(&path);
                let made = symlinkat(target, self.folder(folder)?, name);
                made.map_err(|errno| twice(errno, &path))
            }
            Kind::Same(target) => {
                let target = inside(target)?;
                let (from, old) = split(&target);
                let from = self.folder(from)?.try_clone().map_err(|e| denied_io(&e, &path))?;
                let (to, new) = split(&path);
                let to = self.folder(to)?;
                let stat = match statat(&from, old, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => {
                        return Err(bad(&path, "is another name of nothing before it"));
                    }
                    stat => stat.map_err(|errno| denied(errno, &path))?,
                };
                // A symlink that stays inside where it lies may lead outside from elsewhere.
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Err(bad(&path, "is another name of what is no file"));
                }
                linkat(&from, old, to, new, AtFlags::empty()).map_err(|errno| twice(errno, &path))
            }
        }
    }

    fn file(&mut self, path: &str, head: &Head, content: &mut dyn Read) -> Result<(), FileDenied> {
        let (folder, name) = split(path);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let folder = self.folder(folder)?;
        let file = openat(folder, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))
            .map_err(|errno| twice(errno, path))?;
        let mut file = File::from(file);
        loop {
            let length = content
                .read(&mut self.buffer)
                .map_err(|error| bad(path, &format!("can't be read: {error}")))?;
            if length == 0 {
                break;
            }
            self.count(length as u64)?;
            file.write_all(&self.buffer[..length]).map_err(|error| denied_io(&error, path))?;
        }
        // What would run with its owner's rights does not come out of an archive.
        let mode = Mode::from_raw_mode(head.mode.unwrap_or(0o664) & 0o777);
        fchmod(&file, mode).map_err(|errno| denied(errno, path))?;
        if let Some(mtime) = head.mtime {
            let when = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(mtime));
            if let Some(when) = when {
                drop(file.set_modified(when)); // the time is the least of it
            }
        }
        Ok(())
    }

    fn count(&mut self, more: u64) -> Result<(), FileDenied> {
        self.bytes = self.bytes.saturating_add(more);
        let Limits { bytes, ratio, .. } = self.limits;
        if bytes > 0 && self.bytes > bytes {
            let text = format!("The archive has more than {bytes} bytes unpacked.");
            return Err(FileDenied::new(FileCode::TooLarge, text));
        }
        if ratio > 0 && self.bytes > HARMLESS && self.bytes / ratio > self.archive {
            let text = format!("The archive unpacks to more than {ratio} times its size.");
            return Err(FileDenied::new(FileCode::TooLarge, text));
        }
        Ok(())
    }

    /// A folder, made where it is missing; never through a symlink.
    fn folder(&mut self, path: &str) -> Result<&OwnedFd, FileDenied> {
        if path.is_empty() {
            return Ok(self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let mut folder = self.root.try_clone().map_err(|error| denied_io(&error, path))?;
            for name in path.split('/') {
                match mkdirat(&folder, name, Mode::from_raw_mode(0o775)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(denied(errno, path)),
                }
                folder = open_folder(&folder, name).map_err(|errno| match errno {
                    Errno::NOTDIR | Errno::LOOP => bad(path, "leads through what is no folder"),
                    errno => denied(errno, path),
                })?;
            }
            self.last = Some((path.to_owned(), folder));
        }
        Ok(self.last.as_ref().map_or(self.root, |(_, folder)| folder))
    }
}

/// The refusal of an archive for an entry.
pub(super) fn bad(path: &str, what: &str) -> FileDenied {
    FileDenied::new(FileCode::BadMessage, format!("The archive's entry {path:?} {what}."))
}

fn twice(errno: Errno, path: &str) -> FileDenied {
    if errno == Errno::EXIST { bad(path, "is there twice") } else { denied(errno, path) }
}
