//! Operations that change nothing.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use rustix::fs::{OFlags, Stat, fstat};
use staithe_protocol::files::{EntryType, FileDenied, FileDone, MAX_INLINE_CONTENT};

use super::{
    Files, Snapshot,
    confine::{denied, denied_io},
    encode,
    replace::too_large,
    version::{self, DIR},
};

/// What a file is opened with for reading: never waiting for another end of a pipe.
const READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A file to be streamed.
pub struct Opened {
    pub file: File,
    pub version: String,
    pub size: u64,
    /// As it was when it was opened.
    pub stat: Stat,
}

impl Files {
    pub(super) fn read(
        &self,
        path: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<FileDone, FileDenied> {
        let relative = self.root.relative(path)?;
        let file = self.root.open_at(&relative, READING)?;
        let (snapshot, mut file) = Snapshot::of(file, &relative)?;
        let size = version::size(&snapshot.stat);
        let start = offset.unwrap_or(0).min(size);
        let length = length.unwrap_or(u64::MAX).min(size - start);
        if length > MAX_INLINE_CONTENT {
            return Err(too_large("The part has more than 16 MiB."));
        }
        let part = if let Some(content) = &snapshot.content {
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(content.len());
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            content[start..content.len().min(start.saturating_add(length))].to_vec()
        } else {
            let mut part = Vec::new();
            file.seek(SeekFrom::Start(start))
                .and_then(|_| (&mut file).take(length).read_to_end(&mut part))
                .map_err(|error| denied_io(&error, &relative))?;
            part
        };
        let (content, encoding) = encode(part);
        Ok(FileDone {
            content: Some(content),
            encoding: Some(encoding),
            ..done(relative, &snapshot.stat, snapshot.version)
        })
    }

    /// Opens a file whose content goes out as a stream.
    pub fn open_for_stream(&self, path: &str) -> Result<Opened, FileDenied> {
        let relative = self.root.relative(path)?;
        let file = self.root.open_at(&relative, READING)?;
        let (snapshot, mut file) = Snapshot::of(file, &relative)?;
        file.rewind().map_err(|error| denied_io(&error, &relative))?;
        let size = version::size(&snapshot.stat);
        Ok(Opened { file, version: snapshot.version, size, stat: snapshot.stat })
    }

    /// Opens a regular file and no more: no version is made of it. Its size, in bytes.
    pub fn open_raw(&self, path: &str) -> Result<(File, u64), FileDenied> {
        let relative = self.root.relative(path)?;
        let file = self.root.open_at(&relative, READING)?;
        let stat = fstat(&file).map_err(|errno| denied(errno, &relative))?;
        if version::kind(&stat) != EntryType::File {
            return Err(denied(rustix::io::Errno::ISDIR, &relative));
        }
        Ok((File::from(file), version::size(&stat)))
    }

    pub(super) fn stat(&self, path: &str) -> Result<FileDone, FileDenied> {
        let relative = self.root.relative(path)?;
        let opened = self.root.open_at(&relative, OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = fstat(&opened).map_err(|errno| denied(errno, &relative))?;
        let version = match version::kind(&stat) {
            EntryType::Dir => Some(DIR.to_owned()),
            EntryType::File => {
                let file = self.root.open_at(&relative, READING | OFlags::NOFOLLOW)?;
                Some(Snapshot::of(file, &relative)?.0.version)
            }
            EntryType::Symlink | EntryType::Other => None,
        };
        let entry = version::entry(relative.clone(), &stat, version.clone());
        Ok(FileDone {
            path: relative,
            version,
            size: Some(entry.size),
            mtime: Some(entry.mtime),
            mode: Some(entry.mode),
            entries: Some(vec![entry]),
            ..FileDone::default()
        })
    }
}

/// What is told of a file after most operations.
pub(super) fn done(path: String, stat: &Stat, version: String) -> FileDone {
    FileDone {
        path,
        version: Some(version),
        size: Some(version::size(stat)),
        mtime: Some(version::mtime(stat)),
        mode: Some(version::mode(stat)),
        ..FileDone::default()
    }
}
