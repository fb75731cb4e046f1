//! What a file is now: its version, by content where that is affordable.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd, OwnedFd},
};

use rustix::fs::{FileType, OFlags, Stat, fstat};
use sha2::{Digest as _, Sha256};
use staithe_protocol::files::{Entry, EntryType, FileCode, FileDenied, MAX_HASHED};

use super::confine::{Place, denied, denied_io};

/// The version of what is not there.
pub(crate) const ABSENT: &str = "absent";
/// The version of every folder.
pub(crate) const DIR: &str = "dir";
/// Content is told with a conflict up to this size, in bytes.
const MOST_TOLD: usize = 1024 * 1024;

/// A file as it was at one moment.
pub(crate) struct Snapshot {
    pub version: String,
    pub stat: Stat,
    /// All of it; none if it is larger than [`MAX_HASHED`].
    pub content: Option<Vec<u8>>,
}

impl Snapshot {
    /// Reads an open file.
    pub(crate) fn of(file: OwnedFd, path: &str) -> Result<(Self, File), FileDenied> {
        let stat = fstat(file.as_fd()).map_err(|errno| denied(errno, path))?;
        match kind(&stat) {
            EntryType::File => {}
            EntryType::Dir => return Err(denied(rustix::io::Errno::ISDIR, path)),
            EntryType::Symlink | EntryType::Other => {
                let text = format!("{path:?} is no regular file.");
                return Err(FileDenied::new(FileCode::BadMessage, text));
            }
        }
        let mut file = File::from(file);
        if size(&stat) > MAX_HASHED {
            return Ok((Self { version: by_stat(&stat), stat, content: None }, file));
        }
        let mut content = Vec::with_capacity(usize::try_from(size(&stat)).unwrap_or(0));
        (&mut file)
            .take(MAX_HASHED + 1)
            .read_to_end(&mut content)
            .map_err(|error| denied_io(&error, path))?;
        if content.len() as u64 > MAX_HASHED {
            // It grew while it was read.
            let stat = fstat(file.as_fd()).map_err(|errno| denied(errno, path))?;
            return Ok((Self { version: by_stat(&stat), stat, content: None }, file));
        }
        let snapshot = Self { version: by_content(&content), stat, content: Some(content) };
        Ok((snapshot, file))
    }

    /// What is at a place; none if nothing is.
    pub(crate) fn at(place: &Place) -> Result<Option<Self>, FileDenied> {
        match place.open(OFlags::RDONLY) {
            Ok(file) => Self::of(file, &place.relative).map(|(snapshot, _)| Some(snapshot)),
            Err(denied) if denied.code == FileCode::NotFound => Ok(None),
            Err(denied) => Err(denied),
        }
    }

    /// Whether the file at a place is still the one that was read.
    pub(crate) fn is_still_at(&self, place: &Place) -> Result<bool, FileDenied> {
        let now = place.stat()?;
        Ok(now.is_some_and(|now| by_stat(&now) == by_stat(&self.stat)))
    }
}

/// A refusal because another version is there.
pub(crate) fn conflict(path: &str, current: Option<&Snapshot>) -> FileDenied {
    let version = current.map_or(ABSENT, |snapshot| &snapshot.version);
    let text = format!("{path:?} has another version now: {version}.");
    let content = current
        .and_then(|snapshot| snapshot.content.as_ref())
        .filter(|content| content.len() <= MOST_TOLD)
        .and_then(|content| String::from_utf8(content.clone()).ok());
    FileDenied {
        current_version: Some(version.to_owned()),
        current_content: content,
        ..FileDenied::new(FileCode::Conflict, text)
    }
}

/// The version of this content.
pub(crate) fn by_content(content: &[u8]) -> String {
    by_hash(Sha256::new_with_prefix(content))
}

/// The version of what was hashed.
pub(crate) fn by_hash(hash: Sha256) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&hash.finalize()))
}

/// The version of a file that is not read.
pub(crate) fn by_stat(stat: &Stat) -> String {
    let nanoseconds = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    format!("stat:{}-{nanoseconds}-{}", stat.st_size, stat.st_ino)
}

pub(crate) fn kind(stat: &Stat) -> EntryType {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryType::File,
        FileType::Directory => EntryType::Dir,
        FileType::Symlink => EntryType::Symlink,
        _ => EntryType::Other,
    }
}

pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "times are exact to the microsecond until 2255")]
pub(crate) fn mtime(stat: &Stat) -> f64 {
    stat.st_mtime as f64 + stat.st_mtime_nsec as f64 / 1e9
}

pub(crate) fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// What is told of a path.
pub(crate) fn entry(path: String, stat: &Stat, version: Option<String>) -> Entry {
    Entry {
        path,
        kind: kind(stat),
        size: size(stat),
        mtime: mtime(stat),
        mode: mode(stat),
        version,
    }
}
