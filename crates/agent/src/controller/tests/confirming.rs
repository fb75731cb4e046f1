//! A person agrees, or does not.

use serde_json::{Value, json};
use staithe_protocol::{
    Action, AgentState, EventId, HIDDEN, Source,
    action::{ChangeAgentState, ConfirmationScope},
    event::Body,
};

use super::world::{World, of_user, settings};
use crate::{
    controller::Denied,
    model::Said,
    settings::{AgentSettings, Confirm},
};

fn asking(confirm: Confirm) -> AgentSettings {
    AgentSettings { confirm, ..settings() }
}

fn decide(
    world: &mut World,
    agent_state: AgentState,
    thought: &str,
    scope: Option<ConfirmationScope>,
) {
    let thought = thought.to_owned();
    let change = ChangeAgentState { agent_state, thought, scope, action_id: None, edited: None };
    world.submit(Action::ChangeAgentState(change)).unwrap();
    world.settle();
}

#[test]
fn an_action_is_asked_about_and_runs_as_a_new_event_when_it_is_agreed_to() {
    let mut world = World::at_work(asking(Confirm::Always));
    let from = world.log.len();
    let answer = world.bash(&["ls", "pwd"]);
    world.answer(answer);
    world.check(from, &["a run?", "a null =", "awaiting_user_confirmation"]);
    assert!(world.running.is_empty() && world.asked.is_none());
    assert_eq!(world.controller.held().len(), 1);
    decide(&mut world, AgentState::UserConfirmed, "", None);
    world.check(from + 3, &["u -> user_confirmed", "user_confirmed", "a run ls", "running"]);
    world.done();
    world.check(from + 7, &["a run =", "a run?", "a null =", "awaiting_user_confirmation"]);
    decide(&mut world, AgentState::UserConfirmed, "", None);
    world.done();
    let (_, question, _) = world.asked.as_ref().unwrap();
    let results = question.said.iter().filter(|said| matches!(said, Said::Tool { .. }));
    assert_eq!(results.count(), 2);
}

#[test]
fn with_a_reason_the_agent_goes_on_and_sees_it() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["ls", "pwd"]);
    world.answer(answer);
    let from = world.log.len();
    decide(&mut world, AgentState::UserRejected, "not now", None);
    world.check(
        from,
        &[
            "u -> user_rejected",
            "user_rejected",
            "a run!",
            "a user_rejected =",
            "running",
            "a error ERROR_ACTION_NOT_EXECUTED_STOPPED",
        ],
    );
    assert!(world.running.is_empty());
    let (_, question, _) = world.asked.as_ref().unwrap();
    assert!(format!("{:?}", question.said).contains("not now"));
}

#[test]
fn without_a_reason_it_waits_to_be_told() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    decide(&mut world, AgentState::UserRejected, "", None);
    assert_eq!(world.state(), AgentState::AwaitingUserInput);
    assert!(world.asked.is_none());
    world.say("Do something else");
    world.settle();
    assert!(world.asked.is_some());
}

#[test]
fn only_risks_are_asked_about_and_the_action_is_marked_with_its_risk() {
    let mut world = World::at_work(asking(Confirm::Risky));
    let answer = world.bash(&["ls", "sudo ls"]);
    world.answer(answer);
    world.done();
    assert_eq!(world.state(), AgentState::AwaitingUserConfirmation);
    let asked = world.log.iter().rev().find_map(|event| match &event.body {
        Body::Action(Action::Run(run)) => run.security_risk,
        _ => None,
    });
    assert_eq!(asked, Some(2), "the model said low, the rules say high");
}

#[test]
fn an_agreement_to_the_kind_holds_for_the_session_and_beyond_a_crash() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["git status"]);
    world.answer(answer);
    decide(&mut world, AgentState::UserConfirmed, "", Some(ConfirmationScope::Kind));
    world.done();
    let answer = world.bash(&["git log"]);
    world.answer(answer);
    assert_eq!(world.running.len(), 1, "not asked again");
    world.done();
    world.crash();
    world.settle();
    world.change(AgentState::Running);
    world.settle();
    let answer = world.bash(&["git diff", "make"]);
    world.answer(answer);
    assert_eq!(world.running.len(), 1);
    world.done();
    assert_eq!(world.state(), AgentState::AwaitingUserConfirmation, "another program");
}

#[test]
fn every_tool_with_an_effect_is_asked_about() {
    let mut world = World::at_work(asking(Confirm::Always));
    let edit = json!({ "command": "create", "path": "/workspace/a", "file_text": "x", "security_risk": "LOW" });
    for (name, arguments) in [
        ("execute_ipython_cell", json!({ "code": "1", "security_risk": "LOW" })),
        ("str_replace_editor", edit),
        ("browser", json!({ "code": "noop()" })),
        ("web_read", json!({ "url": "https://example.org" })),
        ("delegate", json!({ "task": "t" })),
    ] {
        let answer = world.calls(&[(name, arguments)]);
        world.answer(answer);
        assert_eq!(
            world.state(),
            AgentState::AwaitingUserConfirmation,
            "{name}: {:?}",
            world.last_error()
        );
        decide(&mut world, AgentState::UserRejected, "no", None);
        assert_eq!(world.state(), AgentState::Running, "{name}");
    }
    let answer = world.calls(&[("think", json!({ "thought": "t" }))]);
    world.answer(answer);
    assert_eq!(world.state(), AgentState::Running);
}

