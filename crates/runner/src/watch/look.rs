//! Looking at the workspace: beneath its own descriptor, through no symlink. Everything here blocks.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Read as _,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, openat2, statat},
    io::Errno,
};
use staithe_protocol::files::{EntryType, MAX_HASHED};

use crate::files::{
    Way,
    replace::is_temporary,
    version::{by_content, by_stat, kind, mode, mtime, size},
};

/// The kernel may ask to try again while folders are moved about.
const MOST_TRIES: usize = 64;
/// A change so short before a look may be followed by another one with the same times: the kernel's clock
/// for files ticks every 10 ms at worst.
const TICK: Duration = Duration::from_millis(20);
/// Bytes and files that are read for their versions at a time; what is beyond is told without.
const MOST_READ: u64 = 32 * 1024 * 1024;
const MOST_FILES: usize = 1000;
/// The largest `.gitignore` that counts, and of a `HEAD` what is looked at, in bytes.
const MOST_RULES: u64 = 64 * 1024;
const MOST_HEAD: u64 = 512;
/// File systems whose changes may be made elsewhere, unseen by the kernel: FUSE, 9p, NFS, SMB, Ceph, AFS,
/// `VirtualBox`'s and Parallels' shared folders.
const UNSEEN: [u32; 10] = [
    0x6573_5546,
    0x0102_1997,
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x00c3_6400,
    0x5346_414f,
    0x786f_4256,
    0x7c7c_6673,
];

/// What is at a name now.
#[derive(Clone, Debug)]
pub struct Now {
    pub kind: EntryType,
    pub inode: u64,
    pub device: u64,
    pub mark: u64,
    pub fresh: bool,
    pub size: u64,
    pub mtime: f64,
    pub mode: u32,
    pub version: Option<String>,
}

/// Why a folder could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// Another one is there, or none: it was moved or removed.
    Elsewhere,
    /// It may not be read.
    Forbidden,
}

/// The workspace, and what may still be read at this time.
pub struct Look {
    root: OwnedFd,
    way: Way,
    bytes: u64,
    files: usize,
}

impl Look {
    pub fn new(root: OwnedFd) -> Self {
        let way = Way::of(&root);
        Self::in_way(root, way)
    }

    fn in_way(root: OwnedFd, way: Way) -> Self {
        Self { root, way, bytes: 0, files: 0 }
    }

    /// A new time: files may be read again.
    pub fn begin(&mut self) {
        (self.bytes, self.files) = (MOST_READ, MOST_FILES);
    }

    /// Whether the kernel tells of all changes here.
    pub fn is_seen(&self) -> bool {
        let magic = fstatfs(&self.root).map_or(0, |stat| stat.f_type & 0xffff_ffff);
        !UNSEEN.iter().any(|unseen| i64::from(*unseen) == magic)
    }

    pub fn identity(&self) -> Result<(u64, u64), Errno> {
        fstat(&self.root).map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// Opens a folder by its path, if it is still the same one.
    pub fn open(&self, path: &str, identity: (u64, u64)) -> Result<OwnedFd, Shut> {
        let path = if path.is_empty() { "." } else { path };
        match self.reach(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::ACCESS | Errno::PERM) => Err(Shut::Forbidden),
            Err(_) => Err(Shut::Elsewhere),
            Ok(folder) => {
                let stat = fstat(&folder).map_err(|_| Shut::Elsewhere)?;
                let same = (stat.st_dev, stat.st_ino) == identity;
                if same { Ok(folder) } else { Err(Shut::Elsewhere) }
            }
        }
    }

    /// Whether nothing is at a path.
    pub fn is_absent(&self, path: &str) -> bool {
        let found = self.reach(path, OFlags::PATH | OFlags::NOFOLLOW);
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }

