//! A model that fails, and an agent that goes round in circles.

use std::time::Duration;

use staithe_protocol::{Action, AgentState, Observation, action::LoopRecovery, event::Body};

use super::world::{World, facts, settings};
use crate::{
    controller::{Configured, ModelFacts, Purpose, Timer},
    model::{Answer, FailureKind, ModelFailed, Usage},
    settings::Price,
};

fn retry(world: &World) -> (Timer, Duration) {
    let retry = world.timers.iter().find(|(timer, _)| matches!(timer, Timer::Retry(_)));
    *retry.expect("a retry is armed")
}

#[test]
fn a_passing_failure_is_tried_again_visibly_and_given_up_in_the_end() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    for seconds in [1, 2] {
        world.fail(FailureKind::Unavailable);
        let (timer, after) = retry(&world);
        assert_eq!(after, Duration::from_secs(seconds));
        assert!(world.asked.is_none() && world.state() == AgentState::Running);
        world.elapse(timer);
    }
    world.fail(FailureKind::Unavailable);
    world.check(
        from,
        &[
            "e model_retry =",
            "e model_retry =",
            "e error ERROR_LLM_SERVICE_UNAVAILABLE",
            "error model.unavailable",
        ],
    );
    let Body::Observation(Observation::ModelRetry(first)) = &world.log[from].body else {
        panic!("a retry")
    };
    assert_eq!(
        (first.attempt, first.most, first.wait_ms, first.code.as_str()),
        (1, 2, 1000, "model.unavailable")
    );
    world.change(AgentState::Running);
    world.settle();
    world.fail(FailureKind::Unavailable);
    assert_eq!(retry(&world).1, Duration::from_secs(1), "counted anew");
}

#[test]
fn a_rate_limit_has_a_state_of_its_own_and_the_provider_s_time() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let message = "slow down".to_owned();
    world.heard(Err(ModelFailed {
        kind: FailureKind::RateLimited,
        message,
        retry_after: Some(30_000),
    }));
    world.settle();
    world.check(from, &["e model_retry =", "rate_limited model.rate_limited"]);
    let (timer, after) = retry(&world);
    assert_eq!(after, Duration::from_secs(30));
    world.say("Hello?");
    world.settle();
    assert!(world.asked.is_none(), "a message does not hurry it");
    world.elapse(timer);
    world.settle();
    world.check(from + 2, &["u message", "running"]);
    let answer = world.text("Here I am");
    world.answer(answer);
    assert_eq!(world.state(), AgentState::AwaitingUserInput);
}

#[test]
fn a_person_may_end_or_shorten_the_wait() {
    let mut world = World::at_work(settings());
    world.fail(FailureKind::RateLimited);
    world.change(AgentState::Running);
    world.settle();
    assert!(world.asked.is_some(), "not waiting any more");
    world.fail(FailureKind::RateLimited);
    let (timer, _) = retry(&world);
    world.change(AgentState::Stopped);
    world.settle();
    world.elapse(timer);
    world.settle();
    assert_eq!((world.state(), world.asked.is_none()), (AgentState::Stopped, true));
}

#[test]
fn lasting_failures_say_what_to_do() {
    for (kind, id, code) in [
        (FailureKind::BadKey, "STATUS$ERROR_LLM_AUTHENTICATION", "model.bad_key"),
        (FailureKind::NoCredit, "STATUS$ERROR_LLM_OUT_OF_CREDITS", "model.no_credit"),
        (FailureKind::Refused, "STATUS$ERROR_LLM_CONTENT_POLICY_VIOLATION", "model.refused"),
        (FailureKind::UnknownModel, "STATUS$ERROR_LLM_UNKNOWN_MODEL", "model.unknown"),
        (FailureKind::BadQuestion, "STATUS$ERROR_LLM_BAD_REQUEST", "model.bad_question"),
    ] {
        let mut world = World::at_work(settings());
        world.fail(kind);
        assert_eq!(world.told(0).last(), Some(&format!("error {code}")));
        let (told, content) = world.last_error();
        assert_eq!(told, id);
        assert!(content.contains("the provider's words"), "{content}");
        world.say("Try again");
        world.settle();
        assert!(world.asked.is_some(), "{kind:?}");
    }
}

