//! The states, and what a person does to them.

use std::time::Duration;

use staithe_protocol::{
    Action, AgentState,
    action::{ChangeAgentState, LoopRecovery},
};

use super::world::{World, change, equipment, facts, settings};
use crate::controller::{Configured, Denied};

#[test]
fn the_agent_is_loading_until_there_is_a_sandbox_and_a_message_waits_for_it() {
    let mut world =
        World::bare(Configured { settings: settings(), model: Ok(facts()), condenser: None });
    assert_eq!(world.state(), AgentState::Loading);
    world.say("Do it");
    world.settle();
    world.check(0, &["u message"]);
    world.equip();
    world.settle();
    assert_eq!(world.told(0)[..3], ["u message", "init", "running"]);
}

#[test]
fn without_a_model_a_message_is_answered_with_what_to_do() {
    let mut world = World::bare(Configured {
        settings: settings(),
        model: Err("Configure one".to_owned()),
        condenser: None,
    });
    world.equip();
    world.settle();
    let id = world.say("Do it");
    world.settle();
    world.check(1, &["u message", "e error ERROR_LLM_NOT_CONFIGURED"]);
    assert_eq!(world.log.last().unwrap().cause, Some(id));
    assert_eq!(world.last_error().1, "Configure one");
    assert_eq!(world.state(), AgentState::Init);
    assert_eq!(
        world.controller.admit(&Action::CondensationRequest, staithe_protocol::Source::User),
        Err(Denied::NoModel)
    );
    world.set(Configured { settings: settings(), model: Ok(facts()), condenser: None });
    world.say("Now?");
    world.settle();
    assert_eq!(world.state(), AgentState::Running);
    world.set(Configured { settings: settings(), model: Err("Gone".to_owned()), condenser: None });
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    world.done();
    assert_eq!(world.state(), AgentState::Error);
}

#[test]
fn a_pause_drops_the_question_and_going_on_asks_again() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    world.change(AgentState::Paused);
    assert_eq!((world.hushed, world.asked.is_none()), (1, true), "at once");
    world.settle();
    world.change(AgentState::Running);
    world.settle();
    world.check(from, &["u -> paused", "paused", "u -> running", "running"]);
    assert!(world.asked.is_some());
}

#[test]
fn a_pause_interrupts_the_command_and_keeps_the_calls_after_it() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a", "b"]);
    world.answer(answer);
    let from = world.log.len();
    world.change(AgentState::Paused);
    assert_eq!(world.interrupts, 1);
    world.settle();
    world.done();
    world.check(from, &["u -> paused", "paused", "a run ="]);
    world.say("Go on");
    world.settle();
    world.check(from + 3, &["u message", "running", "a run b"]);
    assert_eq!(world.running.len(), 1);
}

#[test]
fn a_stop_interrupts_and_answers_the_calls_after_it_as_not_executed() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a", "b", "c"]);
    world.answer(answer);
    let from = world.log.len();
    world.change(AgentState::Stopped);
    assert_eq!(world.interrupts, 1);
    world.settle();
    let not = "a error ERROR_ACTION_NOT_EXECUTED_STOPPED";
    world.check(from, &["u -> stopped", "stopped", not, not]);
    world.done();
    world.say("Once more");
    world.settle();
    assert_eq!(world.state(), AgentState::Running);
    assert!(world.asked.is_some());
}

#[test]
fn an_action_that_crosses_a_stop_never_runs() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a", "b"]);
    world.heard(Ok(answer)); // its event is on its way
    let from = world.log.len();
    world.change(AgentState::Stopped);
    world.settle();
    let not = "a error ERROR_ACTION_NOT_EXECUTED_STOPPED";
    world.check(from, &["u -> stopped", "a run a", "stopped", not, not]);
    assert_eq!((world.running.len(), world.interrupts), (0, 0));
}

#[test]
fn an_action_that_crosses_a_pause_waits_for_the_agent_to_go_on() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a"]);
    world.heard(Ok(answer));
    world.change(AgentState::Paused);
    world.settle();
    assert_eq!((world.running.len(), world.controller.held().len()), (0, 1));
    world.change(AgentState::Running);
    world.settle();
    assert_eq!((world.running.len(), world.controller.held().len()), (1, 0));
}

