//! The watched workspace: what was told of it, the kernel's watches and its hints. What blocks is called
//! from threads for that; the tree goes there and comes back.

use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{fs::inotify::ReadFlags, io::Errno};
use staithe_protocol::{
    files::EntryType,
    watch::{ChangeOp, WatchMode, WatchSettings},
};
use tokio::time::Instant;

use super::{
    heads::{Head, Heads},
    hints::{AGENT, ARRIVED, CAME, CHANGED, Hints, LEFT},
    index::{FolderId, Index, Known, ROOT},
    look::{self, Look, Now, Shut},
    notify::Notify,
    rules::Rules,
    tale::Tale,
};

/// Events that are read at a time.
const MOST_EVENTS: usize = 4096;
/// While new folders are read, the kernel's queue is emptied after so many.
const SOME_FOLDERS: usize = 16;

/// Lists that clients made: what one saw and nobody told must be told as gone.
#[derive(Debug, Default)]
pub struct Lists {
    pub begun: AtomicU64,
    pub ended: AtomicU64,
}

/// See the module.
pub struct Tree {
    pub(super) look: Look,
    pub(super) index: Index,
    pub(super) notify: Option<Notify>,
    pub(super) base: Rules,
    pub(super) settings: WatchSettings,
    pub(super) hints: Hints,
    pub(super) tale: Tale,
    pub(super) heads: Heads,
    pub(super) lists: Arc<Lists>,
    /// Lists that had ended when the kernel's queue was emptied for the last time but one: what they saw
    /// has been told.
    pub(super) seen: u64,
    /// Lists that had ended when it was emptied for the last time.
    pub(super) drained: u64,
    /// Repositories whose `HEAD` may have changed.
    pub(super) turned: HashSet<FolderId>,
    /// The kernel lost events.
    pub(super) overflowed: bool,
    pub(super) root_gone: bool,
    pub(super) limited: bool,
    /// Paths that only a list has seen.
    pub(super) rumours: Vec<String>,
    /// A folder or file was moved away, and it is not known yet where to.
    moving: Option<(u32, Instant)>,
}

impl Tree {
    /// Begins to watch; all that is there counts as told.
    pub fn begin(root: OwnedFd, settings: WatchSettings, lists: Arc<Lists>) -> Result<Self, Errno> {
        let look = Look::new(root);
        let identity = look.identity()?;
        let notify = if look.is_seen() { Notify::open().ok() } else { None };
        let mut tree = Self {
            base: Rules::parse(settings.ignore.iter().map(String::as_str)),
            index: Index::new(identity),
            look,
            notify,
            settings,
            hints: Hints::default(),
            tale: Tale::default(),
            heads: Heads::default(),
            seen: 0,
            drained: 0,
            lists,
            turned: HashSet::new(),
            overflowed: false,
            root_gone: false,
            limited: false,
            rumours: Vec::new(),
            moving: None,
        };
        // Nothing would ever be told of one that can't be read.
        tree.open(ROOT).map_err(|_| Errno::ACCESS)?;
        tree.scan(ROOT, false, 0);
        tree.tale = Tale::default(); // nobody was told anything yet
        Ok(tree)
    }

    pub fn mode(&self) -> WatchMode {
        if self.notify.is_some() { WatchMode::Inotify } else { WatchMode::Poll }
    }

    /// More is there than is known.
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// Whether anything is to be looked at.
    pub fn has_hints(&self) -> bool {
        !self.hints.is_empty() || !self.turned.is_empty() || self.overflowed || self.root_gone
    }

    /// Since when it is open where something was moved to.
    pub fn moving_since(&self) -> Option<Instant> {
        self.moving.map(|(_, since)| since)
    }

    /// What becomes readable when something happens.
    pub fn fd(&self) -> Option<Arc<OwnedFd>> {
        self.notify.as_ref().map(Notify::fd)
    }

