//! Actions that became durable, in the order in which they were handed to the log. Pure.
//!
//! The answers of a mailbox come back in any order; what is done with them may not.

use std::collections::BTreeMap;

/// A place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(u64);

/// Holds back what comes early.
#[derive(Debug)]
pub struct Turns<T> {
    next: u64,
    /// The first that has not settled.
    first: u64,
    early: BTreeMap<u64, Option<T>>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { next: 0, first: 0, early: BTreeMap::new() }
    }
}

impl<T> Turns<T> {
    /// The next place.
    pub fn take(&mut self) -> Turn {
        let turn = Turn(self.next);
        self.next += 1;
        turn
    }

    /// A place settled, with something to act on or with nothing. Returns what may be acted on now.
    pub fn settle(&mut self, Turn(turn): Turn, outcome: Option<T>) -> Vec<T> {
        self.early.insert(turn, outcome);
        let mut due = Vec::new();
        while let Some(outcome) = self.early.remove(&self.first) {
            self.first += 1;
            due.extend(outcome);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_the_order_of_answers_actions_keep_theirs(
            order in Just((0..30_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut turns = Turns::default();
            let places: Vec<_> = (0..30).map(|_| turns.take()).collect();
            let mut acted = Vec::new();
            for answer in order {
                let outcome = (answer % 5 != 0).then_some(answer); // some come to nothing
                acted.extend(turns.settle(places[usize::try_from(answer).unwrap_or(0)], outcome));
            }
            prop_assert_eq!(acted, (0..30).filter(|n| n % 5 != 0).collect::<Vec<_>>());
        }
    }
}
