//! An agent that works for another.

use serde_json::json;
use staithe_protocol::{AgentState, Observation, Source, event::Body};

use super::world::{World, settings, user_run};
use crate::{
    model::FailureKind,
    settings::{AgentSettings, DelegateLimits, Limits},
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
    let delegates = DelegateLimits { steps: 3 };
    let mut world = delegating(AgentSettings { delegates, ..settings() });
    let from = steps(&mut world, 3);
    world.check(from + 6, &["e error ERROR_DELEGATE_LIMIT", "a delegate ="]);
    assert_eq!(world.state(), AgentState::Running, "its parent goes on");
    steps(&mut world, 4);
    assert!(world.asked.is_some(), "which is no delegate");
}

/// Steps of whoever works; from where on they are in the log.
fn steps(world: &mut World, count: usize) -> usize {
    let from = world.log.len();
    for n in 0..count {
        let answer = world.bash(&[&format!("echo {from} {n}")]);
        world.answer(answer);
        world.done();
    }
    from
}

#[test]
fn going_on_grants_a_delegate_its_steps_again_and_never_ends_it() {
    let limits = Limits { steps: 3, ..Limits::default() };
    let delegates = DelegateLimits { steps: 3 };
    let mut world = delegating(AgentSettings { limits, delegates, ..settings() });
    for count in [2, 3] {
        steps(&mut world, count);
        let told = world.told(0);
        if count == 2 {
            assert_eq!(told.last(), Some(&"paused limit.steps".to_owned()), "it counts for all");
            world.change(AgentState::Running);
            world.settle();
            assert!(world.asked.is_some());
        } else {
            assert_eq!(told.last(), Some(&"paused limit.steps".to_owned()));
        }
    }
    world.say("Go on");
    world.settle();
    assert!(world.asked.is_some() && world.controller.log.depth() == 1, "it works on");
}

#[test]
fn a_delegate_s_plan_is_its_own() {
    let mut world = World::at_work(settings());
    let plan = |title: &str| {
        let task = json!({ "id": "1", "title": title, "status": "todo", "notes": "" });
        ("task_tracker", json!({ "command": "plan", "task_list": [task] }))
    };
    let answer = world.calls(&[plan("The parent's"), ("delegate", json!({ "task": "Count" }))]);
    world.answer(answer);
    let answer = world.calls(&[plan("The delegate's"), ("finish", json!({ "message": "7" }))]);
    world.answer(answer);
    let answer = world.calls(&[("task_tracker", json!({ "command": "view" }))]);
    world.answer(answer);
    let Body::Observation(Observation::TaskTracking(seen)) = &world.log.last().unwrap().body else {
        panic!("{:?}", world.told(0))
    };
    assert!(seen.content.contains("The parent's"), "{}", seen.content);
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
fn what_is_done_by_hand_meanwhile_keeps_no_word_from_being_heard() {
    let mut settings = settings();
    settings.view.most_turns = 0;
    let mut world = delegating(settings);
    for n in 0..100 {
        if n % 25 == 0 {
            world.say(&format!("word {n}."));
            world.settle();
        }
        let id = world.submit(user_run(&format!("by hand {n}."))).unwrap();
        world.observe_for(id, Source::User);
    }
    world.settle();
    assert!(world.controller.log.frames().all(|frame| frame.meanwhile.len() < 80));
    let answer = world.text("7");
    world.answer(answer);
    let said = said(&world);
    for heard in ["word 0.", "word 25.", "word 50.", "word 75.", "by hand 68.", "by hand 99."] {
        assert!(said.contains(heard), "{heard} in {said}");
    }
    assert!(!said.contains("by hand 67."));
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
