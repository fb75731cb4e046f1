//! What `genai` leaves out of an answer, from the frames themselves: its id, whether it came to an end and how, an
//! error in the middle of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ::genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use serde_json::Value;

use super::fail::failed;
use crate::model::{FailureKind, ModelFailed};

/// Bytes of an answer at most. What is longer is no answer for an agent.
const MOST_BYTES: usize = 32 << 20;
/// Calls of one answer at most.
const MOST_CALLS: usize = 128;
/// Of what is no frame, for people.
const MOST_GARBAGE: usize = 300;

/// Sees every frame before genai understands it.
#[derive(Default)]
pub(super) struct Frames(Mutex<Seen>);

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) id: Option<String>,
    /// Why it ended, in the provider's word.
    pub(super) end: Option<String>,
    /// Why the question was blocked.
    pub(super) blocked: Option<String>,
    pub(super) error: Option<Value>,
    pub(super) thinking_tokens: u64,
    /// OpenAI's usage, should genai not come to tell it.
    pub(super) usage: Option<Value>,
    /// Calls in OpenAI's form. genai makes room for as many as a frame's index says, loses arguments that are no
    /// text, and takes two calls without a place for one.
    pub(super) calls: Vec<Delta>,
    bytes: usize,
    garbage: String,
}

/// A call as far as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delta {
    place: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    /// As the model wrote it.
    pub(super) arguments: String,
}

impl Frames {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Names of calls that began after so many others.
    pub(super) fn begun_after(&self, others: usize) -> Vec<String> {
        let seen = self.lock();
        let begun = seen.calls.iter().skip(others).map(|call| call.name.clone());
        begun.take_while(|name| !name.is_empty()).collect()
    }

    /// Fails when there is too much.
    pub(super) fn check(&self) -> Result<(), ModelFailed> {
        let seen = self.lock();
        if seen.bytes > MOST_BYTES || seen.calls.len() > MOST_CALLS {
            let what = "the model's answer is longer than 32 MiB, or has more than 128 calls";
            return Err(failed(FailureKind::Unavailable, what));
        }
        Ok(())
    }
}

impl ChatFrameSink for Frames {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        self.lock().see(frame.data);
    }
}

