//! What a runtime does next. Pure. Commands may be ignored; facts can only be stale.
//!
//! ```text
//! Idle ──ensure──> BringingUp ──BroughtUp──> Up ──LineDown──> Cut ──LineUp──> Up
//!                      │                      │                └─CutOverran─┐
//!                      │failed                └──────Exited────────────────>│
//!                      v                                                    v
//!                   Failed <──────────budget spent──────────────────── Restarting ──pause──> BringingUp
//! any ──stop──> Stopping ──TornDown──> Idle, or BringingUp when a sandbox is wanted again by then
//! ```
//! What fails is ended before it is said to have failed, so that nothing of it meets the next attempt.

use std::time::Duration;

use staithe_protocol::{Fault, Generation};
use tokio::time::Instant;

use super::messages::{Ending, Told};
use crate::supervise::RestartBudget;

/// How long a cut line may take to come back before the sandbox is looked at.
pub const CUT_LIMIT: Duration = Duration::from_secs(5);

/// Where a runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Idle,
    BringingUp,
    Up,
    Cut,
    Restarting,
    Stopping(Ending),
    Failed,
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Look for the sandbox, make or start it, open its line.
    BringUp {
        generation: Generation,
    },
    /// Send `CutOverran` later.
    WatchCut {
        generation: Generation,
    },
    /// Send `PauseElapsed` later.
    Pause {
        generation: Generation,
        pause: Duration,
    },
    /// End the sandbox.
    TearDown {
        generation: Generation,
        ending: Ending,
    },
    /// Ask the engine whether the sandbox runs.
    Look {
        generation: Generation,
    },
    /// Let the line go.
    DropLine,
    /// Tell the session.
    Tell(Told),
    TellUp,
    TellCut,
    TellRestarting {
        cause: String,
    },
    TellFailed(Fault),
    TellStopped,
}

/// Something that happened to an attempt.
#[derive(Clone, Debug)]
pub enum Fact {
    Told(Told),
    BroughtUp(Result<(), Fault>),
    LineDown,
    LineUp {
        same_epoch: bool,
    },
    CutOverran,
    /// The engine was asked, and no such sandbox runs.
    Gone,
    Exited {
        code: Option<i32>,
        /// It used more memory than it may.
        out_of_memory: bool,
    },
    PauseElapsed,
    /// The sandbox was ended; its last log lines, if it failed.
    TornDown {
        log_tail: Vec<String>,
    },
}

/// See the module.
#[derive(Debug)]
pub struct RuntimeState {
    phase: Phase,
    generation: Generation,
    budget: RestartBudget,
    after: After,
}

/// What comes after a stop.
#[derive(Clone, Debug, PartialEq)]
enum After {
    Rest,
    /// A sandbox was wanted meanwhile.
    BringUp,
    Fail(Fault),
}

impl RuntimeState {
    /// Nothing is wanted yet. `generation` is that of the last attempt of an earlier life.
    pub fn new(generation: Generation) -> Self {
        Self {
            phase: Phase::Idle,
            generation,
            budget: RestartBudget::for_runtime(),
            after: After::Rest,
        }
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The current attempt.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// A sandbox is wanted.
    pub fn ensure(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Idle | Phase::Failed => self.bring_up(),
            Phase::Stopping(_) => {
                self.after = After::BringUp;
                Vec::new()
            }
            Phase::BringingUp | Phase::Up | Phase::Cut | Phase::Restarting => Vec::new(),
        }
    }

    /// The sandbox is to end.
    pub fn stop(&mut self, ending: Ending) -> Vec<Effect> {
        self.after = After::Rest;
        match self.phase {
            Phase::Stopping(before) if before >= ending => Vec::new(),
            _ => self.tear_down(ending),
        }
    }

    /// It may be that the sandbox is gone.
    pub fn look(&self) -> Vec<Effect> {
        match self.phase {
            Phase::Up | Phase::Cut => vec![Effect::Look { generation: self.generation }],
            _ => Vec::new(), // what goes on will know
        }
    }

