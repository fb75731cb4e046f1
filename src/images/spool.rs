//! Everything that a build printed, in a file of the data directory.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Most bytes of one build's log; what comes after is left out and said to be.
const MOST: u64 = 32 << 20;
/// Logs that are kept.
const KEPT: usize = 20;

/// A log that is being written. What can't be written is only lost for the log.
pub(super) struct Spool {
    file: Option<File>,
    path: PathBuf,
    left: u64,
}

impl Spool {
    /// Begins the log of an image, in place of an earlier one.
    pub(super) fn begin(dir: &Path, tag: &str) -> Self {
        let path = dir.join(format!("{tag}.log"));
        let open = || {
            fs::create_dir_all(dir)?;
            keep_newest(dir)?;
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)
        };
        let file = open()
            .inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "the log of a build can't be written");
            })
            .ok();
        Self { file, path, left: MOST }
    }

    /// Where it is, unless it can't be written.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.is_some().then_some(&*self.path)
    }

    pub(super) fn line(&mut self, line: &str) {
        let Some(file) = &mut self.file else { return };
        let bytes = line.len() as u64 + 1;
        if self.left == 0 {
            return;
        }
        let written = if bytes > self.left {
            self.left = 0;
            writeln!(file, "[more was printed and is left out]")
        } else {
            self.left -= bytes;
            writeln!(file, "{line}")
        };
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "the log of a build is cut short");
            self.left = 0;
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
            Spool::begin(dir.path(), &format!("t{number}")).line("x");
        }
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), KEPT);
        let mut spool = Spool::begin(dir.path(), "big");
        let line = "x".repeat(1 << 20);
        for _ in 0..40 {
            spool.line(&line);
        }
        let written = fs::metadata(dir.path().join("big.log")).expect("it is there").len();
        assert!((30 << 20..=MOST + 100).contains(&written), "{written}");
    }
}
