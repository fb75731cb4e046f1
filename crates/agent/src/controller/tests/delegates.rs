//! An agent that works for another.

use serde_json::json;
use staithe_protocol::{AgentState, Observation, event::Body};

use super::world::{World, settings};
use crate::{
    model::FailureKind,
    settings::{AgentSettings, Limits},
};

fn delegating(settings: AgentSettings) -> World {
    let mut world = World::at_work(settings);
    let answer = world.calls(&[("delegate", json!({ "task": "Count the files" }))]);
    world.answer(answer);
    world
}

fn said(world: &World) -> String {
    format!("{:?}", world.asked.as_ref().unwrap().1.said)
}

#[test]
fn a_delegate_has_its_own_view_and_reports_to_its_parent() {
    let mut world = delegating(settings());
    let from = world.log.len();
    assert!(said(&world).contains("Count the files") && !said(&world).contains("Do it"));
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    world.done();
    assert!(said(&world).contains("output of ls"));
    let answer = world.calls(&[("finish", json!({ "message": "There are 7" }))]);
    world.answer(answer);
    world.check(from, &["a run ls", "a run =", "a finish", "a delegate ="]);
    assert_eq!(world.state(), AgentState::Running, "the session's agent goes on");
    assert!(said(&world).contains("There are 7") && said(&world).contains("Do it"));
    assert!(!said(&world).contains("output of ls"));
    assert_eq!(world.controller.spent().steps, 3, "the cost is shared");
}

#[test]
fn words_of_a_delegate_are_its_report() {
    let mut world = delegating(settings());
    let answer = world.text("There are 7");
    world.answer(answer);
    let Body::Observation(Observation::Delegate(report)) = &world.log.last().unwrap().body else {
        panic!("{:?}", world.told(0))
    };
    assert_eq!(report.outputs["content"], "There are 7");
    assert!(world.log.last().unwrap().tool_call_metadata.is_some());
}

#[test]
fn a_delegate_that_fails_or_takes_too_long_is_the_parent_s_to_deal_with() {
    let mut world = delegating(settings());
    let from = world.log.len();
    world.fail(FailureKind::Refused);
    world.check(from, &["e error ERROR_LLM_CONTENT_POLICY_VIOLATION", "a delegate ="]);
    assert_eq!(world.state(), AgentState::Running);
    let limits = Limits { steps: 3, ..Limits::default() };
    let mut world = delegating(AgentSettings { limits, ..settings() });
    for n in 0..2 {
        let answer = world.bash(&[&format!("echo {n}")]);
        world.answer(answer);
        world.done();
    }
    assert_eq!(world.state(), AgentState::Paused, "its steps count for all");
    world.change(AgentState::Running);
    world.settle();
    let answer = world.bash(&["echo 3"]);
    world.answer(answer);
    world.done();
    assert_eq!(
        world.told(0).last(),
        Some(&"a delegate =".to_owned()),
        "three are as many as it may"
    );
}

#[test]
fn a_stop_and_a_pause_reach_the_delegate() {
    let mut world = delegating(settings());
    let answer = world.bash(&["a", "b"]);
    world.answer(answer);
    let from = world.log.len();
    world.change(AgentState::Paused);
    assert_eq!(world.interrupts, 1);
    world.settle();
    world.done();
    world.change(AgentState::Running);
    world.settle();
    world.check(from + 2, &["a run =", "u -> running", "running", "a run b"]);
    let from = world.log.len();
    world.change(AgentState::Stopped);
    world.settle();
    world.done();
    world.check(from, &["u -> stopped", "stopped", "a run =", "a delegate ="]);
}

#[test]
fn delegates_are_as_deep_as_is_allowed() {
    let mut world = delegating(settings());
    let tools = |world: &World| {
        let (_, question, _) = world.asked.as_ref().unwrap();
        question.tools.iter().any(|tool| tool.name == "delegate")
    };
    assert!(tools(&world));
    let answer = world.calls(&[("delegate", json!({ "task": "Deeper" }))]);
    world.answer(answer);
    assert!(!tools(&world));
    let answer = world.text("Inner");
    world.answer(answer);
    assert!(said(&world).contains("Inner") && said(&world).contains("Count the files"));
    let answer = world.text("Outer");
    world.answer(answer);
    assert!(said(&world).contains("Outer") && said(&world).contains("Do it"));
}

#[test]
fn what_is_said_meanwhile_is_heard_by_both() {
    let mut world = delegating(settings());
    world.say("Hurry");
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    world.done();
    assert!(said(&world).contains("Hurry"));
    let answer = world.text("7");
    world.answer(answer);
    assert!(said(&world).contains("Hurry"), "{}", said(&world));
}

#[test]
fn a_stop_ends_a_delegate_that_was_agreed_to() {
    let confirm = crate::settings::Confirm::Always;
    let mut world = World::at_work(AgentSettings { confirm, ..settings() });
    let answer = world.calls(&[("delegate", json!({ "task": "Count the files" }))]);
    world.answer(answer);
    world.change(AgentState::UserConfirmed);
    world.settle();
    let from = world.log.len();
    world.change(AgentState::Stopped);
    world.settle();
    world.check(from, &["u -> stopped", "stopped", "a delegate ="]);
}
