//! What a session may do next. Pure. Commands may be denied; facts may not, they can only be stale.
//!
//! ```text
//!             ┌──────start──────┐
//! Suspended ──┤                 v
//! Stopped   ──┼─start─> Starting{step} ──Up──> Ready ──Restarting──> Starting
//! Failed    ──┘             │Failed              │Failed
//!                           └────────> Failed <──┘
//! any ──stop──> Stopping{then} ──Stopped──> Stopped | Suspended | cleared
//! ```

use staithe_protocol::{Fault, Phase, PhaseView, StartStep};

use super::messages::PhaseDenied;
use crate::runtime::messages::{News, Workspace};

/// What a stop leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    Suspended,
    Stopped,
    Cleared,
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put the phase into the log, the record and the snapshot.
    Publish(PhaseView),
    EnsureRuntime,
    StopRuntime(Workspace),
    /// The agent's side may use the runtime.
    AgentUp,
    /// It may not, for now or for good.
    AgentDown {
        hopeless: bool,
    },
    /// Who waits for the end of a stop is answered.
    AnswerWaiters,
}

/// See the module.
#[derive(Debug)]
pub struct SessionState {
    view: PhaseView,
    then: Then,
}

impl SessionState {
    /// A session that rests in the phase of its record.
    pub fn new(view: PhaseView) -> Self {
        Self { view, then: Then::Stopped }
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.view.phase
    }

    /// The phase with what belongs to it.
    pub fn view(&self) -> &PhaseView {
        &self.view
    }

    /// Have it running.
    pub fn start(&mut self) -> Result<Vec<Effect>, PhaseDenied> {
        match self.view.phase {
            Phase::Stopping => Err(PhaseDenied::Stopping),
            Phase::Ready | Phase::Starting => Ok(Vec::new()),
            Phase::Suspended | Phase::Stopped | Phase::Failed => Ok(self.begin()),
        }
    }

    /// Whether a client or a request wakes it.
    pub fn wakes(&self) -> bool {
        self.view.phase == Phase::Suspended
    }

    /// Taken up again after the process was killed: a sandbox is wanted, and may be there.
    pub fn adopt(&mut self) -> Vec<Effect> {
        self.begin()
    }

    fn begin(&mut self) -> Vec<Effect> {
        let publish = self.publish(PhaseView::of(Phase::Starting));
        vec![Effect::AgentDown { hopeless: false }, publish, Effect::EnsureRuntime]
    }

    /// The children are new and know nothing: what was under way is begun again.
    pub fn go_on(&mut self, draining: bool) -> Vec<Effect> {
        match self.view.phase {
            Phase::Starting | Phase::Ready if !draining => self.begin(),
            Phase::Stopping => vec![Effect::StopRuntime(self.workspace())],
            _ => Vec::new(),
        }
    }

    /// End the sandbox.
    pub fn stop(&mut self) -> Result<Vec<Effect>, PhaseDenied> {
        match self.view.phase {
            Phase::Stopped => Err(PhaseDenied::AlreadyStopped),
            Phase::Stopping => Ok(Vec::new()),
            _ => Ok(self.end(Then::Stopped)),
        }
    }

    /// A stop was cut off with the process that carried it out.
    pub fn finish_stop(&mut self) -> Vec<Effect> {
        self.end(Then::Stopped)
    }

    /// Let the sandbox sleep. What rests already is left as it is.
    pub fn suspend(&mut self) -> Vec<Effect> {
        match self.view.phase {
            Phase::Starting | Phase::Ready => self.end(Then::Suspended),
            Phase::Stopping => Vec::new(),
            Phase::Suspended | Phase::Stopped | Phase::Failed => vec![Effect::AnswerWaiters],
        }
    }

    /// End the sandbox and its workspace, whatever the phase.
    pub fn clear(&mut self) -> Vec<Effect> {
        if self.view.phase == Phase::Stopping && self.then == Then::Cleared {
            return Vec::new();
        }
        self.end(Then::Cleared)
    }