    /// Takes what the kernel has to tell. How many events there were, and whether there may be more.
    pub fn drain(&mut self, agent: bool) -> (usize, bool) {
        let Some(notify) = self.notify.take() else { return (0, false) };
        let ended = self.lists.ended.load(Ordering::Acquire);
        let agent = if agent { AGENT } else { 0 };
        let mut count = 0;
        let more = notify.read(MOST_EVENTS, |told| {
            count += 1;
            self.take(told.watch, told.what, told.cookie, told.name, agent);
        });
        let Ok(more) = more else {
            self.index.forget_watches(); // looking takes its place
            self.tale.lose();
            return (count, false);
        };
        self.notify = Some(notify);
        if !more {
            self.drained = ended;
        }
        if !more && !self.has_hints() {
            self.seen = self.drained;
        }
        (count, more)
    }

    fn take(&mut self, watch: i32, what: ReadFlags, cookie: u32, name: Option<&str>, agent: u8) {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.overflowed = true;
            return;
        }
        if let Some(id) = self.heads.watched(watch) {
            if what.contains(ReadFlags::IGNORED) {
                self.heads.remove(id);
            } else if name == Some("HEAD") {
                self.turned.insert(id);
            }
            return;
        }
        if what.contains(ReadFlags::IGNORED) {
            self.index.forget_watch(watch);
            return;
        }
        let Some(folder) = self.index.watched(watch) else { return };
        let Some(name) = name else {
            let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT;
            self.root_gone |= folder == ROOT && what.intersects(gone);
            return;
        };
        if what.contains(ReadFlags::MOVED_FROM) {
            self.moving = Some((cookie, Instant::now()));
        } else if what.contains(ReadFlags::MOVED_TO) {
            self.moving = self.moving.filter(|(moved, _)| *moved != cookie);
        }
        if !look::is_told(name) {
            return;
        }
        let flags = [
            (ReadFlags::MOVED_TO, ARRIVED | CAME),
            (ReadFlags::CREATE, CAME),
            (ReadFlags::MOVED_FROM | ReadFlags::DELETE, LEFT),
            (ReadFlags::CLOSE_WRITE | ReadFlags::ATTRIB, CHANGED),
        ];
        let flags = flags.iter().filter(|(kind, _)| what.intersects(*kind));
        self.hints.name(folder, name, flags.fold(agent, |all, (_, flag)| all | flag));
    }

    /// A folder is wanted no more: neither are those watches.
    pub(super) fn unwatch(&mut self, watches: Vec<i32>) {
        if let Some(notify) = &self.notify {
            for watch in watches {
                notify.forget(watch);
            }
        }
    }

    /// Watches a folder that is open. Where that can't be, everything is looked at instead.
    pub(super) fn watch(&mut self, id: FolderId, folder: &OwnedFd) {
        let Some(notify) = &self.notify else { return };
        let most = usize::try_from(self.settings.max_folders).unwrap_or(usize::MAX);
        let watch = if most > 0 && self.index.watches() >= most {
            Err(Errno::NOSPC)
        } else {
            notify.folder(folder, id == ROOT)
        };
        match watch {
            Ok(watch) => {
                // The same folder was somewhere else: there it is no more.
                let other = self.index.set_watch(id, watch);
                if let Some((parent, name)) = other.and_then(|other| self.index.slot(other)) {
                    self.hints.name(parent, &name, 0);
                }
            }
            Err(Errno::ACCESS | Errno::PERM) => {}
            Err(_) => {
                self.notify = None; // with what it had to tell
                self.tale.lose();
                self.index.forget_watches();
                self.heads.forget_watches();
            }
        }
    }

    /// Reads the rules of a folder. Whether they are others than before.
    pub(super) fn read_rules(&mut self, id: FolderId, folder: &OwnedFd) -> bool {
        let text = if self.settings.gitignore { look::rules(folder) } else { None };
        let rules = text.map(|text| Rules::parse(text.lines()));
        let rules = rules.filter(|rules| !rules.is_empty()).map(Arc::new);
        let before = self.index.folder(id).and_then(|folder| folder.rules.clone());
        let differs = before != rules;
        if differs {
            self.index.set_rules(id, rules);
        }
        differs
    }

    pub(super) fn is_ignored(&self, id: FolderId, name: &str, now: &Now) -> bool {
        self.index.is_ignored(&self.base, id, name, now.kind == EntryType::Dir)
    }

    pub(super) fn open(&self, id: FolderId) -> Result<OwnedFd, Shut> {
        let identity = self.index.folder(id).ok_or(Shut::Elsewhere)?.identity;
        self.look.open(&self.index.path(id), identity)
    }

    /// Notes what is at a name, and tells of it if wanted. The folder that it is.
    pub(super) fn add(
        &mut self,
        id: FolderId,
        name: &str,
        now: &Now,
        tell: Option<u8>,
    ) -> Option<FolderId> {
        if let Some(flags) = tell {
            let path = self.index.path_of(id, name);
            self.tale.is(ChangeOp::Create, path, now, flags & AGENT != 0);
        }
        let most = usize::try_from(self.settings.max_entries).unwrap_or(usize::MAX);
        if self.index.entries() >= most {
            self.limited = true;
            return None;
        }
        self.index.put(id, name, known(now), now.device)
    }

    /// Reads a new folder with all in it: each is watched first and read then, so that nothing is missed.
    pub(super) fn scan(&mut self, start: FolderId, tell: bool, flags: u8) {
        let mut left = vec![start];
        let mut read = 0;
        while let Some(id) = left.pop() {
            // One that is gone again is hinted at in the folder that it was in.
            let Ok(folder) = self.open(id) else { continue };
            self.watch(id, &folder);
            self.read_rules(id, &folder);
            for name in look::names(&folder) {
                let Some(mut now) = self.look.at(&folder, &name) else { continue };
                if self.is_ignored(id, &name, &now) {
                    self.repository(id, &folder, &name);
                    continue;
                }
                if tell && now.kind != EntryType::Dir && !self.tale.lost {
                    now.version = self.look.version(&folder, &name, &now);
                }
                left.extend(self.add(id, &name, &now, tell.then_some(flags)));
            }
            read += 1;
            if read % SOME_FOLDERS == 0 {
                self.drain(flags & AGENT != 0);
            }
        }
    }

    /// Looks after the `HEAD` of a repository, if this is the name of one.
    pub(super) fn repository(&mut self, id: FolderId, folder: &OwnedFd, name: &str) {
        if name != ".git" {
            return;
        }
        let Some(repository) = look::open_folder(folder, name) else {
            self.heads.remove(id);
            return;
        };
        if !self.heads.has_room(id) {
            self.limited = true;
            return;
        }
        let watch = self.notify.as_ref().and_then(|notify| notify.repository(&repository).ok());
        let content = look::head(&repository);
        let before = self.heads.insert(id, Head { watch, content });
        if before.is_some_and(|before| before.content != content) {
            self.tale.branch(self.index.path_of(id, ".git/HEAD"));
        }
    }
}

/// What is remembered of it.
pub(super) fn known(now: &Now) -> Known {
    Known { kind: now.kind, inode: now.inode, mark: now.mark, fresh: now.fresh, folder: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_read_is_not_watched() {
        let (lists, settings) = (Arc::default(), WatchSettings::default());
        let root = tempfile::tempfile().unwrap().into();
        assert!(Tree::begin(root, settings, lists).is_err());
    }

    #[test]
    fn a_list_counts_as_told_only_once_all_was_read_that_came_before_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(dir.path()).unwrap().into();
        let lists = Arc::new(Lists::default());
        let mut tree = Tree::begin(root, WatchSettings::default(), Arc::clone(&lists)).unwrap();
        for number in 0..=MOST_EVENTS {
            std::fs::write(dir.path().join(number.to_string()), "").unwrap();
        }
        lists.ended.store(1, Ordering::Release);
        let (count, more) = tree.drain(false);
        assert!(more && count >= MOST_EVENTS && tree.drained == 0, "{count}");
        while tree.drain(false).1 {}
        assert_eq!(tree.drained, 1);
    }
}
