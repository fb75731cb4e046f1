//! What is done next, whatever the agent is doing: read anew after each input. Pure.
//!
//! In this order: what clients are owed, states that follow, a crash, the results of calls that come to nothing, a
//! user's message, and only then work.

use std::time::Duration;

use staithe_protocol::{
    AgentState, EventId, Observation, Source, action::ConfirmationStatus, event::Body,
    observation::AgentStateChanged,
};

use super::{
    Append, Controller, Effect, Timer, confirm, edit, failures,
    fold::{Decision, is_resting},
    frame::{Due, Waiting},
    live::{Again, Awaited},
    spent::{self, Last},
    words,
};
use crate::origin::Origin;

/// What comes next.
pub(super) enum Next {
    Append(Box<Append>),
    Effect(Effect),
    /// Something else has to come first, or nothing is to be done.
    Nothing,
}

impl Next {
    pub(super) fn append(append: Append) -> Self {
        Self::Append(Box::new(append))
    }
}

impl Controller {
    /// Does what is to be done now.
    pub(super) fn advance(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.resumed {
            return effects;
        }
        let effective = self.log.effective();
        let works = effective == AgentState::Running;
        self.live.clock.tick(now, works);
        if !works {
            self.live.heard = None;
            self.live.limit = None;
            effects
                .extend(self.live.asking.take().map(|asking| Effect::Hush { call: asking.call }));
        }
        self.touch(effective, &mut effects);
        if works && self.live.limit.is_none() {
            let left = spent::left(&self.configured.settings.limits, &self.spent(), &self.log.base);
            if let Some(after) = left.filter(|left| !left.is_zero()) {
                let timer = self.live.timer(Timer::Limit);
                self.live.limit = Some(timer);
                effects.push(Effect::Arm { timer, after });
            }
        }
        if self.live.on_its_way.is_none() {
            match self.next() {
                Next::Append(append) => {
                    self.live.on_its_way = Some(Awaited::of(&append));
                    effects.push(Effect::Append(append));
                }
                Next::Effect(effect) => effects.push(effect),
                Next::Nothing => {}
            }
        }
        effects
    }

    /// Gives the executor the agent's action, or interrupts it.
    fn touch(&mut self, effective: AgentState, effects: &mut Vec<Effect>) {
        let Some(Waiting { id, due: Due::Runner { held: false, .. }, .. }) = self.log.top().waiting
        else {
            return;
        };
        if self.live.released != Some(id) {
            self.live.released = Some(id);
            effects.push(Effect::Release(id));
        }
        // What a crash of the server left running may end in peace.
        let crashed = self.log.wanted.is_empty() && self.log.reason == "crash";
        if effective == AgentState::Running {
            self.live.interrupted = None;
        } else if !crashed && self.live.interrupted != Some(id) {
            self.live.interrupted = Some(id);
            effects.push(Effect::Interrupt);
        }
    }

    fn next(&mut self) -> Next {
        let effective = self.log.effective();
        if let Some(owed) = self.log.owed.front() {
            let observation = match &owed.refused {
                None => nothing(),
                Some(why) => {
                    Observation::error(why.clone(), "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_ERROR")
                }
            };
            return Next::append(observed(owed.source, Some(owed.id), observation));
        }
        if effective == AgentState::Loading && self.live.equipment.sandbox {
            return self.tell(AgentState::Init, "", None);
        }
        if let Some(wanted) = self.log.wanted.front().cloned() {
            return self.tell(wanted.state, &wanted.reason, wanted.cause);
        }
        if std::mem::take(&mut self.live.crashed) && self.is_at_work() {
            return self.tell(AgentState::Paused, "crash", None);
        }
        if let Some(append) = self.duty() {
            return Next::append(append);
        }
        let gone = self.live.equipment.gone;
        if gone && self.is_at_work() {
            return self.tell(AgentState::Paused, "sandbox", None);
        }
        let said = self.log.unanswered.or(self.live.wake);
        if let Some(said) = said.filter(|_| is_awake(effective) && !gone) {
            self.live.wake = None;
            return match &self.configured.model {
                Ok(_) => self.tell(AgentState::Running, "", Some(said)),
                Err(why) => {
                    let observation = Observation::error(why.clone(), failures::NOT_CONFIGURED);
                    Next::append(observed(Source::Environment, Some(said), observation))
                }
            };
        }
        match effective {
            AgentState::Running => self.work(),
            AgentState::RateLimited => match self.wait() {
                None => self.tell(AgentState::Running, "", None),
                Some(next) => next,
            },
            AgentState::UserConfirmed | AgentState::UserRejected => self.decided(),
            AgentState::AwaitingUserConfirmation if self.log.confirming.is_none() => {
                self.tell(AgentState::AwaitingUserInput, "", None)
            }
            _ => Next::Nothing,
        }
    }

    fn is_at_work(&self) -> bool {
        matches!(self.log.effective(), AgentState::Running | AgentState::RateLimited)
    }

