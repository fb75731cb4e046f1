//! What a fake model says next.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One answer, or what comes instead.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    pub reasoning: String,
    /// Of the reasoning, or of the first call: what the provider wants back.
    pub signature: String,
    pub text: String,
    pub calls: Vec<FakeCall>,
    pub usage: FakeUsage,
    /// Why it ends, in the protocol's own word, instead of what fits.
    pub end: Option<String>,
    /// Characters of a piece of text, reasoning or arguments. 0: whole.
    pub chunk: usize,
    /// Bytes that are sent at once, whatever is in them. 0: a frame.
    pub bytes: usize,
    /// An error instead: its status, headers and body.
    pub status: Option<u16>,
    pub headers: BTreeMap<String, String>,
    /// A text as it is, anything else as JSON. Without a status it comes with 200.
    pub body: Option<Value>,
    /// Not even headers come until it is released.
    pub silent: bool,
    /// After so many frames nothing comes until it is released.
    pub hold_after: Option<usize>,
    /// After so many frames the connection breaks.
    pub cut_after: Option<usize>,
    /// After so many frames the answer ends as if it were whole.
    pub stop_after: Option<usize>,
    /// A frame of its own after the first so many.
    pub insert: Option<(usize, Value)>,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeCall {
    /// Empty: made up where the protocol has ids.
    pub id: String,
    pub name: String,
    /// As the model writes it, JSON or not.
    #[serde(deserialize_with = "raw")]
    pub arguments: String,
}

/// Tokens; all that went in and came out, the parts among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FakeUsage {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub reasoning: u64,
}

impl Default for FakeUsage {
    fn default() -> Self {
        Self { input: 100, output: 10, cache_read: 0, cache_write: 0, reasoning: 0 }
    }
}

/// A file of steps: for everybody, and by markers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub steps: Vec<Step>,
    pub marked: BTreeMap<String, Vec<Step>>,
}

fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        value => value.to_string(),
    })
}

impl Step {
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// One call, with these arguments.
    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::default().and_call(name, &arguments.to_string())
    }

    /// A call more, with arguments as the model writes them.
    #[must_use]
    pub fn and_call(mut self, name: &str, arguments: &str) -> Self {
        let (name, arguments) = (name.to_owned(), arguments.to_owned());
        self.calls.push(FakeCall { id: String::new(), name, arguments });
        self
    }

    /// An error with this status and body.
    pub fn error(status: u16, body: Value) -> Self {
        Self { status: Some(status), body: Some(body), ..Self::default() }
    }
}
