//! Answers that end at the limit of tokens: nothing half is done, nothing stops without a word why.

use staithe_protocol::{Action, AgentState, Body};

use super::world::{World, settings};
use crate::{controller::words, model::Answer};

fn cut(answer: Answer) -> Answer {
    Answer { cut: true, ..answer }
}

/// What the agent said last, and whether it waits for an answer.
fn said(world: &World) -> (String, bool) {
    let message = world.log.iter().rev().find_map(|event| match &event.body {
        Body::Action(Action::Message(message)) => Some(message.clone()),
        _ => None,
    });
    let message = message.expect("a message");
    (message.content, message.wait_for_response)
}

#[test]
fn a_call_that_was_cut_is_never_carried_out_and_those_before_it_are() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let answer = world.bash(&["rm -rf /workspace/build"]);
    world.answer(cut(answer));
    world.check(from, &["a error BAD_TOOL_CALL"]);
    let (_, content) = world.last_error();
    assert!(content.contains("cut at its limit of tokens"), "{content}");
    assert!(world.asked.is_some(), "the model is told");
    let from = world.log.len();
    let answer = world.bash(&["echo 1", "echo 2"]);
    world.answer(cut(answer));
    world.done();
    world.check(from, &["a run echo 1", "a run =", "a error BAD_TOOL_CALL"]);
}

#[test]
fn a_text_that_was_cut_goes_on_once_and_says_why_it_stops() {
    let mut world = World::at_work(settings());
    let answer = world.text("First I");
    world.answer(cut(answer));
    assert_eq!(said(&world), (format!("First I\n\n{}", words::CUT), false));
    assert!(world.asked.is_some() && world.state() == AgentState::Running);
    let answer = world.text("again");
    world.answer(cut(answer));
    assert_eq!(said(&world), (format!("again\n\n{}", words::CUT_AGAIN), true));
    assert_eq!(world.state(), AgentState::AwaitingUserInput);
    world.say("Go on");
    world.settle();
    let answer = world.text("and on");
    world.answer(cut(answer));
    assert!(!said(&world).1, "after a word of the user it counts anew");
}

#[test]
fn who_only_thought_until_the_limit_is_told_so() {
    let mut world = World::at_work(settings());
    let answer = world.text("");
    world.answer(cut(answer));
    assert_eq!(said(&world).0, words::NUDGE_CUT);
    assert!(world.asked.is_some());
}
