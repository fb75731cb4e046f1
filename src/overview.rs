//! Figures of the server over the last day, for the operators' page: a point every ten seconds, kept at that for an hour
//! and once a minute before. In memory alone; `/metrics` is for those who keep more.

use std::{
    collections::VecDeque,
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use staithe_protocol::{
    Phase,
    api::{AdminOverview, OverviewHistory, OverviewPoint, StartTimes},
};

use crate::front::Front;

/// Between two points.
pub const EVERY: Duration = Duration::from_secs(10);
/// Points at that pace: an hour.
const CLOSE: usize = 360;
/// Of the older ones every so many are kept.
const THINNED: u64 = 6;
/// Of those: the rest of a day.
const FAR: usize = 1380;

/// See the module.
#[derive(Default)]
pub struct Overview(Mutex<History>);

#[derive(Default)]
struct History {
    far: VecDeque<OverviewPoint>,
    close: VecDeque<OverviewPoint>,
    /// How many left `close` so far.
    left: u64,
    last: Option<Usage>,
}

/// What this process has used so far.
#[derive(Clone, Copy)]
struct Usage {
    /// Processor time, in seconds.
    cpu: f64,
    at: tokio::time::Instant,
}

impl Overview {
    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a point.
    pub fn take(&self, front: &Front) {
        let figures = front.metrics.render();
        let usage = usage();
        let mut history = self.history();
        let point = point(front, &figures, cores(history.last, usage));
        history.last = usage;
        history.add(point);
    }

    /// All of it, and how it is now.
    pub fn view(&self, front: &Front) -> AdminOverview {
        let figures = front.metrics.render();
        let usage = usage();
        let history = self.history();
        AdminOverview {
            now: point(front, &figures, cores(history.last, usage)),
            history: OverviewHistory {
                every_seconds: EVERY.as_secs(),
                points: history.far.iter().chain(&history.close).cloned().collect(),
            },
        }
    }
}

impl History {
    fn add(&mut self, point: OverviewPoint) {
        self.close.push_back(point);
        if self.close.len() <= CLOSE {
            return;
        }
        let Some(old) = self.close.pop_front() else { return };
        if self.left.is_multiple_of(THINNED) {
            self.far.push_back(old);
        }
        self.left += 1;
        if self.far.len() > FAR {
            self.far.pop_front();
        }
    }
}

fn point(front: &Front, figures: &str, cpu: Option<f64>) -> OverviewPoint {
    let count = |phase| (phase, front.registry.count(phase) as u64);
    let quantile = |q: &str| {
        let labels = format!("outcome=\"ok\",quantile=\"{q}\"");
        value(figures, "staithe_session_start_seconds", &labels).filter(|seconds| *seconds > 0.0)
    };
    let start_ms = quantile("0.5").zip(quantile("0.95"));
    OverviewPoint {
        at: jiff::Timestamp::now().to_string(),
        sessions: Phase::ALL.into_iter().map(count).collect(),
        clients: whole(sum(figures, "staithe_ws_subscribers")),
        events: whole(sum(figures, "staithe_events_total")),
        starts: whole(sum(figures, "staithe_session_start_seconds_count")),
        start_ms: start_ms.map(|(p50, p95)| StartTimes { p50: p50 * 1e3, p95: p95 * 1e3 }),
        faults: whole(sum(figures, "staithe_faults_total")),
        cpu,
        memory: memory(),
        load: load(),
    }
}

/// The sum of a figure over all its labels, in Prometheus' text format.
fn sum(figures: &str, name: &str) -> f64 {
    lines(figures, name).map(|(_, value)| value).sum()
}

/// The one with these labels.
fn value(figures: &str, name: &str, labels: &str) -> Option<f64> {
    lines(figures, name).find(|(with, _)| *with == labels).map(|(_, value)| value)
}

fn lines<'f>(figures: &'f str, name: &'f str) -> impl Iterator<Item = (&'f str, f64)> {
    figures.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels, value.trim().parse().ok()?))
    })
}

/// A figure that counts: never below zero, and small enough for a number of JavaScript's.
fn whole(figure: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is brought into the bounds first"
    )]
    let count = figure.clamp(0.0, 9e15).round() as u64;
    count
}

fn cores(last: Option<Usage>, now: Option<Usage>) -> Option<f64> {
    let (last, now) = (last?, now?);
    let passed = now.at.duration_since(last.at).as_secs_f64();
    // Of a stretch that is too short nothing can be said: the kernel counts in hundredths.
    (passed >= 0.5).then(|| ((now.cpu - last.cpu) / passed).max(0.0))
}

fn usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    let ticks = next()? + next()?;
    let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
    Some(Usage { cpu: ticks / per_second, at: tokio::time::Instant::now() })
}

/// Resident bytes of this process.
fn memory() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_name_and_labels() {
        let figures = "# TYPE a counter\na 3\na_b 9\nb{x=\"1\"} 2\nb{x=\"2\",q=\"} 7\"} 4.5\n";
        assert!((sum(figures, "a") - 3.0).abs() < 1e-9);
        assert!((sum(figures, "b") - 6.5).abs() < 1e-9);
        assert_eq!(value(figures, "b", "x=\"1\""), Some(2.0));
        assert_eq!(value(figures, "b", "x=\"3\""), None);
        assert!(sum(figures, "none").abs() < 1e-9);
        assert_eq!((whole(-1.0), whole(2.4), whole(f64::NAN)), (0, 2, 0));
    }

    #[test]
    fn a_day_is_kept_closely_for_an_hour_and_thinly_before() {
        let mut history = History::default();
        for number in 0..20_000_u64 {
            history.add(OverviewPoint { events: number, ..OverviewPoint::default() });
        }
        let all: Vec<u64> =
            history.far.iter().chain(&history.close).map(|point| point.events).collect();
        assert_eq!(all.len(), CLOSE + FAR);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(all[all.len() - 1], 19_999);
        assert_eq!(all[1] - all[0], THINNED);
    }

    #[test]
    fn what_this_process_uses_is_known() {
        assert!(memory().unwrap() > 100_000);
        assert!(load().unwrap() >= 0.0);
        assert!(usage().unwrap().cpu >= 0.0);
    }
}
