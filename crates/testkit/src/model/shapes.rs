//! An answer in the shapes of the protocols. Pure.

use serde_json::{Value, json};

use super::{Asked, FakeCall, Protocol, Step};

/// An answer that is to be shaped, with what it needs of its request.
pub(super) struct Shape<'a> {
    pub(super) step: &'a Step,
    pub(super) asked: &'a Asked,
    /// Of the request: ids are made of it.
    pub(super) number: usize,
}

/// A text in pieces of so many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(if size == 0 { characters.len() } else { size })
        .map(String::from_iter)
        .collect()
}

fn sse(frame: &Value) -> String {
    format!("data: {frame}\n\n")
}

fn event(frame: &Value) -> String {
    format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap_or("message"))
}

/// An object where there is one; else what the model wrote, as a text.
fn object(call: &FakeCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()))
}

impl Shape<'_> {
    pub(super) fn content_type(&self) -> &'static str {
        match (self.asked.streams(), self.asked.protocol) {
            (false, _) => "application/json",
            (true, Protocol::Ollama) => "application/x-ndjson",
            (true, _) => "text/event-stream",
        }
    }

    /// What is sent, frame by frame.
    pub(super) fn frames(&self) -> Vec<String> {
        if !self.asked.streams() {
            return vec![self.whole().to_string()];
        }
        match self.asked.protocol {
            Protocol::Openai => self.openai(),
            Protocol::Anthropic => self.anthropic(),
            Protocol::Gemini => self.gemini(),
            Protocol::Ollama => self.ollama(),
        }
    }

    /// A frame of one's own.
    pub(super) fn frame(&self, frame: &Value) -> String {
        match self.asked.protocol {
            Protocol::Openai | Protocol::Gemini => sse(frame),
            Protocol::Anthropic => event(frame),
            Protocol::Ollama => format!("{frame}\n"),
        }
    }

    fn id(&self, call: &FakeCall, index: usize) -> String {
        if call.id.is_empty() { format!("call_{}_{index}_x", self.number) } else { call.id.clone() }
    }

    fn model(&self) -> &Value {
        &self.asked.body["model"]
    }

    fn end(&self, stop: &str, calls: &str) -> String {
        let fits = if self.step.calls.is_empty() { stop } else { calls };
        self.step.end.clone().unwrap_or_else(|| fits.to_owned())
    }

    fn openai(&self) -> Vec<String> {
        let id = format!("chatcmpl-{}", self.number);
        let chunk = |delta: Value, end: Value| {
            sse(&json!({
                "id": id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": self.model(),
                "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
            }))
        };
        let mut frames = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        let reasoning = pieces(&self.step.reasoning, self.step.chunk);
        frames.extend(
            reasoning.iter().map(|it| chunk(json!({"reasoning_content": it}), Value::Null)),
        );
        let text = pieces(&self.step.text, self.step.chunk);
        frames.extend(text.iter().map(|it| chunk(json!({"content": it}), Value::Null)));
        for (index, call) in self.step.calls.iter().enumerate() {
            let (id, name) = (self.id(call, index), &call.name);
            let begin = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
            frames.push(chunk(json!({"tool_calls": [begin]}), Value::Null));
            for piece in pieces(&call.arguments, self.step.chunk) {
                let more = json!({"index": index, "function": {"arguments": piece}});
                frames.push(chunk(json!({"tool_calls": [more]}), Value::Null));
            }
        }
        frames.push(chunk(json!({}), json!(self.end("stop", "tool_calls"))));
        if self.asked.body["stream_options"]["include_usage"] == json!(true) {
            frames.push(sse(&json!({"id": id, "choices": [], "usage": self.openai_usage()})));
        }
        frames.push("data: [DONE]\n\n".to_owned());
        frames
    }

    fn openai_usage(&self) -> Value {
        let usage = self.step.usage;
        json!({
            "prompt_tokens": usage.input, "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        })
    }

    fn anthropic(&self) -> Vec<String> {
        let mut usage = self.anthropic_usage();
        usage["output_tokens"] = json!(1);
        let message = json!({
            "id": format!("msg_{}", self.number), "type": "message", "role": "assistant", "content": [],
            "model": self.model(), "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        let mut frames = vec![event(&json!({"type": "message_start", "message": message}))];
        frames.push(event(&json!({"type": "ping"})));
        let mut index = 0;
        let mut block = |start: Value, deltas: Vec<Value>| {
            frames.push(event(
                &json!({"type": "content_block_start", "index": index, "content_block": start}),
            ));
            for delta in deltas {
                frames.push(event(
                    &json!({"type": "content_block_delta", "index": index, "delta": delta}),
                ));
            }
            frames.push(event(&json!({"type": "content_block_stop", "index": index})));
            index += 1;
        };
        let size = self.step.chunk;
        if !self.step.reasoning.is_empty() {
            let thinking = pieces(&self.step.reasoning, size).into_iter();
            let mut deltas: Vec<Value> =
                thinking.map(|it| json!({"type": "thinking_delta", "thinking": it})).collect();
            deltas.push(json!({"type": "signature_delta", "signature": self.step.signature}));
            block(json!({"type": "thinking", "thinking": "", "signature": ""}), deltas);
        }
        if !self.step.text.is_empty() {
            let text = pieces(&self.step.text, size).into_iter();
            let deltas = text.map(|it| json!({"type": "text_delta", "text": it})).collect();
            block(json!({"type": "text", "text": ""}), deltas);
        }
        for (at, call) in self.step.calls.iter().enumerate() {
            let input = pieces(&call.arguments, size).into_iter();
            let deltas =
                input.map(|it| json!({"type": "input_json_delta", "partial_json": it})).collect();
            block(
                json!({"type": "tool_use", "id": self.id(call, at), "name": call.name, "input": {}}),
                deltas,
            );
        }
        let delta = json!({"stop_reason": self.end("end_turn", "tool_use"), "stop_sequence": null});
        let usage = json!({
            "output_tokens": self.step.usage.output,
            "output_tokens_details": {"thinking_tokens": self.step.usage.reasoning},
        });
        frames.push(event(&json!({"type": "message_delta", "delta": delta, "usage": usage})));
        frames.push(event(&json!({"type": "message_stop"})));
        frames
    }

    /// What came from the cache and went to it is not in the input here.
    fn anthropic_usage(&self) -> Value {
        let usage = self.step.usage;
        json!({
            "input_tokens": usage.input.saturating_sub(usage.cache_read + usage.cache_write),
            "cache_read_input_tokens": usage.cache_read, "cache_creation_input_tokens": usage.cache_write,
            "output_tokens": usage.output,
            "output_tokens_details": {"thinking_tokens": usage.reasoning},
        })
    }

    fn gemini(&self) -> Vec<String> {
        // Google ends lines as the network does.
        let crlf = |frame: &Value| format!("data: {frame}\r\n\r\n");
        let parts = self.gemini_parts();
        let last = parts.len().saturating_sub(1);
        let mut frames: Vec<String> = Vec::new();
        for (at, part) in parts.into_iter().enumerate() {
            let end = (at == last).then(|| self.end("STOP", "STOP"));
            frames.push(crlf(&self.gemini_chunk(&json!([part]), end)));
        }
        if frames.is_empty() {
            frames.push(crlf(
                &self.gemini_chunk(&json!([{"text": ""}]), Some(self.end("STOP", "STOP"))),
            ));
        }
        frames
    }

    fn gemini_parts(&self) -> Vec<Value> {
        let size = self.step.chunk;
        let reasoning = pieces(&self.step.reasoning, size).into_iter();
        let mut parts: Vec<Value> =
            reasoning.map(|it| json!({"text": it, "thought": true})).collect();
        parts.extend(pieces(&self.step.text, size).into_iter().map(|it| json!({"text": it})));
        for (index, call) in self.step.calls.iter().enumerate() {
            let mut part = json!({"functionCall": {"name": call.name, "args": object(call)}});
            if index == 0 && !self.step.signature.is_empty() {
                part["thoughtSignature"] = json!(self.step.signature);
            }
            parts.push(part);
        }
        parts
    }

    fn gemini_chunk(&self, parts: &Value, end: Option<String>) -> Value {
        let usage = self.step.usage;
        let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
        if let Some(end) = end {
            candidate["finishReason"] = json!(end);
        }
        json!({
            "candidates": [candidate], "responseId": format!("resp-{}", self.number), "modelVersion": "fake",
            "usageMetadata": {
                "promptTokenCount": usage.input, "cachedContentTokenCount": usage.cache_read,
                "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
                "thoughtsTokenCount": usage.reasoning, "totalTokenCount": usage.input + usage.output,
            },
        })
    }

    fn ollama(&self) -> Vec<String> {
        let line = |message: Value| {
            format!("{}\n", json!({"model": self.model(), "message": message, "done": false}))
        };
        let size = self.step.chunk;
        let thinking = pieces(&self.step.reasoning, size).into_iter();
        let mut frames: Vec<String> = thinking
            .map(|it| line(json!({"role": "assistant", "content": "", "thinking": it})))
            .collect();
        let text = pieces(&self.step.text, size).into_iter();
        frames.extend(text.map(|it| line(json!({"role": "assistant", "content": it}))));
        if !self.step.calls.is_empty() {
            frames.push(line(
                json!({"role": "assistant", "content": "", "tool_calls": self.ollama_calls()}),
            ));
        }
        let mut last = self.whole();
        last["message"] = json!({"role": "assistant", "content": ""});
        frames.push(format!("{last}\n"));
        frames
    }

    fn ollama_calls(&self) -> Value {
        let call =
            |call: &FakeCall| json!({"function": {"name": call.name, "arguments": object(call)}});
        self.step.calls.iter().map(call).collect()
    }

    /// The answer when it is not streamed.
    fn whole(&self) -> Value {
        let step = self.step;
        match self.asked.protocol {
            Protocol::Openai => {
                let calls: Vec<Value> = step
                    .calls
                    .iter()
                    .enumerate()
                    .map(|(index, call)| {
                        json!({
                            "id": self.id(call, index), "type": "function",
                            "function": {"name": call.name, "arguments": call.arguments},
                        })
                    })
                    .collect();
                let mut message = json!({"role": "assistant", "content": step.text});
                if !calls.is_empty() {
                    message["tool_calls"] = json!(calls);
                }
                json!({
                    "id": format!("chatcmpl-{}", self.number), "object": "chat.completion", "model": self.model(),
                    "choices": [{"index": 0, "message": message, "finish_reason": self.end("stop", "tool_calls")}],
                    "usage": self.openai_usage(),
                })
            }
            Protocol::Anthropic => {
                let mut content = Vec::new();
                if !step.text.is_empty() {
                    content.push(json!({"type": "text", "text": step.text}));
                }
                content.extend(step.calls.iter().enumerate().map(|(index, call)| json!({
                    "type": "tool_use", "id": self.id(call, index), "name": call.name, "input": object(call),
                })));
                json!({
                    "id": format!("msg_{}", self.number), "type": "message", "role": "assistant", "content": content,
                    "model": self.model(), "stop_reason": self.end("end_turn", "tool_use"),
                    "usage": self.anthropic_usage(),
                })
            }
            Protocol::Gemini => {
                self.gemini_chunk(&json!(self.gemini_parts()), Some(self.end("STOP", "STOP")))
            }
            Protocol::Ollama => {
                let mut message = json!({"role": "assistant", "content": step.text});
                if !step.calls.is_empty() {
                    message["tool_calls"] = self.ollama_calls();
                }
                json!({
                    "model": self.model(), "message": message, "done": true, "done_reason": self.end("stop", "stop"),
                    "prompt_eval_count": step.usage.input, "eval_count": step.usage.output,
                    "prompt_eval_cached_count": step.usage.cache_read,
                })
            }
        }
    }
}