impl Seen {
    pub(super) fn see(&mut self, data: &str) {
        self.bytes = self.bytes.saturating_add(data.len());
        let data = data.trim();
        if data == "[DONE]" {
            self.end.get_or_insert_with(|| "stop".to_owned());
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            let room = MOST_GARBAGE.saturating_sub(self.garbage.len());
            self.garbage.extend(data.chars().take(room));
            return;
        };
        self.see_calls(&value);
        let text = |pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).filter(|it| !it.is_empty())
        };
        let ids = ["/message/id", "/responseId", "/id"];
        if self.id.is_none() {
            self.id = ids.into_iter().find_map(text).map(str::to_owned);
        }
        let ends = [
            "/choices/0/finish_reason",
            "/delta/stop_reason",
            "/candidates/0/finishReason",
            "/done_reason",
        ];
        if let Some(end) = ends.into_iter().find_map(text) {
            self.end = Some(end.to_owned());
        }
        // Anthropic's last frame, and Ollama's from before it gave reasons.
        let last = value["done"] == Value::Bool(true) || text("/type") == Some("message_stop");
        if last && self.end.is_none() {
            self.end = Some("stop".to_owned());
        }
        if let Some(reason) = text("/promptFeedback/blockReason") {
            self.blocked = Some(reason.to_owned());
        }
        if value.get("error").is_some_and(|error| !error.is_null()) {
            self.error.get_or_insert_with(|| value.clone());
        }
        if let Some(usage) = value.get("usage").filter(|usage| usage.is_object()) {
            let thinking =
                usage.pointer("/output_tokens_details/thinking_tokens").and_then(Value::as_u64);
            self.thinking_tokens = thinking.unwrap_or(self.thinking_tokens);
            self.usage = Some(usage.clone());
        }
    }

    fn see_calls(&mut self, frame: &Value) {
        let deltas = frame.pointer("/choices/0/delta/tool_calls").and_then(Value::as_array);
        for delta in deltas.into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (place, id) = (delta["index"].as_u64(), text(&delta["id"]));
            let same = |call: &Delta| match (call.place, place) {
                (Some(one), Some(other)) => one == other,
                // Without a place a call goes on until another id comes.
                _ => id.is_empty() || call.id == id,
            };
            let at = self.calls.iter().rposition(same).unwrap_or(self.calls.len());
            if at > MOST_CALLS {
                return;
            }
            if at == self.calls.len() {
                self.calls.push(Delta { place, ..Delta::default() });
            }
            let call = &mut self.calls[at];
            if call.id.is_empty() {
                call.id = id;
            }
            if call.name.is_empty() {
                call.name = text(&delta["function"]["name"]);
            }
            match &delta["function"]["arguments"] {
                Value::Null => {}
                Value::String(more) => call.arguments.push_str(more),
                whole => call.arguments.push_str(&whole.to_string()),
            }
        }
    }

    /// What came instead of frames, for people.
    pub(super) fn garbage(&self) -> &str {
        &self.garbage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frames: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for frame in frames {
            seen.see(frame);
        }
        seen
    }

    #[test]
    fn ends_are_seen_in_every_protocol() {
        let ends = [
            (r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, Some("length")),
            (r#"{"choices":[{"delta":{},"finish_reason":null}]}"#, None),
            ("[DONE]", Some("stop")),
            (r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#, Some("tool_use")),
            (r#"{"type":"message_stop"}"#, Some("stop")),
            (r#"{"candidates":[{"finishReason":"SAFETY"}]}"#, Some("SAFETY")),
            (r#"{"done":true,"done_reason":"stop"}"#, Some("stop")),
            (r#"{"done":true}"#, Some("stop")),
            (r#"{"done":false}"#, None),
            ("<html>", None),
        ];
        for (frame, end) in ends {
            assert_eq!(seen(&[frame]).end.as_deref(), end, "{frame}");
        }
        let reasoned =
            seen(&[r#"{"delta":{"stop_reason":"max_tokens"}}"#, r#"{"type":"message_stop"}"#]);
        assert_eq!(reasoned.end.as_deref(), Some("max_tokens"));
    }

    #[test]
    fn the_first_id_and_the_first_error_stay() {
        let seen =
            seen(&[r#"{"id":"a"}"#, r#"{"id":"b","error":"x"}"#, r#"{"error":{"message":"y"}}"#]);
        assert_eq!(seen.id.as_deref(), Some("a"));
        assert_eq!(seen.error.map(|error| error["error"].clone()), Some("x".into()));
    }

    fn delta(call: &Value) -> String {
        serde_json::json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string()
    }

    fn calls(deltas: &[Value]) -> Vec<(String, String, String)> {
        let frames: Vec<String> = deltas.iter().map(delta).collect();
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        seen(&frames).calls.into_iter().map(|it| (it.id, it.name, it.arguments)).collect()
    }

    #[test]
    fn calls_are_put_together_by_their_places_or_their_ids() {
        use serde_json::json;
        let call = |id: &str, name: &str, arguments: &str| {
            (id.to_owned(), name.to_owned(), arguments.to_owned())
        };
        let by_place = calls(&[
            json!({"index": 1, "id": "a", "function": {"name": "run", "arguments": ""}}),
            json!({"index": 7, "id": "a", "function": {"name": "run", "arguments": "{\"b\""}}),
            json!({"index": 1, "function": {"arguments": "{}"}}),
            json!({"index": 7, "function": {"arguments": ":1}"}}),
        ]);
        assert_eq!(by_place, [call("a", "run", "{}"), call("a", "run", "{\"b\":1}")]);
        let without = calls(&[
            json!({"id": "a", "function": {"name": "run", "arguments": {"x": 1}}}),
            json!({"id": "b", "function": {"name": "run", "arguments": "{"}}),
            json!({"function": {"arguments": "}"}}),
        ]);
        assert_eq!(without, [call("a", "run", "{\"x\":1}"), call("b", "run", "{}")]);
    }

    #[test]
    fn calls_are_not_without_end() {
        let frames = Frames::default();
        for place in 0..MOST_CALLS as u64 {
            let call =
                serde_json::json!({"index": place * 30_000_000, "function": {"name": "run"}});
            frames.lock().see(&delta(&call));
        }
        assert_eq!((frames.check(), frames.begun_after(MOST_CALLS - 1).len()), (Ok(()), 1));
        for place in 1..9 {
            frames.lock().see(&delta(&serde_json::json!({"index": place, "function": {}})));
        }
        assert_eq!(frames.check().map_err(|failed| failed.kind), Err(FailureKind::Unavailable));
        assert_eq!(frames.seen().calls.len(), MOST_CALLS + 1);
    }

    #[test]
    fn an_endless_answer_is_cut() {
        let frames = Frames::default();
        let long = "x".repeat(MOST_BYTES);
        frames.lock().see(&long);
        assert_eq!(frames.check(), Ok(()));
        frames.lock().see("y");
        assert_eq!(frames.check().map_err(|failed| failed.kind), Err(FailureKind::Unavailable));
        assert_eq!(frames.seen().garbage().len(), MOST_GARBAGE);
    }
}
