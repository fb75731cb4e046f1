//! An action as a person changed it before agreeing to it. Pure.
//!
//! The change is part of the agreement (`change_agent_state.edited`), so it is in the log; the action comes again as it
//! is carried out, and its metadata name what was changed. The model is told with the result.

use serde_json::{Map, Value, json};
use staithe_protocol::{
    Action, AgentState, HIDDEN,
    action::{ChangeAgentState, ConfirmationScope},
};

/// Characters of a changed argument that the model is told.
const MOST_TOLD: usize = 2_000;

/// What of an action a person may change: what it does, never whose it is or how it was judged.
fn editable(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Run(_) => &["command"],
        Action::RunIpython(_) => &["code"],
        Action::Read(_) => &["path"],
        Action::Write(_) => &["path", "content"],
        Action::Edit(_) => &["path", "content", "file_text", "old_str", "new_str", "insert_line"],
        Action::Browse(_) => &["url"],
        Action::BrowseInteractive(_) => &["browser_actions"],
        Action::CallToolMcp(_) => &["arguments"],
        Action::Delegate(_) => &["inputs"],
        _ => &[],
    }
}

/// What an agreement has in it beside the decision, where that can't be.
pub(super) fn misplaced(change: &ChangeAgentState) -> Option<&'static str> {
    change.edited.as_ref()?;
    if change.agent_state != AgentState::UserConfirmed {
        Some("`edited` goes with `user_confirmed` alone")
    } else if change.scope == Some(ConfirmationScope::Kind) {
        Some("`edited` goes with one action: leave `scope` `kind` out")
    } else {
        None
    }
}

/// The action with what a person changed, and the names of what is other than before.
///
/// # Errors
///
/// Why it can't be changed like that, for the person.
pub(super) fn apply(
    action: &Action,
    edited: &Map<String, Value>,
) -> Result<(Action, Vec<String>), String> {
    let may = editable(action);
    let mut args = arguments(action);
    let mut names = Vec::new();
    for (name, value) in edited {
        if !may.contains(&name.as_str()) {
            let name: String = name.chars().take(60).collect();
            return Err(format!("`edited.{name}`: of `{}`, {}", action.name(), listed(may)));
        }
        if value.to_string().contains(HIDDEN) {
            return Err(format!(
                "`edited.{name}` has {HIDDEN} in it, or a secret that the log hides like that: it would not be run as \
                 it is meant. Name the secret by its variable, or reject the step and say what to do instead"
            ));
        }
        if args.get(name) != Some(value) {
            names.push(name.clone());
            args.insert(name.clone(), value.clone());
        }
    }
    let wire = json!({ "action": action.name(), "args": args });
    match serde_json::from_value(wire) {
        Ok(action) => Ok((action, names)),
        Err(error) => Err(format!("`edited`: {error}")),
    }
}

fn listed(may: &[&str]) -> String {
    if may.is_empty() {
        "nothing can be edited".to_owned()
    } else {
        format!("what can be edited is {}", may.join(", "))
    }
}

fn arguments(action: &Action) -> Map<String, Value> {
    let wire = serde_json::to_value(action).unwrap_or_default();
    wire.get("args").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Adds to an event's metadata what a person changed: `confirmation` `{edited}`.
pub(super) fn with_names(mut metadata: Value, names: &[String]) -> Value {
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("confirmation".to_owned(), json!({ "edited": names }));
    }
    metadata
}

/// What the model is told before the result of an action whose metadata say that a person changed it.
pub(crate) fn told(metadata: Option<&Value>, action: &Action) -> Option<String> {
    let names = metadata?.pointer("/confirmation/edited")?.as_array()?;
    let args = arguments(action);
    let mut changed = Map::new();
    for name in names.iter().filter_map(Value::as_str) {
        let value = match args.get(name).cloned().unwrap_or_default() {
            Value::String(text) => Value::String(shortened(text)),
            Value::Object(_) if args[name].to_string().len() > MOST_TOLD => {
                Value::String(shortened(args[name].to_string()))
            }
            value => value,
        };
        changed.insert(name.to_owned(), value);
    }
    (!changed.is_empty()).then(|| {
        format!(
            "[The user changed this call before it was carried out. Instead of what you wrote: {}]",
            Value::Object(changed)
        )
    })
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_TOLD) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use staithe_protocol::action::{CallToolMcp, Edit, Run, Think};

    use super::*;

    fn run(command: &str) -> Action {
        Action::Run(Run { command: command.to_owned(), thought: "t".to_owned(), ..Run::default() })
    }

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn what_it_does_is_changed_and_the_rest_stays() {
        let (action, names) = apply(&run("rm -rf /"), &map(&json!({ "command": "ls" }))).unwrap();
        assert_eq!(action, run("ls"));
        assert_eq!(names, ["command"]);
        let (same, names) = apply(&run("ls"), &map(&json!({ "command": "ls" }))).unwrap();
        assert!(same == run("ls") && names.is_empty());
        let edit = Action::Edit(Edit { old_str: Some("a".to_owned()), ..Edit::default() });
        let (action, _) = apply(&edit, &map(&json!({ "new_str": "b", "insert_line": 3 }))).unwrap();
        let Action::Edit(edit) = action else { panic!("an edit") };
        assert_eq!((edit.old_str.as_deref(), edit.new_str.as_deref()), (Some("a"), Some("b")));
        assert_eq!(edit.insert_line, Some(3));
    }

    #[test]
    fn what_is_not_to_be_changed_or_of_a_wrong_type_is_refused_by_name() {
        let refused = |action: &Action, edited: &Value| apply(action, &map(edited)).unwrap_err();
        for (action, edited, says) in [
            (run("ls"), json!({ "confirmation_state": "confirmed" }), "command"),
            (run("ls"), json!({ "security_risk": 0 }), "security_risk"),
            (run("ls"), json!({ "command": 7 }), "`command`"),
            (run("ls"), json!({ "command": format!("echo {HIDDEN}") }), HIDDEN),
            (Action::Think(Think::default()), json!({ "thought": "x" }), "nothing can be"),
            (Action::CallToolMcp(CallToolMcp::default()), json!({ "arguments": [] }), "arguments"),
        ] {
            let why = refused(&action, &edited);
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn the_model_is_told_what_was_changed_and_no_more_than_that() {
        let metadata = with_names(json!({ "tool_call_id": "c" }), &["command".to_owned()]);
        let words = told(Some(&metadata), &run("ls")).unwrap();
        assert!(words.contains(r#"{"command":"ls"}"#), "{words}");
        let long = told(Some(&metadata), &run(&"é".repeat(5_000))).unwrap();
        assert!(long.contains("5000 characters") && long.len() < 3 * MOST_TOLD);
        assert_eq!(told(Some(&with_names(json!({}), &[])), &run("ls")), None);
        assert_eq!(told(None, &run("ls")), None);
    }
}
