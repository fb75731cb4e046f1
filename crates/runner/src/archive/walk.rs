//! The entries of a folder for an archive: sorted, by descriptors, no symlink followed.

use std::{ffi::CString, fs::File, os::fd::OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use staithe_protocol::files::EntryType;

use crate::files::{ignore::Ignore, list::open_folder, replace::is_temporary, version::kind};

/// Folders beneath each other that are packed; each is held open meanwhile.
const DEEPEST: usize = 200;

/// One entry.
pub(super) struct Found {
    /// Relative to the folder that is packed.
    pub path: String,
    pub stat: Stat,
    pub what: What,
}

pub(super) enum What {
    Folder,
    File(File),
    /// What it points to.
    Link(String),
}

/// What comes next.
pub(super) enum Step {
    Entry(Found),
    /// This can't be packed, for this reason.
    LeftOut(String, String),
    End,
}

/// A folder whose entries are not all told.
struct Level {
    folder: OwnedFd,
    path: String,
    /// Those that are left, the first one last.
    names: Vec<CString>,
}

/// The walk.
pub(super) struct Walk {
    levels: Vec<Level>,
    ignore: Ignore,
}

impl Walk {
    pub(super) fn begin(folder: OwnedFd, ignore: Ignore) -> Result<Self, rustix::io::Errno> {
        let names = names_of(&folder)?;
        let levels = vec![Level { folder, path: String::new(), names }];
        Ok(Self { levels, ignore })
    }

    pub(super) fn next(&mut self) -> Step {
        loop {
            let Some(level) = self.levels.last_mut() else { return Step::End };
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let Ok(text) = name.to_str() else {
                let shown = format!("{}/{}", level.path, name.to_string_lossy());
                return Step::LeftOut(shown, "its name is no UTF-8".to_owned());
            };
            if is_temporary(text) {
                continue;
            }
            let path = if level.path.is_empty() {
                text.to_owned()
            } else {
                format!("{}/{text}", level.path)
            };
            match self.look(&name, &path) {
                Ok(Some(step)) => return step,
                Ok(None) | Err(rustix::io::Errno::NOENT) => {} // ignored, or gone meanwhile
                Err(errno) => return Step::LeftOut(path, errno.to_string()),
            }
        }
    }

    fn look(&mut self, name: &CString, path: &str) -> Result<Option<Step>, rustix::io::Errno> {
        let Some(level) = self.levels.last() else { return Ok(None) };
        let stat = statat(&level.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_folder = kind(&stat) == EntryType::Dir;
        if self.ignore.leaves_out(path, is_folder) {
            return Ok(None);
        }
        let left_out = |why: &str| Ok(Some(Step::LeftOut(path.to_owned(), why.to_owned())));
        let (stat, what) = match kind(&stat) {
            EntryType::Dir => {
                if self.levels.len() == DEEPEST {
                    return left_out("it lies in too many folders");
                }
                let folder = open_folder(&level.folder, name)?;
                let names = names_of(&folder)?;
                let stat = fstat(&folder)?;
                self.levels.push(Level { folder, path: path.to_owned(), names });
                (stat, What::Folder)
            }
            EntryType::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let file = openat(&level.folder, name, flags | OFlags::NOCTTY, Mode::empty())?;
                let stat = fstat(&file)?;
                if kind(&stat) != EntryType::File {
                    return left_out("it changed while it was opened");
                }
                (stat, What::File(File::from(file)))
            }
            EntryType::Symlink => {
                let target = readlinkat(&level.folder, name, Vec::new())?;
                let Ok(target) = target.into_string() else {
                    return left_out("its target is no UTF-8");
                };
                (stat, What::Link(target))
            }
            EntryType::Other => return left_out("it is a socket, a pipe or a device"),
        };
        Ok(Some(Step::Entry(Found { path: path.to_owned(), stat, what })))
    }
}

/// A folder's names, the first one last.
fn names_of(folder: &OwnedFd) -> Result<Vec<CString>, rustix::io::Errno> {
    let mut names = Vec::new();
    for found in Dir::read_from(folder)? {
        let found = found?;
        if !matches!(found.file_name().to_bytes(), b"." | b"..") {
            names.push(found.file_name().to_owned());
        }
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}
