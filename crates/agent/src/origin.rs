//! Where an event comes from: the `tool_call_metadata` of the reference's form, made of an answer and read again.
//!
//! ```json
//! {"function_name": "execute_bash", "tool_call_id": "call_1", "total_calls_in_response": 2,
//!  "model_response": {"id": "r1", "model": "m", "seen": 41, "opaque": …,
//!    "choices": [{"message": {"role": "assistant", "content": "Look", "tool_calls": [
//!      {"id": "call_1", "type": "function", "function": {"name": "execute_bash", "arguments": "{…}"}}]}}]}}
//! ```
//! `model`, `seen` and `opaque` are our own. Only the first event of an answer has `choices`; the others name the
//! answer by its `id`.

use serde_json::{Map, Value, json};
use staithe_protocol::EventId;

use crate::model::{Answer, Answered, ToolCall};

/// What an event says of the answer of a model that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The answer's id, which no other answer of the session has.
    pub answer_id: String,
    /// The call that it is about; none for a message without calls.
    pub call: Option<OfCall>,
    /// Calls in the answer.
    pub total: usize,
    /// The whole answer, in the first event of it.
    pub whole: Option<Whole>,
}

/// A call, named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfCall {
    pub id: String,
    pub tool: String,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    pub said: Answered,
    /// The model that gave it.
    pub model: String,
    /// The newest event that the question told; what is newer comes after the answer.
    pub seen: Option<EventId>,
}

impl Origin {
    /// Of the call at this place of an answer; for a message without calls, of the answer. `model` and `seen` are
    /// those of the question.
    pub fn of(answer: &Answer, at: usize, model: &str, seen: Option<EventId>) -> Self {
        let call = answer.calls.get(at).map(|c| OfCall { id: c.id.clone(), tool: c.name.clone() });
        let whole = (at == 0).then(|| Whole {
            said: Answered {
                text: answer.text.clone(),
                calls: answer.calls.clone(),
                opaque: answer.opaque.clone(),
            },
            model: model.to_owned(),
            seen,
        });
        Self { answer_id: answer.id.clone(), call, total: answer.calls.len(), whole }
    }

    /// The same without the whole answer: for observations, and for an action that is put into the log again.
    #[must_use]
    pub fn short(&self) -> Self {
        Self { whole: None, ..self.clone() }
    }

    /// As `tool_call_metadata` of an event.
    pub fn to_value(&self) -> Value {
        let mut response = Map::new();
        response.insert("id".to_owned(), self.answer_id.clone().into());
        if let Some(whole) = &self.whole {
            response.insert("model".to_owned(), whole.model.clone().into());
            if let Some(seen) = whole.seen {
                response.insert("seen".to_owned(), seen.0.into());
            }
            if let Some(opaque) = &whole.said.opaque {
                response.insert("opaque".to_owned(), opaque.clone());
            }
            let calls: Vec<Value> = whole.said.calls.iter().map(call_value).collect();
            let message = json!({
                "role": "assistant",
                "content": whole.said.text,
                "tool_calls": calls,
            });
            response.insert("choices".to_owned(), json!([{ "message": message }]));
        }
        let mut value = Map::new();
        if let Some(call) = &self.call {
            value.insert("function_name".to_owned(), call.tool.clone().into());
            value.insert("tool_call_id".to_owned(), call.id.clone().into());
        }
        value.insert("model_response".to_owned(), response.into());
        value.insert("total_calls_in_response".to_owned(), self.total.into());
        value.into()
    }

    /// Reads what an event carries; none where it is of no form that is known.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let call = text("tool_call_id").map(|id| OfCall {
            id: id.to_owned(),
            tool: text("function_name").unwrap_or_default().to_owned(),
        });
        let response = value.get("model_response")?;
        let answer_id = response.get("id").and_then(Value::as_str)?.to_owned();
        let whole = response.pointer("/choices/0/message").map(|message| Whole {
            said: Answered {
                text: content(message),
                calls: calls(message),
                opaque: response.get("opaque").filter(|opaque| !opaque.is_null()).cloned(),
            },
            model: response.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
            seen: response.get("seen").and_then(Value::as_u64).map(EventId),
        });
        let total = value.get("total_calls_in_response").and_then(Value::as_u64);
        let total = usize::try_from(total.unwrap_or(1)).unwrap_or(usize::MAX);
        Some(Self { answer_id, call, total, whole })
    }
}

fn call_value(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

/// A message's text, which other versions write in parts, too.
fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn calls(message: &Value) -> Vec<ToolCall> {
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let read = |call: &Value| {
        let of = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Some(ToolCall {
            id: of("/id")?,
            name: of("/function/name").unwrap_or_default(),
            arguments: of("/function/arguments").unwrap_or_default(),
        })
    };
    calls.filter_map(read).collect()
}

/// Gives the calls of an answer ids of their own where they have none, or one twice.
pub fn distinguish(calls: &mut [ToolCall], answer_id: &str) {
    for at in 0..calls.len() {
        let (before, rest) = calls.split_at_mut(at);
        let Some(call) = rest.first_mut() else { return };
        if call.id.is_empty() || before.iter().any(|other| other.id == call.id) {
            call.id = format!("{answer_id}-{at}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let call = |id: &str| ToolCall {
            id: id.to_owned(),
            name: "think".to_owned(),
            arguments: r#"{"thought":"t"}"#.to_owned(),
        };
        Answer {
            id: "r1".to_owned(),
            text: "Look".to_owned(),
            calls: vec![call("a"), call("b")],
            opaque: Some(json!({ "signature": "s" })),
            ..Answer::default()
        }
    }

    #[test]
    fn an_origin_survives_its_form_on_the_wire() {
        for at in 0..2 {
            let origin = Origin::of(&answer(), at, "m", Some(EventId(7)));
            assert_eq!(origin.whole.is_some(), at == 0);
            assert_eq!(Origin::from_value(&origin.to_value()), Some(origin.clone()));
            let short = origin.short();
            assert_eq!(Origin::from_value(&short.to_value()), Some(short));
        }
        let message = Answer { calls: Vec::new(), ..answer() };
        let origin = Origin::of(&message, 0, "m", None);
        assert_eq!(origin.call, None);
        assert_eq!(Origin::from_value(&origin.to_value()), Some(origin));
    }

    #[test]
    fn the_reference_s_form_is_read() {
        let value = json!({
            "function_name": "execute_bash", "tool_call_id": "call_1",
            "model_response": { "id": "c", "choices": [{ "message": {
                "role": "assistant", "content": [{ "type": "text", "text": "Look" }],
                "tool_calls": [{ "id": "call_1", "type": "function",
                    "function": { "name": "execute_bash", "arguments": "{}" } }] } }] },
            "total_calls_in_response": 1,
        });
        let whole = Origin::from_value(&value).and_then(|origin| origin.whole).unwrap();
        assert_eq!((whole.said.text.as_str(), whole.said.calls.len()), ("Look", 1));
        assert_eq!(Origin::from_value(&json!({})), None);
        assert_eq!(Origin::from_value(&json!("x")), None);
    }

    #[test]
    fn every_call_gets_an_id_of_its_own() {
        let mut calls = answer().calls;
        calls[1].id = "a".to_owned();
        calls.push(ToolCall { id: String::new(), ..calls[0].clone() });
        distinguish(&mut calls, "r1");
        let ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids, ["a", "r1-1", "r1-2"]);
    }
}
