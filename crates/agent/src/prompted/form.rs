//! A call of a tool as text, and back. Pure.
//!
//! ```text
//! <function=NAME>
//! <parameter=P>value</parameter>
//! </function>
//! ```
//!
//! A value of several lines stands between line breaks of its own. One that has such a tag in it is written with a
//! backslash in the tag (`<\/parameter>`), one more for each that is there.

use serde_json::{Map, Value};

use crate::model::ToolSpec;

/// How a call begins; its name and `>` follow.
pub(super) const BEGIN: &str = "<function=";
const PARAMETER: &str = "<parameter=";
const PARAMETER_END: &str = "</parameter>";
const END: &str = "</function";

/// A call in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes of the text before it.
    pub begins: usize,
    pub name: String,
    /// JSON: an object.
    pub arguments: String,
    /// Its end is there.
    pub ends: bool,
}

/// Whether a tool may be called so.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// What the system's text says of tools.
pub fn describe(tools: &[ToolSpec]) -> String {
    let mut text = String::from("\n\nYou have access to the following functions:\n");
    for tool in tools {
        text.extend([
            "\n---- FUNCTION ",
            &tool.name,
            " ----\nDescription: ",
            &tool.description,
            "\n",
        ]);
        text.push_str(&parameters(&tool.parameters));
    }
    text.push_str(
        "\nTo call a function, end your answer with this and nothing after it:\n\n\
         <function=NAME>\n<parameter=FIRST>value</parameter>\n<parameter=SECOND>\nA value\nof several lines\n\
         </parameter>\n</function>\n\n\
         - Call one function at a time, and wait for its result.\n\
         - Give every required parameter. Lists and objects are written as JSON.\n\
         - Say what you do and why before the call, never after it.\n\
         - Inside of a value, write <\\/parameter> for </parameter> and <\\/function> for </function>.\n\
         - When no function helps, answer without a call.\n",
    );
    text
}

fn parameters(schema: &Value) -> String {
    let Some(properties) = schema["properties"].as_object().filter(|it| !it.is_empty()) else {
        return "No parameters.\n".to_owned();
    };
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|it| it.iter().any(|it| it == name));
    let mut text = String::from("Parameters:\n");
    for (name, property) in properties {
        let kind = property["type"].as_str().unwrap_or("any");
        let need = if required(name) { "required" } else { "optional" };
        let what = property["description"].as_str().unwrap_or("");
        let allowed = match property["enum"].as_array() {
            Some(allowed) => format!(" One of {}.", Value::from(allowed.clone())),
            None => String::new(),
        };
        text.extend(["- ", name, " (", kind, ", ", need, "): ", what, &allowed, "\n"]);
    }
    text
}

/// A call as the model would have written it. Arguments that are no JSON object stand there as they are.
pub fn render(name: &str, arguments: &str) -> String {
    let mut text = format!("{BEGIN}{name}>\n");
    match serde_json::from_str::<Map<String, Value>>(arguments) {
        Ok(arguments) => {
            for (name, value) in &arguments {
                text.push_str(&parameter(name, value));
            }
        }
        Err(_) => text.extend([&mask(arguments), "\n"]),
    }
    text.push_str("</function>");
    text
}

fn parameter(name: &str, value: &Value) -> String {
    let value = match value {
        Value::String(text) => mask(text),
        value => mask(&value.to_string()),
    };
    let edge = if value.contains('\n') { "\n" } else { "" };
    format!("{PARAMETER}{name}>{edge}{value}{edge}{PARAMETER_END}\n")
}

/// The first call of the text. Its end may be missing, as may be that of its last parameter: whether that is how the
/// model stopped, or more of it was to come, the text does not say.
pub fn find(text: &str, tools: &[ToolSpec]) -> Option<Found> {
    let (begins, name, body) = begin(text)?;
    let schema =
        tools.iter().find(|tool| tool.name == name).map_or(&Value::Null, |tool| &tool.parameters);
    let (body, ends) = body.split_once(END).map_or((body, false), |(body, _)| (body, true));
    let mut arguments = Map::new();
    let mut rest = body;
    while let Some((_, after)) = rest.split_once(PARAMETER) {
        let Some((name, after)) = after.split_once('>') else { break };
        // A lost end: the next parameter begins, or nothing comes any more.
        let ends = [after.find(PARAMETER_END), after.find(PARAMETER)];
        let end = ends.into_iter().flatten().min().unwrap_or(after.len());
        let value = unmask(inner(&after[..end]));
        let name = name.trim();
        arguments.insert(name.to_owned(), typed(value, &schema["properties"][name]));
        rest = &after[end..];
    }
    let arguments = Value::Object(arguments).to_string();
    Some(Found { begins, name: name.to_owned(), arguments, ends })
}

/// Where the first call begins, its name, and what follows.
fn begin(text: &str) -> Option<(usize, &str, &str)> {
    text.match_indices(BEGIN).find_map(|(at, _)| {
        let (name, body) = text[at + BEGIN.len()..].split_once('>')?;
        ((1..200).contains(&name.len()) && name.chars().all(is_name)).then_some((at, name, body))
    })
}

/// Without the line breaks around a value of several lines.
fn inner(value: &str) -> &str {
    let value = value.strip_prefix('\n').unwrap_or(value);
    value.strip_suffix('\n').unwrap_or(value)
}

/// A value as the schema has it, if it is one such; else the text, which the check then refuses.
fn typed(value: String, schema: &Value) -> Value {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.is_empty() || kinds.contains(&"string") {
        return Value::String(value);
    }
    let read = || match value.trim() {
        // As Python writes them.
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        text => serde_json::from_str::<Value>(text).ok(),
    };
    let fits = |read: &Value| kinds.iter().any(|kind| super::check::is_a(read, kind));
    read().filter(fits).unwrap_or(Value::String(value))
}

/// `<`, backslashes, maybe a slash, and the name of a tag: where a tag could be taken for one of a call's.
fn tag(text: &str) -> Option<(usize, &str)> {
    let rest = text.strip_prefix('<')?;
    let slashes = rest.len() - rest.trim_start_matches('\\').len();
    let name = rest[slashes..].strip_prefix('/').unwrap_or(&rest[slashes..]);
    (name.starts_with("function") || name.starts_with("parameter")).then_some((slashes, rest))
}

fn mask(text: &str) -> String {
    retag(text, |slashes| slashes + 1)
}

fn unmask(text: &str) -> String {
    retag(text, |slashes| slashes.saturating_sub(1))
}

fn retag(text: &str, slashes_of: impl Fn(usize) -> usize) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        told.push_str(&rest[..=at]);
        if let Some((slashes, _)) = tag(&rest[at..]) {
            told.push_str(&"\\".repeat(slashes_of(slashes)));
            rest = &rest[at + 1 + slashes..];
        } else {
            rest = &rest[at + 1..];
        }
    }
    told + rest
}
