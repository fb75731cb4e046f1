//! Files in the state folder. Commands run as the same user and may have put anything there: what is no
//! regular file is not opened, and never waited for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens a regular file, which is no symlink. Does not block.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // A pipe opens at once or not at all.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// All of a file, if it is no larger than so many bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, OpenOptions::new().read(true))?;
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(content)
}

/// A file with this content and nothing else, which only its owner may read.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path)?.write_all(content)
}

/// An empty file to be written, which only its owner may read.
pub fn create(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().write(true).create(true).truncate(true).mode(0o600))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, sync::mpsc, time::Duration};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_none_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["pipe", "read pipe"] {
            mknodat(CWD, at(name), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        }
        let both = OpenOptions::new().read(true).write(true).open(at("read pipe")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("else"), "kept").unwrap();
        symlink(at("else"), at("link")).unwrap();
        let (done, ended) = mpsc::channel();
        let names = ["pipe", "read pipe", "folder", "link"];
        let paths = names.map(at);
        std::thread::spawn(move || {
            done.send(paths.map(|path| (read(&path, 10).is_err(), write(&path, b"x").is_err())))
        });
        let failed = ended.recv_timeout(Duration::from_secs(20)).expect("nothing waits");
        assert_eq!(failed, [(true, true); 4]);
        drop(both);
        assert_eq!(std::fs::read_to_string(at("else")).unwrap(), "kept");
    }

    #[test]
    fn a_file_is_written_anew_and_read_as_far_as_it_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"longer").unwrap();
        write(&path, b"short").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"short");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
