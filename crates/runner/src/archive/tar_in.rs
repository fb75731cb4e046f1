//! Entries of a tar archive: plain, GNU's and POSIX' long names; what is no file, folder or link is
//! refused.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
};

use ruzstd::decoding::StreamingDecoder;
use staithe_protocol::files::{FileCode, FileDenied};
use tar::{Archive, EntryType, PaxExtensions};

use super::unpack::{Head, Kind, Tree, bad};

/// The longest name or set of attributes before an entry, in bytes.
const MOST_EXTRA: u64 = 64 * 1024;
/// The largest window that a compressed archive may ask for, in bytes: `zstd -19`'s and no more.
const WINDOW: u64 = 8 * 1024 * 1024;

/// Of an archive that is not compressed.
pub(super) fn read(archive: &File, tree: &mut Tree<'_>) -> Result<(), FileDenied> {
    entries(BufReader::new(archive), tree)
}

/// Of one in zstd frames.
pub(super) fn read_compressed(archive: &File, tree: &mut Tree<'_>) -> Result<(), FileDenied> {
    entries(Frames::of(archive), tree)
}

fn unreadable(error: &io::Error) -> FileDenied {
    FileDenied::new(FileCode::BadMessage, format!("The archive can't be read: {error}."))
}

fn entries(reader: impl Read, tree: &mut Tree<'_>) -> Result<(), FileDenied> {
    let mut archive = Archive::new(reader);
    let mut extra = Extra::default();
    for entry in archive.entries().map_err(|error| unreadable(&error))?.raw(true) {
        let mut entry = entry.map_err(|error| unreadable(&error))?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue; // a comment, such as git's
        }
        if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() {
            let mut value = Vec::new();
            let size = entry.size();
            if size > MOST_EXTRA {
                return Err(bad("", "has a name or attributes of more than 64 KiB"));
            }
            entry.read_to_end(&mut value).map_err(|error| unreadable(&error))?;
            extra.take(kind, value)?;
            continue;
        }
        let Extra { path, link } = std::mem::take(&mut extra);
        let path = path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(&path).into_owned();
        let link = link.or_else(|| entry.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = || link.ok_or_else(|| bad(&shown, "is a link to nothing"));
        let kind = match kind {
            EntryType::Directory => Kind::Folder,
            // An old archive has folders as files with a slash at the end.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Symlink => Kind::Link(link()?),
            EntryType::Link => Kind::Same(link()?),
            _ => return Err(bad(&shown, "is no file, folder or link")),
        };
        let (mode, mtime) = (entry.header().mode().ok(), entry.header().mtime().ok());
        tree.add(&Head { path, kind, mode, mtime }, &mut entry)?;
    }
    Ok(())
}

/// What was said before an entry.
#[derive(Default)]
struct Extra {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extra {
    fn take(&mut self, kind: EntryType, mut value: Vec<u8>) -> Result<(), FileDenied> {
        if !kind.is_pax_local_extensions() {
            while value.last() == Some(&0) {
                value.pop();
            }
            let place = if kind.is_gnu_longname() { &mut self.path } else { &mut self.link };
            *place = Some(value);
            return Ok(());
        }
        for pair in PaxExtensions::new(&value) {
            let pair = pair.map_err(|error| unreadable(&error))?;
            match pair.key_bytes() {
                b"path" => self.path = Some(pair.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(pair.value_bytes().to_vec()),
                b"size" => return Err(bad("", "has its size in attributes only")),
                key if key.starts_with(b"GNU.sparse") => return Err(bad("", "is sparse")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// All frames of a compressed stream, one after the other.
struct Frames<'a> {
    source: Option<BufReader<&'a File>>,
    frame: Option<StreamingDecoder<BufReader<&'a File>, ruzstd::decoding::FrameDecoder>>,
}

impl<'a> Frames<'a> {
    fn of(file: &'a File) -> Self {
        Self { source: Some(BufReader::new(file)), frame: None }
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let length = frame.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = StreamingDecoder::new_with_max_window_size(source, WINDOW);
            self.frame = Some(frame.map_err(io::Error::other)?);
        }
    }
}
