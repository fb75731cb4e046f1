//! The server ends at any moment.

use staithe_protocol::AgentState;

use super::world::{World, settings};
use crate::{controller::Controller, settings::AgentSettings, view::Asked};

/// All that decides what comes next and has to be known from the log alone; what the models are told, too.
pub(super) fn known(controller: &Controller) -> Vec<String> {
    let log = &controller.log;
    let mut known = vec![
        format!("{:?} {} {:?}", log.state, log.reason, log.wanted),
        format!("{:?} {:?} {:?}", log.spent, log.base, log.confirming),
        format!("{:?} {:?} {:?}", log.approved, log.owed, log.unanswered),
        format!("{:?} {:?} {}", log.recalls, log.system_told, log.is_unread()),
        format!("{:?}", (&log.agreed_unpriced, &log.unpriced, &log.most_read)),
    ];
    for frame in log.frames() {
        let said = frame.view.said(Asked { model: "m", pictures: true });
        known.push(format!("{:?} {:?} {:?}", frame.answer, frame.waiting, frame.ended));
        known.push(format!("{} {} {:?}", frame.steps, frame.granted, frame.tasks));
        known.push(format!("{} {}", frame.empty, frame.condensed));
        known.push(format!("{} {:?} {:?}", frame.condense_asked, frame.retry, frame.forget));
        known.push(format!("{} {}", frame.too_long, frame.unsummed));
        known.push(format!("{:?} {:?} {said:?}", frame.stuck, frame.meanwhile));
        known.push(format!("{}", frame.view.tokens(0)));
    }
    known
}

fn going_on() -> AgentSettings {
    AgentSettings { go_on_after_crash: true, ..settings() }
}

#[test]
fn a_turn_that_was_cut_is_paused_and_goes_on_when_a_person_wants_it() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    world.crash();
    world.settle();
    world.check(from, &["paused crash"]);
    assert!(world.asked.is_none());
    world.change(AgentState::Running);
    world.settle();
    assert!(world.asked.is_some());
}

#[test]
fn a_turn_goes_on_by_itself_where_that_is_configured() {
    let mut world = World::at_work(going_on());
    let from = world.log.len();
    world.crash();
    world.settle();
    world.check(from, &[]);
    assert!(world.asked.is_some());
}

#[test]
fn calls_that_were_never_made_are_answered_and_the_one_that_ran_is_the_executor_s() {
    for (settings, paused) in [(settings(), true), (going_on(), false)] {
        let mut world = World::at_work(settings);
        let answer = world.bash(&["a", "b", "c"]);
        world.answer(answer);
        let from = world.log.len();
        world.crash();
        world.settle();
        let not = "a error ERROR_ACTION_NOT_EXECUTED_STOPPED";
        let told: Vec<_> = if paused { vec!["paused crash", not, not] } else { vec![not, not] };
        world.check(from, &told);
        assert_eq!((world.running.len(), world.interrupts), (1, 0), "it may end in peace");
        world.done();
        assert_eq!(world.asked.is_some(), !paused);
        if paused {
            world.say("Go on");
            world.settle();
        }
        assert!(world.asked.is_some());
    }
}

#[test]
fn a_pause_that_a_crash_cut_still_interrupts() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a"]);
    world.answer(answer);
    world.change(AgentState::Paused);
    world.interrupts = 0;
    world.crash();
    assert_eq!(world.interrupts, 1);
    world.settle();
    assert_eq!(world.state(), AgentState::Paused);
}

#[test]
fn a_message_that_nobody_was_told_of_is_not_lost() {
    let mut world = World::new(settings());
    world.say("Do it");
    world.crash();
    world.settle();
    assert_eq!(world.state(), AgentState::Running);
    assert!(world.asked.is_some());
}

#[test]
fn a_crash_in_a_delegate_keeps_it() {
    let mut world = World::at_work(going_on());
    let answer = world.calls(&[("delegate", serde_json::json!({ "task": "Count" }))]);
    world.answer(answer);
    world.crash();
    world.settle();
    let said = format!("{:?}", world.asked.as_ref().unwrap().1.said);
    assert!(said.contains("Count") && !said.contains("Do it"));
}

#[test]
fn a_rate_limit_is_a_turn_too() {
    let mut world = World::at_work(settings());
    world.fail(crate::model::FailureKind::RateLimited);
    world.crash();
    world.settle();
    assert_eq!(world.told(0).last(), Some(&"paused crash".to_owned()));
}
