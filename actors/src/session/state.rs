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

use staithe_protocol::{Fault, Phase, PhaseView, Reason};

use super::messages::PhaseDenied;
use crate::{
    runtime::messages::{Ending, News, Told},
    settings::{SandboxSettings, SuspendBy},
};

/// What a stop leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Suspended,
    Stopped,
    Cleared,
}

/// What becomes of a sandbox that is not needed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endings {
    /// Of a session that nobody uses.
    pub idle: Ending,
    /// Of one that is stopped.
    pub stopped: Ending,
}

impl Endings {
    /// As the settings say.
    pub fn of(settings: &SandboxSettings) -> Self {
        Self {
            idle: match settings.suspend_by {
                SuspendBy::Pause => Ending::Pause,
                SuspendBy::Stop | SuspendBy::None => Ending::Stop,
            },
            stopped: if settings.keep_after_exit { Ending::Stop } else { Ending::Remove },
        }
    }
}

/// What the shell around this core is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put the phase into the log, the record and the snapshot.
    Publish(PhaseView),
    EnsureRuntime,
    StopRuntime(Ending),
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
    endings: Endings,
}

impl SessionState {
    /// A session that rests in the phase of its record.
    pub fn new(view: PhaseView, endings: Endings) -> Self {
        Self { view, then: Then::Stopped, endings }
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
            Phase::Stopping => vec![Effect::StopRuntime(self.ending())],
            _ => Vec::new(),
        }
    }

    /// End the sandbox.
    pub fn stop(&mut self) -> Result<Vec<Effect>, PhaseDenied> {
        match self.view.phase {
            Phase::Stopped => Err(PhaseDenied::AlreadyStopped),
            Phase::Stopping => Ok(Vec::new()),
            _ => Ok(self.end(Then::Stopped, None)),
        }
    }

    /// A stop was cut off with the process that carried it out.
    pub fn finish_stop(&mut self) -> Vec<Effect> {
        self.end(Then::Stopped, None)
    }

    /// Let the sandbox sleep. What rests already is left as it is.
    pub fn suspend(&mut self, reason: Reason) -> Vec<Effect> {
        match self.view.phase {
            Phase::Starting | Phase::Ready => self.end(Then::Suspended, Some(reason)),
            Phase::Stopping => Vec::new(),
            Phase::Suspended | Phase::Stopped | Phase::Failed => vec![Effect::AnswerWaiters],
        }
    }

    /// End the sandbox and its workspace, whatever the phase.
    pub fn clear(&mut self) -> Vec<Effect> {
        if self.view.phase == Phase::Stopping && self.then == Then::Cleared {
            return Vec::new();
        }
        self.end(Then::Cleared, None)
    }

    /// Takes news of the runtime.
    pub fn observe(&mut self, news: &News) -> Vec<Effect> {
        match (self.view.phase, news) {
            (Phase::Starting, News::Told(told)) => self.told(told),
            (Phase::Starting, News::Up { .. }) => {
                vec![self.publish(PhaseView::of(Phase::Ready)), Effect::AgentUp]
            }
            (Phase::Ready, News::Up { .. }) => vec![Effect::AgentUp],
            (Phase::Ready | Phase::Starting, News::Cut) => {
                vec![Effect::AgentDown { hopeless: false }]
            }
            (Phase::Ready | Phase::Starting, News::Restarting { .. }) => {
                let reason = Some(Reason::Restart);
                let publish = self.publish(PhaseView { reason, ..PhaseView::of(Phase::Starting) });
                vec![Effect::AgentDown { hopeless: false }, publish]
            }
            (Phase::Ready | Phase::Starting, News::Failed(fault)) => self.failed(fault.clone()),
            (Phase::Stopping, News::Stopped) => {
                let phase = match self.then {
                    Then::Suspended => Phase::Suspended,
                    Then::Stopped | Then::Cleared => Phase::Stopped,
                };
                let view = PhaseView { reason: self.view.reason, ..PhaseView::of(phase) };
                vec![self.publish(view), Effect::AnswerWaiters]
            }
            _ => Vec::new(), // stale
        }
    }

    fn told(&mut self, told: &Told) -> Vec<Effect> {
        let view = match told {
            Told::Step { step, .. } => {
                PhaseView { step: Some(*step), ..PhaseView::of(Phase::Starting) }
            }
            Told::Noted(reason) => PhaseView { reason: Some(*reason), ..self.view.clone() },
            Told::Workspace(_) => return Vec::new(),
        };
        vec![self.publish(view)]
    }

    /// A part that the session can't do without is gone for good. What is being ended is ended first,
    /// and what rests goes on resting.
    pub fn fail(&mut self, fault: Fault) -> Vec<Effect> {
        match self.view.phase {
            Phase::Stopping | Phase::Stopped | Phase::Suspended => Vec::new(),
            Phase::Starting | Phase::Ready | Phase::Failed => {
                let mut effects = self.failed(fault);
                effects.push(Effect::StopRuntime(Ending::Remove));
                effects
            }
        }
    }

    fn failed(&mut self, fault: Fault) -> Vec<Effect> {
        let view = PhaseView { fault: Some(fault), ..PhaseView::of(Phase::Failed) };
        vec![Effect::AgentDown { hopeless: true }, self.publish(view)]
    }

    fn end(&mut self, then: Then, reason: Option<Reason>) -> Vec<Effect> {
        let was_stopping = self.view.phase == Phase::Stopping;
        self.then = then;
        let mut effects = Vec::new();
        if !was_stopping {
            effects.push(Effect::AgentDown { hopeless: true });
            let view = PhaseView { reason, ..PhaseView::of(Phase::Stopping) };
            effects.push(self.publish(view));
        } else if reason != self.view.reason {
            self.view.reason = reason;
        }
        effects.push(Effect::StopRuntime(self.ending()));
        effects
    }

    fn ending(&self) -> Ending {
        match (self.then, self.view.reason) {
            (Then::Suspended, Some(Reason::Idle)) => self.endings.idle,
            // Whoever ends the server, or the machine, wants nothing to go on in its memory.
            (Then::Suspended, _) => Ending::Stop,
            (Then::Stopped, _) => self.endings.stopped,
            (Then::Cleared, _) => Ending::Clear,
        }
    }

    fn publish(&mut self, view: PhaseView) -> Effect {
        self.view = view.clone();
        Effect::Publish(view)
    }
}

#[cfg(test)]
mod tests;