#[test]
fn changes_that_can_t_be_are_denied_and_those_that_came_too_late_are_told_so() {
    let mut world = World::at_work(settings());
    let admit = |world: &World, state| {
        world.controller.admit(&change(state), staithe_protocol::Source::User)
    };
    let denied = |from, to| Err(Denied::IllegalTransition { from, to });
    let running = AgentState::Running;
    for to in
        [AgentState::Finished, AgentState::Error, AgentState::UserConfirmed, AgentState::Loading]
    {
        assert_eq!(admit(&world, to), denied(running, to));
    }
    assert_eq!(admit(&world, running), Ok(()), "nothing changes");
    let from = world.log.len();
    world.put(super::world::of_user(change(AgentState::Stopped)));
    world.put(super::world::of_user(change(AgentState::Paused))); // admitted a moment before
    world.settle();
    world.check(
        from,
        &["u -> stopped", "u -> paused", "stopped", "u error ERROR_ACTION_NOT_EXECUTED_ERROR"],
    );
}

#[test]
fn the_same_state_again_is_answered_with_nothing() {
    let mut world = World::new(settings());
    let from = world.log.len();
    let id = world.change(AgentState::Init);
    world.settle();
    world.check(from, &["u -> init", "u null ="]);
    assert_eq!(world.log.last().unwrap().cause, Some(id));
}

#[test]
fn a_late_answer_is_passed_over() {
    let mut world = World::at_work(settings());
    let (call, ..) = world.asked.clone().unwrap();
    world.change(AgentState::Stopped);
    let answer = world.bash(&["a"]);
    assert_eq!(world.controller.heard(call, Ok(answer), Duration::ZERO), []);
}

#[test]
fn equipment_that_changes_is_offered_from_the_next_question_on() {
    let mut world = World::at_work(settings());
    let names = |world: &World| {
        let (_, question, _) = world.asked.as_ref().unwrap();
        question.tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>()
    };
    assert!(names(&world).contains(&"browser".to_owned()));
    let mut other = equipment();
    other.offer.browser = false;
    assert_eq!(world.controller.equipped(other, Duration::ZERO), []);
    let answer = world.bash(&["a"]);
    world.answer(answer);
    world.done();
    assert!(!names(&world).contains(&"browser".to_owned()));
}

#[test]
fn an_agreement_that_nobody_asked_for_changes_nothing() {
    let mut world = World::at_work(settings());
    let confirmed =
        ChangeAgentState { agent_state: AgentState::UserConfirmed, ..ChangeAgentState::default() };
    assert_eq!(world.submit(Action::ChangeAgentState(confirmed)), None);
}

#[test]
fn without_a_sandbox_that_comes_back_nobody_is_asked_and_a_message_waits() {
    let mut world = World::at_work(settings());
    world.lose_sandbox();
    world.settle();
    assert_eq!(world.told(0).last(), Some(&"paused sandbox".to_owned()));
    assert!(world.asked.is_none() && world.hushed == 1 && !world.controller.is_busy());
    let admitted =
        |world: &World, action| world.controller.admit(&action, staithe_protocol::Source::User);
    assert_eq!(admitted(&world, change(AgentState::Running)), Err(Denied::NoSandbox));
    assert_eq!(admitted(&world, change(AgentState::Stopped)), Ok(()));
    let from = world.log.len();
    let said = world.say("Go on");
    world.settle();
    world.check(from, &["u message"]);
    world.equip();
    world.settle();
    world.check(from + 1, &["running"]);
    assert_eq!(world.log.last().unwrap().cause, Some(said));
    assert!(world.asked.is_some());
}

#[test]
fn a_sandbox_that_goes_amid_a_call_ends_the_turn_after_its_answer() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a", "b"]);
    world.answer(answer);
    let from = world.log.len();
    world.lose_sandbox();
    world.settle();
    world.done();
    world.check(from, &["paused sandbox", "a run ="]);
    world.put(super::world::of_user(change(AgentState::Running))); // admitted a moment before
    world.settle();
    world.check(from + 2, &["u -> running", "running", "paused sandbox"]);
    world.equip();
    world.change(AgentState::Running);
    world.settle();
    world.check(from + 5, &["u -> running", "running", "a run b"]);
}

#[test]
fn what_makes_no_sense_now_is_denied_with_what_is_missing() {
    let world = World::at_work(settings());
    let out = Action::LoopRecovery(LoopRecovery { option: 1 });
    let admit = |action| world.controller.admit(&action, staithe_protocol::Source::User);
    assert_eq!(admit(out), Err(Denied::NoLoop));
    assert_eq!(admit(Action::CondensationRequest), Ok(()));
    let own = Action::Condensation(staithe_protocol::action::Condensation::default());
    assert_eq!(admit(own), Err(Denied::AgentOnly("condensation")));
}
