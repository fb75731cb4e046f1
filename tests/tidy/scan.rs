//! Reading the tree: which files there are, and what of a Rust file is code.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "out", ".library"];

/// A file of the tree with its path from the root, written with `/`.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether all of it is there for tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.starts_with("benches/")
            || self.path.starts_with("crates/testkit/")
            || self.name() == "tests.rs"
    }

    /// The lines of its `//!` head.
    pub(crate) fn head(&self) -> String {
        let head = self.text.lines().take_while(|line| line.starts_with("//!"));
        head.map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the tree, in the order of paths.
pub(crate) fn tree() -> Vec<File> {
    let mut files = Vec::new();
    walk(root(), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 100, "only {} files were found under {}", files.len(), root().display());
    files
}

/// Those of them that are Rust.
pub(crate) fn rust() -> Vec<File> {
    tree().into_iter().filter(|file| file.is(&["rs"])).collect()
}

/// One file of the tree.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn walk(dir: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("it lies under the root");
            files.push(File { path: path.to_string_lossy().into_owned(), text });
        }
    }
}

/// A Rust text with comments and the insides of literals blanked; every byte else is in its place.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (keep, len) = if rest.starts_with(b"//") {
            (0, rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()))
        } else if rest.starts_with(b"/*") {
            (0, block_comment(rest))
        } else if let Some(hashes) = raw_string(bytes, at) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            let inner = find(&rest[open..], end.as_bytes()).unwrap_or(rest.len() - open);
            at += open;
            blank(&mut out[at..at + inner]);
            at = (at + inner + end.len()).min(bytes.len());
            continue;
        } else if rest[0] == b'"' {
            (1, quoted(rest, b'"'))
        } else if rest[0] == b'\'' && is_char(rest) {
            (1, quoted(rest, b'\''))
        } else {
            at += 1;
            continue;
        };
        blank(&mut out[at + keep..at + len - keep]);
        at += len;
    }
    String::from_utf8(out).expect("only whole literals and comments are blanked")
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The number of `#` when a raw string begins here.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rest = bytes[at..].strip_prefix(b"r")?;
    // `br"` and `cr"` begin at their `r` too; `for"` does not occur.
    let before = at.checked_sub(1).map(|i| bytes[i]);
    if before.is_some_and(|b| word(b) && b != b'b' && b != b'c') {
        return None;
    }
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    (rest.get(hashes) == Some(&b'"')).then_some(hashes)
}

/// Length of a literal with its quotes.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether a quote begins a character rather than a lifetime.
fn is_char(rest: &[u8]) -> bool {
    if rest.get(1) == Some(&b'\\') {
        return true;
    }
    let text = std::str::from_utf8(&rest[1..rest.len().min(6)]);
    let valid = match text {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&rest[1..=error.valid_up_to()]).unwrap_or_default(),
    };
    let mut chars = valid.chars();
    chars.next().is_some() && chars.next() == Some('\'')
}

/// Splits a Rust text into what ships and what stands under `#[cfg(test)]`; both keep their lines.
pub(crate) fn split(text: &str) -> (String, String) {
    let (mut ships, mut tests) = (String::new(), String::new());
    let blanked = code(text);
    let mut lines = text.lines().zip(blanked.lines()).peekable();
    while let Some((line, _)) = lines.next() {
        ships.push_str(if line.trim() == "#[cfg(test)]" { "" } else { line });
        ships.push('\n');
        tests.push('\n');
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let mut depth = 0_i64;
        for (line, blanked) in lines.by_ref() {
            ships.push('\n');
            tests.push_str(line);
            tests.push('\n');
            let count = |c| i64::try_from(blanked.matches(c).count()).unwrap_or(i64::MAX);
            depth += count('{') - count('}');
            if depth == 0 && (blanked.contains('}') || blanked.contains(';')) {
                break;
            }
        }
    }
    (ships, tests)
}

/// Where a word stands in a blanked text, not as a part of a longer one: (line, its text).
pub(crate) fn places<'a>(blanked: &'a str, word: &str) -> Vec<(usize, &'a str)> {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut found = Vec::new();
    for (number, line) in blanked.lines().enumerate() {
        for (at, _) in line.match_indices(word) {
            let begins = !inside(line[..at].chars().next_back()) || !inside(word.chars().next());
            let after = line[at + word.len()..].chars().next();
            if begins && (!inside(after) || !inside(word.chars().next_back())) {
                found.push((number + 1, line));
            }
        }
    }
    found
}

/// The name of the function in which a line stands.
pub(crate) fn function_of(blanked: &str, line: usize) -> String {
    let before: Vec<&str> = blanked.lines().take(line).collect();
    let name = |line: &&str| {
        let (_, rest) = line.split_once("fn ")?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    };
    before.iter().rev().find_map(name).unwrap_or_default()
}

/// Lines that are neither blank nor comment alone.
pub(crate) fn net_lines(file: &File) -> usize {
    let text = if file.is(&["rs"]) { code(&split(&file.text).0) } else { without_comments(file) };
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

fn without_comments(file: &File) -> String {
    let mut text = file.text.clone();
    let pairs: &[(&str, &str)] =
        if file.is(&["html"]) { &[("<!--", "-->"), ("{#", "#}")] } else { &[("/*", "*/")] };
    for (open, close) in pairs {
        while let Some(begin) = text.find(open) {
            let end = text[begin..].find(close).map_or(text.len(), |end| begin + end + close.len());
            text.replace_range(begin..end, "");
        }
    }
    let line = |line: &&str| !(file.is(&["js"]) && line.trim().starts_with("//"));
    text.lines().filter(line).collect::<Vec<_>>().join("\n")
}
