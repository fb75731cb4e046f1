//! Everything that a build printed, in a file of the data directory.
//!
//! A thread writes it: whoever builds shares a thread with all sessions and must not wait for a disk.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

/// Most bytes of one build's log; what comes after is left out and said to be.
const MOST: u64 = 32 << 20;
/// Logs that are kept.
const KEPT: usize = 20;
/// Lines that may wait for the disk; more are left out and said to be.
const WAITING: usize = 16_384;

/// A log that is being written. What can't be written is only lost for the log.
pub(super) struct Spool {
    lines: SyncSender<String>,
    writer: JoinHandle<Option<PathBuf>>,
    lost: u64,
}

impl Spool {
    /// Begins the log of an image, in place of an earlier one. None: no thread can be had.
    pub(super) fn begin(dir: &Path, tag: &str) -> Option<Self> {
        let (lines, from) = sync_channel(WAITING);
        let (dir, path) = (dir.to_owned(), dir.join(format!("{tag}.log")));
        let thread = std::thread::Builder::new().name("build-log".into());
        let writer = thread.spawn(move || written(&dir, path, &from));
        let writer = writer.inspect_err(|error| tracing::warn!(%error, "a build has no log"));
        Some(Self { lines, writer: writer.ok()?, lost: 0 })
    }

    pub(super) fn line(&mut self, line: &str) {
        if self.lost > 0 {
            let lost = format!("[{} lines came faster than the disk took them]", self.lost);
            if self.lines.try_send(lost).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.lines.try_send(line.to_owned()).is_err() {
            self.lost += 1;
        }
    }

    /// Waits until all is written; where it is, unless it can't be written. Blocks.
    pub(super) fn finish(self) -> Option<PathBuf> {
        drop(self.lines);
        self.writer.join().ok().flatten()
    }
}

/// Writes what comes until nobody sends any more.
fn written(dir: &Path, path: PathBuf, lines: &Receiver<String>) -> Option<PathBuf> {
    let open = || {
        fs::create_dir_all(dir)?;
        keep_newest(dir)?;
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)
    };
    let write = |file: File| {
        let mut file = BufWriter::new(file);
        let mut left = MOST;
        for line in lines {
            let bytes = line.len() as u64 + 1;
            if bytes > left {
                writeln!(file, "[more was printed and is left out]")?;
                break;
            }
            left -= bytes;
            writeln!(file, "{line}")?;
        }
        file.flush()
    };
    match open().and_then(write) {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the log of a build can't be written");
            None
        }
    }
}

fn keep_newest(dir: &Path) -> io::Result<()> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            logs.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    logs.sort();
    let surplus = (logs.len() + 1).saturating_sub(KEPT);
    logs.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_old_ones_go() {
        let dir = tempfile::tempdir().expect("a directory");
        for number in 0..30 {
            let mut spool = Spool::begin(dir.path(), &format!("t{number}")).expect("a thread");
            spool.line("x");
            assert!(spool.finish().is_some());
        }
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), KEPT);
        let mut spool = Spool::begin(dir.path(), "big").expect("a thread");
        let line = "x".repeat(1 << 20);
        for _ in 0..40 {
            spool.line(&line);
        }
        let path = spool.finish().expect("it is written");
        let written = fs::metadata(path).expect("it is there").len();
        assert!((30 << 20..=MOST + 100).contains(&written), "{written}");
    }

    #[test]
    fn a_log_that_can_t_be_written_holds_nobody_up() {
        let dir = tempfile::NamedTempFile::new().expect("a file in place of the folder");
        let mut spool = Spool::begin(dir.path(), "t").expect("a thread");
        for _ in 0..2 * WAITING {
            spool.line("x");
        }
        assert_eq!(spool.finish(), None);
    }
}
