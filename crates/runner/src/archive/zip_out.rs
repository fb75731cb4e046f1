//! A zip archive, written without seeking: sizes follow the content. Symlinks are entries that hold their
//! target, as Info-ZIP has them.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

use super::pack::{Head, Kind, Out};
use crate::calendar::Moment;

/// Above this size, in bytes, an entry is told in 64 bits from the start.
const LARGE: u64 = 0xF000_0000;

/// What was written and not yet taken.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|waiting| waiting.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct ZipOut {
    waiting: Shared,
    writer: Option<ZipWriter<StreamWriter<Shared>>>,
}

impl ZipOut {
    pub(super) fn begin() -> Self {
        let waiting = Shared::default();
        Self { writer: Some(ZipWriter::new_stream(waiting.clone())), waiting }
    }

    fn writer(&mut self) -> io::Result<&mut ZipWriter<StreamWriter<Shared>>> {
        self.writer.as_mut().ok_or_else(|| io::Error::other("the archive is finished"))
    }
}

/// A zip's times begin in 1980 and end in 2107.
fn time(seconds: u64) -> DateTime {
    let Moment { year, month, day, hour, minute, second, .. } = Moment::at(seconds);
    let year = u16::try_from(year).unwrap_or(0);
    DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or_default()
}

impl Out for ZipOut {
    fn begin(&mut self, entry: &Head<'_>) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .unix_permissions(entry.mode & 0o7777)
            .last_modified_time(time(entry.mtime))
            .large_file(entry.size >= LARGE);
        let stored = options.compression_method(CompressionMethod::Stored);
        let writer = self.writer()?;
        match entry.kind {
            Kind::Folder => writer.add_directory(entry.path, stored)?,
            Kind::Link(target) => writer.add_symlink(entry.path, target, stored)?,
            Kind::File => {
                let deflated = options.compression_method(CompressionMethod::Deflated);
                writer.start_file(entry.path, deflated.compression_level(Some(4)))?;
            }
        }
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer()?.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(()) // the next entry, or the end, ends this one
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.waiting.with(|waiting| waiting.len())
    }

    fn take(&mut self) -> Vec<u8> {
        self.waiting.with(std::mem::take)
    }
}
