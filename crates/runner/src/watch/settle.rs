//! Finding out what became of everything that may have changed.

use std::{collections::BTreeMap, os::fd::OwnedFd, sync::atomic::Ordering};

use staithe_protocol::{
    files::EntryType,
    watch::{Change, WatchMode},
};

use super::{
    hints::{AGENT, Hint, LEFT},
    index::{FolderId, ROOT},
    look::{self, Now, Shut},
    tale::Tale,
    tree::Tree,
};

/// Looks at folders whose places depend on each other.
const MOST_ROUNDS: usize = 64;
/// A folder that can't be found so often is looked for in the one that it was in, and then let be.
const TRIES_HERE: u8 = 2;
const MOST_TRIES: u8 = 20;

/// What there is to tell.
#[derive(Debug)]
pub struct Settled {
    pub changes: Vec<Change>,
    /// Clients must list again.
    pub lost: bool,
    pub mode: WatchMode,
    pub limited: bool,
}

/// A name, and what is there now.
pub(super) struct Seen {
    pub folder: FolderId,
    pub name: Box<str>,
    pub flags: u8,
    pub now: Option<Now>,
    /// There is something, of which nothing is told.
    pub hidden: bool,
}

impl Tree {
    /// Everything is to be looked at: where the kernel does not tell, or lost what it had to tell.
    pub fn look_at_all(&mut self) {
        for id in self.index.folder_ids() {
            self.hints.whole(id, 0);
        }
        self.turned.extend(self.heads.ids());
    }

    /// Looks at all that may have changed since the last time.
    pub fn settle(&mut self) -> Settled {
        self.look.begin();
        let drained = self.drained;
        if std::mem::take(&mut self.overflowed) {
            self.tale.lose();
            self.look_at_all();
        }
        if std::mem::take(&mut self.root_gone) {
            self.tale.gone(String::new(), Some(EntryType::Dir), false);
        }
        for _ in 0..MOST_ROUNDS {
            let hints = self.hints.take();
            if hints.is_empty() || !self.round(hints) {
                break;
            }
        }
        self.turn();
        self.tell_rumours();
        if self.hints.is_empty() {
            self.seen = drained;
        }
        let Tale { changes, lost } = std::mem::take(&mut self.tale);
        Settled { changes, lost, mode: self.mode(), limited: self.limited }
    }

    /// Whether a list that nobody has told of may have seen what is gone again.
    pub(super) fn may_have_been_seen(&self) -> bool {
        self.lists.begun.load(Ordering::Acquire) != self.seen
    }

    /// Whether any folder could be looked at.
    fn round(&mut self, hints: BTreeMap<FolderId, Hint>) -> bool {
        let (mut seen, mut wholes, mut later) = (Vec::new(), Vec::new(), Vec::new());
        let mut looked = false;
        for (id, hint) in hints {
            match self.open(id) {
                Ok(_) if hint.whole => wholes.push((id, hint)),
                Ok(folder) => {
                    for (name, flags) in hint.names {
                        seen.push(self.see(id, &folder, name, flags));
                    }
                    looked = true;
                }
                Err(Shut::Elsewhere) => later.push((id, hint)),
                Err(Shut::Forbidden) => {} // told when it may be read again
            }
        }
        self.apply(seen);
        for (id, hint) in wholes {
            match self.open(id) {
                Ok(folder) => {
                    self.whole(id, &folder, &hint);
                    looked = true;
                }
                Err(_) => later.push((id, hint)),
            }
        }
        for (id, mut hint) in later {
            hint.tries += 1;
            if self.index.folder(id).is_none() || hint.tries > MOST_TRIES {
                continue;
            }
            if hint.tries >= TRIES_HERE
                && let Some((parent, name)) = self.index.slot(id)
            {
                self.hints.name(parent, &name, 0);
            }
            self.hints.put_back(id, hint);
        }
        looked
    }

    /// Looks at everything in a folder.
    fn whole(&mut self, id: FolderId, folder: &OwnedFd, hint: &Hint) {
        if self.index.folder(id).is_some_and(|folder| folder.watch.is_none()) {
            self.watch(id, folder);
        }
        if self.read_rules(id, folder) {
            self.look_beneath(id);
        }
        let mut names: BTreeMap<Box<str>, u8> =
            look::names(folder).into_iter().map(|name| (name.into(), hint.flags)).collect();
        if let Some(known) = self.index.folder(id) {
            names.extend(known.entries.keys().map(|name| (name.clone(), hint.flags)));
        }
        for (name, flags) in &hint.names {
            *names.entry(name.clone()).or_default() |= flags;
        }
        // In parts: a folder may be large.
        let mut names = names.into_iter();
        loop {
            let part: Vec<Seen> = names
                .by_ref()
                .take(1024)
                .map(|(name, flags)| self.see(id, folder, name, flags | hint.flags))
                .collect();
            if part.is_empty() {
                break;
            }
            self.apply(part);
        }
        if hint.lost && self.may_have_been_seen() {
            self.tale.lose();
        }
    }

    /// Looks at a name.
    fn see(&mut self, id: FolderId, folder: &OwnedFd, name: Box<str>, flags: u8) -> Seen {
        let now = self.look.at(folder, &name);
        let hidden = now.as_ref().is_some_and(|now| self.is_ignored(id, &name, now));
        if &*name == ".git" && (hidden || now.is_none()) {
            self.repository(id, folder, &name);
        }
        if &*name == ".gitignore" && self.read_rules(id, folder) {
            self.look_beneath(id);
        }
        let mut seen = Seen { folder: id, name, flags, now: now.filter(|_| !hidden), hidden };
        if !self.tale.lost
            && self.differs(&seen)
            && let Some(now) = seen.now.as_mut().filter(|now| now.kind != EntryType::Dir)
        {
            now.version = self.look.version(folder, &seen.name, now);
        }
        seen
    }

    /// Whether there is something to tell of what is at a name.
    pub(super) fn differs(&self, seen: &Seen) -> bool {
        let Some(now) = &seen.now else { return true };
        let Some(known) = self.index.known(seen.folder, &seen.name) else { return true };
        let is_folder = now.kind == EntryType::Dir;
        let hinted = seen.flags & !AGENT != 0 && !is_folder;
        (known.kind, known.inode) != (now.kind, now.inode)
            || known.mark != now.mark
            || (known.fresh && (hinted || (self.notify.is_none() && !is_folder)))
            || self.may_be_another(seen)
    }

    /// Whether a folder went and came back, and may have been listed in between: then it is told anew.
    pub(super) fn may_be_another(&self, seen: &Seen) -> bool {
        let is_folder = seen.now.as_ref().is_some_and(|now| now.kind == EntryType::Dir);
        is_folder && seen.flags & LEFT != 0 && self.may_have_been_seen()
    }

    /// Other rules hold in a folder and all beneath.
    pub(super) fn look_beneath(&mut self, id: FolderId) {
        for beneath in self.index.beneath(id) {
            self.hints.whole(beneath, 0);
        }
    }

    /// Tells which repositories have another `HEAD`.
    fn turn(&mut self) {
        let turned = std::mem::take(&mut self.turned);
        for id in turned {
            if let Ok(folder) = self.open(id) {
                self.repository(id, &folder, ".git");
            }
        }
        let index = &self.index;
        let gone = self.heads.retain(|id| id == ROOT || index.folder(id).is_some());
        self.unwatch(gone);
    }
}
