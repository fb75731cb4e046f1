//! Files of the local engine: where they are, what stands in them.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use staithe_protocol::{Generation, SessionId, runner::SOCKET_NAME};

use super::{processes, processes::Process, removal};
use crate::{Labels, SandboxSpec, chain::chain};

/// Longest name of a sandbox.
const LONGEST_NAME: usize = 100;
/// Entries of ours that are no sandboxes begin so; no sandbox's name does.
const TRANSIENT: char = '.';

/// A sandbox as it stands in its `sandbox.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) session: Option<SessionId>,
    pub(super) generation: Generation,
    pub(super) labels: Labels,
    pub(super) env: BTreeMap<String, String>,
    /// In the environment of every process of this sandbox and of no other.
    pub(super) marker: String,
    /// The launcher, from the last start.
    pub(super) process: Option<Process>,
}

impl Record {
    /// A sandbox that was never started.
    pub(super) fn new(spec: &SandboxSpec) -> Self {
        Self {
            name: spec.name.clone(),
            session: spec.session,
            generation: spec.generation,
            labels: spec.labels.clone(),
            env: spec.env.clone(),
            marker: format!("{}.{}", spec.name, unique()),
            process: None,
        }
    }
}

/// Whether it can name a sandbox: and then also a directory, anywhere.
pub(super) fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Different with every call, of any process.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{now:x}-{count:x}", std::process::id())
}

/// The data directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Opens it, making it when it isn't there, and clears what a killed server left half done.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        make_private(root)?;
        let layout = Self { root: root.canonicalize()? };
        for dir in [layout.sandboxes(), layout.workspaces()] {
            make_private(&dir)?;
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                if is_abandoned(&entry.file_name().to_string_lossy()) {
                    removal::remove_tree(&entry.path())?;
                }
            }
        }
        Ok(layout)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// A sandbox's directory. What is no name leads to a place where nothing is.
    fn sandbox(&self, name: &str) -> PathBuf {
        self.sandboxes().join(if is_name(name) { name } else { ".no-such-name" })
    }

    pub(super) fn workspace(&self, name: &str) -> PathBuf {
        self.workspaces().join(name)
    }

    /// What server and sandbox share.
    pub(super) fn run_dir(&self, name: &str) -> PathBuf {
        self.sandbox(name).join("run")
    }

    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.run_dir(name).join(SOCKET_NAME)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.sandbox(name).join("log")
    }

    pub(super) fn launch_spec(&self, name: &str) -> PathBuf {
        self.sandbox(name).join("launch.json")
    }

    pub(super) fn tier_report(&self, name: &str) -> PathBuf {
        self.sandbox(name).join("tier.json")
    }

    /// A directory for a moment, which is cleared when this process dies before it does so.
    pub(super) fn transient(&self) -> io::Result<PathBuf> {
        let path = self.sandboxes().join(format!("{TRANSIENT}{}", unique()));
        make_private(&path)?;
        Ok(path)
    }

    /// Puts a sandbox there, whole or not at all. `AlreadyExists` when the name is taken.
    pub(super) fn create(&self, record: &Record) -> io::Result<()> {
        let draft = self.transient()?;
        let workspace = self.workspace(&record.name);
        let had_workspace = workspace.exists();
        let place = || {
            make_private(&draft.join("run"))?;
            write_durable(&draft.join("sandbox.json"), &serde_json::to_vec(record)?)?;
            make_private(&workspace)?;
            let target = self.sandbox(&record.name);
            Ok(renameat_with(CWD, &draft, CWD, &target, RenameFlags::NOREPLACE)?)
        };
        let placed: io::Result<()> = place();
        if placed.is_err() {
            removal::remove_tree(&draft)?;
            if !had_workspace && !self.sandbox(&record.name).exists() {
                removal::remove_tree(&workspace)?;
            }
        }
        placed
    }

    /// The record of a sandbox; none when there is no such sandbox.
    pub(super) fn load(&self, name: &str) -> io::Result<Option<Record>> {
        match fs::read(self.sandbox(name).join("sandbox.json")) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces the record of a sandbox.
    pub(super) fn save(&self, record: &Record) -> io::Result<()> {
        let dir = self.sandbox(&record.name);
        let draft = dir.join(".sandbox.json");
        write_durable(&draft, &serde_json::to_vec(record)?)?;
        fs::rename(draft, dir.join("sandbox.json"))
    }

    /// Every sandbox. One that can't be read is left out, with a warning: it must not hide the rest.
    pub(super) fn all(&self) -> io::Result<Vec<Record>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.sandboxes())? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|n| is_name(n)) else { continue };
            match self.load(name) {
                Ok(record) => found.extend(record),
                Err(error) => tracing::warn!(
                    sandbox = name,
                    error = chain(&error),
                    "unreadable sandbox record"
                ),
            }
        }
        Ok(found)
    }

    /// Names of all workspaces.
    pub(super) fn all_workspaces(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.workspaces())? {
            found.extend(entry?.file_name().into_string().ok().filter(|name| is_name(name)));
        }
        Ok(found)
    }

    /// Removes a sandbox's files, at once from the eyes of others.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        discard(&self.sandbox(name), &self.sandboxes())
    }

    /// Removes a workspace.
    pub(super) fn remove_workspace(&self, name: &str) -> io::Result<()> {
        discard(&self.workspace(name), &self.workspaces())
    }
}

/// Renames a directory out of the way, then removes it.
fn discard(path: &Path, within: &Path) -> io::Result<()> {
    let aside = within.join(format!("{TRANSIENT}{}", unique()));
    match fs::rename(path, &aside) {
        Ok(()) => removal::remove_tree(&aside),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Whether an entry was made for a moment by a process that is gone.
fn is_abandoned(entry: &str) -> bool {
    let owner = entry.strip_prefix(TRANSIENT).and_then(|e| e.split('-').next()?.parse().ok());
    owner.is_some_and(|pid| processes::stat(pid).is_none())
}

/// Makes a directory for the server's user alone; one that is there is left as it is.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file for the server's user alone.
pub(super) fn write_private(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    Ok(file)
}

/// The same, and returns when it would survive a power cut.
fn write_durable(path: &Path, content: &[u8]) -> io::Result<()> {
    write_private(path, content)?.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for good in ["a", "staithe-0123", &"x".repeat(100)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "../a", "A", "ä", ".a", "a b", &"x".repeat(101)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn what_a_living_process_works_on_is_not_abandoned() {
        assert!(!is_abandoned(&format!(".{}", unique())));
        assert!(is_abandoned(".999999999-1-1"));
        assert!(!is_abandoned("a-sandbox"));
    }

    #[test]
    fn a_name_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let record = Record::new(&SandboxSpec {
            name: "one".into(),
            session: Some(SessionId::generate()),
            workspace: None,
            generation: Generation(1),
            labels: Labels::new(),
            image: None,
            resources: staithe_protocol::api::Resources::default(),
            key: String::new(),
            env: BTreeMap::new(),
        });
        layout.create(&record).unwrap();
        let again = layout.create(&record).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let entries = fs::read_dir(layout.sandboxes()).unwrap().count();
        assert_eq!(entries, 1, "the failed attempt leaves nothing");
        assert!(layout.workspace("one").exists());
    }
}
