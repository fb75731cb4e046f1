//! A walk over a folder of the workspace: by descriptors and never along a symlink, so that no exchange of
//! folders meanwhile leads outside.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::Read as _,
    ops::ControlFlow,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};
use staithe_protocol::files::EntryType;

use super::glob::Rules;
use crate::files::is_temporary;

/// Folders above each other that are walked; each is held open meanwhile.
const DEEPEST: usize = 64;
/// Entries of one folder that are looked at; they are held in memory meanwhile.
const MOST_ENTRIES: usize = 100_000;
/// The largest list of what is left out, in bytes.
const LARGEST_RULES: u64 = 256 * 1024;

/// What a walk passes over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub hidden: bool,
    pub ignored: bool,
}

/// Something that was met.
pub(super) struct Met<'a> {
    /// Relative to the workspace; `\u{fffd}` where its name is no UTF-8.
    pub path: &'a str,
    pub kind: EntryType,
    folder: &'a OwnedFd,
    name: &'a CStr,
}

impl Met<'_> {
    /// Opens a file; its size in bytes. None: it is no regular file any more, or can't be read.
    pub(super) fn open(&self) -> Option<(File, u64)> {
        open(self.folder, self.name)
    }
}

fn open(folder: &OwnedFd, name: &CStr) -> Option<(File, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    is_file.then(|| (File::from(file), u64::try_from(stat.st_size).unwrap_or(0)))
}

fn open_folder(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// What one folder leaves out.
struct Level {
    /// The folder, with a slash at its end unless it is the workspace.
    prefix: String,
    ignore: Rules,
    git: Rules,
    /// What git leaves out beside.
    exclude: Rules,
    /// A repository begins here: what folders above it tell git does not count.
    repository: bool,
}

struct Walk<'a, V> {
    wanted: Wanted,
    levels: Vec<Level>,
    visit: &'a mut V,
    /// Some folder was too deep or too full to be looked at whole.
    cut: bool,
}

/// Walks a folder that is held open and all below it, in the order of names, a folder before what is in
/// it. Only what is wanted is visited. False: some folder was too deep or too full.
pub(super) fn walk(
    folder: &OwnedFd,
    path: &str,
    wanted: Wanted,
    visit: &mut impl FnMut(&Met<'_>) -> ControlFlow<()>,
) -> bool {
    // It may have gone meanwhile.
    let Ok(folder) = open_folder(folder, c".") else { return true };
    let mut walk = Walk { wanted, levels: Vec::new(), visit, cut: false };
    // Who broke the walk knows it.
    walk.folder(&folder, path, DEEPEST).is_break() || !walk.cut
}

impl<V: FnMut(&Met<'_>) -> ControlFlow<()>> Walk<'_, V> {
    fn folder(&mut self, folder: &OwnedFd, path: &str, deepest: usize) -> ControlFlow<()> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        if !self.wanted.ignored {
            self.levels.push(level(folder, &prefix));
        }
        // A folder that can't be read has nothing in it, for us.
        let (mut entries, whole) = read(folder).unwrap_or((Vec::new(), true));
        self.cut |= !whole;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, kind) in entries {
            let shown = name.to_string_lossy();
            if shown == ".git" || (shown.starts_with('.') && !self.wanted.hidden) {
                continue;
            }
            let path = format!("{prefix}{shown}");
            let is_folder = kind == EntryType::Dir;
            if self.leaves_out(&path, is_folder) {
                continue;
            }
            (self.visit)(&Met { path: &path, kind, folder, name: &name })?;
            self.cut |= is_folder && deepest == 0;
            if is_folder && deepest > 0 {
                let Ok(inner) = open_folder(folder, &name) else { continue };
                self.folder(&inner, &path, deepest - 1)?;
            }
        }
        if !self.wanted.ignored {
            self.levels.pop();
        }
        ControlFlow::Continue(())
    }

    /// Whether a list leaves a path out: the deepest that says something decides.
    fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        let mut of_git = true;
        for level in self.levels.iter().rev() {
            let Some(below) = path.strip_prefix(&level.prefix) else { continue };
            let of = |rules: &Rules| rules.says(below, is_folder);
            let said = of(&level.ignore)
                .or_else(|| of(&level.git).filter(|_| of_git))
                .or_else(|| of(&level.exclude).filter(|_| of_git));
            if let Some(out) = said {
                return out;
            }
            of_git &= !level.repository;
        }
        false
    }
}

fn level(folder: &OwnedFd, prefix: &str) -> Level {
    let rules = |folder: &OwnedFd, name: &CStr| {
        let Some((file, _)) = open(folder, name) else { return Rules::default() };
        let mut text = Vec::new();
        if file.take(LARGEST_RULES).read_to_end(&mut text).is_err() {
            return Rules::default();
        }
        Rules::of_file(&String::from_utf8_lossy(&text))
    };
    let git = statat(folder, c".git", AtFlags::SYMLINK_NOFOLLOW);
    let info = open_folder(folder, c".git").and_then(|git| open_folder(&git, c"info"));
    Level {
        prefix: prefix.to_owned(),
        ignore: rules(folder, c".ignore"),
        git: rules(folder, c".gitignore"),
        exclude: info.map_or_else(|_| Rules::default(), |info| rules(&info, c"exclude")),
        repository: git.is_ok(),
    }
}

/// A folder's entries but those on their way to another name, and whether these are all.
fn read(folder: &OwnedFd) -> Result<(Vec<(CString, EntryType)>, bool), Errno> {
    let mut entries = Vec::new();
    for found in Dir::read_from(folder.as_fd())? {
        let found = found?;
        let name = found.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_str().is_ok_and(is_temporary) {
            continue;
        }
        let kind = match found.file_type() {
            FileType::Unknown => {
                let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
                stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
            }
            kind => kind,
        };
        let kind = match kind {
            FileType::RegularFile => EntryType::File,
            FileType::Directory => EntryType::Dir,
            FileType::Symlink => EntryType::Symlink,
            _ => EntryType::Other,
        };
        if entries.len() >= MOST_ENTRIES {
            return Ok((entries, false));
        }
        entries.push((name.to_owned(), kind));
    }
    Ok((entries, true))
}
