//! What `genai` leaves out of an answer, from the frames themselves: its id, whether it came to an end and how, an
//! error in the middle of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ::genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use serde_json::Value;

use super::fail::failed;
use crate::model::{FailureKind, ModelFailed};

/// Bytes of an answer at most. What is longer is no answer for an agent.
const MOST_BYTES: usize = 32 << 20;
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
    bytes: usize,
    garbage: String,
}

impl Frames {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Fails when there is too much.
    pub(super) fn check(&self) -> Result<(), ModelFailed> {
        if self.lock().bytes > MOST_BYTES {
            return Err(failed(
                FailureKind::Unavailable,
                "the model's answer is longer than 32 MiB",
            ));
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
