//! What folders hold, and their removal.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, statat, unlinkat};
use staithe_protocol::files::{Entry, EntryType, FileDenied, FileDone};
use std::os::fd::OwnedFd;

use super::{
    Files,
    confine::{Place, denied},
    replace::is_temporary,
    version::{self, DIR},
};

/// The most levels that one list goes down.
const DEEPEST: u32 = 16;
/// The most entries of one list.
const MOST: usize = 10_000;
/// The most folders above each other that are removed at once; the descriptors are open meanwhile.
const DEEPEST_REMOVED: u32 = 256;

impl Files {
    pub(super) fn list(&self, path: &str, depth: Option<u32>) -> Result<FileDone, FileDenied> {
        let relative = self.root.relative(path)?;
        let folder = self.root.open_at(&relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        let depth = depth.unwrap_or(1).clamp(1, DEEPEST);
        let complete = walk(&folder, &relative, depth, &mut entries)?;
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
        let listed = self.list(path, None).ok().and_then(|done| done.entries).unwrap_or_default();
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

/// Adds a folder's entries, each folder's own after it. Says whether all found room.
fn walk(
    folder: &OwnedFd,
    relative: &str,
    depth: u32,
    entries: &mut Vec<Entry>,
) -> Result<bool, FileDenied> {
    let (mut here, complete) = read_folder(folder, relative, MOST.saturating_sub(entries.len()))?;
    if !complete {
        entries.append(&mut here);
        return Ok(false);
    }
    for entry in here {
        if entries.len() >= MOST {
            return Ok(false);
        }
        let inner = (entry.kind == EntryType::Dir && depth > 1).then(|| entry.path.clone());
        entries.push(entry);
        let Some(path) = inner else { continue };
        let name = path.rsplit('/').next().unwrap_or(&path);
        // A folder that vanished or can't be read is listed, and nothing below it.
        let Ok(folder) = open_folder(folder, name) else { continue };
        if !walk(&folder, &path, depth - 1, entries)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One folder's entries, folders first, then by name without regard to case; at most `most`.
fn read_folder(
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
        if entries.len() >= most {
            return Ok((entries, false));
        }
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let path = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
        entries.push(version::entry(path, &stat, None));
    }
    entries.sort_by_cached_key(|entry| {
        (entry.kind != EntryType::Dir, entry.path.to_lowercase(), entry.path.clone())
    });
    Ok((entries, true))
}

fn open_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Removes a folder and all in it, never following a symlink.
pub(super) fn remove_tree(place: &Place) -> Result<(), FileDenied> {
    remove(&place.parent, &place.name, DEEPEST_REMOVED)
        .map_err(|errno| denied(errno, &place.relative))
}

fn remove(parent: &OwnedFd, name: &str, deepest: u32) -> Result<(), rustix::io::Errno> {
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
                let Ok(name) = name.to_str() else { return Err(rustix::io::Errno::INVAL) };
                remove(&folder, name, deepest - 1)?;
            }
            Err(rustix::io::Errno::NOENT) => {}
            result => result?,
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}
