//! Folders as zip, both ways. All of it blocks.

use std::{
    ffi::CStr,
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};
use staithe_protocol::files::{FileCode, FileDenied};
use zip::{CompressionMethod, ZipArchive, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::files::{Files, Precondition};

/// The most entries of an archive, either way.
const MOST_ENTRIES: usize = 200_000;
/// The most bytes that an archive may unpack to.
const MOST_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// So many bytes may come of any archive; of more, at most [`MOST_RATIO`] times its own size.
const FREE_BYTES: u64 = 256 * 1024 * 1024;
const MOST_RATIO: u64 = 200;
/// Folders in each other.
const DEEPEST: usize = 128;

/// Writes what lies in a folder; names are relative to it. Symlinks to files are followed where
/// `files` lets them be, others and what is no file are left out.
pub(super) fn zip_folder(
    files: &Files,
    folder: &OwnedFd,
    path: &str,
    out: impl Write,
) -> io::Result<()> {
    let mut writer = Zipping { zip: ZipWriter::new_stream(out), files, entries: 0 };
    writer.folder(folder, path, "", 0)?;
    writer.zip.finish().map_err(io_error)?;
    Ok(())
}

/// Writes one file.
pub(super) fn zip_file(file: File, name: &str, out: impl Write) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(out);
    zip.start_file(name, options(0o644)).map_err(io_error)?;
    io::copy(&mut { file }, &mut zip)?;
    zip.finish().map_err(io_error)?;
    Ok(())
}

fn options(mode: u32) -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(mode & 0o777)
        .large_file(true)
}

fn io_error(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}

struct Zipping<'a, W: Write> {
    zip: ZipWriter<zip::write::StreamWriter<W>>,
    files: &'a Files,
    entries: usize,
}

impl<W: Write> Zipping<'_, W> {
    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &str,
        prefix: &str,
        depth: usize,
    ) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other("folders lie too deep in each other"));
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        let entries = match Dir::read_from(folder) {
            Err(Errno::ACCESS) => return Ok(()), // names may be read, and nothing behind them
            entries => entries?,
        };
        for entry in entries {
            names.push(entry?.file_name().to_bytes_with_nul().to_vec());
        }
        names.sort();
        for name in names {
            let Ok(name) = CStr::from_bytes_with_nul(&name) else { continue };
            // An archive's names are texts, as paths of clients are.
            let Ok(text) = name.to_str() else { continue };
            if matches!(text, "." | "..") {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(io::Error::other("the folder holds too many files for an archive"));
            }
            self.entry(folder, name, &format!("{path}/{text}"), &format!("{prefix}{text}"), depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        name: &CStr,
        path: &str,
        inside: &str,
        depth: usize,
    ) -> io::Result<()> {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()), // it was removed meanwhile
            stat => stat?,
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let Some(opened) = open(folder, name, flags | OFlags::DIRECTORY)? else {
                    return Ok(());
                };
                self.zip
                    .add_directory(format!("{inside}/"), options(stat.st_mode))
                    .map_err(io_error)?;
                return self.folder(&opened, path, &format!("{inside}/"), depth + 1);
            }
            FileType::RegularFile => match open(folder, name, flags)? {
                Some(opened) => File::from(opened),
                None => return Ok(()),
            },
            FileType::Symlink => match self.files.open_for_stream(path) {
                Ok(opened) => opened.file,
                Err(_) => return Ok(()),
            },
            _ => return Ok(()),
        };
        self.zip.start_file(inside, options(stat.st_mode)).map_err(io_error)?;
        io::copy(&mut { file }, &mut self.zip)?;
        Ok(())
    }
}

