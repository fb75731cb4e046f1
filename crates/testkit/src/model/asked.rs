//! What a fake model was asked.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Openai,
    Anthropic,
    Gemini,
    Ollama,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Openai, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// By the path.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path.ends_with("/chat/completions") {
            Some(Self::Openai)
        } else if path.ends_with("/messages") {
            Some(Self::Anthropic)
        } else if path.ends_with(":streamGenerateContent") || path.ends_with(":generateContent") {
            Some(Self::Gemini)
        } else {
            path.ends_with("/api/chat").then_some(Self::Ollama)
        }
    }
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub protocol: Protocol,
    /// Path and query.
    pub path: String,
    /// Names in lower case; the key is among them.
    pub headers: BTreeMap<String, String>,
    /// Null if it is no JSON.
    pub body: Value,
}

impl Asked {
    /// The key, however the protocol sends it.
    pub fn key(&self) -> Option<&str> {
        let header = |name: &str| self.headers.get(name).map(String::as_str);
        let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.or_else(|| header("x-api-key")).or_else(|| header("x-goog-api-key"))
    }

    /// Whether the answer is to come in pieces.
    pub fn streams(&self) -> bool {
        match self.protocol {
            Protocol::Gemini => self.path.contains(":streamGenerateContent"),
            // Ollama streams unless it is told not to.
            Protocol::Ollama => self.body["stream"] != Value::Bool(false),
            _ => self.body["stream"] == Value::Bool(true),
        }
    }

    /// The turns, as the protocol has them, the system's not among them.
    pub fn turns(&self) -> Vec<&Value> {
        let list = if self.protocol == Protocol::Gemini { "contents" } else { "messages" };
        let turns = self.body[list].as_array();
        turns.into_iter().flatten().filter(|turn| turn["role"] != "system").collect()
    }

    /// All text of the first turn of a person; empty when there is none.
    pub fn first_user(&self) -> String {
        self.turns()
            .into_iter()
            .find(|turn| turn["role"] == "user")
            .map(text_of)
            .unwrap_or_default()
    }

    /// All text of the last turn, whose ever it is.
    pub fn last_text(&self) -> String {
        self.turns().last().map(|turn| text_of(turn)).unwrap_or_default()
    }
}

/// All texts in a turn.
fn text_of(turn: &Value) -> String {
    let mut texts = Vec::new();
    gather(turn, &mut texts);
    texts.join("\n")
}

fn gather<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if matches!(name.as_str(), "text" | "content") => {
                        texts.push(text);
                    }
                    Value::String(_) => {}
                    field => gather(field, texts),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        _ => {}
    }
}
