//! Where the kernel tells nothing, a list may see what comes and goes between two looks: whoever made it
//! must be told that it is gone, and of what was away just then.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use staithe_protocol::{files::FileDone, watch::WatchMode};

use super::{
    Watch,
    index::{FolderId, ROOT},
    tree::Tree,
};

/// The most names that are remembered between two looks.
const MOST: usize = 50_000;

/// What lists saw: names by their folders.
#[derive(Debug, Default)]
pub struct Listed {
    folders: Vec<(String, BTreeSet<String>)>,
    names: usize,
    /// More than is remembered.
    too_many: bool,
}

impl Listed {
    fn add(&mut self, done: &FileDone) {
        let Some(entries) = &done.entries else { return };
        let mut folders = BTreeMap::from([(done.path.clone(), BTreeSet::new())]);
        for entry in entries {
            let (folder, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
        self.names += entries.len() + folders.len();
        self.too_many |= self.names > MOST || done.truncated == Some(true);
        if self.too_many {
            self.folders.clear();
        } else {
            self.folders.extend(folders);
        }
    }
}

impl Watch {
    /// A list was made.
    pub fn listed(self: &Rc<Self>, done: &FileDone) {
        let polls = self.state.borrow().as_ref().is_some_and(|state| state.mode == WatchMode::Poll);
        if polls {
            self.listed.borrow_mut().add(done);
        }
    }

    /// What was listed since the last time.
    pub(super) fn take_listed(&self) -> Listed {
        self.listed.take()
    }
}

impl Tree {
    /// Takes what lists saw: what they missed is told anew, and what only they saw is to be told of.
    pub fn take_listed(&mut self, listed: Listed) {
        if listed.too_many {
            self.tale.lose();
        }
        for (path, names) in listed.folders {
            let id = self.find(&path);
            let known = id.and_then(|id| self.index.folder(id));
            let known: BTreeSet<String> =
                known.iter().flat_map(|f| f.entries.keys()).map(ToString::to_string).collect();
            for missed in known.difference(&names) {
                if let Some(id) = id {
                    // Others have it; if it is still there, it comes again.
                    self.tale.gone(self.index.path_of(id, missed), None, false);
                    let freed = self.index.take(id, missed);
                    self.unwatch(freed);
                }
            }
            for new in names.difference(&known) {
                let path = if path.is_empty() { new.clone() } else { format!("{path}/{new}") };
                self.rumours.push(path);
            }
        }
    }

    /// Tells of what is gone again, or never was when it was looked.
    pub(super) fn tell_rumours(&mut self) {
        for path in std::mem::take(&mut self.rumours) {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let known = self.find(folder).and_then(|id| self.index.known(id, name));
            if known.is_none() && self.look.is_absent(&path) {
                self.tale.gone(path, None, false);
            }
        }
    }

    fn find(&self, path: &str) -> Option<FolderId> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(ROOT, |at, name| self.index.known(at, name)?.folder)
    }
}
