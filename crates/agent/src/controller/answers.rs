//! What came of a question, as an event. Pure.

use std::time::Duration;

use staithe_protocol::{
    Action, EventId, Observation, Source,
    action::{ConfirmationStatus, Message},
    retry::ModelRetry,
};

use super::{
    Append, Controller, Purpose, advance::observed, confirm, failures, live::Asking, spent::Last,
    words, work::action_of,
};
use crate::{
    condense::{self, Why},
    known,
    model::{Answer, FailureKind, ModelFailed, ToolCall},
    origin::{Origin, distinguish},
    settings::Price,
    tools::{Called, Misread, mark_cut, read_call},
};

/// Calls of one answer that are taken; those after them were never made.
const MOST_CALLS: usize = 32;
/// Characters of a provider's id that are kept.
const MOST_ID: usize = 100;
/// Empty answers in a row that end the work.
const MOST_EMPTY: u32 = 3;
/// Characters of what a provider said that are told while it is asked again.
const MOST_DETAIL: usize = 300;
/// Condensations before one answer, when the model says that the question is too long.
const MOST_CONDENSED: u32 = 2;

impl Controller {
    /// The first event of what came of a question.
    pub(super) fn came(&mut self, asking: &Asking, heard: Result<Answer, ModelFailed>) -> Append {
        match heard {
            Ok(answer) => {
                let last = self.last(asking, &answer);
                match asking.purpose {
                    Purpose::Step => self.answered(asking, answer, &last),
                    Purpose::Condense => self.summed_up(asking, &answer.text, &last),
                }
            }
            Err(failed) => self.failed(asking, &failed),
        }
    }

    fn last(&self, asking: &Asking, answer: &Answer) -> Last {
        let cost = self.cost(asking.purpose, answer);
        let model = Some(asking.model.clone());
        Last { model, cost, usage: answer.usage, estimated: asking.estimated }
    }

    /// US dollars; nothing where the price is not known.
    pub(super) fn cost(&self, purpose: Purpose, answer: &Answer) -> f64 {
        self.price(purpose).map_or(0.0, |price| known::cost(&answer.usage, &price))
    }

    /// What the model costs that is asked.
    pub(super) fn price(&self, purpose: Purpose) -> Option<Price> {
        self.facts(purpose).and_then(|facts| facts.price)
    }

    fn answered(&mut self, asking: &Asking, mut answer: Answer, last: &Last) -> Append {
        if answer.cut
            && let Some(call) = answer.calls.last_mut()
        {
            mark_cut(call);
        }
        answer.calls.truncate(MOST_CALLS);
        answer.id = own_id(&answer.id, asking.seen);
        distinguish(&mut answer.calls, &answer.id);
        let origin = Origin::of(&answer, 0, &asking.model, asking.seen);
        if let Some(call) = answer.calls.first() {
            let mut append = self.carry_out(call, &origin, &answer.text);
            append.llm_metrics = Some(self.metrics(last));
            return append;
        }
        if answer.text.trim().is_empty() {
            let nudge = if answer.cut { words::NUDGE_CUT } else { words::NUDGE };
            return self.nothing_said(nudge, last);
        }
        // A text that was cut goes on, once: who is cut again and again would go on for ever.
        let was_cut =
            self.log.top().view.last_said().is_some_and(|said| said.ends_with(words::CUT));
        let (content, wait_for_response) = match (answer.cut, was_cut) {
            (false, _) => (answer.text, true),
            (true, false) => (format!("{}\n\n{}", answer.text, words::CUT), false),
            (true, true) => (format!("{}\n\n{}", answer.text, words::CUT_AGAIN), true),
        };
        let message = Message { content, wait_for_response, ..Message::default() };
        Append {
            tool_call_metadata: Some(origin.to_value()),
            llm_metrics: Some(self.metrics(last)),
            ..action_of(Action::Message(message))
        }
    }

    fn nothing_said(&mut self, nudge: &str, last: &Last) -> Append {
        if self.log.top().empty + 1 >= MOST_EMPTY {
            let why = "The language model answered nothing, several times in a row. Tell the agent to go on, or \
                       choose another model.";
            return self.fail(why, failures::EMPTY, last);
        }
        let message = Message { content: nudge.to_owned(), ..Message::default() };
        Append {
            source: Source::Environment,
            llm_metrics: Some(self.metrics(last)),
            ..action_of(Action::Message(message))
        }
    }