    fn tear_down(&mut self, ending: Ending) -> Vec<Effect> {
        self.phase = Phase::Stopping(ending);
        self.generation = self.generation.next();
        vec![Effect::DropLine, Effect::TearDown { generation: self.generation, ending }]
    }

    /// Takes a fact about the attempt `generation`.
    pub fn observe(&mut self, generation: Generation, fact: Fact, now: Instant) -> Vec<Effect> {
        if generation != self.generation {
            return Vec::new(); // stale
        }
        match (self.phase, fact) {
            (Phase::BringingUp, Fact::Told(told)) => vec![Effect::Tell(told)],
            (Phase::BringingUp, Fact::BroughtUp(Ok(())))
            | (Phase::Cut, Fact::LineUp { same_epoch: true }) => {
                self.phase = Phase::Up;
                vec![Effect::TellUp]
            }
            (Phase::BringingUp, Fact::BroughtUp(Err(fault))) => {
                self.phase = Phase::Failed;
                vec![Effect::TellFailed(fault)]
            }
            (Phase::Up, Fact::LineDown) => {
                self.phase = Phase::Cut;
                vec![Effect::TellCut, Effect::WatchCut { generation }]
            }
            (Phase::Up | Phase::Cut, Fact::LineUp { same_epoch: false }) => {
                self.restart("the sandbox's runner began anew".into(), now)
            }
            (Phase::Up | Phase::Cut, Fact::Exited { out_of_memory: true, .. }) => {
                self.restart("the sandbox used more memory than it may".into(), now)
            }
            (Phase::Up | Phase::Cut, Fact::Exited { code, .. }) => {
                let code = code.map_or("unknown".to_owned(), |code| code.to_string());
                self.restart(format!("the sandbox ended by itself (exit code {code})"), now)
            }
            (Phase::Up | Phase::Cut, Fact::Gone) => {
                self.restart("the sandbox does not run any more".into(), now)
            }
            (Phase::Cut, Fact::CutOverran) => {
                let cause =
                    format!("the sandbox's runner was silent for {} s", CUT_LIMIT.as_secs());
                self.restart(cause, now)
            }
            (Phase::Restarting, Fact::PauseElapsed) => self.bring_up(),
            (Phase::Stopping(_), Fact::TornDown { log_tail }) => self.torn_down(log_tail),
            _ => Vec::new(), // stale within the attempt
        }
    }

    /// Restarts within the budget's window.
    pub fn restarts(&mut self, now: Instant) -> u32 {
        self.budget.used(now)
    }

    fn bring_up(&mut self) -> Vec<Effect> {
        self.phase = Phase::BringingUp;
        self.generation = self.generation.next();
        vec![Effect::BringUp { generation: self.generation }]
    }

    fn torn_down(&mut self, log_tail: Vec<String>) -> Vec<Effect> {
        self.phase = Phase::Idle;
        match std::mem::replace(&mut self.after, After::Rest) {
            After::Rest => vec![Effect::TellStopped],
            After::BringUp => self.bring_up(),
            After::Fail(fault) => {
                self.phase = Phase::Failed;
                vec![Effect::TellFailed(Fault { log_tail, ..fault })]
            }
        }
    }

