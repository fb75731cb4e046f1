//! Limits: reached, told, granted again.

use std::time::Duration;

use staithe_protocol::AgentState;

use super::world::{World, facts, settings};
use crate::{
    controller::{Configured, ModelFacts, Timer},
    model::Usage,
    settings::{AgentSettings, Limits},
};

fn limited(limits: Limits) -> AgentSettings {
    AgentSettings { limits, ..settings() }
}

fn step(world: &mut World, n: usize) {
    let answer = world.bash(&[&format!("echo {n}")]);
    world.answer(answer);
    world.done();
}

#[track_caller]
fn reached(limits: Limits, steps: usize, reason: &str) {
    let mut world = World::at_work(limited(limits));
    for n in 0..steps {
        assert_eq!(world.state(), AgentState::Running, "{n}");
        step(&mut world, n);
    }
    assert_eq!(world.told(0).last(), Some(&format!("paused limit.{reason}")));
    assert!(world.asked.is_none());
    world.change(AgentState::Running);
    world.settle();
    for n in 0..steps {
        assert_eq!(world.state(), AgentState::Running, "granted again: {n}");
        step(&mut world, steps + n);
    }
    assert_eq!(world.told(0).last(), Some(&format!("paused limit.{reason}")));
    world.say("Go on");
    world.settle();
    assert_eq!(world.state(), AgentState::Running, "a message grants it too");
}

#[test]
fn each_limit_pauses_and_going_on_grants_the_same_again() {
    reached(Limits { steps: 3, ..Limits::default() }, 3, "steps");
    // 1000 in and 100 out: 0.0012 dollars, 1100 tokens.
    reached(Limits { cost: 0.0035, ..Limits::default() }, 3, "cost");
    reached(Limits { tokens: 2200, ..Limits::default() }, 2, "tokens");
}

#[test]
fn a_limit_of_cost_without_a_price_asks_once_for_each_model() {
    let limits = Limits { cost: 1.0, ..Limits::default() };
    let unpriced = |name: &str| Configured {
        model: Ok(ModelFacts { name: name.to_owned(), price: None, ..facts() }),
        condenser: None,
        settings: limited(limits),
    };
    let mut world = World::bare(unpriced("a"));
    world.equip();
    world.say("Do it");
    world.settle();
    assert_eq!(world.told(0).last(), Some(&"paused limit.no_price".to_owned()));
    assert!(world.asked.is_none(), "nothing was paid for");
    world.crash();
    world.settle();
    world.change(AgentState::Running);
    world.settle();
    assert!(world.asked.is_some(), "a person let it go on");
    step(&mut world, 0);
    world.crash();
    world.settle();
    world.say("Go on");
    world.settle();
    assert!(world.asked.is_some(), "it is remembered");
    world.set(unpriced("b"));
    step(&mut world, 1);
    assert_eq!(world.told(0).last(), Some(&"paused limit.no_price".to_owned()), "another model");
    world.set(unpriced("a"));
    world.say("Go on");
    world.settle();
    assert!(world.asked.is_some());
    let free = Configured { settings: settings(), ..unpriced("c") };
    world.set(free);
    step(&mut world, 2);
    assert!(world.asked.is_some(), "no limit, no question");
}

#[test]
fn no_count_of_a_provider_is_too_large() {
    let mut world = World::at_work(limited(Limits::default()));
    for n in 0..3 {
        let mut answer = world.bash(&[&format!("echo {n}")]);
        let most = u64::MAX;
        answer.usage = Usage {
            input: most,
            output: most,
            cache_read: most,
            cache_write: most,
            reasoning: most,
        };
        world.answer(answer);
        world.done();
    }
    assert_eq!(world.state(), AgentState::Running);
    assert_eq!(world.controller.spent().usage.output, u64::MAX);
}

#[test]
fn the_limit_of_time_interrupts_and_counts_work_alone() {
    let time = Duration::from_mins(1);
    let mut world = World::at_work(limited(Limits { time, ..Limits::default() }));
    let timer = |world: &World| {
        let limit = world.timers.iter().find(|(timer, _)| matches!(timer, Timer::Limit(_)));
        *limit.expect("the limit is armed")
    };
    assert_eq!(timer(&world).1, time);
    world.now += Duration::from_secs(40);
    let answer = world.text("What colour?");
    world.answer(answer);
    world.now += Duration::from_hours(1); // nobody answers
    world.change(AgentState::Running);
    world.settle();
    assert_eq!(timer(&world).1, Duration::from_secs(20), "what it waits for people is not counted");
    let answer = world.bash(&["sleep 100"]);
    world.answer(answer);
    world.now += Duration::from_secs(20);
    world.elapse(timer(&world).0);
    world.settle();
    assert_eq!(world.told(0).last(), Some(&"paused limit.time".to_owned()));
    assert_eq!(world.interrupts, 1);
    world.done();
    world.change(AgentState::Running);
    world.settle();
    assert_eq!(timer(&world).1, time, "granted again");
}

#[test]
fn a_limit_of_time_that_is_changed_holds_for_what_runs() {
    let limits = |minutes| Limits { time: Duration::from_mins(minutes), ..Limits::default() };
    let with = |minutes| Configured {
        settings: limited(limits(minutes)),
        model: Ok(facts()),
        condenser: None,
    };
    let timer = |world: &World| {
        let limit = world.timers.iter().find(|(timer, _)| matches!(timer, Timer::Limit(_)));
        *limit.expect("the limit is armed")
    };
    let mut world = World::at_work(limited(limits(60)));
    let answer = world.bash(&["sleep 10000"]);
    world.answer(answer);
    world.now += Duration::from_secs(40);
    world.set(with(1));
    assert_eq!(timer(&world).1, Duration::from_secs(20));
    world.set(with(2));
    assert_eq!(timer(&world).1, Duration::from_secs(80));
    world.now += Duration::from_secs(40);
    world.set(with(1));
    assert_eq!(world.told(0).last(), Some(&"paused limit.time".to_owned()), "it is over already");
    assert_eq!(world.interrupts, 1);
}

#[test]
fn what_was_spent_is_known_after_a_crash() {
    let mut world = World::at_work(limited(Limits { steps: 3, ..Limits::default() }));
    step(&mut world, 0);
    world.now += Duration::from_secs(5);
    step(&mut world, 1);
    let spent = world.controller.spent();
    assert_eq!((spent.steps, spent.usage.input), (2, 2000));
    assert!((spent.cost - 0.0024).abs() < 1e-9);
    world.crash();
    world.settle();
    assert_eq!(world.controller.spent().steps, 2);
    assert_eq!(world.controller.spent().worked, Duration::from_secs(5));
    world.change(AgentState::Running);
    world.settle();
    step(&mut world, 2);
    assert_eq!(world.told(0).last(), Some(&"paused limit.steps".to_owned()));
}

#[test]
fn an_answer_that_was_dropped_in_the_end_is_paid_for_all_the_same() {
    let mut world = World::at_work(settings());
    world.submit(staithe_protocol::Action::Null).unwrap(); // its answer is on its way
    let answer = world.bash(&["a"]);
    world.heard(Ok(answer));
    world.change(AgentState::Paused);
    world.settle();
    assert!(!world.told(0).contains(&"a run a".to_owned()));
    assert_eq!(world.controller.spent().steps, 1);
    world.crash();
    assert_eq!(world.controller.spent().steps, 1, "the change of state has told it");
}
