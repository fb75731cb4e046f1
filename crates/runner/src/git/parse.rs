//! What git prints, read. Pure.
//!
//! Everything is asked for with NUL between fields, so that no name can break the form.

use std::collections::HashMap;

use staithe_protocol::git::{
    GitBranch, GitChange, GitCommit, GitEntry, GitFileChange, GitStatus, GitSubmodule,
};

/// Text of bytes, and whether some could not be read.
pub(super) fn text(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
    }
}

fn plain(bytes: &[u8]) -> String {
    text(bytes).0
}

/// What stands between NULs. What comes after the last is cut off and left out.
fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut all: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    all.pop();
    all.into_iter()
}

fn change(letter: u8) -> Option<GitChange> {
    Some(match letter {
        b'A' => GitChange::Added,
        b'C' => GitChange::Copied,
        b'D' => GitChange::Deleted,
        b'M' => GitChange::Modified,
        b'R' => GitChange::Renamed,
        b'T' => GitChange::TypeChanged,
        b'U' => GitChange::Unmerged,
        _ => return None,
    })
}

/// `git status --porcelain=v2 --branch -z`, at most so many entries. The repository is another's to say.
pub(super) fn status(output: &[u8], most: usize) -> GitStatus {
    let mut status = GitStatus::default();
    let mut fields = fields(output);
    while let Some(field) = fields.next() {
        if let Some(header) = field.strip_prefix(b"# ") {
            read_header(&mut status, &plain(header));
            continue;
        }
        let Some(entry) = read_entry(field, &mut fields) else { continue };
        if status.entries.len() >= most {
            status.truncated = true;
            break;
        }
        status.entries.push(entry);
    }
    status
}

fn read_header(status: &mut GitStatus, header: &str) {
    let Some((name, value)) = header.split_once(' ') else { return };
    let known = |none: &str| Some(value).filter(|value| *value != none).map(str::to_owned);
    match name {
        "branch.oid" => status.head = known("(initial)"),
        "branch.head" => status.branch = known("(detached)"),
        "branch.upstream" => status.upstream = Some(value.to_owned()),
        "branch.ab" => {
            let number =
                |sign| value.split(' ').find_map(|part| part.strip_prefix(sign)?.parse().ok());
            status.ahead = number('+');
            status.behind = number('-');
        }
        _ => {}
    }
}

/// One entry; a renamed one has its old name in the next field.
fn read_entry<'a>(field: &[u8], next: &mut impl Iterator<Item = &'a [u8]>) -> Option<GitEntry> {
    let (kind, rest) = field.split_at_checked(2)?;
    // How many words stand before the path.
    let words = match kind {
        b"1 " => 7,
        b"2 " => 8,
        b"u " => 9,
        b"? " => 0,
        _ => return None,
    };
    let mut parts = rest.splitn(words + 1, |byte| *byte == b' ');
    let before: Vec<&[u8]> = parts.by_ref().take(words).collect();
    let (path, lossy) = text(parts.next()?);
    let from = if kind == b"2 " { Some(plain(next.next()?)) } else { None };
    let letters = before.first().copied().unwrap_or(b"..");
    let conflicted = kind == b"u ";
    let is_new = kind == b"? ";
    let side = |at: usize| letters.get(at).copied().and_then(change).filter(|_| !conflicted);
    Some(GitEntry {
        path,
        lossy,
        staged: side(0),
        unstaged: if is_new { Some(GitChange::Untracked) } else { side(1) },
        conflicted,
        from,
        submodule: before.get(1).and_then(|word| submodule(word)),
    })
}

/// `S<c><m><u>`; `N...` is none.
fn submodule(word: &[u8]) -> Option<GitSubmodule> {
    let [b'S', commit, changes, untracked] = word else { return None };
    Some(GitSubmodule {
        commit_changed: *commit == b'C',
        has_changes: *changes == b'M',
        has_untracked: *untracked == b'U',
    })
}