    /// Takes news of the runtime.
    pub fn observe(&mut self, news: &News) -> Vec<Effect> {
        match (self.view.phase, news) {
            (Phase::Starting, News::Step(step)) => {
                let view = PhaseView { step: Some(*step), ..PhaseView::of(Phase::Starting) };
                vec![self.publish(view)]
            }
            (Phase::Starting, News::Up { .. }) => {
                vec![self.publish(PhaseView::of(Phase::Ready)), Effect::AgentUp]
            }
            (Phase::Ready, News::Up { .. }) => vec![Effect::AgentUp],
            (Phase::Ready | Phase::Starting, News::Cut) => {
                vec![Effect::AgentDown { hopeless: false }]
            }
            (Phase::Ready | Phase::Starting, News::Restarting { .. }) => {
                let publish = self.publish(PhaseView::of(Phase::Starting));
                vec![Effect::AgentDown { hopeless: false }, publish]
            }
            (Phase::Ready | Phase::Starting, News::Failed(fault)) => self.failed(fault.clone()),
            (Phase::Stopping, News::Stopped) => {
                let phase = match self.then {
                    Then::Suspended => Phase::Suspended,
                    Then::Stopped | Then::Cleared => Phase::Stopped,
                };
                vec![self.publish(PhaseView::of(phase)), Effect::AnswerWaiters]
            }
            _ => Vec::new(), // stale
        }
    }

    /// A part that the session can't do without is gone for good. What is being ended is ended first,
    /// and what rests goes on resting.
    pub fn fail(&mut self, fault: Fault) -> Vec<Effect> {
        match self.view.phase {
            Phase::Stopping | Phase::Stopped | Phase::Suspended => Vec::new(),
            Phase::Starting | Phase::Ready | Phase::Failed => {
                let mut effects = self.failed(fault);
                effects.push(Effect::StopRuntime(Workspace::Keep));
                effects
            }
        }
    }

    fn failed(&mut self, fault: Fault) -> Vec<Effect> {
        let view = PhaseView { fault: Some(fault), ..PhaseView::of(Phase::Failed) };
        vec![Effect::AgentDown { hopeless: true }, self.publish(view)]
    }

    fn end(&mut self, then: Then) -> Vec<Effect> {
        let was_stopping = self.view.phase == Phase::Stopping;
        self.then = then;
        let mut effects = Vec::new();
        if !was_stopping {
            effects.push(Effect::AgentDown { hopeless: true });
            effects.push(self.publish(PhaseView::of(Phase::Stopping)));
        }
        effects.push(Effect::StopRuntime(self.workspace()));
        effects
    }

    fn workspace(&self) -> Workspace {
        if self.then == Then::Cleared { Workspace::Remove } else { Workspace::Keep }
    }

    fn publish(&mut self, view: PhaseView) -> Effect {
        self.view = view.clone();
        Effect::Publish(view)
    }
}

/// How long each step of the last start took. Pure; times are milliseconds since the start began.
#[derive(Clone, Debug, Default)]
pub struct StartTimes {
    steps: Vec<(StartStep, u64)>,
    ended: Option<u64>,
}

impl StartTimes {
    /// A step begins; the first step begins a new start.
    pub fn step(&mut self, step: StartStep, at_ms: u64) {
        if step == StartStep::Find {
            *self = Self::default();
        }
        self.steps.push((step, at_ms));
        self.ended = None;
    }

    /// The start has ended.
    pub fn end(&mut self, at_ms: u64) {
        self.ended.get_or_insert(at_ms);
    }

    /// For operators.
    pub fn view(&self) -> Vec<staithe_protocol::api::StepTime> {
        let ends = self.steps.iter().skip(1).map(|(_, at)| Some(*at)).chain([self.ended]);
        self.steps
            .iter()
            .zip(ends)
            .map(|((step, began), end)| staithe_protocol::api::StepTime {
                step: *step,
                began_ms: *began,
                took_ms: end.map(|end| end.saturating_sub(*began)),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
