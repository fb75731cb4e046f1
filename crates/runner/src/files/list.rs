//! What folders hold, and their removal.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, statat, unlinkat};
use staithe_protocol::files::{Entry, EntryType, FileDenied, FileDone, MAX_HASHED};
use std::{
    ffi::{CStr, CString},
    os::fd::OwnedFd,
};

use super::{
    Files, Snapshot,
    confine::{Place, denied},
    ignore::Ignore,
    replace::is_temporary,
    version::{self, DIR},
};

/// The most levels that one list goes down.
const DEEPEST: u32 = 16;
/// The most entries of one list.
const MOST: usize = 10_000;
/// Bytes that are read for the versions of one list.
const MOST_HASHED_OF_A_LIST: u64 = 64 * 1024 * 1024;
/// The most folders above each other that are removed at once; the descriptors are open meanwhile.
const DEEPEST_REMOVED: u32 = 256;

impl Files {
    pub(crate) fn list(
        &self,
        path: &str,
        depth: Option<u32>,
        ignore: &[String],
        versions: bool,
    ) -> Result<FileDone, FileDenied> {
        let ignore = Ignore::new(ignore)?;
        let relative = self.root.relative(path)?;
        let folder = self.root.open_at(&relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        let depth = depth.unwrap_or(1).clamp(1, DEEPEST);
        let hashed = if versions { MOST_HASHED_OF_A_LIST } else { 0 };
        let mut seen = Seen { ignore, listed: relative.clone(), hashed };
        let complete = seen.walk(&folder, &relative, depth, &mut entries)?;
        Ok(FileDone {
            path: relative,
            version: Some(DIR.to_owned()),
            entries: Some(entries),
            truncated: Some(!complete),
            ..FileDone::default()
        })
    }

    /// Names in a folder as the reference's `/list_files` tells them: sorted, folders with `/`.
    pub fn names(&self, path: &str) -> Vec<String> {
        let listed = self
            .list(path, None, &[], false)
            .ok()
            .and_then(|done| done.entries)
            .unwrap_or_default();
        let mut names: Vec<String> = listed
            .iter()
            .filter_map(|entry| {
                let name = entry.path.rsplit('/').next()?;
                let is_folder = match entry.kind {
                    EntryType::Dir => true,
                    EntryType::Symlink => {
                        self.root.open_at(&entry.path, OFlags::PATH).ok()?;
                        self.root.folder(&entry.path).is_ok()
                    }
                    EntryType::File | EntryType::Other => false,
                };
                Some(if is_folder { format!("{name}/") } else { name.to_owned() })
            })
            .collect();
        names.sort_by_key(|name| (!name.ends_with('/'), name.to_lowercase()));
        names
    }
}

/// What a list is made by.
struct Seen {
    ignore: Ignore,
    /// The folder that was asked for.
    listed: String,
    /// Bytes that may still be read for versions.
    hashed: u64,
}

impl Seen {
    /// Adds a folder's entries, each folder's own after it. Says whether all found room.
    fn walk(
        &mut self,
        folder: &OwnedFd,
        relative: &str,
        depth: u32,
        entries: &mut Vec<Entry>,
    ) -> Result<bool, FileDenied> {
        let most = MOST.saturating_sub(entries.len());
        let (mut here, complete) = self.read_folder(folder, relative, most)?;
        if !complete {
            entries.append(&mut here);
            return Ok(false);
        }
        for mut entry in here {
            if entries.len() >= MOST {
                return Ok(false);
            }
            let name = entry.path.rsplit('/').next().unwrap_or(&entry.path).to_owned();
            entry.version = self.version(folder, &name, &entry);
            let inner = (entry.kind == EntryType::Dir && depth > 1).then(|| entry.path.clone());
            entries.push(entry);
            let Some(path) = inner else { continue };
            // A folder that vanished or can't be read is listed, and nothing below it.
            let Ok(folder) = open_folder(folder, name.as_str()) else { continue };
            if !self.walk(&folder, &path, depth - 1, entries)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One folder's entries, folders first, then by name without regard to case; at most `most`.
    fn read_folder(
        &self,
        folder: &OwnedFd,
        relative: &str,
        most: usize,
    ) -> Result<(Vec<Entry>, bool), FileDenied> {
        let fail = |errno| denied(errno, relative);
        let mut entries = Vec::new();
        for found in Dir::read_from(folder).map_err(fail)? {
            let found = found.map_err(fail)?;
            let Ok(name) = found.file_name().to_str() else { continue }; // no client could name it
            if matches!(name, "." | "..") || is_temporary(name) {
                continue;
            }
            let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let path =
                if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
            let below = path.strip_prefix(&self.listed).unwrap_or(&path).trim_start_matches('/');
            if self.ignore.leaves_out(below, version::kind(&stat) == EntryType::Dir) {
                continue;
            }
            if entries.len() >= most {
                return Ok((entries, false));
            }
            entries.push(version::entry(path, &stat, None));
        }
        entries.sort_by_cached_key(|entry| {
            (entry.kind != EntryType::Dir, entry.path.to_lowercase(), entry.path.clone())
        });
        Ok((entries, true))
    }

    /// An entry's version, while there is something left to read for it.
    fn version(&mut self, folder: &OwnedFd, name: &str, entry: &Entry) -> Option<String> {
        if self.hashed == 0 {
            return None;
        }
        match entry.kind {
            EntryType::Dir => return Some(DIR.to_owned()),
            EntryType::File => {}
            EntryType::Symlink | EntryType::Other => return None,
        }
        let reads = if entry.size > MAX_HASHED { 0 } else { entry.size };
        self.hashed = self.hashed.saturating_sub(reads);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(folder, name, flags | OFlags::NOCTTY, Mode::empty()).ok()?;
        Some(Snapshot::of(file, &entry.path).ok()?.0.version)
    }
}

pub(crate) fn open_folder(
    parent: &OwnedFd,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Removes a folder and all in it, never following a symlink.
pub(crate) fn remove_tree(place: &Place) -> Result<(), FileDenied> {
    remove_folder(&place.parent, &place.name).map_err(|errno| denied(errno, &place.relative))
}

/// The same, of a name in a folder.
pub(crate) fn remove_folder(parent: &OwnedFd, name: &str) -> Result<(), rustix::io::Errno> {
    let name = CString::new(name).map_err(|_| rustix::io::Errno::INVAL)?;
    remove(parent, &name, DEEPEST_REMOVED)
}

fn remove(parent: &OwnedFd, name: &CStr, deepest: u32) -> Result<(), rustix::io::Errno> {
    if deepest == 0 {
        return Err(rustix::io::Errno::NAMETOOLONG);
    }
    let folder = open_folder(parent, name)?;
    let names: Vec<_> = Dir::read_from(&folder)?
        .map(|found| found.map(|found| found.file_name().to_owned()))
        .collect::<Result<_, _>>()?;
    for name in names {
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(&folder, &name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {
                remove(&folder, &name, deepest - 1)?;
            }
            Err(rustix::io::Errno::NOENT) => {}
            result => result?,
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}