    fn restart(&mut self, cause: String, now: Instant) -> Vec<Effect> {
        if let Some(pause) = self.budget.spend(now) {
            self.generation = self.generation.next();
            let generation = self.generation;
            self.phase = Phase::Restarting;
            let tell = Effect::TellRestarting { cause };
            return vec![Effect::DropLine, tell, Effect::Pause { generation, pause }];
        }
        let fault = Fault {
            code: "sandbox.restarts_spent".into(),
            step: None,
            cause: format!("{cause}, for the fourth time within five minutes"),
            remedy: "Look at the sandbox's log, then start the session again.".into(),
            log_tail: Vec::new(),
        };
        // What fails leaves nothing but the workspace.
        let mut effects = self.tear_down(Ending::Remove);
        self.after = After::Fail(fault);
        effects.insert(0, Effect::TellCut);
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> RuntimeState {
        let mut state = RuntimeState::new(Generation(0));
        assert_eq!(state.ensure(), [Effect::BringUp { generation: Generation(1) }]);
        let now = Instant::now();
        assert_eq!(state.observe(Generation(1), Fact::BroughtUp(Ok(())), now), [Effect::TellUp]);
        state
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_an_earlier_attempt_is_dropped() {
        let mut state = up();
        state.stop(Ending::Remove);
        let late = state.observe(
            Generation(1),
            Fact::Exited { code: Some(1), out_of_memory: false },
            Instant::now(),
        );
        assert_eq!(late, []);
        assert_eq!(state.phase(), Phase::Stopping(Ending::Remove));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_line_that_comes_back_restarts_nothing() {
        let mut state = up();
        let g = state.generation();
        let now = Instant::now();
        assert_eq!(
            state.observe(g, Fact::LineDown, now),
            [Effect::TellCut, Effect::WatchCut { generation: g }]
        );
        assert_eq!(state.observe(g, Fact::LineUp { same_epoch: true }, now), [Effect::TellUp]);
        assert_eq!(state.observe(g, Fact::CutOverran, now), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sandbox_that_is_gone_without_a_word_is_had_again_once_somebody_looks() {
        let mut state = up();
        let g = state.generation();
        assert_eq!(state.look(), [Effect::Look { generation: g }]);
        let effects = state.observe(g, Fact::Gone, Instant::now());
        assert!(matches!(effects.last(), Some(Effect::Pause { .. })), "{effects:?}");
        assert_eq!(state.look(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_fourth_end_within_five_minutes_fails_the_session() {
        let mut state = up();
        for _ in 0..3 {
            let now = Instant::now();
            let effects = state.observe(
                state.generation(),
                Fact::Exited { code: None, out_of_memory: false },
                now,
            );
            assert!(matches!(effects.last(), Some(Effect::Pause { .. })), "{effects:?}");
            state.observe(state.generation(), Fact::PauseElapsed, now);
            state.observe(state.generation(), Fact::BroughtUp(Ok(())), now);
        }
        let now = Instant::now();
        let effects = state.observe(
            state.generation(),
            Fact::Exited { code: None, out_of_memory: false },
            now,
        );
        assert!(matches!(effects.last(), Some(Effect::TearDown { .. })), "{effects:?}");
        let torn_down = Fact::TornDown { log_tail: vec!["out of memory".into()] };
        let effects = state.observe(state.generation(), torn_down, now);
        let [Effect::TellFailed(fault)] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!(fault.log_tail, ["out of memory"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sandbox_that_is_wanted_again_while_it_ends_is_had_afterwards_and_not_before() {
        let mut state = up();
        state.stop(Ending::Stop);
        assert_eq!(state.ensure(), []);
        let (g, now) = (state.generation(), Instant::now());
        let effects = state.observe(g, Fact::TornDown { log_tail: Vec::new() }, now);
        assert_eq!(effects, [Effect::BringUp { generation: g.next() }]);
        let mut state = up();
        state.stop(Ending::Stop);
        state.ensure();
        assert_eq!(state.stop(Ending::Pause), [], "the last wish counts");
        let g = state.generation();
        let effects = state.observe(g, Fact::TornDown { log_tail: Vec::new() }, now);
        assert_eq!(effects, [Effect::TellStopped]);
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_twice_tears_down_once_unless_the_second_wish_is_harsher() {
        let mut state = up();
        assert_eq!(state.stop(Ending::Remove).len(), 2);
        assert_eq!(state.stop(Ending::Remove), []);
        assert_eq!(state.stop(Ending::Clear).len(), 2);
    }
}
