//! What a session may do next. Pure. Commands may be denied; facts may not, they can only be stale.
//!
//! ```text
//! Suspended ──┐
//! Stopped   ──┼─start─> Starting{step} ──Up──> Ready ──Restarting──> Starting
//! Failed    ──┘ ^           │  │Failed           │Failed
//!             └─denied a place └─────> Failed <──┘
//! any ──stop──> Stopping{then} ──Stopped──> Stopped | Suspended | cleared
//! ```

use staithe_protocol::{Fault, Phase, PhaseView, Reason, StartStep};

use super::messages::{PhaseDenied, Place};
use crate::{
    runtime::messages::{Ending, News, Told},
    session_manager::messages::Wish,
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
    /// Ask the manager for a place.
    AskPlace {
        ticket: u64,
        wish: Wish,
    },
    /// Who waits for the outcome of a start is answered.
    AnswerStarters(Result<Phase, PhaseDenied>),
    /// Another session may be started.
    TellStarted,
    GivePlaceBack,
    EnsureRuntime,
    /// See whether the sandbox is there and runs.
    LookRuntime,
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
    right: Right,
    /// The last request for a place.
    ticket: u64,
    /// What it goes back to when it is denied a place.
    rest: PhaseView,
}

/// Whether it may have a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    None,
    Asked(Wish),
    Held,
}

impl SessionState {
    /// A session that rests in the phase of its record.
    pub fn new(view: PhaseView, endings: Endings) -> Self {
        let rest = view.clone();
        Self { view, then: Then::Stopped, endings, right: Right::None, ticket: 0, rest }
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
            Phase::Suspended | Phase::Stopped | Phase::Failed => Ok(self.begin(Wish::Start)),
        }
    }

    /// It was begun, and whether it may is not known yet.
    pub fn awaits_place(&self) -> bool {
        self.right == Right::Asked(Wish::Start) && self.view.step.is_none()
    }

    /// The request of this ticket is still meant.
    pub fn asks(&self, ticket: u64) -> bool {
        matches!(self.right, Right::Asked(_)) && ticket == self.ticket
    }

    /// Takes what became of a request for a place.
    pub fn placed(&mut self, ticket: u64, place: Place) -> Vec<Effect> {
        if !self.asks(ticket) {
            return Vec::new(); // stale
        }
        match place {
            Place::Granted => {
                self.right = Right::Held;
                vec![Effect::EnsureRuntime, Effect::AnswerStarters(Ok(self.view.phase))]
            }
            Place::Waiting { position } => {
                let view = PhaseView {
                    step: Some(StartStep::Queue),
                    position: Some(position),
                    ..PhaseView::of(Phase::Starting)
                };
                vec![self.publish(view), Effect::AnswerStarters(Ok(Phase::Starting))]
            }
            Place::Denied(why) => {
                self.right = Right::None;
                let view = PhaseView { reason: Some(Reason::Limits), ..self.rest.clone() };
                vec![
                    Effect::AgentDown { hopeless: true },
                    self.publish(view),
                    Effect::AnswerStarters(Err(why.into())),
                ]
            }
        }
    }

    /// Whether a client or a request wakes it.
    pub fn wakes(&self) -> bool {
        self.view.phase == Phase::Suspended
    }

    /// A session that was just made begins its life.
    pub fn first_start(&mut self) -> Vec<Effect> {
        self.begin(Wish::Start)
    }

    /// Taken up again after the process was killed: a sandbox is wanted, and may be there.
    pub fn adopt(&mut self) -> Vec<Effect> {
        self.begin(Wish::Resume)
    }

    fn begin(&mut self, wish: Wish) -> Vec<Effect> {
        let before = self.view.clone();
        let publish = self.publish(PhaseView::of(Phase::Starting));
        let mut effects = vec![Effect::AgentDown { hopeless: false }, publish];
        if self.right == Right::Held {
            effects.push(Effect::EnsureRuntime);
            return effects;
        }
        if self.right == Right::None {
            self.rest = before;
        }
        self.right = Right::Asked(wish);
        self.ticket += 1;
        effects.push(Effect::AskPlace { ticket: self.ticket, wish });
        effects
    }

    /// The children are new and know nothing: what was under way is begun again.
    pub fn go_on(&mut self, draining: bool) -> Vec<Effect> {
        match self.view.phase {
            Phase::Starting | Phase::Ready if !draining => self.begin(Wish::Start),
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

    /// The sandbox has run for as long as it may.
    pub fn age(&mut self) -> Vec<Effect> {
        match self.view.phase {
            Phase::Starting | Phase::Ready => self.end(Then::Stopped, Some(Reason::Age)),
            _ => Vec::new(),
        }
    }

    /// End the sandbox and its workspace, whatever the phase.
    pub fn clear(&mut self) -> Vec<Effect> {
        if self.view.phase == Phase::Stopping && self.then == Then::Cleared {
            return Vec::new();
        }
        self.end(Then::Cleared, None)
    }

    /// What the engine has is not what should be, or was not a moment ago.
    pub fn look(&self) -> Vec<Effect> {
        match self.view.phase {
            Phase::Ready => vec![Effect::LookRuntime],
            Phase::Suspended => vec![Effect::StopRuntime(Ending::Stop)],
            Phase::Stopped => vec![Effect::StopRuntime(self.endings.stopped)],
            Phase::Failed => vec![Effect::StopRuntime(Ending::Remove)],
            Phase::Starting | Phase::Stopping => Vec::new(), // it is about to know
        }
    }

    /// Takes news of the runtime.
    pub fn observe(&mut self, news: &News) -> Vec<Effect> {
        match (self.view.phase, news) {
            (Phase::Starting, News::Told(told)) => self.told(told),
            (Phase::Starting, News::Up { .. }) => {
                let publish = self.publish(PhaseView::of(Phase::Ready));
                vec![publish, Effect::AgentUp, Effect::TellStarted]
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
                let mut effects = vec![self.publish(view)];
                effects.extend(self.give_back());
                effects.push(Effect::AnswerWaiters);
                effects
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
            // Told late, of a step that is over, it says nothing of this one.
            Told::Progress(progress) if self.is_long() => {
                PhaseView { progress: Some(progress.clone()), ..self.view.clone() }
            }
            Told::Progress(_) | Told::Workspace(_) => return Vec::new(),
        };
        vec![self.publish(view)]
    }

    /// The step is one of those that tell how far they are.
    fn is_long(&self) -> bool {
        matches!(self.view.step, Some(StartStep::Image | StartStep::Build))
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
        let mut effects = vec![Effect::AgentDown { hopeless: true }, self.publish(view)];
        effects.extend(self.give_back());
        effects
    }

    fn give_back(&mut self) -> Option<Effect> {
        let had = std::mem::replace(&mut self.right, Right::None) != Right::None;
        had.then_some(Effect::GivePlaceBack)
    }

    fn end(&mut self, then: Then, reason: Option<Reason>) -> Vec<Effect> {
        let was_stopping = self.view.phase == Phase::Stopping;
        self.then = then;
        let mut effects = Vec::new();
        if !was_stopping {
            effects.push(Effect::AgentDown { hopeless: true });
            let view = PhaseView { reason, ..PhaseView::of(Phase::Stopping) };
            let waited = matches!(self.right, Right::Asked(_));
            effects.push(self.publish(view));
            if waited {
                effects.extend(self.give_back());
                effects.push(Effect::AnswerStarters(Err(PhaseDenied::Stopping)));
            }
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
