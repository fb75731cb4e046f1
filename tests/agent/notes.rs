//! Events in short: what happened, in the order of the log, one word or a few for each.
//!
//! | note | event |
//! |---|---|
//! | `u message`, `a run ls`, `e recall` | an action of the user, the agent, the environment |
//! | `a run rm x ?`, `a run rm x no` | one that a person is asked about; one that a person rejected |
//! | `= run 0`, `= error BAD_ACTION` | what came of the action before |
//! | `! BAD_TOOL_CALL` | an error that answers no action |
//! | `[paused limit.steps]` | the agent's state, with its reason |
//! | `retry 1 model.unavailable` | the model is asked again |

use serde_json::Value;

/// What is told of the sandbox, not of the agent.
const BESIDE: [&str; 4] = ["phase_changed", "plugin_changed", "ports_changed", "repository"];

/// The events' notes; those that are not about the agent have none.
pub(crate) fn notes(events: &[Value]) -> Vec<String> {
    events.iter().filter_map(note).collect()
}

/// One event's note.
pub(crate) fn note(event: &Value) -> Option<String> {
    if event["action"].is_string() { Some(action(event)) } else { observation(event) }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn action(event: &Value) -> String {
    let (name, args) = (text(event, "action"), &event["args"]);
    let what = match name {
        "change_agent_state" => text(args, "agent_state"),
        "run" | "edit" | "task_tracking" => text(args, "command"),
        _ => "",
    };
    let asked = match text(args, "confirmation_state") {
        "awaiting_confirmation" => "?",
        "rejected" => "no",
        _ => "",
    };
    let parts = [&text(event, "source")[..1], name, what, asked];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn observation(event: &Value) -> Option<String> {
    let (name, extras) = (text(event, "observation"), &event["extras"]);
    if BESIDE.contains(&name) {
        return None;
    }
    let id = text(extras, "error_id");
    let id = id.rsplit('$').next().unwrap_or(id);
    Some(match name {
        "agent_state_changed" => {
            format!(
                "[{}]",
                format!("{} {}", text(extras, "agent_state"), text(extras, "reason")).trim()
            )
        }
        "model_retry" => format!("retry {} {}", extras["attempt"], text(extras, "code")),
        "error" if event["cause"].is_null() => format!("! {id}"),
        "error" => format!("= error {id}"),
        "run" => format!("= run {}", extras["metadata"]["exit_code"]),
        _ => format!("= {name}"),
    })
}

/// What is wrong with the results of the model's calls: each of an answer has one, and one alone.
pub(crate) fn unpaired(events: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for event in events {
        let calls =
            &event["tool_call_metadata"]["model_response"]["choices"][0]["message"]["tool_calls"];
        for call in calls.as_array().into_iter().flatten() {
            let of = |event: &&Value| event["tool_call_metadata"]["tool_call_id"] == call["id"];
            let is_result = |event: &&Value| {
                let told = event["observation"].as_str().is_some_and(|name| name != "null");
                told || event["action"] == "finish"
            };
            let results = events.iter().filter(of).filter(is_result).count();
            if results != 1 {
                wrong.push(format!("{results} results of {call}"));
            }
        }
    }
    wrong
}
