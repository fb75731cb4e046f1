//! A question as `genai` wants it: turns, results of tools, pictures, what to cache, what to give back unchanged.

use ::genai::{
    adapter::AdapterKind,
    chat::{
        Binary, CacheControl, ChatMessage, ChatRequest, ContentPart, CustomPart, MessageContent,
        Tool, ToolCall, ToolResponse,
    },
};
use serde_json::{Map, Value, json};

use crate::{
    known::Known,
    model::{Answered, Image, Question, Said},
    settings::{ModelSettings, Provider},
};

/// Of the last so many turns of people and tools the last item is marked to be cached, beside the system's.
const MARKED: usize = 3;

/// Whose opaque part one is: no other model gets it.
pub(super) fn model_name(settings: &ModelSettings) -> String {
    format!("{:?}/{}", settings.provider, settings.model).to_lowercase()
}

pub(super) fn request(
    question: &Question,
    settings: &ModelSettings,
    known: &Known,
    kind: AdapterKind,
) -> ChatRequest {
    let asking = Asking { settings, known, kind };
    let mut messages = asking.messages(&question.said);
    if settings.caching && matches!(kind, AdapterKind::Anthropic | AdapterKind::OpenAI) {
        mark(&mut messages);
    }
    if !question.system.is_empty() {
        let system = ChatMessage::system(question.system.as_str());
        let marked = settings.caching && kind == AdapterKind::Anthropic;
        messages
            .insert(0, if marked { system.with_options(CacheControl::Ephemeral) } else { system });
    }
    let mut request = ChatRequest::new(messages);
    if !question.tools.is_empty() {
        let tool = |spec: &crate::model::ToolSpec| {
            Tool::new(spec.name.as_str())
                .with_description(spec.description.as_str())
                .with_schema(spec.parameters.clone())
        };
        request.tools = Some(question.tools.iter().map(tool).collect());
    }
    request
}

/// Anthropic caches up to a mark; OpenAI's newest want marks too, and genai gives them to no other.
fn mark(messages: &mut [ChatMessage]) {
    let people = messages.iter_mut().rev().filter(|message| {
        matches!(message.role, ::genai::chat::ChatRole::User | ::genai::chat::ChatRole::Tool)
    });
    for message in people.take(MARKED) {
        message.options = Some(CacheControl::Ephemeral.into());
    }
}

struct Asking<'a> {
    settings: &'a ModelSettings,
    known: &'a Known,
    kind: AdapterKind,
}