#[test]
fn a_question_that_is_too_long_is_condensed_and_asked_again_twice_at_most() {
    let mut world = World::at_work(settings());
    for n in 0..16 {
        let answer = world.bash(&[&format!("echo {n} {}", "x".repeat(900))]);
        world.answer(answer);
        world.done();
    }
    let from = world.log.len();
    let turns = |world: &World| world.asked.as_ref().unwrap().1.said.len();
    let whole = turns(&world);
    world.fail(FailureKind::ContextTooLong);
    world.check(from, &["e model_retry ="]);
    assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Condense, "nothing is forgotten unsaid");
    world.crash();
    world.settle();
    world.change(AgentState::Running);
    world.settle();
    assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Condense);
    let summary = world.text("A summary of it");
    world.answer(summary);
    assert_eq!(world.told(from).last(), Some(&"a condensation".to_owned()));
    assert!(turns(&world) < whole);
    let said = format!("{:?}", world.asked.as_ref().unwrap().1.said);
    assert!(said.contains("A summary of it"), "{said}");
    while world.state() == AgentState::Running {
        world.fail(FailureKind::ContextTooLong);
    }
    assert_eq!(world.told(from).last(), Some(&"error model.context_too_long".to_owned()));
    let condensed = world.told(from).iter().filter(|it| *it == "a condensation").count();
    assert!((1..=2).contains(&condensed));
}

#[test]
fn what_a_model_refused_as_too_long_is_not_asked_of_it_again() {
    let mut world = World::at_work(settings());
    let step = |world: &mut World, n: usize| {
        let answer = world.bash(&[&format!("echo {n} {}", "x".repeat(900))]);
        world.answer(Answer { usage: Usage::default(), ..answer });
        world.done();
    };
    (0..16).for_each(|n| step(&mut world, n));
    let size = |world: &World| format!("{:?}", world.asked.as_ref().unwrap().1).len();
    let refused = size(&world);
    world.fail(FailureKind::ContextTooLong);
    let summary = world.text("A summary of it");
    world.answer(summary);
    let mut condensed = 0;
    for n in 16..60 {
        if world.asked.as_ref().unwrap().2 == Purpose::Condense {
            condensed += 1;
            let summary = world.text("Another summary");
            world.answer(summary);
        }
        assert!(size(&world) < refused, "{n}: {} of {refused}", size(&world));
        step(&mut world, n);
        if n == 20 {
            world.crash();
            world.settle();
            world.say("Go on");
            world.settle();
        }
    }
    assert!((2..12).contains(&condensed), "{condensed}");
    let other = ModelFacts { name: "larger".to_owned(), ..facts() };
    let most = world.controller.log.most_read.clone().unwrap().1;
    assert!(world.controller.window() == most && most < 100_000);
    world.set(Configured { model: Ok(other), ..world.configured.clone() });
    assert_eq!(world.controller.window(), 100_000, "that was the other model");
}

/// A world whose model is about to be asked for a summary; and the model that writes it.
fn condensing(condenser: Option<Result<ModelFacts, String>>) -> World {
    let mut settings = settings();
    settings.view.most_turns = 12;
    let mut world = World::at_work(settings);
    world.set(Configured { condenser, ..world.configured.clone() });
    let mut n = 0;
    while world.asked.as_ref().unwrap().2 == Purpose::Step {
        n += 1;
        assert!(n < 40, "it is condensed");
        let answer = world.bash(&[&format!("echo {n}")]);
        world.answer(answer);
        world.done();
    }
    world
}

