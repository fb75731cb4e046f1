//! What the controller says itself, to the model and to people. Pure.

use serde_json::{Map, Value};
use staithe_protocol::{
    Observation,
    observation::{DelegateObservation, TaskTrackingObservation},
};

use super::frame::Ended;

/// What a model is told that answered nothing.
pub(super) const NUDGE: &str = "Your last answer was empty. Go on with the task: call a tool, or call `finish` if it \
                                is done, or say what you need from the user.";

/// What a model is told whose answer was cut before it said anything.
pub(super) const NUDGE_CUT: &str = "Your last answer was cut at its limit of tokens before it said or did anything. \
                                    Think less, and go on with the task in small steps.";

/// Stands behind a text that was cut, for the model and for people.
pub(super) const CUT: &str = "[The answer was cut here, at its limit of tokens.]";

/// The same, when the one before was cut, too.
pub(super) const CUT_AGAIN: &str = "[The answer was cut here again, at its limit of tokens. Tell the agent to go on, \
                                    or give the model a higher `max_output`.]";

/// What a call is answered with that was not carried out.
pub(super) const NOT_EXECUTED: &str = "The action has not been executed.";

/// The agent's list of tasks, after it was set or to be seen.
pub(super) fn tasks(command: &str, tasks: &[Value]) -> Observation {
    let mut content = match (command, tasks.is_empty()) {
        ("plan", _) => format!("The task list has been updated with {} items.", tasks.len()),
        (_, true) => "The task list is empty. Use the command `plan` to make one.".to_owned(),
        _ => "The task list:".to_owned(),
    };
    let shown = if command == "plan" { &[] } else { tasks };
    for (number, task) in (1..).zip(shown) {
        let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = format!("\n{number}. [{}] {}", text("status"), text("title"));
        content.push_str(&line);
        if !text("notes").is_empty() {
            let notes = format!(" ({})", text("notes"));
            content.push_str(&notes);
        }
    }
    let (command, task_list) = (command.to_owned(), tasks.to_vec());
    Observation::TaskTracking(TaskTrackingObservation { content, command, task_list })
}

/// What a delegate's parent is told of its end.
pub(super) fn delegate(agent: &str, ended: &Ended) -> Observation {
    let told = |verb: &str, outputs: &Map<String, Value>| {
        let text = |(name, value): (&String, &Value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        };
        let outputs: Vec<_> = outputs.iter().map(text).collect();
        format!("{agent} {verb} task with {}", outputs.join(", "))
    };
    let (content, outputs) = match ended {
        Ended::Finished(outputs) => (told("finishes", outputs), outputs.clone()),
        Ended::Rejected(outputs) => (told("rejects", outputs), outputs.clone()),
        Ended::Failed(why) => {
            (format!("{agent} encountered an error during execution. {why}"), Map::new())
        }
        Ended::Stopped => (format!("{agent} was stopped before its task was done."), Map::new()),
    };
    Observation::Delegate(DelegateObservation { content, outputs })
}