impl Asking<'_> {
    fn messages(&self, said: &[Said]) -> Vec<ChatMessage> {
        let mut messages = Vec::with_capacity(said.len() + 1);
        let mut results: Vec<ToolResponse> = Vec::new();
        let mut seen: Vec<ContentPart> = Vec::new();
        for turn in said {
            if let Said::Tool { call_id, name, text, images } = turn {
                results.push(
                    ToolResponse::new(call_id.as_str(), text.as_str()).with_fn_name(name.as_str()),
                );
                if !images.is_empty() {
                    // No protocol has pictures in a result in a form that genai knows: they follow.
                    seen.push(ContentPart::from_text(format!("What {name} ({call_id}) shows:")));
                    seen.extend(images.iter().map(|image| self.image(image)));
                }
                continue;
            }
            self.flush(&mut messages, &mut results, &mut seen);
            match turn {
                Said::User { text, images } => messages.push(self.user(text, images)),
                Said::Assistant(answered) => messages.extend(self.assistant(answered)),
                Said::Tool { .. } => {}
            }
        }
        self.flush(&mut messages, &mut results, &mut seen);
        messages
    }

    /// All results of an answer in one message, as Anthropic and Google want them; Ollama takes one each.
    fn flush(
        &self,
        messages: &mut Vec<ChatMessage>,
        results: &mut Vec<ToolResponse>,
        seen: &mut Vec<ContentPart>,
    ) {
        let results = std::mem::take(results);
        if self.kind == AdapterKind::Ollama {
            messages.extend(results.into_iter().map(ChatMessage::from));
        } else if !results.is_empty() {
            messages.push(ChatMessage::from(results));
        }
        if !seen.is_empty() {
            messages.push(ChatMessage::user(MessageContent::from_parts(std::mem::take(seen))));
        }
    }

    fn user(&self, text: &str, images: &[Image]) -> ChatMessage {
        let mut parts = Vec::with_capacity(images.len() + 1);
        if !text.trim().is_empty() {
            parts.push(ContentPart::from_text(text));
        }
        parts.extend(images.iter().map(|image| self.image(image)));
        if parts.is_empty() {
            // Anthropic takes no empty text.
            parts.push(ContentPart::from_text("(nothing)"));
        }
        ChatMessage::user(MessageContent::from_parts(parts))
    }

    fn assistant(&self, answered: &Answered) -> Option<ChatMessage> {
        let kept = answered.opaque.as_ref().filter(|kept| kept["of"] == model_name(self.settings));
        let kept = kept.unwrap_or(&Value::Null);
        let mut parts = self.kept(kept);
        let thoughts = parts.len();
        if !answered.text.trim().is_empty() {
            parts.push(ContentPart::from_text(answered.text.as_str()));
        }
        parts.extend(answered.calls.iter().map(|call| {
            let signatures =
                kept["calls"][&call.id].as_str().map(|signature| vec![signature.to_owned()]);
            ContentPart::ToolCall(ToolCall {
                call_id: call.id.clone(),
                fn_name: call.name.clone(),
                fn_arguments: arguments(&call.arguments),
                thought_signatures: signatures,
            })
        }));
        // An answer of nothing is one that providers do not take back.
        (parts.len() > thoughts).then(|| ChatMessage::assistant(MessageContent::from_parts(parts)))
    }

    /// What the provider wants back unchanged.
    fn kept(&self, kept: &Value) -> Vec<ContentPart> {
        let mut parts = Vec::new();
        for part in kept["parts"].as_array().into_iter().flatten() {
            if let Some(signature) = part["signature"].as_str() {
                parts.push(ContentPart::ThoughtSignature(signature.to_owned()));
            }
            if let Some(thinking) = part["thinking"].as_str() {
                parts.push(ContentPart::ReasoningContent(thinking.to_owned()));
            }
            if let Some(raw) = part.get("raw") {
                parts.push(ContentPart::Custom(CustomPart { model_iden: None, data: raw.clone() }));
            }
        }
        // These want their thoughts back while they call tools; others refuse a question with such in it.
        let wanted = ["deepseek", "kimi"]
            .iter()
            .any(|name| self.settings.model.to_lowercase().contains(name));
        if let Some(reasoning) = kept["reasoning"].as_str()
            && wanted
            && self.settings.provider == Provider::Openai
        {
            parts.push(ContentPart::ReasoningContent(reasoning.to_owned()));
        }
        parts
    }

    fn image(&self, image: &Image) -> ContentPart {
        if !self.known.vision {
            return ContentPart::from_text("[a picture, which this model can't see]");
        }
        if let Some((kind, data)) = data_url(&image.0) {
            return ContentPart::Binary(Binary::from_base64(kind, data, None));
        }
        match self.kind {
            // genai drops addresses here, which Anthropic takes.
            AdapterKind::Anthropic => ContentPart::Custom(CustomPart {
                model_iden: None,
                data: json!({"type": "image", "source": {"type": "url", "url": image.0}}),
            }),
            AdapterKind::Gemini | AdapterKind::Ollama => {
                ContentPart::from_text(format!("[a picture at {}]", image.0))
            }
            _ => ContentPart::Binary(Binary::from_url("image/png", image.0.as_str(), None)),
        }
    }
}

/// Kind and base64 of a data URL.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// What the model wrote, as providers take it back: an object. What was none is told within one.
fn arguments(raw: &str) -> Value {
    if raw.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(raw) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({ "arguments": raw }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_back_as_an_object_always() {
        assert_eq!(arguments(r#"{"a":1}"#), json!({"a": 1}));
        assert_eq!(arguments(" "), json!({}));
        assert_eq!(arguments(r#"{"a":"#), json!({"arguments": "{\"a\":"}));
        assert_eq!(arguments("[1]"), json!({"arguments": "[1]"}));
    }

    #[test]
    fn data_urls_are_taken_apart() {
        assert_eq!(data_url("data:image/png;base64,AAAA"), Some(("image/png", "AAAA")));
        assert_eq!(data_url("data:text/plain,hi"), None);
        assert_eq!(data_url("https://a.example/b.png"), None);
    }
}
