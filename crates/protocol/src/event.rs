//! An event: one action or observation with its place in the session's stream (§4.3).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::{Action, EventId, Observation};

/// Who an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Agent,
    User,
    Environment,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Something is to be done.
    Action(Action),
    /// Something came of it, or happened.
    Observation(Observation),
}

/// One entry of a session's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the stream.
    pub id: EventId,
    /// RFC 3339; stored events of other versions have ISO 8601 without a zone.
    pub timestamp: String,
    /// Who it comes from.
    pub source: Source,
    /// The action that an observation answers.
    pub cause: Option<EventId>,
    /// What it says.
    pub body: Body,
    /// The model's tool call that it comes from or answers.
    pub tool_call_metadata: Option<Value>,
    /// What the model's call cost.
    pub llm_metrics: Option<Value>,
    /// An action's hard limit, in seconds. Not written for an observation.
    pub timeout: Option<u64>,
}

impl Event {
    /// Its JSON, as it is stored and sent.
    #[expect(clippy::missing_panics_doc, reason = "it can't: every key is a string")]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event has string keys only, and no other cause to fail")
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The reference's order of keys. `message` repeats what the body says.
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("source", &self.source)?;
        match &self.body {
            Body::Action(action) => map.serialize_entry("message", &action.message())?,
            Body::Observation(observation) => {
                map.serialize_entry("message", &observation.message())?;
            }
        }
        if let Some(cause) = self.cause {
            map.serialize_entry("cause", &cause)?;
        }
        match &self.body {
            Body::Action(action) => map.serialize_entry("action", action.name())?,
            Body::Observation(observation) => {
                map.serialize_entry("observation", observation.name())?;
            }
        }
        for (key, value) in
            [("tool_call_metadata", &self.tool_call_metadata), ("llm_metrics", &self.llm_metrics)]
        {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        match &self.body {
            Body::Action(action) => {
                map.serialize_entry("args", &action.args())?;
                if let Some(timeout) = self.timeout {
                    map.serialize_entry("timeout", &timeout)?;
                }
            }
            Body::Observation(observation) => {
                map.serialize_entry("content", &observation.content())?;
                map.serialize_entry("extras", &observation.extras())?;
                if let Some(success) = observation.success() {
                    map.serialize_entry("success", &success)?;
                }
            }
        }
        map.end()
    }
}

/// An event's keys as any version wrote them; `message` and `success` are made anew.
#[derive(Deserialize)]
struct Wire {
    id: EventId,
    timestamp: Option<String>,
    source: Source,
    cause: Option<EventId>,
    action: Option<String>,
    #[serde(default)]
    args: Map<String, Value>,
    observation: Option<String>,
    #[serde(default)]
    content: String,
    #[serde(default)]
    extras: Map<String, Value>,
    tool_call_metadata: Option<Value>,
    llm_metrics: Option<Value>,
    timeout: Option<Value>,
}

impl TryFrom<Wire> for Event {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let body = match (wire.action, wire.observation) {
            (Some(name), _) => Body::Action(Action::read(&name, &wire.args)?),
            (None, Some(name)) => {
                Body::Observation(Observation::read(&name, wire.content, &wire.extras)?)
            }
            (None, None) => {
                return Err("an event has `action` or `observation`; this has neither".to_owned());
            }
        };
        let in_args = || wire.args.get("timestamp").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            id: wire.id,
            timestamp: wire.timestamp.or_else(in_args).unwrap_or_default(),
            source: wire.source,
            cause: wire.cause,
            timeout: match &body {
                Body::Action(_) => wire.timeout.as_ref().and_then(whole_seconds),
                Body::Observation(_) => None,
            },
            body,
            tool_call_metadata: wire.tool_call_metadata,
            llm_metrics: wire.llm_metrics,
        })
    }
}

/// Other versions wrote fractions of a second too.
fn whole_seconds(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| Duration::try_from_secs_f64(value.as_f64()?).ok().map(|limit| limit.as_secs()))
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Event {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let id = generator.subschema_for::<EventId>();
        let source = generator.subschema_for::<Source>();
        let action = generator.subschema_for::<Action>();
        let observation = generator.subschema_for::<Observation>();
        schemars::json_schema!({
            "description": "One entry of a session's stream: an action or an observation.",
            "type": "object",
            "properties": {
                "id": id.clone(),
                "timestamp": { "type": "string", "description": "RFC 3339." },
                "source": source,
                "message": { "type": "string", "description": "For people." },
                "cause": id,
                "tool_call_metadata": true,
                "llm_metrics": true,
                "timeout": { "type": "integer", "minimum": 1, "description": "Seconds." },
            },
            "required": ["id", "timestamp", "source", "message"],
            "oneOf": [action, observation],
        })
    }
}
