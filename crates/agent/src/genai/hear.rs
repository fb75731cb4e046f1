//! What comes, piece by piece, as an answer.

use ::genai::chat::{
    ChatStreamEvent, ContentPart, MessageContent, StopReason, StreamEnd, ToolCall as Chunk,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    fail::{self, Secret, failed},
    frames::{Delta, Seen},
};
use crate::model::{Answer, FailureKind, ModelFailed, Piece, ToolCall, Usage};

/// No question and no answer has more tokens, whatever a provider counts.
const MOST_TOKENS: u64 = 1 << 24;

/// An answer as far as it came.
#[derive(Default)]
pub(super) struct Hearing {
    text: String,
    reasoning: String,
    calls: Vec<Call>,
    end: Option<StreamEnd>,
    /// Calls of the frames that were told.
    begun: usize,
}

struct Call {
    id: String,
    name: String,
    /// As the model wrote it.
    arguments: String,
    signature: Option<String>,
    told: bool,
}

impl Call {
    fn of(delta: &Delta) -> Self {
        let Delta { id, name, arguments, .. } = delta.clone();
        Self { id, name, arguments, signature: None, told: true }
    }
}

impl Hearing {
    pub(super) fn hear(&mut self, event: ChatStreamEvent, heard: &mut (dyn FnMut(Piece) + Send)) {
        match event {
            ChatStreamEvent::Chunk(chunk) if !chunk.content.is_empty() => {
                self.text.push_str(&chunk.content);
                heard(Piece::Text(chunk.content));
            }
            ChatStreamEvent::ReasoningChunk(chunk) if !chunk.content.is_empty() => {
                self.reasoning.push_str(&chunk.content);
                heard(Piece::Reasoning(chunk.content));
            }
            ChatStreamEvent::ToolCallChunk(chunk) => self.call(chunk.tool_call, heard),
            ChatStreamEvent::End(end) => self.end = Some(end),
            _ => {}
        }
    }

    /// Calls that the frames have, which are better than what genai makes of them.
    pub(super) fn begin(&mut self, names: Vec<String>, heard: &mut (dyn FnMut(Piece) + Send)) {
        self.begun += names.len();
        for name in names {
            heard(Piece::Call(name));
        }
    }

    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    /// A chunk of a call has all of its arguments so far, as a text; or it is whole, as an object.
    fn call(&mut self, chunk: Chunk, heard: &mut (dyn FnMut(Piece) + Send)) {
        let signature = chunk.thought_signatures.and_then(|them| them.into_iter().next());
        let (arguments, grows) = match chunk.fn_arguments {
            Value::String(text) => (text, true),
            Value::Null => (String::new(), false),
            value => (value.to_string(), false),
        };
        // Some give several calls one id: only what goes on is the same one.
        let same = |call: &Call| {
            grows && call.id == chunk.call_id && arguments.starts_with(&call.arguments)
        };
        let at = self.calls.iter().rposition(same).unwrap_or(self.calls.len());
        if at == self.calls.len() {
            let (id, name, arguments) = (chunk.call_id.clone(), String::new(), String::new());
            self.calls.push(Call { id, name, arguments, signature: None, told: false });
        }
        let call = &mut self.calls[at];
        call.arguments = arguments;
        call.signature = signature.or_else(|| call.signature.take());
        if !chunk.fn_name.is_empty() {
            call.name = chunk.fn_name;
        }
        if !call.told && !call.name.is_empty() {
            call.told = true;
            heard(Piece::Call(call.name.clone()));
        }
    }

    /// The whole of it, if it is whole.
    pub(super) fn answer(
        mut self,
        seen: &Seen,
        model: &str,
        secret: &Secret<'_>,
    ) -> Result<Answer, ModelFailed> {
        let at_limit = check(seen, secret)?;
        let usage = self.usage(seen);
        if !seen.calls.is_empty() {
            self.calls = seen.calls.iter().map(Call::of).collect();
        }
        let cut = at_limit && !self.ends_in_a_whole_call();
        let calls = self.calls();
        let opaque = self.opaque(model, &calls);
        let tool_calls = calls.into_iter().map(|(call, _)| call).collect();
        Ok(Answer {
            id: seen.id.clone().unwrap_or_else(|| format!("answer_{}", Uuid::new_v4().simple())),
            text: self.text,
            reasoning: self.reasoning,
            calls: tool_calls,
            opaque,
            usage,
            cut,
        })
    }