    /// Opens what lies at a path, through no symlink.
    fn reach(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        if self.way == Way::Walk {
            return step(&self.root, path, flags);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        for _ in 0..MOST_TRIES {
            match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// What is at a name; its version is [`version`](Self::version)'s.
    pub fn at(&self, folder: impl AsFd, name: &str) -> Option<Now> {
        statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| now(&stat))
    }

    /// The version of a regular file, unless too much was read already or somebody is writing it.
    pub fn version(&mut self, folder: impl AsFd, name: &str, told: &Now) -> Option<String> {
        if told.kind != EntryType::File {
            return None;
        }
        let file = open_file(folder, name)?;
        let before = fstat(&file).ok().filter(|stat| now(stat).mark == told.mark)?;
        if told.size > MAX_HASHED {
            return Some(by_stat(&before));
        }
        if told.size > self.bytes || self.files == 0 {
            return None;
        }
        self.bytes -= told.size;
        self.files -= 1;
        let content = read(&file, told.size + 1)?;
        let after = fstat(&file).ok()?;
        let whole = content.len() as u64 == told.size && now(&after).mark == told.mark;
        whole.then(|| by_content(&content))
    }
}

/// Opens a path as `openat2` would: each name by itself in a folder that is held open. `LOOP`: one of them is
/// a symlink.
fn step(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let open = |here: &OwnedFd, name: &str, flags: OFlags| match openat(
        here,
        name,
        flags | OFlags::NOFOLLOW,
        Mode::empty(),
    ) {
        // Of a symlink it is said that it is no folder.
        Err(Errno::NOTDIR) => match statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if kind(&stat) == EntryType::Symlink => Err(Errno::LOOP),
            _ => Err(Errno::NOTDIR),
        },
        result => result,
    };
    let (folders, last) = path.rsplit_once('/').unwrap_or(("", path));
    let mut held = None;
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        held = Some(open(held.as_ref().unwrap_or(root), name, flags)?);
    }
    open(held.as_ref().unwrap_or(root), last, flags)
}

/// The names in a folder; those that are no text and our own temporary ones are left out.
pub fn names(folder: &OwnedFd) -> Vec<String> {
    let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
    let names =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
    names.filter(|name| is_told(name)).collect()
}

/// Whether a name is one that may be told at all.
pub fn is_told(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !is_temporary(name)
}

/// The lines of a folder's `.gitignore`.
pub fn rules(folder: &OwnedFd) -> Option<String> {
    let file = open_file(folder, ".gitignore")?;
    Some(String::from_utf8_lossy(&read(&file, MOST_RULES)?).into_owned())
}

/// A hash of a repository's `HEAD`.
pub fn head(repository: &OwnedFd) -> Option<u64> {
    let mut hash = DefaultHasher::new();
    read(&open_file(repository, "HEAD")?, MOST_HEAD)?.hash(&mut hash);
    Some(hash.finish())
}

/// Opens a folder's folder, no symlink.
pub fn open_folder(folder: &OwnedFd, name: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty()).ok()
}

fn open_file(folder: impl AsFd, name: &str) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(folder, name, flags | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let stat = fstat(&file).ok()?;
    (kind(&stat) == EntryType::File).then(|| File::from(file))
}

fn read(file: &File, most: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    file.take(most).read_to_end(&mut content).ok()?;
    Some(content)
}

fn now(stat: &Stat) -> Now {
    let mut hash = DefaultHasher::new();
    let kind = kind(stat);
    stat.st_mode.hash(&mut hash);
    if kind != EntryType::Dir {
        // A folder's times change with what is in it, which is told by itself.
        (stat.st_size, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hash);
        (stat.st_ctime, stat.st_ctime_nsec).hash(&mut hash);
    }
    let changed = u64::try_from(stat.st_ctime).unwrap_or(0);
    let changed = Duration::new(changed, u32::try_from(stat.st_ctime_nsec).unwrap_or(0));
    let age = (SystemTime::UNIX_EPOCH + changed).elapsed().unwrap_or_default();
    Now {
        kind,
        inode: stat.st_ino,
        device: stat.st_dev,
        mark: hash.finish(),
        fresh: age < TICK,
        size: size(stat),
        mtime: mtime(stat),
        mode: mode(stat),
        version: (kind == EntryType::Dir).then(|| "dir".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_are_found_alike_with_and_without_openat2() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::write(at("a/file"), "").unwrap();
        symlink("b", at("a/link")).unwrap();
        let identity = |path: &str| {
            let stat = rustix::fs::stat(at(path)).unwrap();
            (stat.st_dev, stat.st_ino)
        };
        for way in [Way::Kernel, Way::Walk] {
            let look = Look::in_way(File::open(dir.path()).unwrap().into(), way);
            for path in ["", "a", "a/b", "a/b/c"] {
                let folder = look.open(path, identity(path)).unwrap();
                assert!(names(&folder).iter().all(|name| at(path).join(name).exists()));
                assert_eq!(look.open(path, (0, 0)).unwrap_err(), Shut::Elsewhere);
            }
            for path in ["a/link", "a/link/c", "a/none", "a/file"] {
                let identity = rustix::fs::stat(at(path)).map_or((0, 0), |_| identity(path));
                assert_eq!(look.open(path, identity).unwrap_err(), Shut::Elsewhere, "{path}");
            }
            let absent = ["a/none", "none/b", "a/file/b", "a/b", "a/file", "a/link", "a/link/none"];
            assert_eq!(
                absent.map(|path| look.is_absent(path)),
                [true, true, true, false, false, false, false],
                "{way:?}"
            );
        }
    }
}
