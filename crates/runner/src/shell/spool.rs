//! Whole outputs on disk, one file per command, so that people can read what an observation cut.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Most bytes of one output that are kept.
pub const MOST_OF_ONE: u64 = 1024 * 1024 * 1024;
/// Most bytes of all.
const MOST_OF_ALL: u64 = 4 * MOST_OF_ONE;
/// Most outputs that are kept.
const MOST: usize = 64;
/// Written to the file in pieces of this size, or when the output pauses.
const BUFFER: usize = 256 * 1024;
/// Stands at the end of a file whose output went on.
const CUT: &str = "\n[... The output goes on; its first 1 GiB was kept ...]\n";

struct Kept {
    key: String,
    number: u64,
    bytes: u64,
}

/// The outputs that are kept; the oldest go first.
pub struct Spools {
    dir: PathBuf,
    next: u64,
    kept: VecDeque<Kept>,
}

impl Spools {
    /// Wipes what an earlier runner left in `dir`.
    pub fn new(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("out-") || name.starts_with("command-") {
                remove(&entry.path()); // a folder of that name is none of ours
            }
        }
        Ok(Self { dir: dir.to_owned(), next: 0, kept: VecDeque::new() })
    }

    /// Begins the output of a command, and makes room for it.
    pub fn open(&mut self, key: &str) -> Spool {
        let total = |kept: &VecDeque<Kept>| kept.iter().map(|k| k.bytes).sum::<u64>();
        while self.kept.len() >= MOST || total(&self.kept) + MOST_OF_ONE > MOST_OF_ALL {
            let Some(oldest) = self.kept.pop_front() else { break };
            remove(&self.path(oldest.number));
        }
        let number = self.next;
        self.next += 1;
        // While it grows it counts as full, so that the sum is never exceeded.
        self.kept.push_back(Kept { key: key.to_owned(), number, bytes: MOST_OF_ONE });
        let file =
            File::options().write(true).create_new(true).mode(0o600).open(self.path(number)).ok();
        Spool { number, file, buffer: Vec::new(), kept: 0 }
    }

    /// The output has ended.
    pub fn close(&mut self, mut spool: Spool) {
        spool.flush();
        if let Some(kept) = self.kept.iter_mut().find(|k| k.number == spool.number) {
            kept.bytes = spool.kept;
        }
    }

    /// The file with a command's output, as far as it has come.
    pub fn find(&self, key: &str) -> Option<PathBuf> {
        let kept = self.kept.iter().rev().find(|k| k.key == key)?;
        Some(self.path(kept.number))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("out-{number}"))
    }
}

/// Removes a file; that it is gone already is as good.
pub fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

/// A growing output.
pub struct Spool {
    number: u64,
    /// None when it is full, or the disk is.
    file: Option<File>,
    buffer: Vec<u8>,
    kept: u64,
}

impl Spool {
    /// Appends output.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.file.is_none() {
            return;
        }
        let room = usize::try_from(MOST_OF_ONE - self.kept).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        self.kept += taken.len() as u64;
        self.buffer.extend_from_slice(taken);
        let full = taken.len() < bytes.len();
        if full {
            self.buffer.extend_from_slice(CUT.as_bytes());
        }
        if full || self.buffer.len() >= BUFFER {
            self.flush();
        }
        if full {
            self.file = None;
        }
    }

    /// Writes what is gathered. Goes to the page cache, so it doesn't wait for a disk.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && !self.buffer.is_empty()
            && file.write_all(&self.buffer).is_err()
        {
            self.file = None; // no space left: the command's own business goes on
        }
        self.buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_its_key_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("out-7"), "of an earlier runner").unwrap();
        let mut spools = Spools::new(dir.path()).unwrap();
        for n in 0..MOST + 2 {
            let mut spool = spools.open(&format!("key {n}"));
            spool.push(format!("text {n}").as_bytes());
            spools.close(spool);
        }
        assert_eq!(spools.find("key 0"), None);
        assert_eq!(spools.find("key 1"), None);
        let path = spools.find("key 65").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "text 65");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), MOST);
    }

    #[test]
    fn a_growing_output_counts_as_full() {
        let dir = tempfile::tempdir().unwrap();
        let mut spools = Spools::new(dir.path()).unwrap();
        let growing: Vec<Spool> = (0..5).map(|n| spools.open(&n.to_string())).collect();
        assert_eq!(growing.len(), 5);
        assert!(spools.find("0").is_none() && spools.find("1").is_some());
    }
}
