//! What clients were told of the workspace: every folder, and what is in it. Pure.
//!
//! A change is the difference between this and what is there now, so that a file which came and changed
//! is one that came, and one which came and went is nothing. A folder that moves takes its place in the
//! index with all that is in it, and its watch, which belongs to the folder and not to its path.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use staithe_protocol::files::EntryType;

use super::rules::Rules;

/// A folder; never used twice.
pub type FolderId = u32;
/// The workspace.
pub const ROOT: FolderId = 0;

/// One thing in a folder, as it was last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub kind: EntryType,
    pub inode: u64,
    /// Of size, times and mode: another one, and it has changed.
    pub mark: u64,
    /// It was looked at so soon after its last change that the next one may leave no other mark.
    pub fresh: bool,
    /// Of a folder that is known.
    pub folder: Option<FolderId>,
}

/// A folder.
#[derive(Debug, Default)]
pub struct Folder {
    parent: FolderId,
    name: Box<str>,
    /// Device and inode.
    pub identity: (u64, u64),
    pub watch: Option<i32>,
    pub entries: BTreeMap<Box<str>, Known>,
    /// Of its own `.gitignore`.
    pub rules: Option<Arc<Rules>>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Index {
    folders: HashMap<FolderId, Folder>,
    watches: HashMap<i32, FolderId>,
    next: FolderId,
    entries: usize,
    with_rules: usize,
}

impl Index {
    /// With the workspace alone.
    pub fn new(identity: (u64, u64)) -> Self {
        let mut index = Self { next: 1, ..Self::default() };
        index.folders.insert(ROOT, Folder { identity, ..Folder::default() });
        index
    }

    pub fn folder(&self, id: FolderId) -> Option<&Folder> {
        self.folders.get(&id)
    }

    pub fn folder_ids(&self) -> Vec<FolderId> {
        self.folders.keys().copied().collect()
    }

    /// Files and folders in all.
    pub fn entries(&self) -> usize {
        self.entries
    }

    pub fn known(&self, folder: FolderId, name: &str) -> Option<&Known> {
        self.folders.get(&folder)?.entries.get(name)
    }

    /// Whose watch this is.
    pub fn watched(&self, watch: i32) -> Option<FolderId> {
        self.watches.get(&watch).copied()
    }

    pub fn watches(&self) -> usize {
        self.watches.len()
    }

    /// Gives a folder its watch; a folder that had it, as the same one at another place, has none then,
    /// and is answered.
    pub fn set_watch(&mut self, id: FolderId, watch: i32) -> Option<FolderId> {
        let before = self.watches.insert(watch, id).filter(|before| *before != id);
        if let Some(other) = before.and_then(|before| self.folders.get_mut(&before)) {
            other.watch = None;
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.watch = Some(watch);
        }
        before
    }

    /// The kernel has let a watch go.
    pub fn forget_watch(&mut self, watch: i32) -> Option<FolderId> {
        let id = self.watches.remove(&watch)?;
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.watch = None;
        }
        Some(id)
    }

    /// No folder has a watch any more.
    pub fn forget_watches(&mut self) {
        self.watches = HashMap::new();
        for folder in self.folders.values_mut() {
            folder.watch = None;
        }
    }

    pub fn set_rules(&mut self, id: FolderId, rules: Option<Arc<Rules>>) {
        if let Some(folder) = self.folders.get_mut(&id) {
            self.with_rules += usize::from(rules.is_some());
            self.with_rules -= usize::from(folder.rules.is_some());
            folder.rules = rules;
        }
    }

    /// Whether any folder has rules of its own.
    pub fn has_rules(&self) -> bool {
        self.with_rules > 0
    }

