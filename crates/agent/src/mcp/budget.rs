//! How often a server that fails is begun again. Pure.

use std::time::Duration;

/// One that was up so long has its whole budget again.
const STEADY: Duration = Duration::from_mins(5);
/// No wait is longer.
const LONGEST: Duration = Duration::from_mins(1);

/// What is left.
#[derive(Clone, Debug)]
pub struct Budget {
    most: u32,
    first: Duration,
    spent: u32,
}

impl Budget {
    /// So many restarts, the first of them after this wait.
    pub fn new(most: u32, first: Duration) -> Self {
        Self { most, first, spent: 0 }
    }

    /// It failed after it was up so long: how long to wait before it is begun again. None: it is given up.
    pub fn failed(&mut self, up_for: Duration) -> Option<Duration> {
        if up_for >= STEADY {
            self.spent = 0;
        }
        if self.spent >= self.most {
            return None;
        }
        let wait = self.first.saturating_mul(2_u32.saturating_pow(self.spent));
        self.spent += 1;
        Some(wait.min(LONGEST))
    }

    /// The whole again.
    pub fn refill(&mut self) {
        self.spent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_and_a_steady_one_begins_anew() {
        let mut budget = Budget::new(3, Duration::from_secs(20));
        let mut failed = |secs| budget.failed(Duration::from_secs(secs)).map(|wait| wait.as_secs());
        assert_eq!(
            [failed(0), failed(1), failed(299), failed(0)],
            [Some(20), Some(40), Some(60), None]
        );
        assert_eq!([failed(300), failed(0)], [Some(20), Some(40)]);
        budget.refill();
        assert_eq!(budget.failed(Duration::ZERO), Some(Duration::from_secs(20)));
        assert_eq!(Budget::new(0, Duration::ZERO).failed(STEADY), None);
    }
}
