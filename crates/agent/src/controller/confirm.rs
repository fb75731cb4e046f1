//! Which actions a person is asked about, and what those look like that one decided on. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use staithe_protocol::{Action, action::ConfirmationStatus};

use crate::{
    risk::{self, Assessed, Level},
    settings::Confirm,
};

/// What is thought of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// A person is asked.
    pub(super) asked: bool,
    /// The higher of what the model and the rules say.
    pub(super) risk: Option<Level>,
    /// What an agreement to all of its kind is about.
    pub(super) kinds: BTreeSet<String>,
    /// The rules of high risk that it meets.
    pub(super) rules: BTreeSet<&'static str>,
}

/// Judges an action of which the model says this risk.
pub(super) fn judge(
    action: &Action,
    told: Option<i64>,
    policy: Confirm,
    approved: &BTreeSet<String>,
    workspace: &str,
) -> Judged {
    let Assessed { level, kinds, rules } = risk::assess(action, workspace);
    let risk = level.max(told.and_then(Level::of_number));
    let looks = matches!(action, Action::Read(_)) && risk != Some(Level::High);
    let needed = match policy {
        Confirm::Never => false,
        Confirm::Risky => matches!(risk, None | Some(Level::High)),
        Confirm::Always => !looks,
    };
    let agreed = !kinds.is_empty() && kinds.is_subset(approved);
    Judged { asked: has_effect(action) && needed && !agreed, risk, kinds, rules }
}

/// Adds to an event's metadata why a person is asked: `confirmation` `{kinds, rules}`. What is agreed to for a kind is
/// read from there.
pub(super) fn with_reasons(mut metadata: Value, judged: &Judged) -> Value {
    if let Some(metadata) = metadata.as_object_mut() {
        let reasons = json!({ "kinds": judged.kinds, "rules": judged.rules });
        metadata.insert("confirmation".to_owned(), reasons);
    }
    metadata
}

