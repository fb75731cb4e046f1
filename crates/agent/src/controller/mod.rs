//! The agent's controller. Pure: a fold over the session's durable events, and effects that follow from it.
//!
//! ```text
//! every durable event ──fold──> Log ─┐
//! answers, timers, settings ─> Live ─┴─advance──> at most one Append or Ask at a time, and what goes beside it
//! ```
//! What is known from the log alone is changed by the fold alone ([`Controller::restore`] and
//! [`Controller::appended`] use the same), so a restart is the same fold without effects; then
//! [`Controller::resumed`] does what is missing. Nothing is remembered of what was decided and is not in the log: what
//! is to be done next is read from the log and from what is live, again after each input.
//!
//! | file | what |
//! |---|---|
//! | `effects` | the words of the interface |
//! | `fold`, `frame` | what is known from the log |
//! | `live` | what is known beside it |
//! | `advance`, `work` | what is done next |
//! | `answers` | a model's answer as an event |
//! | `admit` | what clients may do |
//! | `edit` | an action as a person changed it |
//! | `confirm`, `failures`, `recall`, `spent`, `words` | what each says |

mod admit;
mod advance;
mod answers;
mod confirm;
pub(crate) mod edit;
pub mod effects;
mod failures;
mod fold;
mod frame;
mod live;
mod recall;
mod spent;
mod words;
mod work;

use std::time::Duration;

use staithe_protocol::{Action, AgentState, Event, EventId, Source, event::Body};

pub use self::effects::{Append, Call, Denied, Effect, Purpose, Spent, Timer};
use self::{
    fold::{Log, is_resting},
    frame::Due,
    live::Live,
};
use crate::{
    instructions::Instructions,
    model::{Answer, ModelFailed},
    prompt,
    settings::{AgentSettings, Price},
    tools::Offer,
};

/// How the agent works in this session; may change at any time.
#[derive(Clone, Debug)]
pub struct Configured {
    /// Those of the view are taken when the controller is made.
    pub settings: AgentSettings,
    /// `Err`: no model answers, and why, for people: what to configure.
    pub model: Result<ModelFacts, String>,
    /// Another model that writes summaries; none: the same. `Err`: its name, where nothing is known of it; it is asked
    /// all the same, and what is missing is told then.
    pub condenser: Option<Result<ModelFacts, String>>,
}

/// What has to be known of the model that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFacts {
    /// As the provider knows it.
    pub name: String,
    /// Tokens that it reads; 0: not known.
    pub window: u64,
    /// None: not known; costs count as nothing then, and where they are limited a person is asked first.
    pub price: Option<Price>,
    /// Whether it sees pictures.
    pub vision: bool,
}

/// What there is to work with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Equipment {
    /// The sandbox answers. Once it did, the agent leaves `loading`.
    pub sandbox: bool,
    /// There is no sandbox, and none will come by itself: nobody is asked until this is over.
    pub gone: bool,
    /// Whether agents may be delegated to is added by the controller.
    pub offer: Offer,
    /// `working_dir` is the workspace, an absolute path: what is written outside of it is a risk.
    pub facts: prompt::Facts,
}

/// See the module. Times are measured from any origin, the same for all of one life.
#[derive(Debug)]
pub struct Controller {
    configured: Configured,
    log: Log,
    live: Live,
    /// The log was read to its end.
    resumed: bool,
}

impl Controller {
    /// A controller of an empty log, in the state `loading`.
    pub fn new(configured: Configured) -> Self {
        let log = Log::new(configured.settings.view);
        Self { configured, log, live: Live::default(), resumed: false }
    }

    /// Takes an event of the log of earlier lives, in the order of ids. No effects: after the last comes
    /// [`resumed`](Self::resumed), before anything else; for an empty log, too.
    pub fn restore(&mut self, event: &Event) {
        self.log.fold(event);
    }

    /// The log was read to its end. A turn that was cut is paused, or goes on as configured; its calls that are not in
    /// the log are answered as not executed. What else was about to happen, happens.
    pub fn resumed(&mut self, now: Duration) -> Vec<Effect> {
        self.resumed = true;
        if let Some(waiting) = &self.log.top().waiting
            && matches!(waiting.due, Due::Runner { held: false, .. })
        {
            self.live.released = Some(waiting.id);
        }
        if matches!(self.log.effective(), AgentState::Running | AgentState::RateLimited) {
            self.live.crashed = !self.configured.settings.go_on_after_crash;
            let open = self.log.frames().filter_map(|frame| frame.answer.as_ref());
            self.live.cut = open.map(|answer| answer.id.clone()).collect();
        }
        self.advance(now)
    }

