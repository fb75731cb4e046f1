//! What a plugin's program prints: a bounded file in the state folder, and its last lines in memory.

use std::{
    cell::RefCell,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::tail::Tail;
use crate::state;

/// A file that has more bytes than this becomes the old one, and a new one begins.
const MOST: usize = 1024 * 1024;

/// One plugin's log: at most two files of 1 MiB and a piece.
pub struct Log {
    path: PathBuf,
    /// Never told to anybody.
    secret: String,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    /// None before the first line, and when the disk is full: the program's own business goes on.
    file: Option<File>,
    written: usize,
    tail: Tail,
}

impl Log {
    /// The log of a plugin, with nothing in it. `secret` is masked in what is told of it.
    pub fn new(state_dir: &Path, name: &str, secret: &str) -> Self {
        let path = state_dir.join(format!("plugin-{name}.log"));
        Self { path, secret: secret.to_owned(), inner: RefCell::default() }
    }

    /// Appends. Goes to the page cache, so it does not wait for a disk.
    pub fn push(&self, bytes: &[u8]) {
        let mut inner = self.inner.borrow_mut();
        inner.tail.push(bytes);
        if inner.file.is_none() || inner.written > MOST {
            if inner.written > MOST {
                drop(std::fs::rename(&self.path, self.path.with_extension("log.old")));
            }
            inner.written = 0;
            inner.file = state::create(&self.path).ok();
        }
        inner.written += bytes.len();
        if inner.file.as_mut().is_some_and(|file| file.write_all(bytes).is_err()) {
            inner.file = None;
        }
    }

    /// Its last lines, for people.
    pub fn tail(&self) -> String {
        let mut inner = self.inner.borrow_mut();
        let text = inner.tail.lines();
        if self.secret.is_empty() { text } else { text.replace(&self.secret, "***") }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tail::{LINES, TAIL},
        *,
    };

    #[test]
    fn a_flood_leaves_two_bounded_files_and_the_last_lines_without_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path(), "x", "s3cret");
        for n in 0..200_000 {
            log.push(format!("line {n} of a program that never ends\n").as_bytes());
        }
        log.push(b"\x1b[31mhttp://127.0.0.1/?tkn=s3cret\x1b[0m\n\n");
        let tail = log.tail();
        assert!(
            tail.ends_with("line 199999 of a program that never ends\nhttp://127.0.0.1/?tkn=***")
        );
        assert_eq!(tail.lines().count(), LINES);
        let mut sizes: Vec<u64> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes.len(), 2, "{sizes:?}");
        assert!(sizes[1] <= (MOST + TAIL) as u64, "{sizes:?}");
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_written_to() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("else"), "kept").unwrap();
        std::os::unix::fs::symlink("else", dir.path().join("plugin-x.log")).unwrap();
        let log = Log::new(dir.path(), "x", "");
        log.push(b"a line\n");
        assert_eq!(log.tail(), "a line");
        assert_eq!(std::fs::read_to_string(dir.path().join("else")).unwrap(), "kept");
    }
}
