//! Hiding secrets in the JSON of an event. Pure.
//!
//! Strings are hidden at every depth but for the vocabulary's own words: a secret that is one of them would make an
//! event that nobody understands. Keys are the vocabulary's too, but below maps that callers fill.

use super::{Words, forms::escape};

/// Below the event itself: whose words they are is plain.
const OWN: [&str; 5] = ["id", "timestamp", "source", "action", "observation"];
/// The vocabulary's words in `args` and `extras`: of what, and where.
const OWN_OF: [(&str, &[&str]); 15] = [
    ("change_agent_state", &["args", "agent_state"]),
    ("change_agent_state", &["args", "scope"]),
    ("recall", &["args", "recall_type"]),
    ("recall", &["extras", "recall_type"]),
    ("agent_state_changed", &["extras", "agent_state"]),
    ("agent_state_changed", &["extras", "reason"]),
    ("error", &["extras", "error_id"]),
    ("model_retry", &["extras", "code"]),
    ("phase_changed", &["extras", "phase"]),
    ("phase_changed", &["extras", "step"]),
    ("phase_changed", &["extras", "reason"]),
    ("phase_changed", &["extras", "fault", "code"]),
    ("phase_changed", &["extras", "fault", "step"]),
    ("plugin_changed", &["extras", "name"]),
    ("plugin_changed", &["extras", "state"]),
];
/// Every action may have it.
const CONFIRMED: [&str; 2] = ["args", "confirmation_state"];
/// Maps in `args` and `extras` whose keys are a caller's.
const FREE: [&str; 3] = ["arguments", "inputs", "outputs"];

impl Words {
    /// An event's JSON with the secrets hidden, in the form in which it is compact. Numbers stay.
    #[expect(clippy::missing_panics_doc, reason = "it can't: JSON is UTF-8")]
    pub fn hide_in_json(&self, json: Vec<u8>) -> Vec<u8> {
        let text = String::from_utf8(json).expect("JSON is UTF-8");
        if !self.escaped.iter().any(|secret| text.contains(secret)) {
            return text.into_bytes();
        }
        let mut masked = String::with_capacity(text.len());
        let mut place = Place::default();
        let mut rest = text.as_str();
        while let Some(open) = rest.find('"') {
            let (before, string) = rest.split_at(open + 1);
            let (string, after) = string.split_at(string_end(string));
            place.pass(before);
            masked.push_str(before);
            let stays = if after.starts_with("\":") {
                let stays = !place.has_free_keys();
                place.key(string);
                stays
            } else {
                place.value(string);
                place.is_own()
            };
            if stays {
                masked.push_str(string);
            } else {
                masked.push_str(&self.hide_in_string(string));
            }
            masked.push('"');
            rest = &after[1..];
        }
        masked.push_str(rest);
        masked.into_bytes()
    }

    /// What stands between the quotes of a JSON string. It is read first: between its characters an occurrence of the
    /// escaped form may begin or end within an escape.
    fn hide_in_string(&self, escaped: &str) -> String {
        if !self.escaped.iter().any(|secret| escaped.contains(secret)) {
            return escaped.to_owned();
        }
        let plain: String = serde_json::from_str(&format!("\"{escaped}\"")).expect("it is JSON");
        escape(&self.hide(plain))
    }
}

/// Where in an event a string is.
#[derive(Default)]
struct Place<'a> {
    /// Of the objects and lists that are open: the key that was read last, none in a list.
    open: Vec<Option<&'a str>>,
    /// What kind of action or observation it is.
    name: &'a str,
}

impl<'a> Place<'a> {
    /// What stands between two strings.
    fn pass(&mut self, between: &str) {
        for byte in between.bytes() {
            match byte {
                b'{' => self.open.push(Some("")),
                b'[' => self.open.push(None),
                b'}' | b']' => {
                    self.open.pop();
                }
                _ => {}
            }
        }
    }

    fn key(&mut self, key: &'a str) {
        if let Some(open) = self.open.last_mut() {
            *open = Some(key);
        }
    }

    fn value(&mut self, value: &'a str) {
        if matches!(self.open[..], [Some("action" | "observation")]) {
            self.name = value;
        }
    }

    /// Whether the value here is a word of the vocabulary.
    fn is_own(&self) -> bool {
        let is = |path: &[&str]| {
            self.open.len() == path.len()
                && self.open.iter().zip(path).all(|(open, key)| *open == Some(*key))
        };
        matches!(self.open[..], [Some(key)] if OWN.contains(&key))
            || is(&CONFIRMED)
            || OWN_OF.iter().any(|(name, path)| *name == self.name && is(path))
    }

    /// Whether the keys of the object here are a caller's.
    fn has_free_keys(&self) -> bool {
        matches!(self.open[..], [Some("args" | "extras"), Some(key), _, ..] if FREE.contains(&key))
    }
}

/// Where a string ends whose opening quote is behind us.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let ends = |byte: u8| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    };
    text.bytes().position(ends).expect("JSON closes its strings")
}
