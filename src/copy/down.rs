//! Out of a session: a file in parts that add up, a folder as an archive.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use futures_util::StreamExt as _;
use http_body_util::BodyStream;
use hyper::{
    Method, Response,
    body::{Bytes, Incoming},
};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};
use staithe_protocol::SessionId;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Copied, CopyFailed, Course, Tries,
    wire::{Ask, address, header},
};
use crate::{cli::cp::OnConflict, routes::body::encode};

/// Pieces that wait for the disk.
const PIECES: usize = 16;

/// A file there to a file here. What came lies beside it, under a name of its version, until it is whole.
pub(super) async fn file(
    course: &Course<'_>,
    (id, from): (SessionId, &str),
    to: &Path,
) -> Result<Copied, CopyFailed> {
    let here = |error: io::Error| CopyFailed::Here(format!("{}: {error}", to.display()));
    let told = format!("{id}:{from}");
    let done = |bytes| Copied { from: told.clone(), to: to.display().to_string(), bytes };
    if to.exists() {
        match course.on_conflict {
            OnConflict::Overwrite => {}
            OnConflict::Skip => return Ok(done(0)),
            OnConflict::Fail => return Err(here(io::ErrorKind::AlreadyExists.into())),
        }
    }
    let address = address(id, "files", from);
    let mut tries = Tries::new();
    loop {
        let (tag, size) = state(course, &address).await?;
        course.bar.begin(from, size);
        let part = part_of(to, &tag);
        let outcome = fetch(course, (&address, &tag), &part, size).await;
        let came = std::fs::metadata(&part).map_or(0, |meta| meta.len());
        match outcome {
            Ok(_held) => {
                std::fs::rename(&part, to).map_err(here)?;
                return Ok(done(size));
            }
            Err(error) if error.may_pass() => {
                tries.wait(error, came, || async { Ok(came) }).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A file's tag and size.
async fn state(course: &Course<'_>, address: &str) -> Result<(String, u64), CopyFailed> {
    let head = course.server.ask(Ask::new(Method::HEAD, address)).await?;
    let tag = header(&head, "etag").map(str::to_owned);
    let size = header(&head, "content-length").and_then(|size| size.parse().ok());
    tag.zip(size).ok_or_else(|| CopyFailed::cut("the server told no version"))
}

/// Where what came of a version lies.
fn part_of(to: &Path, tag: &str) -> PathBuf {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(tag.as_bytes())[..8]);
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    to.with_file_name(format!(".{name}.{hash}.staithe-part"))
}

/// Opens a part, for this copy alone until it is closed. A link or a pipe that somebody laid under its name
/// is none.
fn open_part(part: &Path) -> Result<File, CopyFailed> {
    let here = |error: io::Error| CopyFailed::Here(format!("{}: {error}", part.display()));
    // Without waiting, for a pipe would wait for a reader.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = rustix::fs::open(part, flags, Mode::from_raw_mode(0o666));
    let file = File::from(opened.map_err(|error| here(error.into()))?);
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(here(io::Error::other("another copy of it is under way")));
        }
        Err(TryLockError::Error(error)) => return Err(here(error)),
    }
    let held = file.metadata().map_err(here)?;
    if !held.is_file() {
        return Err(here(io::Error::other("it is no file")));
    }
    // Whoever held it before may have put it in place.
    match part.symlink_metadata() {
        Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => Ok(file),
        _ => Err(CopyFailed::cut("another copy of it has just ended")),
    }
}

/// Gets what is missing of a part; the whole part, which nobody else changes while it is held.
async fn fetch(
    course: &Course<'_>,
    (address, tag): (&str, &str),
    part: &Path,
    size: u64,
) -> Result<File, CopyFailed> {
    let here = |error: io::Error| CopyFailed::Here(format!("{}: {error}", part.display()));
    let mut file = open_part(part)?;
    let mut came = file.metadata().map_err(here)?.len();
    if came > size {
        file.set_len(0).map_err(here)?;
        came = 0;
    }
    course.bar.at(came);
    if came == size {
        return Ok(file);
    }
    let mut ask = Ask::new(Method::GET, address);
    ask.headers = vec![("Range", format!("bytes={came}-")), ("If-Range", tag.to_owned())];
    let response = course.server.ask(ask).await?;
    if header(&response, "etag") != Some(tag) || (came > 0 && response.status() != 206) {
        return Err(CopyFailed::cut("the file was replaced meanwhile"));
    }
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        if let Ok(piece) = frame.map_err(CopyFailed::cut)?.into_data() {
            file.write_all(&piece).map_err(here)?;
            course.bar.more(piece.len() as u64);
        }
    }
    if file.metadata().map_err(here)?.len() == size {
        Ok(file)
    } else {
        Err(CopyFailed::cut("the file came in part only"))
    }
}