    /// A state for the log.
    pub(super) fn tell(
        &mut self,
        agent_state: AgentState,
        reason: &str,
        cause: Option<EventId>,
    ) -> Next {
        let mut append = state(agent_state, reason, cause);
        if self.live.clock.is_open() {
            append.llm_metrics = Some(self.metrics(&Last::default()));
        }
        Next::append(append)
    }

    /// What was spent, for the event that comes next.
    pub(super) fn metrics(&mut self, last: &Last) -> serde_json::Value {
        let spent = self.log.spent.plus(self.live.clock.book());
        spent.to_metrics(self.configured.model.as_ref().ok(), last)
    }

    /// What has to be said of actions and calls whatever the state: results that are the controller's to give.
    fn duty(&self) -> Option<Append> {
        let top = self.log.top();
        if let Some(Waiting { id, origin, due }) = &top.waiting {
            match due {
                Due::Own(observation) => {
                    return Some(answer(Some(*id), origin.as_ref(), (**observation).clone()));
                }
                Due::Runner { held: true, dropped: true } => {
                    return Some(answer(Some(*id), origin.as_ref(), not_executed()));
                }
                Due::Runner { .. } | Due::Delegate(_) => {}
            }
        }
        if let Some(confirming) = &self.log.confirming {
            let origin = confirming.origin.as_ref();
            if confirming.dropped {
                return Some(answer(Some(confirming.id), origin, not_executed()));
            }
            if !confirming.told {
                return Some(answer(Some(confirming.id), origin, nothing()));
            }
        }
        let dropped = top.answer.as_ref().filter(|a| a.dropped || self.live.cut.contains(&a.id));
        if let Some((_, origin)) = dropped.and_then(super::frame::Answering::next) {
            return Some(answer(None, Some(&origin), not_executed()));
        }
        let ended =
            top.ended.as_ref().filter(|_| top.is_through() && self.log.confirming.is_none());
        let parent = self.log.frames().nth(self.log.depth().checked_sub(1)?)?.waiting.as_ref()?;
        let Due::Delegate(agent) = &parent.due else { return None };
        Some(answer(Some(parent.id), parent.origin.as_ref(), words::delegate(agent, ended?)))
    }

    /// The action again, as a person decided.
    fn decided(&mut self) -> Next {
        let Some(confirming) = &self.log.confirming else {
            // Nothing was asked: the log is another's.
            return self.tell(AgentState::AwaitingUserInput, "", None);
        };
        let state = match confirming.decision {
            Some(Decision::Rejected(_)) => ConfirmationStatus::Rejected,
            Some(Decision::Confirmed) => ConfirmationStatus::Confirmed,
            None => {
                return self.tell(AgentState::AwaitingUserConfirmation, "", Some(confirming.id));
            }
        };
        let action = confirm::with_state(confirming.action.clone(), state);
        let metadata = confirming.origin.as_ref().map(Origin::to_value);
        let edited = &confirming.edited;
        let changed = |metadata| {
            if edited.is_empty() { metadata } else { edit::with_names(metadata, edited) }
        };
        Next::append(Append {
            source: Source::Agent,
            cause: None,
            body: Body::Action(action),
            timeout: confirming.timeout,
            tool_call_metadata: metadata.map(changed),
            llm_metrics: None,
        })
    }

    /// Before the model is asked again after it failed: none once that may be.
    pub(super) fn wait(&mut self) -> Option<Next> {
        let retry = self.log.top().retry.clone()?;
        match self.live.retry.filter(|again| again.attempt == retry.attempt) {
            Some(Again { over: true, .. }) => None,
            Some(_) => Some(Next::Nothing),
            None => {
                let timer = self.live.timer(Timer::Retry);
                self.live.retry = Some(Again { timer, attempt: retry.attempt, over: false });
                let after = Duration::from_millis(retry.wait_ms);
                Some(Next::Effect(Effect::Arm { timer, after }))
            }
        }
    }
}

/// Whether a message can wake the agent: it has a sandbox, and rests.
fn is_awake(state: AgentState) -> bool {
    is_resting(state) && state != AgentState::Loading
}

/// A state for the log.
pub(super) fn state(agent_state: AgentState, reason: &str, cause: Option<EventId>) -> Append {
    let changed = AgentStateChanged { agent_state, reason: reason.to_owned() };
    observed(Source::Environment, cause, Observation::AgentStateChanged(changed))
}

/// An observation that is no model's doing.
pub(super) fn observed(source: Source, cause: Option<EventId>, observation: Observation) -> Append {
    Append {
        source,
        cause,
        body: Body::Observation(observation),
        timeout: None,
        tool_call_metadata: None,
        llm_metrics: None,
    }
}

/// The result of a call, or of its action.
fn answer(cause: Option<EventId>, origin: Option<&Origin>, observation: Observation) -> Append {
    let tool_call_metadata = origin.map(Origin::to_value);
    Append { tool_call_metadata, ..observed(Source::Agent, cause, observation) }
}

fn nothing() -> Observation {
    Observation::Null { content: String::new() }
}

fn not_executed() -> Observation {
    Observation::error(words::NOT_EXECUTED, failures::NOT_EXECUTED)
}