    /// An event became durable, whoever asked for it: every one of the session, in the order of ids.
    pub fn appended(&mut self, event: &Event, now: Duration) -> Vec<Effect> {
        let came = self.live.on_its_way.take_if(|awaited| awaited.is(event));
        if came.as_ref().is_some_and(|awaited| awaited.books) {
            self.live.clock.booked();
        }
        self.log.fold(event);
        self.note_wake(event, came.is_some());
        self.advance(now)
    }

    /// A user's message that came while the agent's own way to rest was on its way to the log wakes it, as if it had
    /// come after.
    fn note_wake(&mut self, event: &Event, came: bool) {
        match &event.body {
            Body::Action(Action::Message(_)) if event.source == Source::User => {
                let at_work = !is_resting(self.log.effective());
                self.live.wake = (at_work && self.live.on_its_way.is_some()).then_some(event.id);
            }
            Body::Action(Action::ChangeAgentState(_)) => self.live.wake = None,
            _ if came && !is_resting(self.log.effective()) => self.live.wake = None,
            _ => {}
        }
    }

    /// What came of a question. One that is not open any more is passed over.
    pub fn heard(
        &mut self,
        call: Call,
        answer: Result<Answer, ModelFailed>,
        now: Duration,
    ) -> Vec<Effect> {
        let Some(asking) = self.live.asking.take_if(|asking| asking.call == call) else {
            return Vec::new();
        };
        if let Ok(answer) = &answer {
            let cost = self.cost(asking.purpose, answer);
            self.live.clock.spend(Spent {
                steps: u64::from(asking.purpose == Purpose::Step),
                cost,
                usage: answer.usage,
                worked: Duration::ZERO,
            });
        }
        self.live.heard = Some((asking, answer));
        self.advance(now)
    }

    /// A timer ran out. One that was armed anew or has no meaning any more is passed over.
    pub fn elapsed(&mut self, timer: Timer, now: Duration) -> Vec<Effect> {
        if self.live.limit == Some(timer) {
            self.live.limit = None;
        } else if let Some(again) = self.live.retry.as_mut().filter(|again| again.timer == timer) {
            again.over = true;
        } else {
            return Vec::new();
        }
        self.advance(now)
    }

    /// What [`Effect::Learn`] asked for. Told unasked, it takes the place of what was known.
    pub fn learned(&mut self, instructions: Instructions, now: Duration) -> Vec<Effect> {
        self.live.learned = Some(instructions);
        self.live.learning = false;
        self.advance(now)
    }

    /// Other things to work with, from the next question on.
    pub fn equipped(&mut self, equipment: Equipment, now: Duration) -> Vec<Effect> {
        self.live.equipment = equipment;
        self.advance(now)
    }

    /// Other settings or another model, from the next question on.
    pub fn set(&mut self, configured: Configured, now: Duration) -> Vec<Effect> {
        if self.configured.settings.limits.time != configured.settings.limits.time {
            self.live.limit = None; // armed anew
        }
        self.configured = configured;
        self.advance(now)
    }

    /// Whether a client may do this now. What needs a sandbox and how many may wait is the executor's to say. What is
    /// the agent's is passed.
    pub fn admit(&self, action: &Action, source: Source) -> Result<(), Denied> {
        if source == Source::User {
            let equipment = &self.live.equipment;
            admit::admit(&self.log, action, self.configured.model.is_ok(), equipment.gone)
        } else {
            Ok(())
        }
    }

    /// The state as it was told last.
    pub fn state(&self) -> AgentState {
        self.log.state
    }

    /// Whether the agent works, or is about to: something comes without anybody's doing.
    pub fn is_busy(&self) -> bool {
        self.live.on_its_way.is_some()
            || !self.log.wanted.is_empty()
            || matches!(
                self.log.effective(),
                AgentState::Running
                    | AgentState::RateLimited
                    | AgentState::UserConfirmed
                    | AgentState::UserRejected
            )
    }

    /// Actions of the agent in the log, without an observation, that must not be carried out (yet): ask after the
    /// last [`restore`](Self::restore), and keep them from the executor until [`Effect::Release`].
    pub fn held(&self) -> Vec<EventId> {
        let held = self.log.frames().filter_map(|frame| frame.waiting.as_ref());
        // What the controller answers itself is among them: an action that a person rejected.
        let held = held.filter(|waiting| !matches!(waiting.due, Due::Runner { held: false, .. }));
        let asked = self.log.confirming.as_ref().map(|confirming| confirming.id);
        held.map(|waiting| waiting.id).chain(asked).collect()
    }

    /// What the session has cost so far.
    pub fn spent(&self) -> Spent {
        self.log.spent.plus(self.live.clock.beside())
    }
}

#[cfg(test)]
mod tests;
