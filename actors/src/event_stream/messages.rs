//! What may be asked of an [`EventStream`](super::EventStream).

use actix::Message;
use serde_json::Value;
use sha2::{Digest, Sha256};
use staithe_protocol::{Body, EventId, Source, frames::PartialKind};

use super::feed::{ClientInfo, Subscription};

/// Sent by `AgentSession` and `Session`: put this into the log. Answers when it is durable. With a
/// reference, a second one of the same content answers the first one's id and adds nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<Appended, AppendFailed>")]
pub struct Append {
    pub source: Source,
    pub cause: Option<EventId>,
    pub body: Body,
    /// Seconds, for an action.
    pub timeout: Option<u64>,
    pub tool_call_metadata: Option<Value>,
    pub llm_metrics: Option<Value>,
    pub reference: Option<Reference>,
}

impl Append {
    /// An observation.
    pub fn observation(
        source: Source,
        cause: Option<EventId>,
        observation: staithe_protocol::Observation,
    ) -> Self {
        Self {
            source,
            cause,
            body: Body::Observation(observation),
            timeout: None,
            tool_call_metadata: None,
            llm_metrics: None,
            reference: None,
        }
    }
}

/// A client's idempotency key and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    pub digest: [u8; 32],
}

impl Reference {
    /// A reference for a command in its JSON form.
    pub fn new(name: impl Into<String>, command: &Value) -> Self {
        let digest = Sha256::digest(canonical(command).as_bytes()).into();
        Self { name: name.into(), digest }
    }
}

/// JSON with sorted keys: the order of a map's keys is not part of what a client asked for.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let inner: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Sent by `AgentSession`: the first answer to this reference, when there was one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Option<Appended>, AppendFailed>")]
pub struct FindReference(pub Reference);

/// Where an event went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub id: EventId,
    /// The reference was known: this is the first answer again.
    pub repeated: bool,
}

/// Why an event is not in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendFailed {
    /// The reference stands for another command.
    #[error("the ref {0:?} was used for another command")]
    ReferenceReused(String),
    /// The store refused or failed. The stream takes no more events, so that none is ever missing.
    #[error("the event could not be made durable: {0}")]
    Store(String),
}

/// Sent by `ClientSocket`s: the head of now and the means to read from any cursor on. Nothing between
/// the two is lost.
#[derive(Debug, Message)]
#[rtype(result = "Subscription")]
pub struct Subscribe(pub ClientInfo);

/// Told by `AgentSession`: what came of the model's answers so far is in the log, as this event or before it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct AnswersTaken(pub EventId);

/// Sent by `Runtime`: output as it comes; by `AgentSession`: a model's answer. Not durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PublishPartial {
    pub cause: Option<EventId>,
    pub kind: PartialKind,
    pub offset: u64,
    pub text: String,
    pub skipped: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_change_what_a_reference_stands_for() {
        let one = Reference::new("r", &json!({"action": "run", "args": {"a": 1, "b": [1, 2]}}));
        let two = Reference::new("r", &json!({"args": {"b": [1, 2], "a": 1}, "action": "run"}));
        let other = Reference::new("r", &json!({"args": {"b": [2, 1], "a": 1}, "action": "run"}));
        assert_eq!(one, two);
        assert_ne!(one, other);
    }
}
