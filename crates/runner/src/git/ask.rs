//! The questions: which words git is given, and what is made of its answer.

use std::{collections::HashSet, os::unix::ffi::OsStrExt as _};

use staithe_protocol::{
    files::{Encoding, FileDenied, FileOp},
    git::{
        GitBranches, GitChange, GitChanges, GitCode, GitDenied, GitDiff, GitFile, GitFileChange,
        GitLog, GitOperation, GitRepositories, GitStatus,
    },
};

use super::{
    parse,
    run::{Git, Most},
};
use crate::{app::App, files::Files};

/// The most entries of a status or of changes.
const MOST_ENTRIES: usize = 10_000;
/// The most bytes of an answer that is read whole.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;
/// A diff that names no other limit, and the largest, in bytes.
const USUAL_DIFF: usize = 1024 * 1024;
const MOST_DIFF: usize = 8 * 1024 * 1024;
/// A file of a commit, in bytes.
const MOST_FILE: usize = 16 * 1024 * 1024;
const MOST_BRANCHES: usize = 1_000;
const MOST_COMMITS: usize = 200;
/// Untracked files whose lines are counted, and how large such a file may be, in bytes.
const MOST_COUNTED: usize = 500;
const LARGEST_COUNTED: u64 = 1024 * 1024;
/// How deep repositories are looked for, and in how many folders.
const DEEPEST: usize = 3;
const MOST_FOLDERS: usize = 2_000;
const MOST_REPOSITORIES: usize = 200;

/// Why there is no answer.
pub(super) enum No {
    Git(GitDenied),
    File(FileDenied),
}

impl From<GitDenied> for No {
    fn from(denied: GitDenied) -> Self {
        Self::Git(denied)
    }
}

impl From<FileDenied> for No {
    fn from(denied: FileDenied) -> Self {
        Self::File(denied)
    }
}

/// A repository.
pub(super) struct Repository<'a> {
    git: Git<'a>,
    /// Its top folder, relative to the workspace.
    place: String,
    app: &'a App,
}

/// What a comparison begins at.
struct Base {
    /// What git is told.
    name: String,
    /// None before the first commit.
    commit: Option<String>,
}

impl<'a> Repository<'a> {
    /// The repository that a folder of the workspace is in.
    pub(super) async fn of(app: &'a App, folder: &str) -> Result<Self, No> {
        let (_, opened) = app.files.folder_at(folder)?;
        let git = |folder| Git {
            shells: &app.shells,
            turns: &app.git,
            folder,
            workspace: app.files.workspace().to_owned(),
        };
        let top =
            git(opened).run(&["rev-parse", "--show-toplevel"], Most::Fail(8192)).await?.good()?;
        let top = String::from_utf8_lossy(top.strip_suffix(b"\n").unwrap_or(&top)).into_owned();
        let (place, folder) = app.files.folder_at(&top)?;
        Ok(Self { git: git(folder), place, app })
    }

    async fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, GitDenied> {
        self.git.run(arguments, Most::Fail(MOST_OUTPUT)).await?.good()
    }

    pub(super) async fn status(&self) -> Result<GitStatus, No> {
        let words = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"];
        let more = ["--ignore-submodules=none", "--find-renames"];
        let words: Vec<&str> = words.into_iter().chain(more).collect();
        let said = self.git.run(&words, Most::Cut(MOST_OUTPUT)).await?;
        let cut = said.cut;
        let mut status = parse::status(&said.good()?, MOST_ENTRIES);
        status.truncated |= cut;
        status.repository.clone_from(&self.place);
        status.operation = self.operation().await?;
        Ok(status)
    }

    /// What goes on: git leaves files while it does.
    async fn operation(&self) -> Result<Option<GitOperation>, GitDenied> {
        let folder = self.output(&["rev-parse", "--absolute-git-dir"]).await?;
        let folder = folder.strip_suffix(b"\n").unwrap_or(&folder);
        let folder = std::path::Path::new(std::ffi::OsStr::from_bytes(folder));
        let signs = [
            ("rebase-merge", GitOperation::Rebase),
            ("rebase-apply/applying", GitOperation::Apply),
            ("rebase-apply", GitOperation::Rebase),
            ("MERGE_HEAD", GitOperation::Merge),
            ("CHERRY_PICK_HEAD", GitOperation::CherryPick),
            ("REVERT_HEAD", GitOperation::Revert),
            ("BISECT_LOG", GitOperation::Bisect),
        ];
        let found =
            signs.into_iter().find(|(name, _)| folder.join(name).symlink_metadata().is_ok());
        Ok(found.map(|(_, operation)| operation))
    }