    /// Of the last call all came: its arguments are an object that is closed.
    fn ends_in_a_whole_call(&self) -> bool {
        let last = self.calls.iter().rfind(|call| !call.name.is_empty());
        let is_object = |text| serde_json::from_str::<Map<String, Value>>(text).is_ok();
        last.is_some_and(|call| is_object(&call.arguments))
    }

    /// With ids that are their own: genai makes up the same ones for Gemini again and again.
    fn calls(&self) -> Vec<(ToolCall, Option<String>)> {
        let mut calls: Vec<(ToolCall, Option<String>)> = Vec::with_capacity(self.calls.len());
        for call in self.calls.iter().filter(|call| !call.name.is_empty()) {
            let made_up = call.id.is_empty() || call.id.contains('#') || is_position(&call.id);
            let taken = calls.iter().any(|(other, _)| other.id == call.id);
            let id = if made_up || taken {
                format!("call_{}", Uuid::new_v4().simple())
            } else {
                call.id.clone()
            };
            let empty = call.arguments.trim().is_empty();
            let arguments = if empty { "{}".to_owned() } else { call.arguments.clone() };
            calls.push((
                ToolCall { id, name: call.name.clone(), arguments },
                call.signature.clone(),
            ));
        }
        calls
    }

    /// What the provider wants back: signed thoughts, and signatures of calls.
    fn opaque(&self, model: &str, calls: &[(ToolCall, Option<String>)]) -> Option<Value> {
        let mut parts: Vec<Value> = Vec::new();
        let of_calls: Vec<&str> = calls.iter().filter_map(|(_, it)| it.as_deref()).collect();
        let content = self.end.as_ref().and_then(|end| end.captured_content.as_ref());
        for part in content.into_iter().flat_map(MessageContent::parts) {
            match part {
                ContentPart::ThoughtSignature(signature)
                    if !of_calls.contains(&signature.as_str()) =>
                {
                    parts.push(json!({ "signature": signature }));
                }
                ContentPart::ReasoningContent(thinking) => {
                    if let Some(last) = parts.last_mut() {
                        last["thinking"] = json!(thinking);
                    }
                }
                ContentPart::Custom(custom) => parts.push(json!({ "raw": custom.data })),
                _ => {}
            }
        }
        let signed: Map<String, Value> = calls
            .iter()
            .filter_map(|(call, signature)| Some((call.id.clone(), json!(signature.as_ref()?))))
            .collect();
        if parts.is_empty() && signed.is_empty() && self.reasoning.is_empty() {
            return None;
        }
        Some(json!({ "of": model, "parts": parts, "calls": signed, "reasoning": self.reasoning }))
    }

    fn usage(&self, seen: &Seen) -> Usage {
        let told = self.end.as_ref().and_then(|end| end.captured_usage.clone());
        let usage =
            told.or_else(|| serde_json::from_value(seen.usage.clone()?).ok()).unwrap_or_default();
        let count =
            |figure: Option<i32>| u64::try_from(figure.unwrap_or(0)).unwrap_or(0).min(MOST_TOKENS);
        let input = usage.prompt_tokens_details.as_ref();
        let output = usage.completion_tokens_details.as_ref();
        let reasoning = count(output.and_then(|it| it.reasoning_tokens))
            .max(seen.thinking_tokens.min(MOST_TOKENS));
        Usage {
            input: count(usage.prompt_tokens),
            // Gemini may count nothing but thoughts, and genai then counts nothing.
            output: count(usage.completion_tokens).max(reasoning),
            cache_read: count(input.and_then(|it| it.cached_tokens)),
            cache_write: count(input.and_then(|it| it.cache_creation_tokens)),
            reasoning,
        }
    }
}

/// What the provider said in the middle of an answer, or instead of one.
pub(super) fn refusal(seen: &Seen, secret: &Secret<'_>) -> Option<ModelFailed> {
    let blocked = |reason: &String| {
        failed(FailureKind::Refused, format!("the provider blocked the question ({reason})"))
    };
    let error = seen.error.as_ref().map(|error| fail::of_body(error, secret));
    error.or_else(|| seen.blocked.as_ref().map(blocked))
}

