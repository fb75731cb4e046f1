//! A tar archive (GNU's form, which has no limits of names and sizes), plain or in zstd frames.

use std::io;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{EntryType, Header};

use super::pack::{Head, Kind, Out};

/// Tar's unit, in bytes.
const BLOCK: usize = 512;
/// The longest name that a header holds, in bytes.
const SHORT: usize = 100;

pub(super) struct TarOut {
    waiting: Vec<u8>,
    /// Content of the entry so far.
    written: u64,
    compressed: bool,
}

impl TarOut {
    pub(super) fn begin(compressed: bool) -> Self {
        Self { waiting: Vec::new(), written: 0, compressed }
    }

    fn pad(&mut self, length: u64) {
        let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
        if over > 0 {
            self.waiting.resize(self.waiting.len() + BLOCK - over, 0);
        }
    }

    /// A name that the header has no room for goes before it.
    fn long(&mut self, kind: u8, name: &str) {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        let place = b"././@LongLink";
        header.as_mut_bytes()[..place.len()].copy_from_slice(place);
        let length = name.len() as u64 + 1;
        header.set_size(length);
        header.set_cksum();
        self.waiting.extend_from_slice(header.as_bytes());
        self.waiting.extend_from_slice(name.as_bytes());
        self.waiting.push(0);
        self.pad(length);
    }
}

impl Out for TarOut {
    fn begin(&mut self, entry: &Head<'_>) -> io::Result<()> {
        let mut header = Header::new_gnu();
        let path = match entry.kind {
            Kind::Folder => format!("{}/", entry.path),
            Kind::File | Kind::Link(_) => entry.path.to_owned(),
        };
        header.set_entry_type(match entry.kind {
            Kind::Folder => EntryType::Directory,
            Kind::File => EntryType::Regular,
            Kind::Link(_) => EntryType::Symlink,
        });
        if let Kind::Link(target) = entry.kind {
            if target.len() > SHORT {
                self.long(b'K', target);
            }
            let short = &target.as_bytes()[..target.len().min(SHORT)];
            header.as_mut_bytes()[157..157 + short.len()].copy_from_slice(short);
        }
        if path.len() > SHORT {
            self.long(b'L', &path);
        }
        let short = &path.as_bytes()[..path.len().min(SHORT)];
        header.as_mut_bytes()[..short.len()].copy_from_slice(short);
        header.set_mode(entry.mode & 0o7777);
        header.set_mtime(entry.mtime);
        header.set_size(entry.size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.waiting.extend_from_slice(header.as_bytes());
        self.written = 0;
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.pad(self.written);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.waiting.resize(self.waiting.len() + 2 * BLOCK, 0);
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Each piece is a frame of its own, which makes one stream together.
    fn take(&mut self) -> Vec<u8> {
        let waiting = std::mem::take(&mut self.waiting);
        if self.compressed && !waiting.is_empty() {
            compress_to_vec(waiting.as_slice(), CompressionLevel::Fastest)
        } else {
            waiting
        }
    }
}
