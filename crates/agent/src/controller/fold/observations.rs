//! What an observation in the log means.

use staithe_protocol::{
    AgentState, Event, EventId, Observation, Source,
    action::RecallType,
    observation::{AgentStateChanged, ErrorObservation},
    retry::ModelRetry,
};

use super::{Log, Recalls, is_given_up};
use crate::controller::{
    failures,
    frame::{Ended, Retry},
    spent::{self, Last, NO_PRICE},
};

/// The code of a question that a model did not read to its end.
const TOO_LONG: &str = "model.context_too_long";

impl Log {
    pub(super) fn observation(&mut self, event: &Event, observation: &Observation) {
        if let Observation::AgentStateChanged(changed) = observation {
            if changed.reason == NO_PRICE {
                self.unpriced = event.llm_metrics.as_ref().map(spent::unpriced).unwrap_or_default();
            }
            return self.told(changed);
        }
        if let Some(cause) = event.cause {
            self.answered(cause, event, observation);
        }
        self.recalls.known.take(observation);
        match observation {
            Observation::ModelRetry(retry) if retry.code == TOO_LONG => {
                self.too_long(event);
                let top = self.top_mut();
                (top.too_long, top.retry) = (true, None);
            }
            Observation::ModelRetry(retry) => self.retried(event.id, retry),
            Observation::Error(error)
                if event.source == Source::Environment && event.tool_call_metadata.is_none() =>
            {
                self.failed(event, error);
            }
            _ => {}
        }
    }

    fn told(&mut self, changed: &AgentStateChanged) {
        let state = changed.agent_state;
        self.state = state;
        self.reason.clone_from(&changed.reason);
        if self.wanted.front().is_some_and(|wanted| wanted.state == state) {
            self.wanted.pop_front();
        } else if self.wanted.is_empty() {
            self.entered(state);
        }
        if changed.reason == "crash" {
            self.frames_mut().for_each(super::Frame::drop_rest);
        }
    }

    /// An action has its observation.
    fn answered(&mut self, cause: EventId, event: &Event, observation: &Observation) {
        self.owed.retain(|owed| owed.id != cause);
        if self.unanswered == Some(cause) {
            self.unanswered = None;
        }
        let Recalls { open, pending, .. } = &mut self.recalls;
        if let Some((_, kind, query)) = open.take_if(|(open, ..)| *open == cause) {
            let looked_up = pending.iter().position(|(_, said)| *said == query);
            looked_up.map(|at| pending.remove(at));
            if kind == RecallType::WorkspaceContext {
                self.recalls.workspace = true;
                self.recalls.told = Some(Box::new(event.clone()));
            }
        }
        if let Some(confirming) = self.confirming.as_mut().filter(|it| it.id == cause) {
            if matches!(observation, Observation::Null { .. }) {
                confirming.told = true;
            } else {
                self.confirming = None; // given up
            }
        }
        let top = self.top_mut();
        if top.waiting.take_if(|waiting| waiting.id == cause).is_some() {
            top.stuck.result(observation);
            if let Some(reason) = self.rejected_because.take() {
                self.rejected(event.id, &reason);
            }
        }
    }

    /// With a reason the agent goes on; without one it waits to be told.
    fn rejected(&mut self, id: EventId, reason: &str) {
        if self.effective() != AgentState::UserRejected {
            return;
        }
        if reason.is_empty() {
            self.rest(AgentState::AwaitingUserInput, id);
        } else {
            self.want(AgentState::Running, "", id);
        }
    }

    fn retried(&mut self, id: EventId, retry: &ModelRetry) {
        let (attempt, wait_ms) = (retry.attempt, retry.wait_ms);
        self.top_mut().retry = Some(Retry { attempt, wait_ms });
        if retry.code == "model.rate_limited" && self.effective() == AgentState::Running {
            self.want(AgentState::RateLimited, &retry.code, id);
        }
    }

    /// The model reads no more than that.
    fn too_long(&mut self, event: &Event) {
        let Some((model, tokens)) = event.llm_metrics.as_ref().and_then(Last::asked) else {
            return;
        };
        let known = self.most_read.take().filter(|(other, _)| *other == model);
        let tokens = known.map_or(tokens, |(_, known)| known.min(tokens));
        self.most_read = Some((model, tokens));
    }

    /// What nobody can go on from, without a person's doing.
    fn failed(&mut self, event: &Event, error: &ErrorObservation) {
        if error.error_id == failures::NO_SUMMARY {
            let top = self.top_mut();
            (top.unsummed, top.retry) = (true, None);
        }
        let Some(code) = failures::code_of(&error.error_id) else { return };
        if code == TOO_LONG {
            self.too_long(event);
        }
        if event.cause.is_some() {
            return; // it answers a message, and nothing was begun
        }
        let stuck = self.top().stuck.found().filter(|_| error.error_id == failures::STUCK);
        let code = stuck.map_or(code, |(rule, _)| rule.code());
        if self.depth() > 0 {
            self.top_mut().ended.get_or_insert(Ended::Failed(error.content.clone()));
            self.top_mut().give_up();
        } else if !is_given_up(self.effective()) {
            self.want(AgentState::Error, code, event.id);
        }
    }
}
