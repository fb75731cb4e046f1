//! The file that a sandbox's first process prints into.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Most bytes that are read of a log.
const READ_AT_MOST: u64 = 256 * 1024;
/// Longest line that is told.
const LONGEST_LINE: usize = 4 * 1024;
/// A log larger than this begins anew with the next start; the old one is kept once.
const ROTATE_ABOVE: u64 = 16 * 1024 * 1024;

/// Opens a log for another run.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|m| m.len() > ROTATE_ABOVE) {
        fs::rename(path, path.with_extension("old"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Its last lines, oldest first; none when it isn't there.
pub(super) fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let skipped = file.metadata()?.len().saturating_sub(READ_AT_MOST);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(READ_AT_MOST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut all: Vec<&str> = text.lines().collect();
    if skipped > 0 && all.len() > 1 {
        all.remove(0); // its beginning was left out
    }
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|line| shorten(line)).collect())
}

/// At most [`LONGEST_LINE`] bytes of a line, no character cut.
fn shorten(line: &str) -> String {
    line[..line.floor_char_boundary(LONGEST_LINE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(tail(&path, 5).unwrap().is_empty());
        fs::write(&path, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["b", "c"]);
        assert_eq!(tail(&path, 9).unwrap(), ["a", "b", "c"]);
        assert!(tail(&path, 0).unwrap().is_empty());
    }

    #[test]
    fn a_huge_log_costs_a_bounded_read_and_a_long_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = format!("{}\n{}\nend\n", "x".repeat(300_000), "ä".repeat(3_000));
        fs::write(&path, text).unwrap();
        let lines = tail(&path, 10).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LONGEST_LINE);
        assert_eq!(lines[1], "end");
    }

    #[test]
    fn a_large_log_is_put_aside_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        File::create(&path).unwrap().set_len(ROTATE_ABOVE + 1).unwrap();
        drop(open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert!(dir.path().join("log.old").exists());
    }
}
