//! The last changes, for all who watch: each has a cursor and pulls. Pure.

use std::{collections::VecDeque, rc::Rc};

use staithe_protocol::watch::{Change, MOST_IN_BATCH, MOST_KEPT};

/// The most bytes of paths and words that are kept.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// What a reader gets next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It has everything.
    Nothing,
    Batch {
        seq: u64,
        changes: Rc<[Change]>,
    },
    /// Something that it has not seen is gone: it must list again, and goes on from here.
    Resync {
        seq: u64,
    },
}

/// The ring of one epoch.
#[derive(Debug, Default)]
pub struct Ring {
    batches: VecDeque<Kept>,
    /// Of the newest batch.
    head: u64,
    changes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    changes: Rc<[Change]>,
    bytes: usize,
}

impl Ring {
    /// Of the newest batch; 0 before the first.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Adds changes, in their order, in batches.
    pub fn push(&mut self, changes: &[Change]) {
        for batch in changes.chunks(MOST_IN_BATCH) {
            self.add(batch.into());
        }
    }

    /// Adds a batch, which may be empty: a sign of life.
    pub fn add(&mut self, changes: Rc<[Change]>) {
        let bytes = changes.iter().map(size).sum();
        self.head += 1;
        self.changes += changes.len();
        self.bytes += bytes;
        self.batches.push_back(Kept { changes, bytes });
        while self.changes > MOST_KEPT || self.bytes > MOST_BYTES || self.batches.len() > MOST_KEPT
        {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.changes -= oldest.changes.len();
            self.bytes -= oldest.bytes;
        }
    }

    /// Changes were lost: all who read must list again.
    pub fn lose(&mut self) {
        *self = Self { head: self.head + 1, ..Self::default() };
    }

    /// What a reader that has everything up to `cursor` gets next.
    pub fn after(&self, cursor: u64) -> Next {
        if cursor == self.head {
            return Next::Nothing;
        }
        let oldest = self.head - self.batches.len() as u64; // the cursor that needs them all
        let at = cursor.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.batches.get(at)) {
            Some(kept) => Next::Batch { seq: cursor + 1, changes: Rc::clone(&kept.changes) },
            None => Next::Resync { seq: self.head },
        }
    }
}

fn size(change: &Change) -> usize {
    let texts = [&change.from, &change.version].into_iter().flatten().map(String::len);
    size_of::<Change>() + change.path.len() + change.origin.len() + texts.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use staithe_protocol::watch::ChangeOp;

    use super::*;

    fn change(n: usize) -> Change {
        Change {
            op: ChangeOp::Modify,
            path: n.to_string(),
            from: None,
            kind: None,
            version: None,
            size: None,
            mtime: None,
            mode: None,
            origin: String::new(),
            content: None,
        }
    }

    proptest! {
        /// The simpler model: every batch that ever was, and the number of the last loss.
        #[test]
        fn a_reader_gets_every_batch_in_order_or_is_told_to_list(
            steps in proptest::collection::vec((0..4_u8, 0..900_usize), 1..60),
        ) {
            let mut ring = Ring::default();
            let mut all: Vec<Vec<usize>> = Vec::new();
            let mut lost_at = 0;
            let mut count = 0;
            let mut cursors = [0_u64; 2];
            for (step, size) in steps {
                match step {
                    0 => {
                        ring.lose();
                        all.push(vec![]);
                        lost_at = all.len() as u64;
                    }
                    1 => {
                        let new: Vec<usize> = (count..count + size).collect();
                        count += size;
                        ring.push(&new.iter().map(|n| change(*n)).collect::<Vec<_>>());
                        all.extend(new.chunks(MOST_IN_BATCH).map(<[usize]>::to_vec));
                    }
                    reader => {
                        let cursor = &mut cursors[usize::from(reader) - 2];
                        match ring.after(*cursor) {
                            Next::Nothing => prop_assert_eq!(*cursor, all.len() as u64),
                            Next::Batch { seq, changes } => {
                                prop_assert_eq!(seq, *cursor + 1);
                                let paths: Vec<usize> =
                                    changes.iter().map(|c| c.path.parse().unwrap()).collect();
                                prop_assert_eq!(&paths, &all[usize::try_from(*cursor).unwrap()]);
                                *cursor = seq;
                            }
                            Next::Resync { seq } => {
                                let missing: usize =
                                    all[usize::try_from(*cursor).unwrap()..].iter().map(Vec::len).sum();
                                prop_assert!(*cursor < lost_at || missing > MOST_KEPT);
                                prop_assert_eq!(seq, all.len() as u64);
                                *cursor = seq;
                            }
                        }
                    }
                }
                let kept: usize = ring.batches.iter().map(|kept| kept.changes.len()).sum();
                prop_assert!(kept <= MOST_KEPT && kept == ring.changes);
            }
        }
    }

    #[test]
    fn a_cursor_from_the_future_lists_again() {
        let mut ring = Ring::default();
        ring.push(&[change(1)]);
        assert_eq!(ring.after(7), Next::Resync { seq: 1 });
    }
}