    /// The commit of a name.
    async fn commit(&self, name: &str) -> Result<String, GitDenied> {
        let none = || {
            let shown: String = name.chars().take(100).collect();
            GitDenied::new(GitCode::BadRef, format!("{shown:?} names no commit here."))
        };
        if !parse::is_ref(name) {
            return Err(none());
        }
        let wanted = format!("{name}^{{commit}}");
        let words = ["rev-parse", "--verify", "--quiet", &wanted];
        let said = self.git.run(&words, Most::Fail(4096)).await?;
        if said.code != 0 {
            return Err(none());
        }
        Ok(String::from_utf8_lossy(&said.output).trim().to_owned())
    }

    /// What to compare with: a commit that was named, else the last, else nothing at all.
    async fn base(&self, name: Option<&str>) -> Result<Base, GitDenied> {
        if let Some(name) = name {
            let commit = self.commit(name).await?;
            return Ok(Base { name: commit.clone(), commit: Some(commit) });
        }
        match self.commit("HEAD").await {
            Ok(commit) => Ok(Base { name: commit.clone(), commit: Some(commit) }),
            Err(denied) if denied.code == GitCode::BadRef => {
                let empty = self.output(&["hash-object", "-t", "tree", "/dev/null"]).await?;
                let name = String::from_utf8_lossy(&empty).trim().to_owned();
                Ok(Base { name, commit: None })
            }
            Err(denied) => Err(denied),
        }
    }

    pub(super) async fn changes(&self, base: Option<&str>) -> Result<GitChanges, No> {
        let base = self.base(base).await?;
        let words = ["diff", "--raw", "--numstat", "-z", "--find-renames", "--no-ext-diff"];
        let more = ["--no-textconv", "--ignore-submodules=none", &base.name, "--"];
        let words: Vec<&str> = words.into_iter().chain(more).collect();
        let (mut files, mut truncated) = parse::changes(&self.output(&words).await?, MOST_ENTRIES);
        let words = ["ls-files", "--others", "--exclude-standard", "-z"];
        let said = self.git.run(&words, Most::Cut(MOST_OUTPUT)).await?;
        truncated |= said.cut;
        let most = MOST_ENTRIES - files.len();
        // A base that has a file which the index has not: git tells it as deleted, and it is there.
        let deleted: HashSet<String> = files.iter().map(|file| file.path.clone()).collect();
        let (names, more) = parse::names(&said.good()?, most);
        let names = names.into_iter().filter(|name| !deleted.contains(name)).collect();
        truncated |= more;
        let place = self.place.clone();
        let counted = self.app.on_files(move |files| untracked(files, &place, names)).await;
        files.extend(counted.unwrap_or_default());
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let sum = |of: fn(&GitFileChange) -> Option<u64>| files.iter().filter_map(of).sum();
        let (added, deleted) = (sum(|file| file.added), sum(|file| file.deleted));
        let repository = self.place.clone();
        Ok(GitChanges { repository, base: base.commit, files, added, deleted, truncated })
    }

    pub(super) async fn diff(
        &self,
        base: Option<&str>,
        file: Option<&str>,
        context: u32,
        most: Option<usize>,
    ) -> Result<GitDiff, No> {
        let base = self.base(base).await?;
        let most = most.unwrap_or(USUAL_DIFF).clamp(1, MOST_DIFF);
        let context = format!("--unified={}", context.min(10_000));
        let form =
            ["--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"];
        let mut words = vec!["diff", "--find-renames", "--ignore-submodules=none", &context];
        words.extend(form);
        words.extend([base.name.as_str(), "--"]);
        words.extend(file);
        let mut said = self.git.run(&words, Most::Cut(most)).await?;
        if let Some(file) = file
            && said.code == 0
            && said.output.is_empty()
            && self.is_untracked(file).await?
        {
            let mut words = vec!["diff", "--no-index", &context];
            words.extend(form);
            words.extend(["--", "/dev/null", file]);
            said = self.git.run(&words, Most::Cut(most)).await?;
            // It ends with 1 to say that there is a difference.
            said.code = if said.code == 1 { 0 } else { said.code };
        }
        let truncated = said.cut;
        let mut output = said.good()?;
        if truncated {
            let end = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            output.truncate(end);
        }
        let (diff, lossy) = parse::text(&output);
        let binary = diff.lines().any(|l| l.starts_with("Binary files ") && l.ends_with(" differ"));
        let repository = self.place.clone();
        Ok(GitDiff { repository, base: base.commit, diff, lossy, truncated, binary })
    }

    async fn is_untracked(&self, file: &str) -> Result<bool, GitDenied> {
        let words = ["ls-files", "--others", "--exclude-standard", "-z", "--", file];
        let (names, _) = parse::names(&self.output(&words).await?, 2);
        Ok(names == [file])
    }

