//! From what is there now to what is told: renames joined, the rest in an order in which it can be done
//! again elsewhere.

use std::collections::HashMap;

use staithe_protocol::{files::EntryType, watch::ChangeOp};

use super::{
    hints::{AGENT, ARRIVED, CAME, LEFT},
    index::Known,
    look::Now,
    settle::Seen,
    tree::{Tree, known},
};

/// Names by what became of them.
#[derive(Default)]
struct Sorted {
    gone: Vec<Seen>,
    came: Vec<Seen>,
    /// Another thing has the name.
    replaced: Vec<Seen>,
    changed: Vec<Seen>,
}

/// Of one of the lists, and where in it.
type Place = (bool, usize);

impl Tree {
    /// Takes what was seen into the index, and tells of it.
    pub(super) fn apply(&mut self, seen: Vec<Seen>) {
        let mut sorted = self.sort(seen);
        self.rename(&mut sorted);
        for seen in sorted.gone {
            self.remove(&seen, true);
        }
        for seen in sorted.replaced {
            let Some(now) = &seen.now else { continue };
            let before = self.index.known(seen.folder, &seen.name).map(|known| known.kind);
            match before {
                Some(kind) if kind == now.kind && kind != EntryType::Dir => {
                    self.modify(&seen, now);
                    continue;
                }
                Some(_) => self.remove(&seen, true),
                None => {} // it was moved away
            }
            self.come(&seen, now);
        }
        for seen in sorted.came {
            if let Some(now) = &seen.now {
                self.come(&seen, now);
            }
        }
        for seen in sorted.changed {
            if let Some(now) = &seen.now {
                self.modify(&seen, now);
            }
        }
    }

    fn sort(&mut self, seen: Vec<Seen>) -> Sorted {
        let mut sorted = Sorted::default();
        for seen in seen {
            let before = self.index.known(seen.folder, &seen.name);
            match (before, &seen.now) {
                (None, None) => {
                    let came = seen.flags & (CAME | ARRIVED) != 0;
                    if came && !seen.hidden && self.may_have_been_seen() {
                        let path = self.index.path_of(seen.folder, &seen.name);
                        self.tale.gone(path, None, seen.flags & AGENT != 0);
                    }
                }
                (Some(_), None) if seen.hidden => self.remove(&seen, false),
                (Some(_), None) => sorted.gone.push(seen),
                (None, Some(_)) => sorted.came.push(seen),
                (Some(before), Some(now)) => {
                    let same = (before.kind, before.inode) == (now.kind, now.inode);
                    let unwatched = self.is_unwatched(before);
                    if !self.differs(&seen) {
                        if unwatched && let Some(id) = before.folder {
                            self.hints.whole(id, seen.flags & AGENT);
                        }
                    } else if !same || self.may_be_another(&seen) {
                        // A folder that went and came back may have been listed in between.
                        sorted.replaced.push(seen);
                    } else {
                        sorted.changed.push(seen);
                    }
                }
            }
        }
        sorted
    }

    /// A folder that could not be read when it was looked at.
    fn is_unwatched(&self, known: &Known) -> bool {
        let folder = known.folder.and_then(|id| self.index.folder(id));
        self.notify.is_some() && folder.is_some_and(|folder| folder.watch.is_none())
    }

