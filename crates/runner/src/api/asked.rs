//! What a body of `/execute_action` asks for. Pure.

use serde_json::Value;
use staithe_protocol::{Action, runner::Limits};

/// Limits of an action that names none: the reference's.
const DEFAULT_TIMEOUT_MS: u64 = 120_000;
/// The longest limit, in seconds.
const LONGEST: f64 = 86_400.0;
/// Bytes of output that an observation holds.
const MOST_OUTPUT: u64 = 30_000;

/// An action for this sandbox.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub action: Action,
    pub limits: Limits,
}

/// Why it is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The body has another form: which field, and what is wrong with it.
    Invalid(&'static str, &'static str),
    /// The form is right, and it is no action or not one for a sandbox.
    Refused(String),
}

/// Reads `{"action":{"action":…,"args":{…},"timeout":…}}`. A limit beside `action` counts where the
/// action has none itself.
pub(super) fn asked(body: &Value, no_change_ms: u64) -> Result<Asked, Unfit> {
    let given = match body.get("action") {
        None => return Err(Unfit::Invalid("action", "Field required")),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(Unfit::Invalid("action", "Input should be a valid dictionary")),
    };
    if !given.contains_key("action") {
        return Err(Unfit::Refused("Invalid action type: `action` names none.".to_owned()));
    }
    let mut given = given.clone();
    let own = given.remove("timeout").filter(|timeout| !timeout.is_null());
    let timeout = own.as_ref().or_else(|| body.get("timeout").filter(|t| !t.is_null()));
    let timeout_ms = timeout.map(milliseconds).transpose()?;
    let says_blocking = given.get("args").is_some_and(|args| args.get("blocking").is_some());

    let action = Action::from_client(&Value::Object(given));
    let mut action = action.map_err(|rejected| Unfit::Refused(rejected.reason))?.action;
    if !action.is_runnable() {
        let name = action.name();
        return Err(Unfit::Refused(format!("`{name}` is nothing that a sandbox carries out.")));
    }
    let mut max_output = MOST_OUTPUT;
    if let Action::Run(run) = &mut action {
        // Older clients say a limit alone and mean that the end is waited for.
        run.blocking |= timeout.is_some() && !says_blocking;
        if run.hidden {
            max_output = u64::MAX;
        }
    }
    let timeout_ms = timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
    Ok(Asked { action, limits: Limits { timeout_ms, no_change_ms, max_output } })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was just found to be between 0 and a day"
)]
fn milliseconds(timeout: &Value) -> Result<u64, Unfit> {
    match timeout.as_f64() {
        Some(seconds) if seconds > 0.0 && seconds <= LONGEST => {
            Ok((seconds * 1000.0).ceil() as u64)
        }
        _ => Err(Unfit::Refused(format!(
            "`timeout` must be seconds, more than 0 and at most {LONGEST}."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(action: &Value) -> Result<Asked, Unfit> {
        asked(&json!({ "action": action }), 10_000)
    }

    fn run(action: &Value) -> (bool, u64, u64) {
        let asked = check(action).unwrap();
        let Action::Run(run) = asked.action else { panic!("a run") };
        (run.blocking, asked.limits.timeout_ms, asked.limits.max_output)
    }

    #[test]
    fn a_limit_alone_means_to_wait_for_the_end() {
        let args = json!({ "command": "ls" });
        assert_eq!(run(&json!({ "action": "run", "args": args })), (false, 120_000, 30_000));
        let limited = json!({ "action": "run", "args": args, "timeout": 0.5 });
        assert_eq!(run(&limited), (true, 500, 30_000));
        let args = json!({ "command": "ls", "blocking": false, "hidden": true });
        let soft = json!({ "action": "run", "args": args, "timeout": 7 });
        assert_eq!(run(&soft), (false, 7_000, u64::MAX));
        let beside = json!({ "action": { "action": "run", "args": args }, "timeout": 3 });
        assert_eq!(asked(&beside, 1).unwrap().limits.timeout_ms, 3_000);
    }

    #[test]
    fn what_is_no_action_for_a_sandbox_is_refused() {
        for unfit in [
            json!({}),
            json!({ "observation": "run", "content": "", "extras": {} }),
            json!({ "action": 5 }),
            json!({ "action": "dance", "args": {} }),
            json!({ "action": "run", "args": {} }),
            json!({ "action": "run", "args": { "command": "ls", "colour": "red" } }),
            json!({ "action": "message", "args": { "content": "hi" } }),
            json!({ "action": "null" }),
            json!({ "action": "run", "args": { "command": "ls" }, "timeout": -1 }),
            json!({ "action": "run", "args": { "command": "ls" }, "timeout": "soon" }),
            json!({ "action": "run", "args": { "command": "ls" }, "timeout": 1e300 }),
        ] {
            assert!(matches!(check(&unfit), Err(Unfit::Refused(_))), "{unfit}");
        }
        assert!(matches!(asked(&json!({}), 1), Err(Unfit::Invalid("action", _))));
        assert!(matches!(asked(&json!([]), 1), Err(Unfit::Invalid("action", _))));
        assert!(matches!(check(&json!("ls")), Err(Unfit::Invalid("action", _))));
    }

    #[test]
    fn what_the_sender_alone_knows_of_an_event_is_passed_over() {
        let event = json!({
            "id": 6, "timestamp": "2024-12-20T10:00:00", "source": "agent", "message": "Running",
            "action": "run", "args": { "command": "ls", "keep_prompt": true }, "timeout": 120,
            "tool_call_metadata": { "function_name": "execute_bash" },
        });
        assert!(check(&event).is_ok());
    }
}
