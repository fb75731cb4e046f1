//! The only way to a file: beneath the workspace's own descriptor, checked by the kernel.
//!
//! `openat2` resolves the whole path in one step and refuses what leaves, so exchanging a folder for
//! a symlink meanwhile wins nothing. Where the kernel has none, or a filter forbids it, `walk` goes
//! name by name. Changes are made to a name in a folder that is held open.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat, mkdirat, open, openat2, readlinkat, statat},
    io::Errno,
};
use staithe_protocol::files::{FileCode, FileDenied};

use super::{
    path::{normalise, outside, split},
    walk::walk,
};

/// Symlinks at the end of a path that are followed.
const MOST_LINKS: usize = 16;
/// The kernel may ask to try again while folders are moved about.
const MOST_TRIES: usize = 64;

/// How paths are kept beneath the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By `openat2` (Linux 5.6).
    Kernel,
    /// Name by name, no symlink followed by the kernel.
    Walk,
}

impl Way {
    /// What can be done here, tried on a folder.
    pub(crate) fn of(dir: &OwnedFd) -> Self {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let probe = openat2(dir, ".", flags, Mode::empty(), ResolveFlags::BENEATH);
        // Old kernels, gVisor and the filters of old container engines lack or forbid it.
        if probe.is_ok() { Self::Kernel } else { Self::Walk }
    }
}

/// The workspace.
pub(crate) struct Root {
    dir: OwnedFd,
    way: Way,
    /// Its path, as the shell sees it.
    pub path: String,
    /// Nothing leaves; where everything is inside, absolute symlinks are no way out.
    resolve: ResolveFlags,
}

/// A name in a folder that is held open.
pub(crate) struct Place {
    pub parent: OwnedFd,
    /// Never empty, `.` or `..`.
    pub name: String,
    /// Relative to the workspace.
    pub relative: String,
}

impl Root {
    /// Holds the workspace open.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let dir = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let is_all = path == Path::new("/");
        let resolve = if is_all { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
        let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
        let way = Way::of(&dir);
        Ok(Self { dir, way, path: path.to_string_lossy().into_owned(), resolve })
    }

    /// The same, in a way of the caller's choice.
    pub(crate) fn in_way(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// The client's path, relative.
    pub(crate) fn relative(&self, path: &str) -> Result<String, FileDenied> {
        normalise(path, &self.path)
    }

    /// Opens what lies at a relative path; symlinks that stay inside are followed.
    pub(crate) fn open_at(&self, relative: &str, flags: OFlags) -> Result<OwnedFd, FileDenied> {
        let path = if relative.is_empty() { "." } else { relative };
        for _ in 0..MOST_TRIES {
            let opened = match self.way {
                Way::Kernel => {
                    openat2(&self.dir, path, flags | OFlags::CLOEXEC, Mode::empty(), self.resolve)
                }
                Way::Walk => walk(&self.dir, path, flags | OFlags::CLOEXEC),
            };
            match opened {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::XDEV) => return Err(outside(relative)),
                result => return result.map_err(|errno| denied(errno, relative)),
            }
        }
        Err(denied(Errno::AGAIN, relative))
    }