/// A folder there to a folder here.
pub(super) async fn folder(
    course: &Course<'_>,
    (id, from): (SessionId, &str),
    to: &Path,
) -> Result<Copied, CopyFailed> {
    let response = archive(course, (id, from)).await?;
    let (into, on_conflict) = (to.to_owned(), course.on_conflict);
    let (pieces, queue) = mpsc::channel(PIECES);
    let unpacked = tokio::task::spawn_blocking(move || {
        unpack(Taken { queue, piece: Bytes::new() }, &into, on_conflict)
    });
    let came = pump(course, response, pieces).await;
    let unpacked = unpacked.await.map_err(CopyFailed::cut)?;
    came?; // a cut explains what is wrong with the archive
    let bytes = unpacked.map_err(|error| CopyFailed::Here(format!("{}: {error}", to.display())))?;
    Ok(Copied { from: format!("{id}:{from}"), to: to.display().to_string(), bytes })
}

/// A file or a folder to stdout.
pub(super) async fn stdout(
    course: &Course<'_>,
    (id, from): (SessionId, &str),
    is_folder: bool,
) -> Result<Copied, CopyFailed> {
    let response = if is_folder {
        archive(course, (id, from)).await?
    } else {
        let address = address(id, "files", from);
        course.server.ask(Ask::new(Method::GET, &address)).await?
    };
    let (pieces, mut queue) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let written = tokio::task::spawn_blocking(move || -> io::Result<u64> {
        let mut out = io::stdout().lock();
        let mut bytes = 0;
        while let Some(piece) = queue.blocking_recv() {
            let piece = piece?;
            out.write_all(&piece)?;
            bytes += piece.len() as u64;
        }
        out.flush()?;
        Ok(bytes)
    });
    let came = pump(course, response, pieces).await;
    let bytes = written.await.map_err(CopyFailed::cut)?;
    came?;
    let bytes = bytes.map_err(|error| CopyFailed::Here(format!("stdout: {error}")))?;
    Ok(Copied { from: format!("{id}:{from}"), to: "-".to_owned(), bytes })
}

async fn archive(
    course: &Course<'_>,
    (id, from): (SessionId, &str),
) -> Result<Response<Incoming>, CopyFailed> {
    course.bar.begin(from, 0);
    let mut path = format!("{}?format=tar", address(id, "archive", from.trim_matches('/')));
    for pattern in course.ignore {
        path.push_str("&ignore=");
        path.push_str(&encode(pattern));
    }
    course.server.ask(Ask::new(Method::GET, &path)).await
}

/// Passes an answer's body on.
async fn pump(
    course: &Course<'_>,
    response: Response<Incoming>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), CopyFailed> {
    let mut frames = BodyStream::new(response.into_body());
    while let Some(frame) = frames.next().await {
        match frame {
            Ok(frame) => {
                let Ok(piece) = frame.into_data() else { continue };
                course.bar.more(piece.len() as u64);
                if pieces.send(Ok(piece)).await.is_err() {
                    return Ok(()); // who takes them tells why
                }
            }
            Err(error) => {
                let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                drop(pieces.send(Err(cut)).await);
                return Err(CopyFailed::cut(error));
            }
        }
    }
    Ok(())
}

/// Unpacks an archive that a sandbox made: nothing of it lies outside, and nothing of it but files,
/// folders and links. Whatever is not whole never takes the place of anything.
fn unpack(archive: impl Read, into: &Path, on_conflict: OnConflict) -> io::Result<u64> {
    std::fs::create_dir_all(into)?;
    let into = into.canonicalize()?;
    let mut archive = tar::Archive::new(archive);
    let mut bytes = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
            return Err(io::Error::other(format!("{} is no file, folder or link", path.display())));
        }
        let there = place(&into, &path)?;
        if kind.is_dir() {
            entry.unpack_in(&into)?;
            continue;
        }
        if there.symlink_metadata().is_ok() {
            match on_conflict {
                OnConflict::Overwrite => {}
                OnConflict::Skip => continue,
                OnConflict::Fail => {
                    return Err(io::Error::other(format!("{} exists", there.display())));
                }
            }
        }
        bytes += entry.size();
        // Two copies at once have parts of their own; a file's name may be as long as names can be.
        let part = there.with_file_name(format!(".{}.staithe-part", Uuid::new_v4().simple()));
        let placed = entry.unpack(&part).and_then(|_| std::fs::rename(&part, &there));
        if let Err(error) = placed {
            drop(std::fs::remove_file(&part));
            return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        }
    }
    Ok(bytes)
}

