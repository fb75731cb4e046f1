//! What is not watched, by lines of a `.gitignore`. Pure.

use super::glob;

/// The most lines of one file that count.
const MOST_LINES: usize = 1000;
/// The longest line that counts, in bytes.
const MOST_LINE: usize = 1024;

/// The lines of one file; each counts for paths beneath the folder that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Box<str>,
    /// A `!` line: what it matches is watched.
    watched: bool,
    only_folders: bool,
    /// The pattern says where in the folder; otherwise it is a name at any depth.
    anchored: bool,
}

impl Rules {
    /// Reads a file's text.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        Self(lines.into_iter().take(MOST_LINES).filter_map(Rule::parse).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any line says where in the folder: then moving a folder changes what is ignored in it.
    pub fn names_folders(&self) -> bool {
        self.0.iter().any(|rule| rule.anchored)
    }

    /// What the last line that matches says: whether the path is ignored; none if none matches.
    pub fn verdict(&self, path: &str, is_folder: bool) -> Option<bool> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let matching = self.0.iter().rev().find(|rule| {
            (is_folder || !rule.only_folders)
                && glob::matches(&rule.pattern, if rule.anchored { path } else { name })
        });
        matching.map(|rule| !rule.watched)
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let mut line = line.trim_end_matches(['\r', '\n']);
        while line.ends_with(' ') && !line.ends_with("\\ ") {
            line = &line[..line.len() - 1];
        }
        if line.starts_with('#') || line.len() > MOST_LINE {
            return None;
        }
        let (line, watched) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
        let (line, only_folders) = line.strip_suffix('/').map_or((line, false), |l| (l, true));
        let anchored = line.contains('/');
        let line = line.strip_prefix('/').unwrap_or(line);
        if line.is_empty() {
            return None;
        }
        Some(Self { pattern: line.into(), watched, only_folders, anchored })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const RULES: [&str; 7] = [
        "*.log\n!keep.log",
        "/build\nsrc/*.o\ndoc/**/x",
        "a/\n# no rule\n\\#x\n\\!y",
        "**/deep\nfoo/**\n!foo/keep",
        "[ab]?c\nx*y\ntrailing  \n",
        "*\n!*/\n!*.rs",
        "q/**/z/\n/**/w",
    ];
    const PATHS: [&str; 29] = [
        "x.log",
        "keep.log",
        "d/x.log",
        "build",
        "d/build",
        "src/a.o",
        "src/d/a.o",
        "doc/x",
        "doc/a/b/x",
        "a",
        "d/a",
        "#x",
        "!y",
        "d/deep",
        "deep",
        "foo",
        "foo/bar",
        "foo/keep",
        "abc",
        "bcc",
        "xyy",
        "x/y",
        "trailing",
        "m.rs",
        "d/m.rs",
        "q/z",
        "q/a/z",
        "w",
        "d/w",
    ];

    /// The last word is git's own.
    #[test]
    fn they_mean_what_git_means() {
        for text in RULES {
            let parsed = Rules::parse(text.lines());
            for is_folder in [false, true] {
                for path in PATHS {
                    let dir = tempfile::tempdir().expect("a folder");
                    let git = |args: &[&str]| {
                        let mut git = Command::new("git");
                        git.args(args).current_dir(dir.path()).output().expect("git").status
                    };
                    std::fs::create_dir(dir.path().join(".git")).expect("a folder");
                    std::fs::create_dir_all(dir.path().join(".git/objects")).expect("a folder");
                    std::fs::create_dir_all(dir.path().join(".git/refs")).expect("a folder");
                    std::fs::write(dir.path().join(".git/HEAD"), "ref: refs/heads/m\n")
                        .expect("a file");
                    std::fs::write(dir.path().join(".gitignore"), text).expect("a file");
                    let there = dir.path().join(path);
                    std::fs::create_dir_all(there.parent().expect("a folder")).expect("a folder");
                    if is_folder {
                        std::fs::create_dir_all(&there).expect("a folder");
                    } else {
                        std::fs::write(&there, "").expect("a file");
                    }
                    let theirs = git(&["check-ignore", "-q", path]).success();
                    // As the index does: an ignored folder hides all beneath.
                    let mut ours = false;
                    for (at, _) in path.match_indices('/') {
                        ours |= parsed.verdict(&path[..at], true) == Some(true);
                    }
                    ours |= parsed.verdict(path, is_folder) == Some(true);
                    assert_eq!(ours, theirs, "{path:?} (folder: {is_folder}) by {text:?}");
                }
            }
        }
    }
}
