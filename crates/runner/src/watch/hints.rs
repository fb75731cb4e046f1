//! What may have changed since it was last looked: names in folders, or whole folders when there are too
//! many. Pure.

use std::collections::BTreeMap;

use super::index::FolderId;

/// The most names that are remembered; beyond it, a folder is looked at whole.
const MOST_NAMES: usize = 4096;

/// Something came to this name by a move.
pub const ARRIVED: u8 = 1;
/// What was there was moved away, or removed.
pub const LEFT: u8 = 2;
/// Something came there.
pub const CAME: u8 = 4;
/// Content or attributes changed.
pub const CHANGED: u8 = 8;
/// It happened while the agent acted.
pub const AGENT: u8 = 16;

/// What is known of one folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    pub names: BTreeMap<Box<str>, u8>,
    /// Everything in it must be looked at.
    pub whole: bool,
    /// What was known of names is lost.
    pub lost: bool,
    /// For what the folder as a whole is looked at.
    pub flags: u8,
    /// How often it could not be looked at.
    pub tries: u8,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Hints {
    folders: BTreeMap<FolderId, Hint>,
    names: usize,
}

impl Hints {
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// A name in a folder may have changed.
    pub fn name(&mut self, folder: FolderId, name: &str, flags: u8) {
        let hint = self.folders.entry(folder).or_default();
        if let Some(known) = hint.names.get_mut(name) {
            *known |= flags;
        } else if hint.lost || self.names >= MOST_NAMES {
            self.names -= hint.names.len();
            hint.names.clear();
            (hint.whole, hint.lost) = (true, true);
            hint.flags |= flags & AGENT;
        } else {
            hint.names.insert(name.into(), flags);
            self.names += 1;
        }
    }

    /// Everything in a folder must be looked at.
    pub fn whole(&mut self, folder: FolderId, flags: u8) {
        let hint = self.folders.entry(folder).or_default();
        hint.whole = true;
        hint.flags |= flags;
    }

    /// Takes all.
    pub fn take(&mut self) -> BTreeMap<FolderId, Hint> {
        self.names = 0;
        std::mem::take(&mut self.folders)
    }

    /// Puts back what could not be looked at.
    pub fn put_back(&mut self, folder: FolderId, hint: Hint) {
        for (name, flags) in hint.names {
            self.name(folder, &name, flags);
        }
        let kept = self.folders.entry(folder).or_default();
        kept.whole |= hint.whole;
        kept.lost |= hint.lost;
        kept.flags |= hint.flags;
        kept.tries = hint.tries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_names_become_a_whole_folder() {
        let mut hints = Hints::default();
        for n in 0..MOST_NAMES {
            hints.name(1, &n.to_string(), CAME);
        }
        hints.name(2, "a", CAME | AGENT);
        hints.name(1, "new", CAME);
        hints.name(3, "b", CAME);
        let taken = hints.take();
        assert!(taken[&1].lost && taken[&1].names.is_empty());
        assert_eq!((taken[&2].whole, taken[&2].flags), (true, AGENT));
        assert_eq!(taken[&3].names["b"], CAME, "there is room again");
        assert!(hints.is_empty());
    }
}