#[test]
fn a_stop_answers_what_was_asked_about_as_not_executed() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["a", "b"]);
    world.answer(answer);
    let from = world.log.len();
    world.change(AgentState::Stopped);
    world.settle();
    let not = "a error ERROR_ACTION_NOT_EXECUTED_STOPPED";
    world.check(from, &["u -> stopped", "stopped", not, not]);
    assert!(world.controller.held().is_empty() && world.running.is_empty());
}

#[test]
fn a_decision_that_a_crash_cut_is_carried_out_once() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["a"]);
    world.answer(answer);
    let confirmed =
        ChangeAgentState { agent_state: AgentState::UserConfirmed, ..ChangeAgentState::default() };
    world.submit(Action::ChangeAgentState(confirmed)).unwrap();
    world.crash();
    world.settle();
    assert_eq!(world.running.len(), 1);
    world.done();
    assert!(world.asked.is_some());
}

#[test]
fn a_message_while_a_person_is_asked_waits_for_the_decision() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["a"]);
    world.answer(answer);
    world.say("By the way");
    world.settle();
    assert_eq!(world.state(), AgentState::AwaitingUserConfirmation);
    decide(&mut world, AgentState::UserRejected, "", None);
    assert_eq!(world.state(), AgentState::Running, "somebody spoke");
}

#[test]
fn a_rejection_that_a_crash_cut_never_runs() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["a"]);
    world.answer(answer);
    let agent_state = AgentState::UserRejected;
    let rejected = ChangeAgentState { agent_state, ..ChangeAgentState::default() };
    world.submit(Action::ChangeAgentState(rejected)).unwrap();
    world.commit();
    world.commit();
    assert_eq!(world.told(0).last(), Some(&"a run!".to_owned()));
    world.crash();
    assert!(world.running.is_empty());
    world.settle();
    assert_eq!(world.told(0)[world.log.len() - 2..], ["a user_rejected =", "awaiting_user_input"]);
}

#[test]
fn what_a_person_changed_is_run_and_the_model_is_told() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["rm -rf build", "ls"]);
    world.answer(answer);
    let edited = |command: Value, scope| {
        let edited = Some(serde_json::Map::from_iter([("command".to_owned(), command)]));
        let agent_state = AgentState::UserConfirmed;
        Action::ChangeAgentState(ChangeAgentState {
            agent_state,
            edited,
            scope,
            ..Default::default()
        })
    };
    let refused = |action: Action| match world.controller.admit(&action, Source::User) {
        Err(Denied::Edit(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(edited(json!(7), None)).contains("`command`"));
    assert!(refused(edited(json!("ls"), Some(ConfirmationScope::Kind))).contains("scope"));
    assert!(refused(edited(json!(format!("echo {HIDDEN}")), None)).contains(HIDDEN));
    let from = world.log.len();
    // Its secret was hidden on the way into the log: the controller finds that there only.
    world.put(of_user(edited(json!(format!("echo {HIDDEN}")), None)));
    world.settle();
    world.check(from, &["u -> user_confirmed", "u error ERROR_ACTION_NOT_EXECUTED_ERROR"]);
    assert!(world.running.is_empty() && world.state() == AgentState::AwaitingUserConfirmation);
    world.submit(edited(json!("rm -rf build/tmp"), None)).unwrap();
    // What was decided is in the log, so a crash changes nothing.
    world.crash();
    world.settle();
    world.check(from + 3, &["user_confirmed", "a run rm -rf build/tmp", "running"]);
    world.done();
    decide(&mut world, AgentState::UserConfirmed, "", None);
    world.done();
    let (_, question, _) = world.asked.as_ref().unwrap();
    let told = question.said.iter().filter_map(|said| match said {
        Said::Tool { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert!(told[0].contains("The user changed this call") && told[0].contains("rm -rf build/tmp"));
    assert!(!told[1].contains("changed"), "{told:?}");
}

fn decision(agent_state: AgentState, id: EventId) -> Action {
    let action_id = Some(id);
    Action::ChangeAgentState(ChangeAgentState { agent_state, action_id, ..Default::default() })
}

#[test]
fn a_decision_that_names_an_action_is_about_no_other() {
    let mut world = World::at_work(asking(Confirm::Always));
    let answer = world.bash(&["a", "b"]);
    world.answer(answer);
    let first = world.controller.held()[0];
    // Both were sent while the first was asked about; the second came after the first one's end.
    let wrong = EventId(first.0 + 1);
    for state in [AgentState::UserConfirmed, AgentState::UserRejected] {
        let told = world.controller.admit(&decision(state, wrong), Source::User);
        assert_eq!(told, Err(Denied::NotAsked(wrong)));
    }
    world.submit(decision(AgentState::UserConfirmed, first)).unwrap();
    world.settle();
    world.done();
    assert_eq!(world.state(), AgentState::AwaitingUserConfirmation);
    let second = world.controller.held()[0];
    assert_ne!(first, second);
    let late = decision(AgentState::UserConfirmed, first);
    assert_eq!(world.controller.admit(&late, Source::User), Err(Denied::NotAsked(first)));
    assert!(world.running.is_empty());
    // In the log already, because it was admitted in time: it is told that it came too late.
    let from = world.log.len();
    world.put(of_user(late));
    world.settle();
    world.check(from, &["u -> user_confirmed", "u error ERROR_ACTION_NOT_EXECUTED_ERROR"]);
    assert!(world.running.is_empty());
    world.submit(decision(AgentState::UserConfirmed, second)).unwrap();
    world.settle();
    assert_eq!(world.running.len(), 1);
}