    /// Finds what was moved, and tells of it as such where it can be done again one by one.
    fn rename(&mut self, sorted: &mut Sorted) {
        let mut left: HashMap<(u64, bool), Place> = HashMap::new();
        for (replaced, list) in [(false, &sorted.gone), (true, &sorted.replaced)] {
            for (at, seen) in list.iter().enumerate().filter(|(_, seen)| seen.flags & LEFT != 0) {
                if let Some(known) = self.index.known(seen.folder, &seen.name) {
                    left.insert((known.inode, known.kind == EntryType::Dir), (replaced, at));
                }
            }
        }
        let mut pairs: Vec<(Place, Place)> = Vec::new();
        for (replaced, list) in [(false, &sorted.came), (true, &sorted.replaced)] {
            for (at, seen) in list.iter().enumerate().filter(|(_, seen)| seen.flags & ARRIVED != 0)
            {
                let identity = seen.now.as_ref().map(|now| (now.inode, now.kind == EntryType::Dir));
                let from = identity.and_then(|identity| left.remove(&identity));
                // One that has its name again was nowhere else.
                if let Some(from) = from.filter(|from| !(replaced && *from == (true, at))) {
                    pairs.push((from, (replaced, at)));
                }
            }
        }
        let (mut moved_from, mut moved_to) = (Vec::new(), Vec::new());
        // Whose new name is nobody's old name goes first; in a circle nobody does.
        while let Some(next) =
            pairs.iter().position(|(_, to)| !(to.0 && pairs.iter().any(|(from, _)| from == to)))
        {
            let (from, to) = pairs.swap_remove(next);
            let source = if from.0 { &sorted.replaced[from.1] } else { &sorted.gone[from.1] };
            let target = if to.0 { &sorted.replaced[to.1] } else { &sorted.came[to.1] };
            if self.move_over(source, target) {
                moved_from.push(from);
                moved_to.push(to);
            }
        }
        retain(&mut sorted.gone, |at| !moved_from.contains(&(false, at)));
        retain(&mut sorted.came, |at| !moved_to.contains(&(false, at)));
        retain(&mut sorted.replaced, |at| !moved_to.contains(&(true, at)));
    }

    /// Moves one in the index. Not into itself, as it may look where much is moved at a time.
    fn move_over(&mut self, source: &Seen, target: &Seen) -> bool {
        let Some(now) = &target.now else { return false };
        let from = (source.folder, &*source.name);
        let to = (target.folder, &*target.name);
        let Some(folder) = self.index.known(from.0, from.1).map(|known| known.folder) else {
            return false;
        };
        if folder.is_some_and(|folder| self.index.is_within(to.0, folder)) {
            return false;
        }
        // Nor over a folder that it lies in.
        let over = self.index.known(to.0, to.1).and_then(|known| known.folder);
        if over.is_some_and(|over| self.index.is_within(from.0, over)) {
            return false;
        }
        let paths = (self.index.path_of(from.0, from.1), self.index.path_of(to.0, to.1));
        let freed = self.index.take(to.0, to.1);
        self.unwatch(freed);
        self.index.shift(from, to);
        self.index.put(to.0, to.1, Known { folder, ..known(now) }, now.device);
        let agent = (source.flags | target.flags) & AGENT != 0;
        self.tale.moved(paths.0, paths.1, now, agent);
        if let Some(folder) = folder.filter(|_| self.index.has_rules() || self.base.names_folders())
        {
            // Other rules may hold here, and patterns with folders in them mean others.
            self.look_beneath(folder);
        }
        true
    }

    fn remove(&mut self, seen: &Seen, tell: bool) {
        let Some(before) = self.index.known(seen.folder, &seen.name) else { return };
        if tell {
            let (kind, path) = (before.kind, self.index.path_of(seen.folder, &seen.name));
            self.tale.gone(path, Some(kind), seen.flags & AGENT != 0);
        }
        let freed = self.index.take(seen.folder, &seen.name);
        self.unwatch(freed);
    }

    fn come(&mut self, seen: &Seen, now: &Now) {
        if self.index.folder(seen.folder).is_none() {
            return;
        }
        if let Some(folder) = self.add(seen.folder, &seen.name, now, Some(seen.flags)) {
            self.scan(folder, true, seen.flags);
        }
    }

    fn modify(&mut self, seen: &Seen, now: &Now) {
        let Some(before) = self.index.known(seen.folder, &seen.name) else { return };
        let folder = before.folder;
        self.index.put(seen.folder, &seen.name, Known { folder, ..known(now) }, now.device);
        if let Some(folder) = folder {
            self.hints.whole(folder, seen.flags & AGENT); // it may be one that can be read now
        }
        let path = self.index.path_of(seen.folder, &seen.name);
        self.tale.is(ChangeOp::Modify, path, now, seen.flags & AGENT != 0);
    }
}

fn retain(list: &mut Vec<Seen>, keep: impl Fn(usize) -> bool) {
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        keep(at - 1)
    });
}