/// `git diff --raw --numstat -z`, at most so many files; whether there are more.
pub(super) fn changes(output: &[u8], most: usize) -> (Vec<GitFileChange>, bool) {
    let mut files: Vec<GitFileChange> = Vec::new();
    let mut at: HashMap<&[u8], usize> = HashMap::new();
    let mut truncated = false;
    let mut fields = fields(output);
    while let Some(field) = fields.next() {
        if field.first() == Some(&b':') {
            let letter = field.rsplit(|byte| *byte == b' ').next().and_then(|word| word.first());
            let Some(change) = letter.copied().and_then(change) else { continue };
            let moved = matches!(change, GitChange::Renamed | GitChange::Copied);
            let Some(first) = fields.next() else { break };
            let (from, name) = if moved {
                let Some(to) = fields.next() else { break };
                (Some(plain(first)), to)
            } else {
                (None, first)
            };
            // A file in conflict is told twice: as such, and as modified.
            if at.contains_key(name) {
                continue;
            }
            if files.len() >= most {
                truncated = true;
                continue;
            }
            at.insert(name, files.len());
            let (path, lossy) = text(name);
            let (added, deleted, binary) = (None, None, false);
            files.push(GitFileChange { path, lossy, change, from, added, deleted, binary });
            continue;
        }
        let Some((added, deleted, name)) = read_numbers(field, &mut fields) else { continue };
        if let Some(file) = at.get(name).and_then(|at| files.get_mut(*at)) {
            (file.added, file.deleted) = (added, deleted);
            file.binary = added.is_none();
        }
    }
    (files, truncated)
}

/// `added TAB deleted TAB name`, or no name and then the old and the new one in the next two fields.
fn read_numbers<'a>(
    field: &'a [u8],
    next: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<(Option<u64>, Option<u64>, &'a [u8])> {
    let mut parts = field.splitn(3, |byte| *byte == b'\t');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (added, deleted) = (number(), number());
    let name = match parts.next()? {
        b"" => {
            next.next()?;
            next.next()?
        }
        name => name,
    };
    Some((added, deleted, name))
}

/// Names between NULs; the bytes themselves beside the text, at most so many.
pub(super) fn names(output: &[u8], most: usize) -> (Vec<String>, bool) {
    let all: Vec<&[u8]> = fields(output).collect();
    let truncated = all.len() > most;
    (all.into_iter().take(most).map(plain).collect(), truncated)
}

/// What `for-each-ref` is asked for.
pub(super) const BRANCH: &str = "%(HEAD)%00%(refname)%00%(objectname)%00%(upstream:short)%00%(upstream:track,nobracket)%00%(committerdate:unix)%00%(symref)%00%(contents:subject)";

/// A line for each branch, in the form above.
pub(super) fn branches(output: &[u8]) -> Vec<GitBranch> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .filter_map(|line| {
            let parts: Vec<String> = line.splitn(8, |byte| *byte == 0).map(plain).collect();
            let [head, name, commit, upstream, track, time, symref, subject] = &parts[..] else {
                return None;
            };
            // `origin/HEAD` is no branch, but says which one is the remote's first.
            if !symref.is_empty() {
                return None;
            }
            let local = name.strip_prefix("refs/heads/");
            let short = local.or_else(|| name.strip_prefix("refs/remotes/"))?;
            let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            Some(GitBranch {
                name: short.to_owned(),
                remote: local.is_none(),
                current: head == "*",
                commit: commit.clone(),
                upstream: some(upstream),
                track: some(track),
                time: time.parse().unwrap_or(0),
                subject: subject.clone(),
            })
        })
        .collect()
}

/// What `log -z` is asked for.
pub(super) const COMMIT: &str = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%s%x00%b";

/// Eight fields for each commit.
pub(super) fn commits(output: &[u8]) -> Vec<GitCommit> {
    let all: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    all.chunks_exact(8)
        .map(|parts| {
            let time = |at: usize| plain(parts[at]).parse().unwrap_or(0);
            GitCommit {
                commit: plain(parts[0]),
                parents: plain(parts[1]).split_whitespace().map(str::to_owned).collect(),
                author: plain(parts[2]),
                email: plain(parts[3]),
                authored: time(4),
                committed: time(5),
                subject: plain(parts[6]),
                body: plain(parts[7]).trim_end().to_owned(),
            }
        })
        .collect()
}

/// Whether a text can name a commit without meaning anything else to git: no option, no range, no path.
pub(super) fn is_ref(name: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || byte >= 0x80 || b"/._-+@{}~^#=,%!".contains(&byte)
    };
    !name.is_empty()
        && name.len() <= 256
        && !name.starts_with('-')
        && !name.starts_with('^')
        && !name.contains("..")
        && name.bytes().all(plain)
}

/// The last lines of what git complained, in at most so many bytes.
pub(super) fn last_lines(complaint: &[u8], most: usize) -> String {
    let text = plain(complaint);
    let text = text.trim();
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