/// Opens an entry; none if it may not be read, or was removed or replaced meanwhile: one such entry is
/// left out, for it must not end the archive of all others.
fn open(folder: &OwnedFd, name: &CStr, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    match openat(folder, name, flags, Mode::empty()) {
        Ok(opened) => Ok(Some(opened)),
        Err(
            Errno::NOENT | Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NOTDIR | Errno::NXIO,
        ) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Unpacks an archive into a folder. Nothing is written if any of its names leads elsewhere.
pub(super) fn unzip_into(
    files: &Files,
    archive: impl Read + Seek,
    size: u64,
    folder: &str,
) -> Result<(), FileDenied> {
    let mut archive = ZipArchive::new(archive).map_err(|error| broken(&error))?;
    check(&mut archive, size)?;
    files.make_folder(folder)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| broken(&error))?;
        let name = name_of(entry.name_raw())?.trim_end_matches('/').to_owned();
        let path = format!("{}/{name}", folder.trim_end_matches('/'));
        if entry.is_dir() {
            files.make_folder(&path)?;
            continue;
        }
        let mode = entry.unix_mode().filter(|mode| mode & 0o111 != 0).map(|_| 0o775);
        let declared = entry.size();
        let mut upload = files.begin_upload(&path, true)?;
        let mut piece = vec![0; 64 * 1024];
        let mut written = 0;
        loop {
            let length = entry.read(&mut piece).map_err(|error| broken(&ZipError::Io(error)))?;
            if length == 0 {
                break;
            }
            written += length as u64;
            if written > declared {
                return Err(bad("The archive holds more than it says."));
            }
            upload.write(&piece[..length])?;
        }
        files.finish_upload(&mut upload, &Precondition::Force, mode)?;
    }
    Ok(())
}

/// Refuses what is too much, or leads elsewhere, before anything is written.
fn check(archive: &mut ZipArchive<impl Read + Seek>, size: u64) -> Result<(), FileDenied> {
    if archive.len() > MOST_ENTRIES {
        return Err(bad("The archive has more than 200000 entries."));
    }
    let mut total: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| broken(&error))?;
        name_of(entry.name_raw())?;
        if entry.is_symlink() {
            return Err(bad("The archive has a symlink in it, which is not unpacked."));
        }
        if entry.encrypted() {
            return Err(bad("The archive is encrypted."));
        }
        total = total.saturating_add(entry.size());
    }
    if total > MOST_BYTES || total > FREE_BYTES.max(size.saturating_mul(MOST_RATIO)) {
        let text = format!("The archive would unpack to {total} bytes, which is too much.");
        return Err(FileDenied::new(FileCode::TooLarge, text));
    }
    Ok(())
}

/// An entry's name, if it stays in the folder.
fn name_of(raw: &[u8]) -> Result<&str, FileDenied> {
    let name = std::str::from_utf8(raw).map_err(|_| bad("A name in the archive is no UTF-8."))?;
    let stays = !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(['\0', '\\'])
        && !name.split('/').any(|part| part == "..");
    if stays { Ok(name) } else { Err(bad(&format!("The archive's {name:?} leads elsewhere."))) }
}

fn bad(text: &str) -> FileDenied {
    FileDenied::new(FileCode::BadMessage, text)
}

fn broken(error: &ZipError) -> FileDenied {
    bad(&format!("The archive can't be read: {error}."))
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, os::unix::fs::PermissionsExt as _};

    use rustix::{fs::Uid, process::geteuid, thread::set_thread_res_uid};

    use super::*;

    /// What a folder's archive holds, packed by a thread that is not root.
    fn packed(dir: &std::path::Path) -> Vec<String> {
        let dir = dir.to_owned();
        let packing = std::thread::spawn(move || {
            if geteuid().is_root() {
                let nobody = Uid::from_raw(65_534); // of this thread only
                set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            let files = Files::open(&dir).unwrap();
            let mut out = Vec::new();
            zip_folder(&files, &files.open_folder("").unwrap(), "", &mut out).unwrap();
            let archive = ZipArchive::new(Cursor::new(out)).unwrap();
            archive.file_names().map(|name| name.unwrap().into_owned()).collect()
        });
        packing.join().unwrap()
    }

    #[test]
    fn what_may_not_be_read_is_left_out_and_the_rest_is_packed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/open", "b/inside", "c", "names/only"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        std::fs::write(dir.path().join("a/closed"), "secret").unwrap();
        for (name, mode) in [("a/closed", 0), ("b", 0), ("names", 0o444), ("", 0o755)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path().join(name), mode).unwrap();
        }
        let mut names = packed(dir.path());
        names.sort();
        assert_eq!(names, ["a/", "a/open", "c", "names/"]);
        // So that they can be removed by who is not root.
        for name in ["b", "names"] {
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(dir.path().join(name), mode).unwrap();
        }
    }
}
