//! How long each step of the last start took. Pure.

use staithe_protocol::{StartStep, api::StepTime};
use tokio::time::Instant;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct StartTimes {
    began: Option<Instant>,
    steps: Vec<(StartStep, Instant)>,
    ended: Option<Instant>,
}

impl StartTimes {
    /// A new start begins.
    pub fn begin(&mut self, now: Instant) {
        *self = Self { began: Some(now), ..Self::default() };
    }

    /// A step begins; one that goes on is told again without harm.
    pub fn step(&mut self, step: StartStep, at: Instant) {
        if self.ended.is_none() && self.steps.last().is_none_or(|(last, _)| *last != step) {
            self.steps.push((step, at));
        }
    }

    /// The start has ended. False when it had before.
    pub fn end(&mut self, now: Instant) -> bool {
        let first = self.began.is_some() && self.ended.is_none();
        self.ended.get_or_insert(now);
        first
    }

    /// The whole start so far, in seconds.
    pub fn seconds(&self) -> f64 {
        let ended = self.ended.or(self.steps.last().map(|(_, at)| *at));
        let took = self.began.zip(ended).map(|(began, ended)| ended.duration_since(began));
        took.unwrap_or_default().as_secs_f64()
    }

    /// Milliseconds that a step took, all its times together.
    pub fn took_ms(&self, step: StartStep) -> Option<u64> {
        let of_step = self.view().into_iter().filter(|time| time.step == step);
        of_step.filter_map(|time| time.took_ms).reduce(|sum, took| sum + took)
    }

    /// For operators and the record.
    pub fn view(&self) -> Vec<StepTime> {
        let Some(began) = self.began else { return Vec::new() };
        let millis = |from: Instant, to: Instant| {
            u64::try_from(to.duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        let ends = self.steps.iter().skip(1).map(|(_, at)| Some(*at)).chain([self.ended]);
        self.steps
            .iter()
            .zip(ends)
            .map(|((step, at), end)| StepTime {
                step: *step,
                began_ms: millis(began, *at),
                took_ms: end.map(|end| millis(*at, end)),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_step_of_a_start_is_timed_until_the_next_one() {
        let t = Instant::now();
        let at = |ms| t + Duration::from_millis(ms);
        let mut times = StartTimes::default();
        times.begin(t);
        times.step(StartStep::Find, at(2));
        times.step(StartStep::Create, at(5));
        times.step(StartStep::Create, at(6));
        assert!(times.end(at(9)) && !times.end(at(11)));
        let took: Vec<_> = times.view().iter().map(|step| (step.began_ms, step.took_ms)).collect();
        assert_eq!(took, [(2, Some(3)), (5, Some(4))]);
        assert_eq!(times.took_ms(StartStep::Create), Some(4));
        assert_eq!(times.took_ms(StartStep::Image), None);
        times.begin(at(20));
        times.step(StartStep::Find, at(21));
        assert_eq!((times.view().len(), times.view()[0].began_ms), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sandbox_that_was_made_anew_has_its_steps_twice_and_both_count() {
        let t = Instant::now();
        let at = |ms| t + Duration::from_millis(ms);
        let mut times = StartTimes::default();
        times.begin(t);
        for (step, ms) in [
            (StartStep::Find, 0),
            (StartStep::Wake, 1),
            (StartStep::Find, 4),
            (StartStep::Create, 9),
        ] {
            times.step(step, at(ms));
        }
        times.end(at(10));
        assert_eq!(times.took_ms(StartStep::Find), Some(6));
        assert!((times.seconds() - 0.010).abs() < 1e-9);
    }
}
