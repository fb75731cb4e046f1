//! How often a session tells of progress, each time by an event that is kept. Pure.
//!
//! A new step is told at once, unless something was told a moment ago; new lines alone are told now and
//! then; time that passed is nothing to tell. What is held back is told when its time has come, so the
//! newest state is never lost.

use std::time::Duration;

use staithe_protocol::Progress;
use tokio::time::Instant;

/// Between two events at least.
pub const STEP_PAUSE: Duration = Duration::from_millis(250);
/// The same, when no more than the printed lines are new.
pub const LINES_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    told: Option<(Progress, Instant)>,
    held: Option<Progress>,
}

/// What is new since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum New {
    Step,
    Lines,
    Nothing,
}

impl Pace {
    /// Something goes on.
    pub fn note(&mut self, progress: Progress) {
        self.held = (self.news(&progress) != New::Nothing).then_some(progress);
    }

    /// What is to be told now.
    pub fn take(&mut self, now: Instant) -> Option<Progress> {
        if self.told.is_some() && self.due().is_none_or(|due| now < due) {
            return None;
        }
        self.rest(now)
    }

    /// What is held back, whenever it would be due: nothing comes after it.
    pub fn rest(&mut self, now: Instant) -> Option<Progress> {
        let progress = self.held.take()?;
        self.told = Some((progress.clone(), now));
        Some(progress)
    }

    /// When there is something to tell; none while nothing is held back, or before the first time.
    pub fn due(&self) -> Option<Instant> {
        let ((_, at), held) = (self.told.as_ref()?, self.held.as_ref()?);
        let pause = if self.news(held) == New::Lines { LINES_PAUSE } else { STEP_PAUSE };
        Some(*at + pause)
    }

    fn news(&self, progress: &Progress) -> New {
        let Some((told, _)) = &self.told else { return New::Step };
        let step = |it: &Progress| (it.image.clone(), it.number, it.of, it.text.clone());
        if step(told) != step(progress) {
            New::Step
        } else if told.lines != progress.lines {
            New::Lines
        } else {
            New::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn progress(number: u32, line: u32, seconds: u64) -> Progress {
        Progress {
            image: "i".into(),
            number,
            of: 9,
            text: format!("step {number}"),
            lines: vec![format!("line {line}")],
            seconds,
        }
    }

    /// What was told, by millisecond, when this is what goes on, by millisecond.
    fn told(news: &[(u64, Progress)], until: u64) -> Vec<(u64, Progress)> {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut told = Vec::new();
        for ms in 0..=until {
            for (_, progress) in news.iter().filter(|(at, _)| *at == ms) {
                pace.note(progress.clone());
            }
            let now = start + Duration::from_millis(ms);
            told.extend(pace.take(now).map(|progress| (ms, progress)));
        }
        told
    }

    #[test]
    fn a_step_is_told_at_once_and_lines_now_and_then_and_time_never() {
        let news = [
            (0, progress(1, 1, 0)),
            (100, progress(2, 1, 0)),
            (1_000, progress(2, 1, 1)),
            (1_100, progress(2, 2, 1)),
            (1_200, progress(2, 3, 1)),
            (4_000, progress(2, 4, 4)),
            (4_010, progress(3, 4, 4)),
            (9_000, progress(3, 4, 9)),
        ];
        let told: Vec<_> = told(&news, 20_000)
            .into_iter()
            .map(|(ms, it)| (ms, it.number, it.lines[0].clone()))
            .collect();
        let line = |n: u32| format!("line {n}");
        let expected = [
            (0, 1, line(1)),
            (250, 2, line(1)),
            (2_250, 2, line(3)),
            // New lines were not due before 4.25 s; the step that came meanwhile took them along.
            (4_010, 3, line(4)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_went_back_to_what_was_told_is_not_told_again() {
        let news = [(0, progress(1, 1, 0)), (10, progress(2, 1, 0)), (20, progress(1, 1, 0))];
        assert_eq!(told(&news, 5_000).len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_goes_on_the_events_are_bounded_and_the_last_state_is_told(
            news in proptest::collection::vec((0_u64..5_000, 0_u32..4, 0_u32..4), 1..80)
        ) {
            let mut news: Vec<_> =
                news.into_iter().map(|(at, n, line)| (at, progress(n, line, at / 1000))).collect();
            news.sort_by_key(|(at, _)| *at);
            let until = 5_000 + 2_000;
            let told = told(&news, until);
            for pair in told.windows(2) {
                let ((before, old), (after, new)) = (&pair[0], &pair[1]);
                let least = if old.number == new.number { 2_000 } else { 250 };
                prop_assert!(after - before >= least);
                prop_assert!(old.number != new.number || old.lines != new.lines);
            }
            let (last, newest) = (&told.last().expect("one").1, &news.last().expect("one").1);
            prop_assert_eq!((last.number, &last.lines), (newest.number, &newest.lines));
            prop_assert_eq!(told[0].0, news[0].0, "the first one is told at once");
        }
    }
}
