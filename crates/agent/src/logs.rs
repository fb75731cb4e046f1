//! Logs for tests: events as a controller and its session put them there.

use serde_json::json;
use staithe_protocol::{
    Action, Event, EventId, Observation, Source,
    action::{Condensation, ConfirmationStatus, Delegate, Finish, Message, Run, Think},
    event::Body,
    observation::{DelegateObservation, RunObservation},
};

use crate::{
    model::{Answer, Said, ToolCall},
    origin::Origin,
    settings::ViewSettings,
    view::{Asked, View},
};

pub(crate) const ASKED: Asked<'static> = Asked { model: "m", pictures: true };

pub(crate) fn settings() -> ViewSettings {
    ViewSettings { fill: 0.8, most_turns: 40, keep_first: 1, whole_results: 4, most_result: 2_000 }
}

/// A log that a view follows.
pub(crate) struct Log {
    pub view: View,
    pub next: u64,
    answers: u64,
}

impl Log {
    pub(crate) fn new(settings: ViewSettings) -> Self {
        Self { view: View::new(settings), next: 0, answers: 0 }
    }

    pub(crate) fn put(
        &mut self,
        source: Source,
        body: Body,
        cause: Option<u64>,
        origin: Option<&Origin>,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let event = Event {
            id: EventId(id),
            timestamp: String::new(),
            source,
            cause: cause.map(EventId),
            body,
            tool_call_metadata: origin.map(Origin::to_value),
            llm_metrics: None,
            timeout: None,
        };
        // As it comes back from the store.
        let event: Event = serde_json::from_slice(&event.to_json()).unwrap();
        self.view.take(&event);
        id
    }

    pub(crate) fn user(&mut self, text: &str) -> u64 {
        let message = Message { content: text.to_owned(), ..Message::default() };
        self.put(Source::User, Body::Action(Action::Message(message)), None, None)
    }

    pub(crate) fn message(&mut self, source: Source, text: &str) -> u64 {
        let message = Message { content: text.to_owned(), ..Message::default() };
        self.put(source, Body::Action(Action::Message(message)), None, None)
    }

    /// An answer that calls these tools, each by its name with its number as its thought.
    pub(crate) fn answer(&mut self, text: &str, tools: &[&str]) -> Answer {
        self.answers += 1;
        let id = format!("r{}", self.answers);
        let calls = tools.iter().enumerate().map(|(at, tool)| ToolCall {
            id: format!("{id}c{at}"),
            name: (*tool).to_owned(),
            arguments: json!({ "n": at }).to_string(),
        });
        Answer { text: text.to_owned(), calls: calls.collect(), id, ..Answer::default() }
    }

    pub(crate) fn action(&mut self, action: Action, origin: &Origin) -> u64 {
        self.put(Source::Agent, Body::Action(action), None, Some(origin))
    }

    pub(crate) fn result(&mut self, text: &str, cause: u64, origin: &Origin) -> u64 {
        self.observe(ran(text), Some(cause), Some(origin))
    }

    pub(crate) fn observe(
        &mut self,
        observation: Observation,
        cause: Option<u64>,
        origin: Option<&Origin>,
    ) -> u64 {
        let short = origin.map(Origin::short);
        self.put(Source::Agent, Body::Observation(observation), cause, short.as_ref())
    }

    /// A whole step: an answer with one call, and its result.
    pub(crate) fn step(&mut self, text: &str, result: &str) {
        let answer = self.answer(text, &["execute_bash"]);
        let origin = self.origin(&answer, 0);
        let action = self.action(run("ls"), &origin);
        self.result(result, action, &origin);
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    pub(crate) fn origin(&self, answer: &Answer, at: usize) -> Origin {
        Origin::of(answer, at, "m", self.view.newest())
    }

    pub(crate) fn condense(&mut self, condensation: Condensation) -> u64 {
        self.put(Source::Agent, Body::Action(Action::Condensation(condensation)), None, None)
    }

    pub(crate) fn said(&self) -> Vec<Said> {
        self.view.said(ASKED)
    }

    /// What is said, a line a turn.
    pub(crate) fn short(&self) -> Vec<String> {
        self.said().iter().map(short).collect()
    }
}

pub(crate) fn run(command: &str) -> Action {
    Action::Run(Run { command: command.to_owned(), ..Run::default() })
}

pub(crate) fn run_with(command: &str, confirmation_state: ConfirmationStatus) -> Action {
    Action::Run(Run { command: command.to_owned(), confirmation_state, ..Run::default() })
}

pub(crate) fn think() -> Action {
    Action::Think(Think { thought: "t".to_owned() })
}

pub(crate) fn finish(text: &str) -> Action {
    Action::Finish(Finish { final_thought: text.to_owned(), ..Finish::default() })
}

pub(crate) fn delegate() -> Action {
    Action::Delegate(Delegate {
        agent: "CodeActAgent".to_owned(),
        inputs: serde_json::Map::new(),
        ..Delegate::default()
    })
}

pub(crate) fn ran(text: &str) -> Observation {
    Observation::Run(RunObservation { content: text.to_owned(), ..RunObservation::default() })
}

pub(crate) fn report(text: &str) -> Observation {
    Observation::Delegate(DelegateObservation {
        content: text.to_owned(),
        outputs: serde_json::Map::new(),
    })
}

fn short(said: &Said) -> String {
    match said {
        Said::User { text, .. } => format!("user: {text}"),
        Said::Assistant(answered) => {
            let calls: Vec<&str> = answered.calls.iter().map(|call| call.id.as_str()).collect();
            format!("agent: {} {calls:?}", answered.text)
        }
        Said::Tool { call_id, text, .. } => {
            format!("{call_id}: {}", text.lines().next().unwrap_or_default())
        }
    }
}

/// Whether the strictest provider takes these turns.
pub(crate) fn check(said: &[Said]) -> Result<(), String> {
    let wrong = |what: &str, at: usize| Err(format!("{what} at {at}: {said:#?}"));
    if !matches!(said.first(), Some(Said::User { .. })) {
        return wrong("does not begin with a person", 0);
    }
    if matches!(said.last(), Some(Said::Assistant(_))) {
        return wrong("ends with the agent", said.len());
    }
    let mut ids = std::collections::BTreeSet::new();
    let mut at = 0;
    while let Some(turn) = said.get(at) {
        match turn {
            Said::User { text, images } => {
                if text.is_empty() && images.is_empty() {
                    return wrong("empty words", at);
                }
                if matches!(said.get(at + 1), Some(Said::User { .. })) {
                    return wrong("a person twice", at);
                }
                at += 1;
            }
            Said::Tool { .. } => return wrong("a result of nothing", at),
            Said::Assistant(answered) => {
                if answered.text.is_empty() && answered.calls.is_empty() {
                    return wrong("an empty answer", at);
                }
                at += 1;
                for call in &answered.calls {
                    let arguments = serde_json::from_str(&call.arguments);
                    if !ids.insert(&call.id)
                        || !matches!(arguments, Ok(serde_json::Value::Object(_)))
                    {
                        return wrong("a bad call", at);
                    }
                    match said.get(at) {
                        Some(Said::Tool { call_id, text, name, .. })
                            if *call_id == call.id && !text.is_empty() && *name == call.name => {}
                        _ => return wrong("a result is missing", at),
                    }
                    at += 1;
                }
                if matches!(said.get(at), Some(Said::Assistant(_))) && answered.calls.is_empty() {
                    return wrong("the agent twice", at);
                }
            }
        }
    }
    Ok(())
}
