//! What is looked up for a user's message: the workspace's instructions at first, later what a word calls up. Pure.

use staithe_protocol::{
    Action, EventId, Observation, Source,
    action::{Recall, RecallType},
    event::Body,
    observation::RecallObservation,
};

use super::{Append, Learned};

/// Begins a look-up; none if this message calls up nothing.
pub(super) fn begin(query: &str, workspace: bool, learned: &Learned) -> Option<Append> {
    let recall_type = if workspace { RecallType::Knowledge } else { RecallType::WorkspaceContext };
    if workspace && learned.triggered(query).is_empty() {
        return None;
    }
    let recall = Recall { recall_type, query: query.to_owned(), ..Recall::default() };
    Some(append(None, Body::Action(Action::Recall(recall))))
}

/// What was found.
pub(super) fn found(cause: EventId, kind: RecallType, query: &str, learned: &Learned) -> Append {
    let triggered = RecallObservation {
        content: "Added microagent knowledge".to_owned(),
        recall_type: RecallType::Knowledge,
        microagent_knowledge: learned.triggered(query),
        ..RecallObservation::default()
    };
    let observation = match kind {
        RecallType::Knowledge => triggered,
        RecallType::WorkspaceContext => RecallObservation {
            content: "Added workspace context".to_owned(),
            recall_type: RecallType::WorkspaceContext,
            microagent_knowledge: triggered.microagent_knowledge,
            ..learned.workspace.clone()
        },
    };
    append(Some(cause), Body::Observation(Observation::Recall(observation)))
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
