//! When to look: once things are quiet, but not too late. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// So long nothing must have happened.
pub const QUIET: Duration = Duration::from_millis(100);
/// So long after the first change it is looked anyway.
pub const MOST: Duration = Duration::from_secs(1);
/// So long after something was moved away it may be told where to.
pub const JOIN: Duration = Duration::from_millis(50);

/// The changes since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace(Option<(Instant, Instant)>);

impl Pace {
    /// Something happened.
    pub fn note(&mut self, now: Instant) {
        self.0 = Some((self.0.map_or(now, |(first, _)| first), now));
    }

    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// When to look; `moving` says since when it is open where something was moved to.
    pub fn due(&self, moving: Option<Instant>) -> Option<Instant> {
        let (first, last) = self.0?;
        let due = (last + QUIET).min(first + MOST);
        let joined = moving.map_or(due, |since| since + JOIN);
        Some(due.max(joined.min(first + MOST + JOIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_quiet_a_second_at_most_and_a_little_for_the_other_half_of_a_move() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::default();
        assert_eq!(pace.due(None), None);
        pace.note(start);
        assert_eq!(pace.due(None), Some(after(100)));
        for millis in (50..=980).step_by(30) {
            pace.note(after(millis));
        }
        assert_eq!(pace.due(None), Some(after(1000)));
        assert_eq!(pace.due(Some(after(980))), Some(after(1030)));
        assert_eq!(pace.due(Some(after(1500))), Some(after(1050)));
        pace.clear();
        assert_eq!(pace.due(None), None);
    }
}