/// The kinds of an action that a person was asked about.
pub(super) fn kinds_of(metadata: &Value) -> BTreeSet<String> {
    let kinds = metadata.pointer("/confirmation/kinds").and_then(Value::as_array);
    kinds.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn has_effect(action: &Action) -> bool {
    action.is_runnable() || matches!(action, Action::Delegate(_))
}

/// Where an action that has a place for them keeps what a person said, and its risk.
fn places(action: &mut Action) -> Option<(&mut ConfirmationStatus, Option<&mut Option<i64>>)> {
    Some(match action {
        Action::Run(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::RunIpython(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::Read(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::Write(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::Edit(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::Browse(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::BrowseInteractive(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::CallToolMcp(it) => (&mut it.confirmation_state, Some(&mut it.security_risk)),
        Action::Delegate(it) => (&mut it.confirmation_state, None),
        _ => return None,
    })
}

/// What was said of an action.
pub(super) fn state_of(action: &Action) -> ConfirmationStatus {
    match action {
        Action::Run(it) => it.confirmation_state,
        Action::RunIpython(it) => it.confirmation_state,
        Action::Read(it) => it.confirmation_state,
        Action::Write(it) => it.confirmation_state,
        Action::Edit(it) => it.confirmation_state,
        Action::Browse(it) => it.confirmation_state,
        Action::BrowseInteractive(it) => it.confirmation_state,
        Action::CallToolMcp(it) => it.confirmation_state,
        Action::Delegate(it) => it.confirmation_state,
        _ => ConfirmationStatus::Confirmed,
    }
}

/// The action with what was said of it.
pub(super) fn with_state(mut action: Action, state: ConfirmationStatus) -> Action {
    if let Some((place, _)) = places(&mut action) {
        *place = state;
    }
    action
}

/// The action with its risk.
pub(super) fn with_risk(mut action: Action, risk: Option<Level>) -> Action {
    if let (Some((_, Some(place))), Some(risk)) = (places(&mut action), risk) {
        *place = Some(risk.number());
    }
    action
}

/// The action with what the model said beside the call.
pub(super) fn with_thought(mut action: Action, text: &str) -> Action {
    let place = match &mut action {
        Action::Run(it) => &mut it.thought,
        Action::RunIpython(it) => &mut it.thought,
        Action::Read(it) => &mut it.thought,
        Action::Write(it) => &mut it.thought,
        Action::Edit(it) => &mut it.thought,
        Action::Browse(it) => &mut it.thought,
        Action::BrowseInteractive(it) => &mut it.thought,
        Action::CallToolMcp(it) => &mut it.thought,
        Action::Delegate(it) => &mut it.thought,
        Action::TaskTracking(it) => &mut it.thought,
        Action::Finish(it) => &mut it.thought,
        Action::Reject(it) => &mut it.thought,
        _ => return action,
    };
    if place.is_empty() {
        text.clone_into(place);
    }
    action
}

/// What the agent is told of an action that a person rejected.
pub(super) fn rejected(reason: &str) -> String {
    crate::prompt::rejected((!reason.is_empty()).then_some(reason))
}

#[cfg(test)]
mod tests {
    use staithe_protocol::action::{CallToolMcp, Delegate, Read, Run, Think};

    use super::*;

    fn run(command: &str) -> Action {
        Action::Run(Run { command: command.to_owned(), ..Run::default() })
    }

    fn asks(action: &Action, told: Option<i64>, policy: Confirm) -> bool {
        judge(action, told, policy, &BTreeSet::new(), "/workspace").asked
    }

    #[test]
    fn a_high_risk_is_asked_about_whoever_says_so() {
        for (command, told, asked) in [
            ("ls", Some(0), false),
            ("ls", None, false),
            ("ls", Some(2), true),
            ("sudo ls", Some(0), true),
            ("frobnicate", Some(0), false),
            ("frobnicate", Some(1), false),
            ("frobnicate", None, true),
            ("frobnicate", Some(-1), true),
        ] {
            assert_eq!(asks(&run(command), told, Confirm::Risky), asked, "{command} {told:?}");
            assert!(!asks(&run(command), told, Confirm::Never), "{command} {told:?}");
            assert!(asks(&run(command), told, Confirm::Always), "{command} {told:?}");
        }
    }

    #[test]
    fn every_tool_with_an_effect_is_asked_about_and_notes_are_not() {
        let mcp = Action::CallToolMcp(CallToolMcp::default());
        let delegate = Action::Delegate(Delegate::default());
        assert!(asks(&mcp, None, Confirm::Risky) && asks(&mcp, Some(0), Confirm::Always));
        assert!(asks(&delegate, None, Confirm::Always) && !asks(&delegate, None, Confirm::Risky));
        assert!(!asks(&Action::Think(Think::default()), Some(2), Confirm::Always));
        let read = |path: &str| Action::Read(Read { path: path.to_owned(), ..Read::default() });
        assert!(!asks(&read("a"), None, Confirm::Always), "looking has no effect");
        assert!(asks(&read("/root/.ssh/id_rsa"), None, Confirm::Risky));
    }

    #[test]
    fn an_agreement_to_a_kind_covers_what_is_like_it_and_nothing_beside() {
        let judged = |command: &str, agreed: &BTreeSet<String>| {
            judge(&run(command), None, Confirm::Risky, agreed, "/workspace")
        };
        let first = judged("sudo apt-get install x", &BTreeSet::new());
        let metadata = with_reasons(json!({}), &first);
        let agreed = kinds_of(&metadata);
        assert_eq!(metadata["confirmation"]["rules"], json!(["privileges"]));
        let asks = |command: &str| judged(command, &agreed).asked;
        assert!(!asks("sudo apt-get update"), "the same rule");
        assert!(asks("sudo ls; rm -rf /"), "another rule beside it");
        assert!(asks("sudo $X"), "like nothing: {agreed:?}");
    }
}
