//! What a plugin does next, by what happened to it and when. Pure.
//!
//! ```text
//! resting --start--> beginning --answered--> serving --broke--> pausing --rested--> beginning
//! beginning --overran | broke for good--> resting (failed)      any --stop--> resting (stopped)
//! beginning | serving --broke, and the budget is spent--> resting (failed)
//! ```

use std::time::Duration;

use staithe_protocol::plugin::PluginPhase;

/// A plugin that ends by itself is begun again after these pauses, the first after the first; then no more.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];
/// What happened longer ago does not count.
const WINDOW: Duration = Duration::from_mins(5);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Somebody wants it to run.
    Start,
    /// Somebody wants it to end.
    Stop,
    /// Somebody wants it to begin anew.
    Restart,
    /// It answers.
    Answered,
    /// It ended or does not answer any more; `lasting`: trying again changes nothing.
    Broke { lasting: bool },
    /// It did not answer in time.
    Overran,
    /// The pause is over.
    Rested,
}

/// What is done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Begin,
    Serve,
    Pause(Duration),
    Rest,
}

/// One plugin's course.
#[derive(Debug)]
pub struct Course {
    now: Next,
    phase: PluginPhase,
    /// When it broke, since the start of the program.
    broke: Vec<Duration>,
}

impl Default for Course {
    fn default() -> Self {
        Self { now: Next::Rest, phase: PluginPhase::Stopped, broke: Vec::new() }
    }
}

impl Course {
    /// What others are told.
    pub fn phase(&self) -> PluginPhase {
        self.phase
    }

    /// What is to be done in place of what is being done; none: nothing else.
    pub fn take(&mut self, fact: Fact, at: Duration) -> Option<Next> {
        let (next, phase) = match (fact, self.now) {
            (Fact::Start, Next::Rest) | (Fact::Restart, _) => {
                self.broke.clear();
                (Next::Begin, PluginPhase::Starting)
            }
            // One that can't be had is not wanted any more either.
            (Fact::Stop, _) if self.phase != PluginPhase::Stopped => {
                (Next::Rest, PluginPhase::Stopped)
            }
            (Fact::Answered, Next::Begin) => (Next::Serve, PluginPhase::Ready),
            (Fact::Broke { lasting: true }, Next::Begin | Next::Serve)
            | (Fact::Overran, Next::Begin) => (Next::Rest, PluginPhase::Failed),
            (Fact::Broke { lasting: false }, Next::Begin | Next::Serve) => self.again(at),
            (Fact::Rested, Next::Pause(_)) => (Next::Begin, PluginPhase::Restarting),
            _ => return None,
        };
        (self.now, self.phase) = (next, phase);
        Some(next)
    }

    fn again(&mut self, at: Duration) -> (Next, PluginPhase) {
        self.broke.retain(|before| at.saturating_sub(*before) < WINDOW);
        match PAUSES.get(self.broke.len()) {
            Some(pause) => {
                self.broke.push(at);
                (Next::Pause(*pause), PluginPhase::Restarting)
            }
            None => (Next::Rest, PluginPhase::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BROKE: Fact = Fact::Broke { lasting: false };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Each fact with its time, and what is to be done and told then.
    #[track_caller]
    fn check(course: &mut Course, steps: &[(u64, Fact, Option<Next>, PluginPhase)]) {
        for (time, fact, next, phase) in steps {
            assert_eq!(course.take(*fact, at(*time)), *next, "{fact:?} at {time}");
            assert_eq!(course.phase(), *phase, "{fact:?} at {time}");
        }
    }

    use PluginPhase::{Failed, Ready, Restarting, Starting, Stopped};

    #[test]
    fn one_that_goes_on_dying_is_given_up_after_three_restarts() {
        let pause = |seconds| Some(Next::Pause(at(seconds)));
        check(
            &mut Course::default(),
            &[
                (0, Fact::Start, Some(Next::Begin), Starting),
                (1, Fact::Answered, Some(Next::Serve), Ready),
                (2, BROKE, pause(1), Restarting),
                (3, Fact::Rested, Some(Next::Begin), Restarting),
                (4, BROKE, pause(4), Restarting),
                (8, Fact::Rested, Some(Next::Begin), Restarting),
                (9, Fact::Answered, Some(Next::Serve), Ready),
                (10, BROKE, pause(16), Restarting),
                (26, Fact::Rested, Some(Next::Begin), Restarting),
                (27, Fact::Answered, Some(Next::Serve), Ready),
                (28, BROKE, Some(Next::Rest), Failed),
                (29, Fact::Start, Some(Next::Begin), Starting),
                (30, BROKE, pause(1), Restarting),
            ],
        );
    }

    #[test]
    fn one_that_dies_seldom_is_begun_again_for_ever() {
        let mut course = Course::default();
        course.take(Fact::Start, at(0));
        for round in 0..20 {
            course.take(Fact::Answered, at(round * 400));
            assert_eq!(course.take(BROKE, at(round * 400)), Some(Next::Pause(at(1))));
            course.take(Fact::Rested, at(round * 400 + 1));
        }
    }

    #[test]
    fn what_changes_nothing_is_not_tried_again() {
        let mut course = Course::default();
        course.take(Fact::Start, at(0));
        check(&mut course, &[(0, Fact::Broke { lasting: true }, Some(Next::Rest), Failed)]);
        course.take(Fact::Start, at(1));
        check(
            &mut course,
            &[
                (2, Fact::Overran, Some(Next::Rest), Failed),
                (3, Fact::Stop, Some(Next::Rest), Stopped),
                (4, Fact::Stop, None, Stopped),
                (5, Fact::Restart, Some(Next::Begin), Starting),
                (6, Fact::Start, None, Starting),
            ],
        );
    }

    proptest! {
        #[test]
        fn no_sequence_begins_it_more_often_than_it_was_asked_for_and_the_budget_allows(
            facts in prop::collection::vec((0u64..40, 0usize..7), 0..200),
        ) {
            let mut course = Course::default();
            let (mut time, mut begun, mut allowed) = (0, 0u64, 0);
            for (passed, which) in facts {
                time += passed;
                let all = [
                    Fact::Start, Fact::Stop, Fact::Restart, Fact::Answered, BROKE, Fact::Overran,
                    Fact::Rested,
                ];
                let next = course.take(all[which], at(time));
                begun += u64::from(next == Some(Next::Begin));
                allowed += if which == 0 || which == 2 { 4 } else { 0 };
                prop_assert_eq!(course.phase() == Ready, course.now == Next::Serve);
                prop_assert!(
                    course.now != Next::Rest || matches!(course.phase(), Failed | Stopped)
                );
            }
            prop_assert!(begun <= allowed + 3 * time / 300 + 3);
        }
    }
}