    /// A call as the event with which it begins, or ends.
    pub(super) fn carry_out(&self, call: &ToolCall, origin: &Origin, text: &str) -> Append {
        let metadata = origin.to_value();
        let Called { action, timeout, risk } = match read_call(call, &self.offer()) {
            Ok(called) => called,
            Err(misread) => {
                let observation = Observation::error(misread.to_string(), Misread::ERROR_ID);
                let tool_call_metadata = Some(metadata);
                return Append { tool_call_metadata, ..observed(Source::Agent, None, observation) };
            }
        };
        let action = confirm::with_thought(action, text);
        let policy = self.configured.settings.confirm;
        let workspace = &self.live.facts().working_dir;
        let judged = confirm::judge(&action, risk, policy, &self.log.approved, workspace);
        let action = confirm::with_risk(action, judged.risk);
        if !judged.asked {
            return Append { timeout, tool_call_metadata: Some(metadata), ..action_of(action) };
        }
        let tool_call_metadata = Some(confirm::with_reasons(metadata, &judged));
        let action = confirm::with_state(action, ConfirmationStatus::AwaitingConfirmation);
        Append { timeout, tool_call_metadata, ..action_of(action) }
    }

    fn summed_up(&mut self, asking: &Asking, summary: &str, last: &Last) -> Append {
        if summary.trim().is_empty() {
            return self.no_summary(asking, "It answered nothing.", last);
        }
        let condensation = asking.plan.as_ref().map(|plan| plan.condensation(Some(summary)));
        Append {
            llm_metrics: Some(self.metrics(last)),
            ..action_of(Action::Condensation(condensation.unwrap_or_default()))
        }
    }

    /// The view is condensed without a summary next; people are told why.
    fn no_summary(&mut self, asking: &Asking, why: &str, last: &Last) -> Append {
        let why = format!(
            "The model {} wrote no summary of what leaves the agent's memory; it goes on without one. {why}",
            asking.model
        );
        self.fail(&why, failures::NO_SUMMARY, last)
    }

    fn failed(&mut self, asking: &Asking, failed: &ModelFailed) -> Append {
        let (model, estimated) = (Some(asking.model.clone()), asking.estimated);
        let nothing = Last { model, estimated, ..Last::default() };
        let top = self.log.top();
        let is_step = asking.purpose == Purpose::Step;
        if failed.kind == FailureKind::ContextTooLong
            && is_step
            && top.condensed < MOST_CONDENSED
            && condense::plan(&top.view, Why::TooLong, self.condenser_window()).is_some()
        {
            let told = retry(top.condensed + 1, MOST_CONDENSED, Duration::ZERO, failed);
            return Append { llm_metrics: Some(self.metrics(&nothing)), ..told };
        }
        let retries = self.configured.settings.retries;
        let attempt = top.retry.as_ref().map_or(0, |retry| retry.attempt) + 1;
        if failed.kind.is_passing() && attempt <= retries.most {
            let wait = failures::wait(&retries, attempt, failed.retry_after);
            return retry(attempt, retries.most, wait, failed);
        }
        let about_the_question = matches!(
            failed.kind,
            FailureKind::ContextTooLong | FailureKind::Refused | FailureKind::BadQuestion
        );
        let words = failures::words(failed);
        if !is_step && (about_the_question || self.configured.condenser.is_some()) {
            return self.no_summary(asking, &words, &nothing);
        }
        self.fail(&words, failures::id_of(failed.kind), &nothing)
    }
}

/// The provider's id made unique in the session: some servers give each answer the same. No two answers in the log are
/// to questions that told as much, since what came of one is told by the next.
fn own_id(given: &str, seen: Option<EventId>) -> String {
    let given: String = given.chars().take(MOST_ID).collect();
    format!("{given}@{}", seen.map_or(0, |seen| seen.0))
}

fn retry(attempt: u32, most: u32, wait: Duration, failed: &ModelFailed) -> Append {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let code = failed.kind.code().to_owned();
    let detail = failed.message.chars().take(MOST_DETAIL).collect();
    let retry = ModelRetry { attempt, most, wait_ms, code, detail };
    observed(Source::Environment, None, Observation::ModelRetry(retry))
}
