//! An observation as readers of every version take it. Pure.
//!
//! The reference's clients make their objects of `extras` by name, and those of 0.16 fail at a name
//! that they don't know. Which version asks is seen by the fields that its action has.

use serde_json::{Map, Value};
use staithe_protocol::Observation;

/// Fields of actions that came after 0.16.
const LATER: [&str; 7] =
    ["is_input", "is_static", "cwd", "security_risk", "impl_source", "view_range", "return_axtree"];
/// What 0.16 has in the `extras` of a `run`.
const RUN_OF_0_16: [&str; 5] =
    ["command_id", "command", "exit_code", "hidden", "interpreter_details"];
/// What came after 0.16 and is as good as not there, while it is empty or the default.
const EMPTY: [&str; 9] = [
    "impl_source",
    "formatted_output_and_error",
    "diff",
    "image_urls",
    "screenshot_path",
    "set_of_marks",
    "goal_image_urls",
    "total_bytes",
    "unread_lines",
];

/// The observation's JSON, for one who asked with these `args`.
pub(super) fn shaped(observation: &Observation, args: Option<&Value>) -> Value {
    let mut whole = serde_json::to_value(observation).unwrap_or_default();
    let has = |name: &&str| args.is_some_and(|args| args.get(*name).is_some());
    let is_later = LATER.iter().any(&has);
    if let Some(extras) =
        whole.get_mut("extras").and_then(Value::as_object_mut).filter(|_| !is_later)
    {
        match observation {
            Observation::Run(_) if has(&"keep_prompt") => {
                extras.retain(|name, _| RUN_OF_0_16.contains(&name.as_str()));
            }
            Observation::Run(_) => {}
            _ => drop_empty(extras),
        }
    }
    if let Some(whole) = whole.as_object_mut() {
        whole.insert("message".to_owned(), observation.message().into());
    }
    whole
}

fn drop_empty(extras: &mut Map<String, Value>) {
    for name in EMPTY {
        let is_empty = match extras.get(name) {
            Some(Value::String(text)) => {
                matches!(text.as_str(), "" | "default" | "llm_based_edit")
            }
            Some(Value::Array(all)) => all.is_empty(),
            Some(value) => value.is_null(),
            None => false,
        };
        if is_empty {
            extras.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use staithe_protocol::observation::{ReadObservation, RunObservation};

    use super::*;

    fn names(observation: &Observation, args: &Value) -> Vec<String> {
        let whole = shaped(observation, Some(args));
        // As they come is another order where a crate of the build asks for that.
        let mut names: Vec<_> = whole["extras"].as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_run_has_the_fields_of_the_version_that_asks() {
        let run = Observation::Run(RunObservation { total_bytes: Some(1), ..Default::default() });
        let old = names(&run, &json!({ "command": "ls", "keep_prompt": true }));
        assert_eq!(old, ["command", "command_id", "exit_code", "hidden", "interpreter_details"]);
        for args in [json!({ "command": "ls" }), json!({ "keep_prompt": true, "is_input": false })]
        {
            let all = names(&run, &args);
            assert!(all.contains(&"metadata".to_owned()) && all.contains(&"exit_code".to_owned()));
        }
        assert_eq!(shaped(&run, None)["message"], "Command `` executed with exit code 0.");
        assert_eq!(shaped(&run, None)["success"], true);
    }

    #[test]
    fn what_is_empty_and_new_is_not_told_to_the_old() {
        let read = Observation::Read(ReadObservation { path: "a".into(), ..Default::default() });
        assert_eq!(names(&read, &json!({ "path": "a" })), ["path"]);
        let newer = names(&read, &json!({ "path": "a", "impl_source": "default" }));
        assert_eq!(newer, ["impl_source", "path"]);
    }
}
