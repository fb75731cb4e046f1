//! What was unpacked goes to its place: as a whole where nothing is, else entry by entry.

use std::{ffi::CString, os::fd::OwnedFd};

use rustix::{
    fs::{AtFlags, Dir, RenameFlags, renameat, renameat_with, statat},
    io::Errno,
};
use staithe_protocol::files::{EntryType, FileCode, FileDenied};

use super::unpack::OnConflict;
use crate::files::{Files, confine::denied, list::open_folder, path::split, version::kind};

/// Moves `tree`, which is called `tree` in the temporary folder, to `path`. How many entries were there
/// and stayed.
pub(super) fn install(
    files: &Files,
    path: &str,
    (parent, temporary): (&OwnedFd, &str),
    tree: &OwnedFd,
    on_conflict: OnConflict,
) -> Result<u64, FileDenied> {
    let (_, name) = split(path);
    if !name.is_empty() {
        let from = open_folder(parent, temporary).map_err(|errno| denied(errno, path))?;
        match renameat_with(&from, "tree", parent, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(0),
            // A file system without this flag: what is there stops a plain rename, unless it is an
            // empty folder, which may give way.
            Err(Errno::INVAL | Errno::NOSYS)
                if statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).err() == Some(Errno::NOENT) =>
            {
                renameat(&from, "tree", parent, name).map_err(|errno| denied(errno, path))?;
                return Ok(0);
            }
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {}
            Err(errno) => return Err(denied(errno, path)),
        }
    }
    let target = if name.is_empty() {
        open_folder(&files.root().folder("")?, ".")
    } else {
        open_folder(parent, name)
    };
    let target = target.map_err(|errno| denied(errno, path))?;
    // First all of it is looked at, so that a refusal has changed nothing.
    let mut merge = Merge { on_conflict, skipped: 0, moves: false };
    merge.folder(tree, &target, path)?;
    merge = Merge { on_conflict, skipped: 0, moves: true };
    merge.folder(tree, &target, path)?;
    Ok(merge.skipped)
}

struct Merge {
    on_conflict: OnConflict,
    skipped: u64,
    /// Whether it is done, and not only looked at.
    moves: bool,
}

impl Merge {
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, path: &str) -> Result<(), FileDenied> {
        let fail = |errno| denied(errno, path);
        let names: Vec<CString> = Dir::read_from(from)
            .map_err(fail)?
            .map(|found| found.map(|found| found.file_name().to_owned()))
            .collect::<Result<_, _>>()
            .map_err(fail)?;
        for name in names.iter().filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            let path = format!("{path}/{}", name.to_string_lossy());
            self.entry((from, to), name, path.trim_start_matches('/'))?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        (from, to): (&OwnedFd, &OwnedFd),
        name: &CString,
        path: &str,
    ) -> Result<(), FileDenied> {
        let fail = |errno| denied(errno, path);
        let new = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        let old = match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(old) => Some(kind(&old)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(fail(errno)),
        };
        match (kind(&new), old, self.on_conflict) {
            (_, None, _) if self.moves => {
                match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
                    Err(Errno::INVAL | Errno::NOSYS) => renameat(from, name, to, name),
                    result => result,
                }
                .map_err(fail)
            }
            (EntryType::Dir, Some(EntryType::Dir), _) => {
                let (from, to) = (open_folder(from, name), open_folder(to, name));
                self.folder(&from.map_err(fail)?, &to.map_err(fail)?, path)
            }
            (_, Some(_), OnConflict::Skip) => {
                self.skipped += 1;
                Ok(())
            }
            (_, Some(_), OnConflict::Fail) => Err(fail(Errno::EXIST)),
            (EntryType::Dir, Some(_), OnConflict::Overwrite) => Err(FileDenied::new(
                FileCode::NotDirectory,
                format!("{path:?} is no folder, and one is in the archive."),
            )),
            (_, Some(EntryType::Dir), OnConflict::Overwrite) => Err(fail(Errno::ISDIR)),
            (_, Some(_), OnConflict::Overwrite) if self.moves => {
                renameat(from, name, to, name).map_err(fail)
            }
            (_, None, _) | (_, Some(_), OnConflict::Overwrite) => Ok(()), // the first look
        }
    }
}
