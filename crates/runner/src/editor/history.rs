//! What files were before they were edited, to undo that. Pure.

use std::collections::VecDeque;

/// Undone at most so often, for one file.
const MOST_PER_FILE: usize = 10;
/// Kept in all, in bytes; the oldest of any file goes first.
const MOST_BYTES: usize = 16 * 1024 * 1024;

struct Entry {
    path: String,
    text: String,
}

/// Texts of files, the newest last.
#[derive(Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl History {
    /// Keeps what a file was.
    pub(super) fn push(&mut self, path: &str, text: String) {
        self.bytes += path.len() + text.len();
        self.entries.push_back(Entry { path: path.to_owned(), text });
        let of_this = self.entries.iter().filter(|entry| entry.path == path).count();
        if of_this > MOST_PER_FILE
            && let Some(oldest) = self.entries.iter().position(|entry| entry.path == path)
        {
            self.remove(oldest);
        }
        while self.bytes > MOST_BYTES {
            self.remove(0);
        }
    }

    /// What a file was before its last edit.
    pub(super) fn last(&self, path: &str) -> Option<&str> {
        let last = self.entries.iter().rev().find(|entry| entry.path == path)?;
        Some(&last.text)
    }

    /// Forgets the last edit.
    pub(super) fn pop(&mut self, path: &str) {
        if let Some(at) = self.entries.iter().rposition(|entry| entry.path == path) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        if let Some(entry) = self.entries.remove(at) {
            self.bytes -= entry.path.len() + entry.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_its_own_last_ten() {
        let mut history = History::default();
        history.push("other", "o".into());
        for number in 0..12 {
            history.push("f", number.to_string());
        }
        for number in (2..12).rev() {
            assert_eq!(history.last("f"), Some(number.to_string().as_str()));
            history.pop("f");
        }
        assert_eq!(history.last("f"), None);
        assert_eq!(history.last("other"), Some("o"));
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut history = History::default();
        for number in 0..9 {
            history.push(&format!("f{number}"), "x".repeat(4 * 1024 * 1024));
        }
        assert!(history.bytes <= MOST_BYTES);
        assert_eq!(history.last("f5"), None);
        assert!(history.last("f8").is_some());
        history.push("huge", "x".repeat(MOST_BYTES + 1));
        assert_eq!((history.bytes, history.entries.len()), (0, 0));
    }
}
