//! Where files went that are asked for by their old names. Pure.

use std::collections::VecDeque;

/// Renames that are remembered.
const KEPT: usize = 256;

/// The last renames, oldest first.
#[derive(Default)]
pub(super) struct Moved(VecDeque<(String, String)>);

impl Moved {
    /// A rename was seen.
    pub(super) fn note(&mut self, from: &str, to: &str) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((from.to_owned(), to.to_owned()));
    }

    /// Where a path led to since, by all renames of it and of folders above it.
    pub(super) fn now(&self, path: &str) -> Option<String> {
        let mut now: Option<String> = None;
        for (from, to) in &self.0 {
            let here = now.as_deref().unwrap_or(path);
            let Some(rest) = here.strip_prefix(from.as_str()) else { continue };
            if rest.is_empty() || rest.starts_with('/') {
                now = Some(format!("{to}{rest}"));
            }
        }
        now.filter(|now| now != path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_followed_through_renames_of_it_and_of_its_folders() {
        let mut moved = Moved::default();
        moved.note("a/f", "a/g");
        moved.note("a", "b");
        moved.note("b/g", "h");
        for (path, now) in [("a/f", "h"), ("a/x", "b/x"), ("a", "b"), ("b/g", "h")] {
            assert_eq!(moved.now(path).as_deref(), Some(now), "{path}");
        }
        assert_eq!(moved.now("ab"), None);
        moved.note("h", "a/f");
        assert_eq!(moved.now("a/f"), None, "it came back");
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let mut moved = Moved::default();
        for n in 0..=KEPT {
            moved.note(&format!("a{n}"), "b");
        }
        assert_eq!(moved.now("a0"), None);
        assert_eq!(moved.now("a1").as_deref(), Some("b"));
    }
}
