//! A folder as an archive, a piece at a time, so that it takes the same memory whatever its size.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
};

use super::{
    Format,
    tar_out::TarOut,
    walk::{Found, Step, Walk, What},
    zip_out::ZipOut,
};
use crate::files::{ignore::Ignore, version};

/// What is given out at once, in bytes.
const PIECE: usize = 512 * 1024;
/// What is read at once, in bytes.
const READ: usize = 128 * 1024;
/// The entry that tells what could not be packed; it is there only if there was something.
const LEFT_OUT: &str = ".staithe-left-out.txt";
/// The most bytes of it.
const MOST_LEFT_OUT: usize = 1024 * 1024;

/// What an archive is written by.
pub(super) trait Out: Send {
    /// An entry begins, which has `size` bytes of content.
    fn begin(&mut self, entry: &Head<'_>) -> io::Result<()>;
    fn content(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
    /// There are no more entries.
    fn finish(&mut self) -> io::Result<()>;
    /// Bytes that wait to be taken.
    fn waiting(&self) -> usize;
    fn take(&mut self) -> Vec<u8>;
}

/// An entry's head.
pub(super) struct Head<'a> {
    pub path: &'a str,
    pub kind: Kind<'a>,
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    pub size: u64,
}

#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Folder,
    File,
    Link(&'a str),
}

/// An archive that is being made.
pub(super) struct Pack {
    walk: Walk,
    out: Box<dyn Out>,
    current: Option<Current>,
    left_out: String,
    buffer: Vec<u8>,
    is_done: bool,
}

/// A file that is not read to its end.
struct Current {
    file: File,
    path: String,
    left: u64,
}

impl Pack {
    pub(super) fn begin(folder: OwnedFd, ignore: Ignore, format: Format) -> io::Result<Self> {
        let out: Box<dyn Out> = match format {
            Format::Zip => Box::new(ZipOut::begin()),
            Format::Tar => Box::new(TarOut::begin(false)),
            Format::TarZst => Box::new(TarOut::begin(true)),
        };
        Ok(Self {
            walk: Walk::begin(folder, ignore)?,
            out,
            current: None,
            left_out: String::new(),
            buffer: vec![0; READ],
            is_done: false,
        })
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while !self.is_done && self.out.waiting() < PIECE {
            self.step()?;
        }
        let piece = self.out.take();
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn step(&mut self) -> io::Result<()> {
        if let Some(current) = self.current.take() {
            return self.read_on(current);
        }
        match self.walk.next() {
            Step::Entry(found) => self.begin_entry(found),
            Step::LeftOut(path, why) => {
                self.leave_out(&path, &why);
                Ok(())
            }
            Step::End => {
                if !self.left_out.is_empty() {
                    let text = std::mem::take(&mut self.left_out);
                    let (size, kind) = (text.len() as u64, Kind::File);
                    self.out.begin(&Head { path: LEFT_OUT, kind, mode: 0o644, mtime: 0, size })?;
                    self.out.content(text.as_bytes())?;
                    self.out.end()?;
                }
                self.out.finish()?;
                self.is_done = true;
                Ok(())
            }
        }
    }

    fn leave_out(&mut self, path: &str, why: &str) {
        if self.left_out.len() < MOST_LEFT_OUT {
            self.left_out.extend([&format!("{path:?}"), ": ", why, "\n"]);
        }
    }

    fn begin_entry(&mut self, found: Found) -> io::Result<()> {
        let Found { path, stat, what } = found;
        let (kind, size) = match &what {
            What::Folder => (Kind::Folder, 0),
            What::File(_) => (Kind::File, version::size(&stat)),
            What::Link(target) => (Kind::Link(target), 0),
        };
        let (mode, mtime) = (version::mode(&stat), u64::try_from(stat.st_mtime).unwrap_or(0));
        self.out.begin(&Head { path: &path, kind, mode, mtime, size })?;
        match what {
            What::File(file) => self.current = Some(Current { file, path, left: size }),
            What::Folder | What::Link(_) => self.out.end()?,
        }
        Ok(())
    }

    /// A piece of a file. The head told its size: one that shrinks is filled up with zeros, and that is
    /// said; of one that grows, the rest is not there.
    fn read_on(&mut self, mut current: Current) -> io::Result<()> {
        if current.left == 0 {
            return self.out.end();
        }
        let most = usize::try_from(current.left).unwrap_or(READ).min(READ);
        let length = match current.file.read(&mut self.buffer[..most]) {
            Ok(0) => {
                Err("it became shorter while it was read; zeros stand for the rest".to_owned())
            }
            Ok(length) => Ok(length),
            Err(error) => Err(format!("it can't be read ({error}); zeros stand for the rest")),
        };
        match length {
            Ok(length) => {
                self.out.content(&self.buffer[..length])?;
                current.left -= length as u64;
            }
            Err(why) => {
                self.leave_out(&current.path, &why);
                self.buffer[..most].fill(0);
                self.out.content(&self.buffer[..most])?;
                current.left -= most as u64;
                // Once is enough: nothing of it is read any more.
                current.file = File::open("/dev/zero")?;
            }
        }
        self.current = Some(current);
        Ok(())
    }
}
