//! When a session that nobody uses is put to sleep. Pure.
//!
//! ```text
//! ready ──> look at the earliest moment it may sleep ──in use, or was since──> look again then
//!                        └─quiet─> ask the agent and the runner ──busy, or was since──┘
//!                                               └─quiet─> sleep
//! ```
//! Nobody polls: a use only moves the moment that the next look finds, and looks are as far apart as
//! the time after which a session may sleep.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Idle {
    after: Option<Duration>,
    last_use: Instant,
    look: u64,
}

/// What comes after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The look is of an earlier start.
    Stale,
    /// Look again then.
    LookAt(Instant),
    /// Ask those who may be busy without a client.
    Ask,
    Sleep,
}

/// Clients, as the feed knows them.
#[derive(Clone, Copy, Debug)]
pub struct Clients {
    pub now: usize,
    /// When the last one left.
    pub left: Option<Instant>,
}

impl Idle {
    /// `after`: how long without use; none: it never sleeps.
    pub fn new(after: Option<Duration>, now: Instant) -> Self {
        Self { after, last_use: now, look: 0 }
    }

    /// The sandbox answers. What is returned is the first look's number and time.
    pub fn begin(&mut self, now: Instant) -> Option<(u64, Instant)> {
        self.look += 1;
        self.used(now);
        Some((self.look, now + self.after?))
    }

    /// Somebody used it.
    pub fn used(&mut self, at: Instant) {
        self.last_use = self.last_use.max(at);
    }

    /// A look that was due.
    pub fn look(&mut self, look: u64, clients: Clients, now: Instant) -> Next {
        self.settle(look, clients, now, Next::Ask)
    }

    /// What those who were asked say: since when all is quiet, or nothing while something runs.
    pub fn answered(
        &mut self,
        look: u64,
        quiet_since: Option<Instant>,
        clients: Clients,
        now: Instant,
    ) -> Next {
        self.used(quiet_since.unwrap_or(now).min(now));
        self.settle(look, clients, now, Next::Sleep)
    }

    fn settle(&mut self, look: u64, clients: Clients, now: Instant, quiet: Next) -> Next {
        let Some(after) = self.after.filter(|_| look == self.look) else { return Next::Stale };
        if clients.now > 0 {
            self.used(now);
        }
        if let Some(left) = clients.left {
            self.used(left.min(now));
        }
        let due = self.last_use + after;
        if due > now { Next::LookAt(due) } else { quiet }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AFTER: Duration = Duration::from_secs(100);
    const NOBODY: Clients = Clients { now: 0, left: None };

    fn start() -> Instant {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { Instant::now() })
    }

    #[test]
    fn a_session_that_nobody_uses_is_asked_once_and_sleeps() {
        let t = start();
        let mut idle = Idle::new(Some(AFTER), t);
        assert_eq!(idle.begin(t), Some((1, t + AFTER)));
        assert_eq!(idle.look(1, NOBODY, t + AFTER), Next::Ask);
        assert_eq!(idle.answered(1, Some(t), NOBODY, t + AFTER), Next::Sleep);
    }

    #[test]
    fn a_use_or_a_client_puts_the_look_off_and_an_old_look_counts_for_nothing() {
        let t = start();
        let at = |seconds| t + Duration::from_secs(seconds);
        let mut idle = Idle::new(Some(AFTER), t);
        idle.begin(t);
        idle.used(at(40));
        assert_eq!(idle.look(1, NOBODY, at(100)), Next::LookAt(at(140)));
        let joined = Clients { now: 1, left: None };
        assert_eq!(idle.look(1, joined, at(140)), Next::LookAt(at(240)));
        let left = Clients { now: 0, left: Some(at(150)) };
        assert_eq!(idle.look(1, left, at(240)), Next::LookAt(at(250)));
        idle.begin(at(245));
        assert_eq!(idle.look(1, left, at(250)), Next::Stale);
    }

    #[test]
    fn what_runs_or_ran_lately_puts_it_off() {
        let t = start();
        let at = |seconds| t + Duration::from_secs(seconds);
        let mut idle = Idle::new(Some(AFTER), t);
        idle.begin(t);
        assert_eq!(idle.answered(1, None, NOBODY, at(100)), Next::LookAt(at(200)));
        assert_eq!(idle.answered(1, Some(at(120)), NOBODY, at(200)), Next::LookAt(at(220)));
        assert_eq!(idle.answered(1, Some(at(120)), NOBODY, at(220)), Next::Sleep);
    }

    #[test]
    fn without_a_time_it_never_sleeps() {
        let t = start();
        let mut idle = Idle::new(None, t);
        assert_eq!(idle.begin(t), None);
        assert_eq!(idle.look(1, NOBODY, t + AFTER * 9), Next::Stale);
    }

    proptest! {
        /// Uses, clients and commands come and go, each from one second to another.
        #[test]
        fn it_sleeps_exactly_when_it_was_quiet_for_so_long_and_looks_no_oftener_than_that(
            clients in prop::collection::vec((0..900_u64, 1..90_u64), 0..5),
            commands in prop::collection::vec((0..900_u64, 1..90_u64), 0..5),
            uses in prop::collection::vec(0..900_u64, 0..8),
        ) {
            let t = start();
            let at = |second| t + Duration::from_secs(second);
            let during = |spans: &[(u64, u64)], now| {
                spans.iter().filter(|(from, long)| (*from..from + long).contains(&now)).count()
            };
            let ended = |spans: &[(u64, u64)], now| {
                spans.iter().map(|(from, long)| from + long).filter(|end| *end <= now).max()
            };
            let mut idle = Idle::new(Some(AFTER), t);
            let (look, mut next) = idle.begin(t).expect("it may sleep");
            let (mut slept, mut looks) = (None, 0);
            for now in 0..2000 {
                if uses.contains(&now) {
                    idle.used(at(now));
                }
                if at(now) < next {
                    continue;
                }
                looks += 1;
                let feed = Clients { now: during(&clients, now), left: ended(&clients, now).map(at) };
                let mut verdict = idle.look(look, feed, at(now));
                if verdict == Next::Ask {
                    let quiet = (during(&commands, now) == 0)
                        .then(|| at(ended(&commands, now).unwrap_or(0)));
                    verdict = idle.answered(look, quiet, feed, at(now));
                }
                match verdict {
                    Next::LookAt(then) => next = then,
                    Next::Sleep => {
                        slept = Some(now);
                        break;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            let slept = slept.expect("it sleeps in the end");
            let busy = |now| {
                uses.contains(&now) || during(&clients, now) > 0 || during(&commands, now) > 0
            };
            let last = (0..=slept).rev().find(|now| busy(*now));
            let ends = [ended(&clients, slept), ended(&commands, slept), last, Some(0)];
            let quiet_since = ends.into_iter().flatten().max().unwrap_or(0);
            prop_assert_eq!(slept, quiet_since + AFTER.as_secs());
            prop_assert!(looks <= 2 + 2 * slept / AFTER.as_secs() + commands.len() as u64 + clients.len() as u64 + uses.len() as u64);
        }
    }
}