#[test]
fn a_model_that_writes_summaries_has_a_price_a_window_and_faults_of_its_own() {
    let price = Some(Price { input: 100.0, output: 0.0, ..Price::default() });
    let small = ModelFacts { name: "small".to_owned(), window: 400, price, vision: false };
    let mut world = condensing(Some(Ok(small.clone())));
    let length = format!("{:?}", world.asked.as_ref().unwrap().1.said).len();
    assert!(length < 400, "it fits into the smaller window: {length}");
    let before = world.controller.spent().cost;
    let summary = world.text("A summary");
    world.answer(summary); // 1000 tokens in
    let cost = world.controller.spent().cost - before;
    assert!((cost - 0.1).abs() < 1e-9, "{cost}");
    let metrics = world.log.last().unwrap().llm_metrics.clone().unwrap();
    assert_eq!(metrics["costs"][0]["model"], "small");
    for condenser in [Ok(small), Err("keyless".to_owned())] {
        let name = condenser.as_ref().map_or_else(Clone::clone, |facts| facts.name.clone());
        for kind in [FailureKind::BadKey, FailureKind::ContextTooLong, FailureKind::UnknownModel] {
            let mut world = condensing(Some(condenser.clone()));
            let from = world.log.len();
            world.fail(kind);
            world.check(from, &["e error ERROR_LLM_NO_SUMMARY", "a condensation"]);
            let (_, told) = world.last_error();
            assert!(told.contains(&name) && told.contains("the provider's words"), "{told}");
            assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Step, "{kind:?}");
        }
        let mut world = condensing(Some(condenser));
        for _ in 0..2 {
            world.fail(FailureKind::Unavailable);
            world.elapse(retry(&world).0);
            assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Condense);
        }
        world.fail(FailureKind::Unavailable);
        assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Step, "after several tries");
        assert_eq!(world.state(), AgentState::Running);
    }
}

#[test]
fn a_summary_that_can_t_be_had_is_done_without() {
    let mut world = condensing(None);
    let from = world.log.len();
    world.fail(FailureKind::Refused);
    world.check(from, &["e error ERROR_LLM_NO_SUMMARY", "a condensation"]);
    assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Step);
    let mut world = condensing(None);
    let from = world.log.len();
    let nothing = world.text(" ");
    world.answer(nothing);
    world.check(from, &["e error ERROR_LLM_NO_SUMMARY", "a condensation"]);
    let mut world = condensing(None);
    world.fail(FailureKind::BadKey);
    assert_eq!(world.state(), AgentState::Error, "its own model can't work either");
}

fn stuck() -> World {
    let mut world = World::at_work(settings());
    for _ in 0..4 {
        let answer = world.bash(&["ls"]);
        world.answer(answer);
        world.done();
    }
    assert_eq!(world.told(0).last(), Some(&"error stuck.repeats".to_owned()));
    assert_eq!(world.last_error().0, "STATUS$ERROR_AGENT_STUCK");
    world
}

#[test]
fn a_loop_is_found_and_a_person_chooses_the_way_out() {
    for (option, from_message) in [(1, false), (2, true)] {
        let mut world = stuck();
        let from = world.log.len();
        world.submit(Action::LoopRecovery(LoopRecovery { option })).unwrap();
        world.settle();
        world.check(from, &["u loop_recovery", "running", "a condensation"]);
        let said = format!("{:?}", world.asked.as_ref().unwrap().1.said);
        assert!(!said.contains("output of ls"), "{said}");
        assert!(said.contains("Do it") && (from_message || option == 1));
    }
    let mut world = stuck();
    world.submit(Action::LoopRecovery(LoopRecovery { option: 3 })).unwrap();
    world.settle();
    assert_eq!(world.state(), AgentState::Stopped);
}

#[test]
fn a_word_of_the_user_ends_a_loop_too_and_a_crash_forgets_none() {
    let mut world = stuck();
    world.crash();
    world.settle();
    assert!(world.submit(Action::LoopRecovery(LoopRecovery { option: 7 })).is_some());
    world.settle();
    assert_eq!(world.state(), AgentState::Error, "7 is no way out");
    world.say("Try something else");
    world.settle();
    assert_eq!(world.state(), AgentState::Running);
}