/// Where an entry lies below a folder without links in its path. The folders above it are made; none of
/// them is outside, not even by a link that came before.
fn place(into: &Path, path: &Path) -> io::Result<PathBuf> {
    let outside = || io::Error::other(format!("{} leads outside", path.display()));
    let mut names = Vec::new();
    for name in path.components() {
        match name {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    let mut there = into.to_owned();
    let Some(last) = names.pop() else { return Ok(there) };
    for name in names {
        there.push(name);
        match std::fs::create_dir(&there) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if !there.canonicalize()?.starts_with(into) {
            return Err(outside());
        }
    }
    there.push(last);
    Ok(there)
}

/// A reader out of a channel.
struct Taken {
    queue: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Taken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.queue.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_of_a_hostile_sandbox_writes_nothing_outside() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("into");
        for (kind, path, link) in [
            (tar::EntryType::Regular, "../out", ""),
            (tar::EntryType::Fifo, "pipe", ""),
            (tar::EntryType::Link, "hard", "../out"),
        ] {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            header.set_size(0);
            header.set_cksum();
            archive.append(&header, io::empty()).unwrap();
            let archive = archive.into_inner().unwrap();
            assert!(unpack(archive.as_slice(), &into, OnConflict::Overwrite).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let part = part_of(Path::new("/a/b"), "\"v\"");
        assert_ne!(part, part_of(Path::new("/a/b"), "\"w\""));
        assert_eq!(part.parent(), Some(Path::new("/a")));
    }

    /// An archive's entry: a file's content, or where a link points to.
    fn entry(archive: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, path: &str, holds: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_size(0);
            archive.append_link(&mut header, path, holds).unwrap();
        } else {
            header.set_size(holds.len() as u64);
            archive.append_data(&mut header, path, holds.as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_file_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("into");
        std::fs::create_dir(&into).unwrap();
        std::fs::write(into.join("f"), "old").unwrap();
        std::os::unix::fs::symlink("f", into.join("l")).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        entry(&mut archive, tar::EntryType::Regular, "f", &"new".repeat(1000));
        entry(&mut archive, tar::EntryType::Symlink, "l", "elsewhere");
        entry(&mut archive, tar::EntryType::Regular, "new/f", "deep");
        let archive = archive.into_inner().unwrap();
        let names = || std::fs::read_dir(&into).unwrap().count();

        let cut = &archive[..512 + 1000];
        assert!(unpack(cut, &into, OnConflict::Overwrite).is_err());
        assert_eq!((std::fs::read(into.join("f")).unwrap(), names()), (b"old".to_vec(), 2));
        assert!(unpack(archive.as_slice(), &into, OnConflict::Fail).is_err());
        assert_eq!(unpack(archive.as_slice(), &into, OnConflict::Skip).unwrap(), 4);
        assert_eq!((std::fs::read(into.join("f")).unwrap(), names()), (b"old".to_vec(), 3));
        assert_eq!(unpack(archive.as_slice(), &into, OnConflict::Overwrite).unwrap(), 3004);
        assert_eq!(std::fs::read(into.join("f")).unwrap(), "new".repeat(1000).into_bytes());
        assert_eq!(std::fs::read_link(into.join("l")).unwrap(), Path::new("elsewhere"));
        assert_eq!(std::fs::read(into.join("new/f")).unwrap(), b"deep");
        assert_eq!(names(), 3);
    }

    #[test]
    fn an_archive_does_not_leave_by_a_link_that_it_brought() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("into");
        for path in ["up/out", "up/a/out"] {
            let mut archive = tar::Builder::new(Vec::new());
            entry(&mut archive, tar::EntryType::Symlink, "up", "..");
            entry(&mut archive, tar::EntryType::Regular, path, "out");
            let archive = archive.into_inner().unwrap();
            assert!(unpack(archive.as_slice(), &into, OnConflict::Overwrite).is_err(), "{path}");
            assert!(!dir.path().join("out").exists(), "{path}");
        }
    }

    #[test]
    fn a_part_is_of_one_copy_and_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let part = part_of(&dir.path().join("f"), "\"v\"");
        let held = open_part(&part).unwrap();
        let refused = open_part(&part);
        assert!(
            matches!(&refused, Err(CopyFailed::Here(words)) if words.contains("under way")),
            "{refused:?}"
        );
        drop(held);
        open_part(&part).unwrap();

        std::fs::remove_file(&part).unwrap();
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, &part).unwrap();
        assert!(matches!(open_part(&part), Err(CopyFailed::Here(_))));
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
        std::fs::remove_file(&part).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &part,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(matches!(open_part(&part), Err(CopyFailed::Here(_))));
    }
}