    /// A folder's path, relative to the workspace; empty for the workspace.
    pub fn path(&self, id: FolderId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(folder) = self.folders.get(&at) else { break };
            names.push(&*folder.name);
            at = folder.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// The path of a name in a folder.
    pub fn path_of(&self, id: FolderId, name: &str) -> String {
        let folder = self.path(id);
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    }

    /// The slot that a folder lies in.
    pub fn slot(&self, id: FolderId) -> Option<(FolderId, Box<str>)> {
        let folder = self.folders.get(&id).filter(|_| id != ROOT)?;
        Some((folder.parent, folder.name.clone()))
    }

    /// Whether a name in a folder is one that nothing is told of.
    pub fn is_ignored(&self, base: &Rules, id: FolderId, name: &str, is_folder: bool) -> bool {
        let mut path = name.to_owned();
        let mut at = id;
        loop {
            let Some(folder) = self.folders.get(&at) else { return true };
            let verdict = folder.rules.as_ref().and_then(|rules| rules.verdict(&path, is_folder));
            if let Some(ignored) = verdict {
                return ignored || base.verdict(&self.path_of(id, name), is_folder) == Some(true);
            }
            if at == ROOT {
                return base.verdict(&path, is_folder) == Some(true);
            }
            path = format!("{}/{path}", folder.name);
            at = folder.parent;
        }
    }

    /// Notes what is at a name, in place of a file that was there. A folder without an id gets one.
    pub fn put(
        &mut self,
        id: FolderId,
        name: &str,
        mut known: Known,
        device: u64,
    ) -> Option<FolderId> {
        if known.kind == EntryType::Dir && known.folder.is_none() {
            let new = Folder {
                parent: id,
                name: name.into(),
                identity: (device, known.inode),
                ..Folder::default()
            };
            known.folder = Some(self.next);
            self.folders.insert(self.next, new);
            self.next += 1;
        }
        let made = known.folder;
        let folder = self.folders.get_mut(&id)?;
        if folder.entries.insert(name.into(), known).is_none() {
            self.entries += 1;
        }
        made
    }

    /// Takes a name out, with all beneath it. The watches that nobody has any more.
    pub fn take(&mut self, id: FolderId, name: &str) -> Vec<i32> {
        let mut freed = Vec::new();
        let known = self.folders.get_mut(&id).and_then(|folder| folder.entries.remove(name));
        let Some(known) = known else { return freed };
        self.entries -= 1;
        let mut left: Vec<FolderId> = known.folder.into_iter().collect();
        while let Some(id) = left.pop() {
            self.set_rules(id, None);
            let Some(folder) = self.folders.remove(&id) else { continue };
            if let Some(watch) = folder.watch {
                self.watches.remove(&watch);
                freed.push(watch);
            }
            self.entries -= folder.entries.len();
            left.extend(folder.entries.values().filter_map(|known| known.folder));
        }
        freed
    }

    /// Whether one folder is another, or lies in it.
    pub fn is_within(&self, id: FolderId, other: FolderId) -> bool {
        let mut at = id;
        loop {
            if at == other {
                return true;
            }
            if at == ROOT {
                return false;
            }
            let Some(folder) = self.folders.get(&at) else { return false };
            at = folder.parent;
        }
    }

    /// Moves a name to a free one, with all beneath it.
    pub fn shift(&mut self, from: (FolderId, &str), to: (FolderId, &str)) {
        let known = self.folders.get_mut(&from.0).and_then(|f| f.entries.remove(from.1));
        let Some(known) = known else { return };
        if let Some(folder) = known.folder.and_then(|id| self.folders.get_mut(&id)) {
            folder.parent = to.0;
            folder.name = to.1.into();
        }
        match self.folders.get_mut(&to.0) {
            Some(folder) => drop(folder.entries.insert(to.1.into(), known)),
            None => self.entries -= 1,
        }
    }

    /// All folders that lie in one, and itself.
    pub fn beneath(&self, id: FolderId) -> Vec<FolderId> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(folder) = all.get(at) {
            at += 1;
            if let Some(folder) = self.folders.get(folder) {
                all.extend(folder.entries.values().filter_map(|known| known.folder));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
