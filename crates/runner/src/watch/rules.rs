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
