//! What is looked up for a user's message: the workspace's instructions at first, later what a word calls up. Pure.

use staithe_protocol::{
    Action, EventId, Observation, Source,
    action::{Recall, RecallType},
    event::Body,
    observation::RecallObservation,
};

use super::Append;
use crate::{
    instructions::{Instructions, Told},
    prompt::Facts,
};

/// Begins a look-up; none if this message calls up nothing. `begun`: the workspace was told of.
pub(super) fn begin(
    query: &str,
    begun: bool,
    instructions: &Instructions,
    told: &Told,
) -> Option<Append> {
    let recall_type = if begun { RecallType::Knowledge } else { RecallType::WorkspaceContext };
    if begun && instructions.called_by(query, told).is_none() {
        return None;
    }
    let recall = Recall { recall_type, query: query.to_owned(), ..Recall::default() };
    Some(append(None, Body::Action(Action::Recall(recall))))
}

/// What was found by the look-up that is this event.
pub(super) fn found(
    (cause, kind, query): &(EventId, RecallType, String),
    instructions: &Instructions,
    told: &Told,
    facts: &Facts,
) -> Append {
    let called = instructions.called_by(query, told).unwrap_or_default();
    let observation = match kind {
        RecallType::Knowledge => {
            let content = "Added microagent knowledge".to_owned();
            RecallObservation { content, recall_type: RecallType::Knowledge, ..called }
        }
        RecallType::WorkspaceContext => RecallObservation {
            microagent_knowledge: called.microagent_knowledge,
            ..instructions.workspace(facts)
        },
    };
    append(Some(*cause), Body::Observation(Observation::Recall(observation)))
}

fn append(cause: Option<EventId>, body: Body) -> Append {
    Append {
        source: Source::Environment,
        cause,
        body,
        timeout: None,
        tool_call_metadata: None,
        llm_metrics: None,
    }
}
