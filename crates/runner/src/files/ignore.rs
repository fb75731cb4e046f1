//! Patterns as in a `.gitignore`, given with a request. Pure.

use staithe_protocol::files::{FileCode, FileDenied};

use crate::search::glob::Rules;

/// The most patterns, and the most bytes of them together.
const MOST: usize = 1000;
const MOST_BYTES: usize = 64 * 1024;

/// What is left out.
pub(crate) struct Ignore(Rules);

impl Ignore {
    /// Of patterns; none leave nothing out.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, FileDenied> {
        let bad = |text: String| FileDenied::new(FileCode::BadMessage, text);
        let bytes: usize = patterns.iter().map(String::len).sum();
        if patterns.len() > MOST || bytes > MOST_BYTES {
            return Err(bad("There are more than 1000 patterns, or 64 KiB of them.".to_owned()));
        }
        // git would match nothing by what is no pattern, and say nothing.
        let says_nothing = |line: &&String| {
            let is_blank = line.trim().is_empty() || line.starts_with('#');
            !is_blank && Rules::of_file(line).is_empty()
        };
        if let Some(pattern) = patterns.iter().find(says_nothing) {
            return Err(bad(format!("{pattern:?} is no pattern.")));
        }
        Ok(Self(Rules::of_file(&patterns.join("\n"))))
    }

    /// Whether a path, relative to the folder that the patterns are for, is left out. What lies in a
    /// folder that is left out is not asked for.
    pub(crate) fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        self.0.says(path, is_folder) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let patterns = ["node_modules/", "*.o", "!keep.o", "/top"].map(String::from);
        let ignore = Ignore::new(&patterns).unwrap();
        for (path, is_folder, is_out) in [
            ("a/node_modules", true, true),
            ("a/node_modules", false, false),
            ("a/b.o", false, true),
            ("a/keep.o", false, false),
            ("top", false, true),
            ("a/top", false, false),
        ] {
            assert_eq!(ignore.leaves_out(path, is_folder), is_out, "{path}");
        }
        assert!(!Ignore::new(&[]).unwrap().leaves_out("x", false));
    }

    #[test]
    fn what_is_no_pattern_and_what_is_too_much_is_refused() {
        for patterns in
            [vec!["a[".to_owned()], vec!["x".to_owned(); 1001], vec!["x".repeat(70_000)]]
        {
            let denied = Ignore::new(&patterns).err().map(|denied| denied.code);
            assert_eq!(denied, Some(FileCode::BadMessage));
        }
    }
}
