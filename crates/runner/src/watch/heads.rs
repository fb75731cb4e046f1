//! Repositories' `HEAD`s, found by the folder that a repository is in and by the kernel's watch. Pure.

use std::collections::HashMap;

use super::index::FolderId;

/// The most repositories that are looked after; each has a watch of the kernel's beside those of folders.
const MOST: usize = 1024;

/// A repository's `HEAD`.
pub(super) struct Head {
    pub(super) watch: Option<i32>,
    pub(super) content: Option<u64>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Heads {
    heads: HashMap<FolderId, Head>,
    /// Of those that are watched.
    folders: HashMap<i32, FolderId>,
}

impl Heads {
    /// Whether this one may be looked after.
    pub(super) fn has_room(&self, id: FolderId) -> bool {
        self.heads.len() < MOST || self.heads.contains_key(&id)
    }

    /// Puts one in the place of what was known before, which is returned.
    pub(super) fn insert(&mut self, id: FolderId, head: Head) -> Option<Head> {
        let before = self.remove(id);
        if let Some(watch) = head.watch {
            self.folders.insert(watch, id);
        }
        self.heads.insert(id, head);
        before
    }

    pub(super) fn remove(&mut self, id: FolderId) -> Option<Head> {
        let head = self.heads.remove(&id)?;
        // A repository that was moved has the same watch where it is now.
        if let Some(watch) = head.watch
            && self.folders.get(&watch) == Some(&id)
        {
            self.folders.remove(&watch);
        }
        Some(head)
    }

    /// The folder of the repository that is watched so.
    pub(super) fn watched(&self, watch: i32) -> Option<FolderId> {
        self.folders.get(&watch).copied()
    }

    /// None is watched any more.
    pub(super) fn forget_watches(&mut self) {
        self.folders.clear();
        self.heads.values_mut().for_each(|head| head.watch = None);
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = FolderId> + '_ {
        self.heads.keys().copied()
    }

    /// Removes those that are wanted no more. Their watches.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(FolderId) -> bool) -> Vec<i32> {
        let gone: Vec<FolderId> = self.ids().filter(|id| !is_wanted(*id)).collect();
        gone.into_iter().filter_map(|id| self.remove(id)?.watch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(watch: i32, content: u64) -> Head {
        Head { watch: Some(watch), content: Some(content) }
    }

    #[test]
    fn a_repository_that_was_moved_is_found_where_it_is() {
        let mut heads = Heads::default();
        assert!(heads.insert(1, head(7, 1)).is_none());
        heads.insert(2, head(7, 1));
        assert_eq!(heads.remove(1).unwrap().content, Some(1));
        assert_eq!(heads.watched(7), Some(2));
        assert_eq!(heads.insert(2, head(8, 2)).unwrap().watch, Some(7));
        assert_eq!((heads.watched(7), heads.watched(8)), (None, Some(2)));
        heads.forget_watches();
        assert_eq!(heads.watched(8), None);
    }

    #[test]
    fn no_more_than_so_many_are_looked_after() {
        let mut heads = Heads::default();
        for (id, watch) in (0..).zip(0..i32::try_from(MOST).unwrap()) {
            assert!(heads.has_room(id));
            heads.insert(id, head(watch, 0));
        }
        assert!(heads.has_room(0) && !heads.has_room(FolderId::MAX));
        assert_eq!(heads.retain(|id| id != 3), [3]);
        assert!(heads.has_room(FolderId::MAX) && heads.watched(3).is_none());
    }
}