/// Whether it came to an end, and to a good one; true when it was cut at the limit of tokens.
fn check(seen: &Seen, secret: &Secret<'_>) -> Result<bool, ModelFailed> {
    if let Some(said) = refusal(seen, secret) {
        return Err(said);
    }
    let Some(end) = &seen.end else {
        let garbage = secret.hide(seen.garbage());
        let what = if garbage.is_empty() {
            "the model's answer broke off".to_owned()
        } else {
            "what came is no answer of a model".to_owned()
        };
        return Err(failed(FailureKind::Unavailable, what));
    };
    match StopReason::from(end.clone()) {
        StopReason::MaxTokens(_) => Ok(true),
        StopReason::ContentFilter(reason) => {
            Err(failed(FailureKind::Refused, format!("the provider stopped the answer ({reason})")))
        }
        StopReason::Other(reason) if is_broken(&reason) => {
            Err(failed(FailureKind::Unavailable, format!("the model's answer failed ({reason})")))
        }
        _ => Ok(false),
    }
}

/// Ends that are failures, which may not come again.
fn is_broken(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let words = [
        "malformed",
        "tool_call_limit",
        "unexpected_tool",
        "too_many",
        "error",
        "failed",
        "load",
        "other",
        "insufficient",
    ];
    words.iter().any(|word| reason.contains(word))
}

/// `call_0`: what genai calls the first of an answer when the provider has no id for it.
fn is_position(id: &str) -> bool {
    id.strip_prefix("call_").is_some_and(|rest| rest.len() < 4 && rest.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: &str, name: &str, arguments: Value) -> Chunk {
        let (call_id, fn_name) = (id.to_owned(), name.to_owned());
        Chunk { call_id, fn_name, fn_arguments: arguments, thought_signatures: None }
    }

    fn heard(chunks: Vec<Chunk>) -> (Vec<ToolCall>, Vec<Piece>) {
        let mut hearing = Hearing::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            hearing.call(chunk, &mut |piece| pieces.push(piece));
        }
        (hearing.calls().into_iter().map(|(call, _)| call).collect(), pieces)
    }

    #[test]
    fn arguments_grow_and_stay_as_the_model_wrote_them() {
        let chunks =
            ["", "{\"a\"", "{\"a\" :", "{\"a\" : 1,}"].map(|it| chunk("x", "run", json!(it)));
        let (calls, pieces) = heard(chunks.into());
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].arguments, "{\"a\" : 1,}");
        assert_eq!(pieces, [Piece::Call("run".to_owned())]);
    }

    #[test]
    fn whole_calls_are_never_one_and_get_ids_of_their_own() {
        let chunks = vec![
            chunk("call#run#0", "run", json!({"a": 1})),
            chunk("call#run#0", "run", json!({"a": 2})),
        ];
        let (calls, pieces) = heard(chunks);
        assert_eq!(pieces.len(), 2);
        assert_ne!(calls[0].id, calls[1].id);
        assert_eq!(calls[1].arguments, r#"{"a":2}"#);
    }

    #[test]
    fn calls_under_one_id_are_told_apart_by_what_they_say() {
        let chunks =
            vec![chunk("x", "run", json!("{\"a\":1}")), chunk("x", "run", json!("{\"b\""))];
        let (calls, _) = heard(chunks);
        assert_eq!(calls.len(), 2);
        assert_ne!(calls[0].id, calls[1].id);
    }

    #[test]
    fn thoughts_without_number_count_as_many_as_there_can_be() {
        let mut seen = Seen::default();
        seen.see(
            r#"{"usage": {"output_tokens_details": {"thinking_tokens": 18446744073709551615}}}"#,
        );
        let usage = Hearing::default().usage(&seen);
        assert_eq!((usage.output, usage.reasoning), (MOST_TOKENS, MOST_TOKENS));
    }

    #[test]
    fn a_call_without_arguments_has_none() {
        let (calls, _) = heard(vec![chunk("x", "finish", json!(""))]);
        assert_eq!(calls[0].arguments, "{}");
        let (calls, _) =
            heard(vec![chunk("x", "finish", Value::Null), chunk("y", "", json!("{}"))]);
        assert_eq!((calls.len(), calls[0].arguments.as_str()), (1, "{}"));
    }
}