    pub(super) async fn show(&self, name: &str, file: &str) -> Result<GitFile, No> {
        let commit = self.commit(name).await?;
        let blob = format!("{commit}:{file}");
        let said = self.git.run(&["cat-file", "blob", &blob], Most::Fail(MOST_FILE)).await?;
        if said.code != 0 {
            let text = format!("There is no file {file:?} in {commit}.");
            return Err(GitDenied::new(GitCode::NotFound, text).into());
        }
        let size = said.output.len() as u64;
        let (content, encoding) = match String::from_utf8(said.output) {
            Ok(text) => (text, Encoding::Utf8),
            Err(bytes) => (data_encoding::BASE64.encode(bytes.as_bytes()), Encoding::Base64),
        };
        let (repository, path) = (self.place.clone(), file.to_owned());
        Ok(GitFile { repository, path, commit, content, encoding, size })
    }

    pub(super) async fn branches(&self) -> Result<GitBranches, No> {
        let count = format!("--count={}", MOST_BRANCHES + 1);
        let form = format!("--format={}", parse::BRANCH);
        let words =
            ["for-each-ref", "--sort=-committerdate", &count, &form, "refs/heads", "refs/remotes"];
        let mut branches = parse::branches(&self.output(&words).await?);
        let truncated = branches.len() > MOST_BRANCHES;
        branches.truncate(MOST_BRANCHES);
        Ok(GitBranches { repository: self.place.clone(), branches, truncated })
    }

    pub(super) async fn log(
        &self,
        name: Option<&str>,
        file: Option<&str>,
        skip: u64,
        limit: Option<usize>,
    ) -> Result<GitLog, No> {
        let repository = self.place.clone();
        let commit = match self.commit(name.unwrap_or("HEAD")).await {
            Ok(commit) => commit,
            // Nothing was committed yet.
            Err(denied) if denied.code == GitCode::BadRef && name.is_none() => {
                return Ok(GitLog { repository, commits: Vec::new(), has_more: false });
            }
            Err(denied) => return Err(denied.into()),
        };
        let limit = limit.unwrap_or(50).clamp(1, MOST_COMMITS);
        let (count, skip) = (format!("--max-count={}", limit + 1), format!("--skip={skip}"));
        let mut words = vec![
            "log",
            "-z",
            "--no-color",
            "--no-notes",
            parse::COMMIT,
            &count,
            &skip,
            &commit,
            "--",
        ];
        words.extend(file);
        let mut commits = parse::commits(&self.output(&words).await?);
        let has_more = commits.len() > limit;
        commits.truncate(limit);
        Ok(GitLog { repository, commits, has_more })
    }
}

/// Untracked files with their lines, of those that are small enough.
fn untracked(files: &Files, place: &str, names: Vec<String>) -> Vec<GitFileChange> {
    let count = |name: &str| {
        let path = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
        let (opened, size) = files.open_raw(&path).ok()?;
        if size > LARGEST_COUNTED {
            return None;
        }
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(opened, LARGEST_COUNTED), &mut content)
            .ok()?;
        if content.contains(&0) {
            return Some(None);
        }
        Some(Some(content.split_inclusive(|byte| *byte == b'\n').count() as u64))
    };
    let of = |(at, path): (usize, String)| {
        let lossy = path.contains(char::REPLACEMENT_CHARACTER);
        let counted = if lossy || at >= MOST_COUNTED { None } else { count(&path) };
        let added = counted.flatten();
        GitFileChange {
            path,
            lossy,
            change: GitChange::Untracked,
            from: None,
            added,
            deleted: added.map(|_| 0),
            binary: counted == Some(None),
        }
    };
    names.into_iter().enumerate().map(of).collect()
}

/// Where repositories are in the workspace, at most three folders deep. Asks no git.
pub(super) fn repositories(files: &Files) -> GitRepositories {
    let mut found = GitRepositories { repositories: Vec::new(), truncated: false };
    let mut waiting = std::collections::VecDeque::from([(String::new(), 0)]);
    let mut looked = 0;
    while let Some((path, depth)) = waiting.pop_front() {
        looked += 1;
        if looked > MOST_FOLDERS || found.repositories.len() >= MOST_REPOSITORIES {
            found.truncated = true;
            break;
        }
        let list = FileOp::List {
            path: path.clone(),
            depth: Some(1),
            ignore: Vec::new(),
            versions: false,
        };
        // A folder that can't be read, or has gone, is passed over.
        let Ok(listed) = files.carry_out(list) else { continue };
        found.truncated |= listed.truncated == Some(true);
        for entry in listed.entries.unwrap_or_default() {
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            if name == ".git" {
                found.repositories.push(path.clone());
            } else if entry.kind == staithe_protocol::files::EntryType::Dir
                && depth < DEEPEST
                && !name.starts_with('.')
                && name != "node_modules"
            {
                waiting.push_back((entry.path, depth + 1));
            }
        }
    }
    found.repositories.sort();
    found
}
