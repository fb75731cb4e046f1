//! Actions from a client: strict, and answered so that the client's author sees what to change.

use serde_json::{Map, Value};

use super::{Action, Condensation, upgraded};
use crate::fields::short;

/// The longest limit that a client may set for an action, in seconds.
const MAX_TIMEOUT: u64 = 86_400;

/// Names that the reference lists but takes from nobody, and what to send instead.
const UNSUPPORTED: [(&str, &str); 8] = [
    ("initialize", "no handshake is needed: opening the WebSocket joins the session"),
    ("start", "send `change_agent_state` with `agent_state` `running`"),
    ("pause", "send `change_agent_state` with `agent_state` `paused`"),
    ("resume", "send `change_agent_state` with `agent_state` `running`"),
    ("stop", "send `change_agent_state` with `agent_state` `stopped`"),
    ("push", "send `run` with `git push`"),
    ("send_pr", "send `run` with the commands that open the pull request"),
    ("summarize", "send `message` and ask for the summary"),
];

/// Keys beside `args` that are passed over: the server sets them, a client can't.
const IGNORED: [&str; 7] =
    ["id", "source", "cause", "timestamp", "message", "tool_call_metadata", "llm_metrics"];

/// What a client asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientAction {
    /// The action.
    pub action: Action,
    /// Its hard limit in seconds, 1 to 86 400.
    pub timeout: Option<u64>,
}

/// A client's action was not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct ActionRejected {
    /// `action.malformed`, `action.unknown`, `action.unknown_field` or `action.unsupported`.
    pub code: &'static str,
    /// What to change, in words.
    pub reason: String,
}

impl Action {
    /// From a client's JSON, `{"action":"run","args":{…},"timeout":n}`. What only the server sets
    /// (`id`, `source`, `cause`, `timestamp`, `message`) is passed over.
    pub fn from_client(value: &Value) -> Result<ClientAction, ActionRejected> {
        let Value::Object(object) = value else {
            return Err(malformed("an action is an object with `action` and `args`"));
        };
        let Some(name) = object.get("action").and_then(Value::as_str) else {
            return Err(malformed("`action` must be there and be the name of an action"));
        };
        if let Some((_, instead)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
            return Err(rejected(
                "action.unsupported",
                format!("`{name}` is not taken: {instead}"),
            ));
        }
        let Some(fields) = Self::fields(name) else {
            let near = nearest(name, Self::NAMES);
            let reason = format!("no action is named `{}`; {near}", short(name));
            return Err(rejected("action.unknown", reason));
        };
        check_keys(object)?;

        let nothing = Map::new();
        let args = match object.get("args") {
            None => &nothing,
            Some(Value::Object(args)) => args,
            Some(_) => return Err(malformed("`args` must be an object")),
        };
        let args = upgraded(name, args);
        let known: Vec<_> = fields.iter().map(|field| field.name).collect();
        if let Some(unknown) = args.keys().find(|key| !known.contains(&key.as_str())) {
            let near = nearest(unknown, &known);
            let reason = format!("`{name}` has no field `{}`; {near}", short(unknown));
            return Err(rejected("action.unknown_field", reason));
        }
        let action = Self::from_args(name, &args)
            .map_err(|reason| malformed(format!("`{name}`: {reason}")))?;
        if let Self::Condensation(condensation) = &action {
            check_condensation(condensation)?;
        }
        Ok(ClientAction { action, timeout: timeout(object.get("timeout"))? })
    }
}

/// A field put beside `args` would have no effect; it is better refused than lost.
fn check_keys(object: &Map<String, Value>) -> Result<(), ActionRejected> {
    const KNOWN: [&str; 3] = ["action", "args", "timeout"];
    match object
        .keys()
        .find(|key| !KNOWN.contains(&key.as_str()) && !IGNORED.contains(&key.as_str()))
    {
        None => Ok(()),
        Some(unknown) => Err(rejected(
            "action.unknown_field",
            format!(
                "`{}` can't stand beside `action`; an action's own fields go into `args`; {}",
                short(unknown),
                nearest(unknown, &KNOWN)
            ),
        )),
    }
}

fn check_condensation(condensation: &Condensation) -> Result<(), ActionRejected> {
    let ids = condensation.forgotten_event_ids.is_some();
    let start = condensation.forgotten_events_start_id.is_some();
    let end = condensation.forgotten_events_end_id.is_some();
    if start != end || ids == start {
        return Err(malformed(
            "`condensation`: either `forgotten_event_ids`, or both `forgotten_events_start_id` and \
             `forgotten_events_end_id`",
        ));
    }
    if condensation.summary.is_some() != condensation.summary_offset.is_some() {
        return Err(malformed("`condensation`: `summary` and `summary_offset` go together"));
    }
    Ok(())
}

fn timeout(value: Option<&Value>) -> Result<Option<u64>, ActionRejected> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds @ 1..=MAX_TIMEOUT) => Ok(Some(seconds)),
            _ => Err(malformed(format!("`timeout` must be whole seconds from 1 to {MAX_TIMEOUT}"))),
        },
    }
}

fn malformed(reason: impl Into<String>) -> ActionRejected {
    rejected("action.malformed", reason)
}

fn rejected(code: &'static str, reason: impl Into<String>) -> ActionRejected {
    ActionRejected { code, reason: reason.into() }
}

/// The names most like `word`, as the end of a sentence; all of them when none is like it.
fn nearest(word: &str, names: &[&str]) -> String {
    // Nothing so long is a slip of the pen, and the distance costs its length.
    const LONGEST: usize = 40;
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut near: Vec<(usize, &str)> = Vec::new();
    if word.len() <= LONGEST {
        for name in names {
            let distance = distance(word, name);
            let begins = word.len() > 2 && (name.starts_with(word) || word.starts_with(name));
            if distance <= 2.max(name.len() / 3) || begins {
                near.push((distance, name));
            }
        }
    }
    near.sort_unstable();
    near.truncate(3);
    match (near.as_slice(), names) {
        ([], []) => "it has none".to_owned(),
        ([], names) => format!("known are {}", quoted(names)),
        (near, _) => {
            let near: Vec<_> = near.iter().map(|(_, name)| *name).collect();
            format!("did you mean {}?", quoted(&near))
        }
    }
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