    /// Holds a folder open to work in it.
    pub(crate) fn folder(&self, relative: &str) -> Result<OwnedFd, FileDenied> {
        self.open_at(relative, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The folder and the name of a relative path. A symlink in the last place stays one.
    pub(crate) fn place(&self, relative: &str, create_parents: bool) -> Result<Place, FileDenied> {
        let (folder, name) = split(relative);
        if name.is_empty() {
            return Err(FileDenied::new(
                FileCode::BadMessage,
                "The workspace itself can't be changed.",
            ));
        }
        let parent = match self.folder(folder) {
            Err(denied) if create_parents && denied.code == FileCode::NotFound => {
                self.make_folders(folder)?;
                self.folder(folder)?
            }
            result => result?,
        };
        Ok(Place { parent, name: name.to_owned(), relative: relative.to_owned() })
    }

    /// The same, but a symlink in the last place is followed to the name that it stands for.
    pub(crate) fn target(&self, relative: &str, create_parents: bool) -> Result<Place, FileDenied> {
        let mut relative = relative.to_owned();
        for _ in 0..MOST_LINKS {
            let place = self.place(&relative, create_parents)?;
            let link = match readlinkat(&place.parent, place.name.as_str(), Vec::new()) {
                Err(Errno::INVAL | Errno::NOENT) => return Ok(place), // no symlink
                result => result.map_err(|errno| denied(errno, &relative))?,
            };
            let Ok(link) = link.to_str() else { return Err(outside(&relative)) };
            let is_absolute = link.starts_with('/');
            if is_absolute && self.path != "/" {
                return Err(outside(&relative));
            }
            // `..` in the link is left to the kernel, which knows where folders really are; only the
            // last name must be one.
            let (folder, _) = if is_absolute { ("", "") } else { split(&relative) };
            let joined = format!("{folder}/{link}").trim_matches('/').to_owned();
            if matches!(split(&joined).1, "" | "." | "..") {
                return Err(FileDenied::new(
                    FileCode::IsDirectory,
                    format!("{relative:?} is a folder."),
                ));
            }
            relative = joined;
        }
        Err(denied(Errno::LOOP, &relative))
    }

    /// Makes a folder and those above it.
    pub(crate) fn make_folders(&self, relative: &str) -> Result<(), FileDenied> {
        let mut done = String::new();
        for name in relative.split('/').filter(|name| !name.is_empty()) {
            let parent = self.folder(&done)?;
            if !done.is_empty() {
                done.push('/');
            }
            done.push_str(name);
            match mkdirat(&parent, name, Mode::from_raw_mode(0o775)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(denied(errno, &done)),
            }
        }
        self.folder(relative).map(drop)
    }
}

impl Place {
    /// What lies there, a symlink itself; none if nothing does.
    pub(crate) fn stat(&self) -> Result<Option<Stat>, FileDenied> {
        match statat(&self.parent, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(denied(errno, &self.relative)),
        }
    }

    /// Opens it, unless it is a symlink.
    pub(crate) fn open(&self, flags: OFlags) -> Result<OwnedFd, FileDenied> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::openat(self.parent.as_fd(), self.name.as_str(), flags, Mode::empty())
            .map_err(|errno| denied(errno, &self.relative))
    }
}

/// The kernel's refusal in our words.
pub(crate) fn denied(errno: Errno, path: &str) -> FileDenied {
    let (code, words) = match errno {
        Errno::NOENT => (FileCode::NotFound, "does not exist"),
        Errno::EXIST => (FileCode::Exists, "exists already"),
        Errno::ISDIR => (FileCode::IsDirectory, "is a folder"),
        Errno::NOTDIR => (FileCode::NotDirectory, "leads through something that is no folder"),
        Errno::NOTEMPTY => (FileCode::NotEmpty, "is a folder with content"),
        Errno::XDEV => (FileCode::OutsideWorkspace, "leads outside the workspace"),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            (FileCode::PermissionDenied, "is not permitted")
        }
        Errno::NOSPC | Errno::DQUOT => (FileCode::NoSpace, "does not fit on the disk"),
        Errno::NAMETOOLONG | Errno::INVAL | Errno::LOOP | Errno::NXIO => {
            (FileCode::BadMessage, "can't be such a path")
        }
        Errno::FBIG => (FileCode::TooLarge, "is too large"),
        _ => (FileCode::Internal, "could not be reached"),
    };
    FileDenied::new(code, format!("{path:?} {words} ({errno})."))
}

/// The same for the standard library's errors.
pub(crate) fn denied_io(error: &io::Error, path: &str) -> FileDenied {
    denied(Errno::from_io_error(error).unwrap_or(Errno::IO), path)
}
