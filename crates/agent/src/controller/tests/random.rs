//! Against all that may happen, in any order: there is always something that can come next, no result of a call is
//! lost or told twice, nothing runs twice or without agreement, and the log tells all that has to be known.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};
use staithe_protocol::{
    Action, AgentState, Observation, Source,
    action::{
        ChangeAgentState, ConfirmationScope, ConfirmationStatus, Finish, LoopRecovery, Reject,
    },
    event::Body,
};

use super::world::{World, change, facts, instructions, of_user, settings, user_run};
use crate::{
    controller::{Configured, ModelFacts, Purpose, Timer, confirm, fold::is_resting},
    model::{Answer, FailureKind, ModelFailed},
    origin::Origin,
    settings::{AgentSettings, Confirm, DelegateLimits, Limits},
};

/// Which models there are.
#[derive(Clone, Copy, Debug)]
struct Models {
    none: bool,
    priced: bool,
    /// Another one writes summaries, and something is known of it.
    condenser: Option<bool>,
}

impl Models {
    fn configured(self, settings: AgentSettings) -> Configured {
        let facts = ModelFacts { price: facts().price.filter(|_| self.priced), ..facts() };
        let small = ModelFacts { name: "small".to_owned(), window: 500, ..facts.clone() };
        let of = |known: bool| if known { Ok(small.clone()) } else { Err("small".to_owned()) };
        Configured {
            settings,
            model: if self.none { Err("There is none".to_owned()) } else { Ok(facts) },
            condenser: self.condenser.map(of),
        }
    }
}

fn any_models() -> impl Strategy<Value = Models> {
    (prop::bool::weighted(0.1), any::<bool>(), any::<Option<bool>>())
        .prop_map(|(none, priced, condenser)| Models { none, priced, condenser })
}

/// What a person makes of a command before agreeing to it; the model never writes it.
const EDITED: &str = "edited";

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The append on its way is in the log.
    Commit,
    /// All of them are.
    Settle,
    Answer(Vec<u8>),
    Words(bool),
    Fail(FailureKind),
    /// One of the actions that run is done.
    Observe(usize),
    Say(bool),
    /// With the action that is asked about now, or was some time.
    Change(AgentState, bool, ConfirmationScope, Option<usize>, bool),
    Run,
    Recover(i64),
    Condense,
    Elapse,
    Pass(u64),
    Learn,
    /// Whether the provider repeats its ids from now on.
    Repeat(bool),
    /// Other settings, and other models.
    Set(Box<(AgentSettings, Models)>),
    /// A user ends the task: as done, or not.
    Finish(bool),
    /// The sandbox is gone for good, or there again.
    Sandbox(bool),
    /// With what was on its way in the log, or not.
    Crash(bool),
}

fn event() -> impl Strategy<Value = Event> {
    use AgentState::{
        AwaitingUserInput, Finished, Init, Paused, Running, Stopped, UserConfirmed, UserRejected,
    };
    let state = prop::sample::select(vec![
        Running,
        Running,
        Paused,
        Paused,
        Stopped,
        AwaitingUserInput,
        UserConfirmed,
        UserConfirmed,
        UserRejected,
        Init,
        Finished,
    ]);
    let scope = prop::sample::select(vec![ConfirmationScope::Once, ConfirmationScope::Kind]);
    let kind = prop::sample::select(vec![
        FailureKind::BadKey,
        FailureKind::NoCredit,
        FailureKind::RateLimited,
        FailureKind::ContextTooLong,
        FailureKind::Refused,
        FailureKind::UnknownModel,
        FailureKind::BadQuestion,
        FailureKind::Unavailable,
    ]);
    prop_oneof![
        20 => Just(Event::Commit),
        8 => Just(Event::Settle),
        12 => prop::collection::vec(0..14_u8, 1..4).prop_map(Event::Answer),
        3 => any::<bool>().prop_map(Event::Words),
        2 => kind.prop_map(Event::Fail),
        8 => (0..3_usize).prop_map(Event::Observe),
        4 => any::<bool>().prop_map(Event::Say),
        9 => (state, any::<bool>(), scope, prop::option::of(0..3_usize), prop::bool::weighted(0.2))
            .prop_map(|(to, why, scope, before, edits)| Event::Change(to, why, scope, before, edits)),
        1 => Just(Event::Run),
        1 => (0..5_i64).prop_map(Event::Recover),
        1 => Just(Event::Condense),
        4 => Just(Event::Elapse),
        1 => (0..100_u64).prop_map(Event::Pass),
        4 => Just(Event::Learn),
        1 => any::<bool>().prop_map(Event::Repeat),
        1 => (any_settings(), any_models()).prop_map(|set| Event::Set(Box::new(set))),
        1 => any::<bool>().prop_map(Event::Finish),
        2 => prop::bool::weighted(0.3).prop_map(|gone| Event::Sandbox(!gone)),
        2 => any::<bool>().prop_map(Event::Crash),
    ]
}

/// One of the calls that a model may make.
fn call(which: u8) -> (&'static str, Value) {
    match which {
        0 | 1 => ("execute_bash", json!({ "command": "ls", "security_risk": "LOW" })),
        2 => ("execute_bash", json!({ "command": "sudo make", "security_risk": "HIGH" })),
        3 => {
            ("execute_bash", json!({ "command": format!("echo {which}"), "security_risk": "LOW" }))
        }
        4 => ("think", json!({ "thought": "hm" })),
        5 => ("task_tracker", json!({ "command": "view" })),
        6 => ("no_such_tool", json!({})),
        7 => ("execute_bash", json!("not an object")),
        8 => ("delegate", json!({ "task": "t" })),
        9 => ("request_condensation", json!({})),
        10 | 11 => ("finish", json!({ "message": "done" })),
        12 => ("execute_ipython_cell", json!({ "code": "1", "security_risk": "LOW" })),
        _ => ("execute_bash", json!({ "command": "rm -rf /", "security_risk": "LOW" })),
    }
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Commit => {
            world.commit();
        }
        Event::Settle => world.settle(),
        Event::Answer(calls) if world.asked.is_some() => {
            let condenses = world.asked.as_ref().is_some_and(|(.., it)| *it == Purpose::Condense);
            let calls: Vec<_> = calls.iter().map(|which| call(*which)).collect();
            let answer = if condenses { world.text("A summary") } else { world.calls(&calls) };
            world.heard(Ok(answer));
        }
        Event::Words(some) if world.asked.is_some() => {
            let answer = world.text(if *some { "Here" } else { "" });
            world.heard(Ok(answer));
        }
        Event::Fail(kind) if world.asked.is_some() => {
            let message = "it failed".to_owned();
            world.heard(Err(ModelFailed { kind: *kind, message, retry_after: Some(5) }));
        }
        Event::Observe(which) if !world.running.is_empty() => {
            let id = world.running[which % world.running.len()];
            world.observe(id);
        }
        Event::Say(calls_up) => {
            world.say(if *calls_up { "the word" } else { "hello" });
        }
        Event::Change(to, why, scope, before, edits) => {
            let thought = if *why { "because".to_owned() } else { String::new() };
            let scope = Some(*scope);
            let asked: Vec<_> = world.log.iter().filter(|event| asks(event)).collect();
            let action_id = before.and_then(|back| Some(asked.iter().rev().nth(back)?.id));
            let edited =
                edits.then(|| serde_json::Map::from_iter([("command".to_owned(), EDITED.into())]));
            let change = ChangeAgentState { agent_state: *to, thought, scope, action_id, edited };
            // Sent before something else came, maybe.
            world.put(of_user(Action::ChangeAgentState(change)));
        }
        Event::Run => {
            world.submit(user_run("ls"));
        }
        Event::Recover(option) => {
            world.submit(Action::LoopRecovery(LoopRecovery { option: *option }));
        }
        Event::Condense => {
            world.submit(Action::CondensationRequest);
        }
        Event::Elapse => {
            if let Some((timer, after)) = world.timers.first().copied() {
                world.now += after;
                world.elapse(timer);
            }
        }
        Event::Pass(seconds) => world.now += Duration::from_secs(*seconds),
        Event::Learn => {
            world.learn();
        }
        Event::Repeat(repeats) => world.repeats_ids = *repeats,
        Event::Set(set) => {
            let (settings, models) = &**set;
            world.configure(models.configured(settings.clone()));
        }
        Event::Finish(done) => {
            let (finish, reject) = (Finish::default(), Reject::default());
            world.submit(if *done { Action::Finish(finish) } else { Action::Reject(reject) });
        }
        Event::Sandbox(true) => world.equip(),
        Event::Sandbox(false) => world.lose_sandbox(),
        Event::Crash(durable) => crash(world, *durable),
        Event::Answer(_) | Event::Words(_) | Event::Fail(_) | Event::Observe(_) => {}
    }
}

fn crash(world: &mut World, durable: bool) {
    if let Some(append) = world.appends.pop_front().filter(|_| durable) {
        // It is in the log, and nobody was told.
        let id = u64::try_from(world.log.len()).unwrap();
        let event = append.at(staithe_protocol::EventId(id), String::new());
        world.log.push(event.clone());
        world.controller.restore(&event); // as the next life will know it
    }
    world.crash();
}

/// Something can come that has not: or the agent rests, and a message wakes it.
fn can_go_on(world: &World) -> Result<(), TestCaseError> {
    let comes = !world.appends.is_empty()
        || world.asked.is_some()
        || !world.running.is_empty()
        || world.learning
        || world.timers.iter().any(|(timer, _)| matches!(timer, Timer::Retry(_)));
    let state = world.controller.log.effective();
    let rests = is_resting(state) || state == AgentState::AwaitingUserConfirmation;
    prop_assert!(
        comes || rests,
        "{state:?} waits for nothing: {:#?}\n{:#?}",
        world.told(world.log.len().saturating_sub(20)),
        world.controller.log.top().waiting
    );
    prop_assert!(comes || !world.controller.is_busy(), "busy without an end");
    let idle = world.controller.live.equipment.gone && world.appends.is_empty();
    prop_assert!(!idle || world.asked.is_none(), "nobody is asked without a sandbox");
    Ok(())
}

/// Whether a person is asked with this.
fn asks(event: &staithe_protocol::Event) -> bool {
    let Body::Action(action) = &event.body else { return false };
    let state = confirm::state_of(action);
    event.source == Source::Agent && state == ConfirmationStatus::AwaitingConfirmation
}

/// A decision that names an action was taken for no other than the one asked about when it came.
fn decisions_are_about_what_they_name(world: &World) -> Result<(), TestCaseError> {
    let (mut asked, mut wrong) = (None, Vec::new());
    let mut edits = false;
    for event in &world.log {
        match &event.body {
            _ if asks(event) => asked = Some(event.id),
            Body::Action(Action::ChangeAgentState(change))
                if change.action_id.is_some_and(|id| Some(id) != asked) =>
            {
                wrong.push((event.id, change.agent_state));
            }
            Body::Action(Action::ChangeAgentState(change)) => edits |= change.edited.is_some(),
            // A command is changed only where a person did so, and says that it was.
            Body::Action(Action::Run(run)) if event.source == Source::Agent => {
                let names = event.tool_call_metadata.as_ref();
                let names = names.and_then(|it| it.pointer("/confirmation/edited"));
                prop_assert_eq!(run.command == EDITED, names.is_some());
                prop_assert!(names.is_none() || edits, "{:#?}", world.told(0));
            }
            Body::Observation(Observation::AgentStateChanged(changed)) => {
                use AgentState::{UserConfirmed, UserRejected};
                let cause = event.cause.map(|id| (id, changed.agent_state));
                let decided = matches!(changed.agent_state, UserConfirmed | UserRejected);
                let taken = cause.is_some_and(|cause| wrong.contains(&cause));
                prop_assert!(!(decided && taken), "{:#?}", world.told(0));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Each call of each answer in the log: how many results it has.
fn results(world: &World) -> BTreeMap<(String, String), usize> {
    let mut results = BTreeMap::new();
    let origin = |metadata: &Value| Origin::from_value(metadata);
    for event in &world.log {
        let Some(origin) = event.tool_call_metadata.as_ref().and_then(origin) else { continue };
        let first = event.source == Source::Agent && event.cause.is_none();
        if let Some(whole) = origin.whole.filter(|_| first) {
            for call in whole.said.calls {
                results.entry((origin.answer_id.clone(), call.id)).or_insert(0);
            }
        }
        let Some(call) = origin.call else { continue };
        let is_result = match &event.body {
            Body::Action(action) => matches!(action, Action::Finish(_)),
            Body::Observation(observation) => !matches!(observation, Observation::Null { .. }),
        };
        if is_result {
            *results.entry((origin.answer_id, call.id)).or_insert(0) += 1;
        }
    }
    results
}

/// All that runs ends, a person stops the agent, and each call has its one result.
fn ends_well(world: &mut World) -> Result<(), TestCaseError> {
    world.settle();
    world.submit(change(AgentState::Stopped));
    for _ in 0..50 {
        world.settle();
        let Some(id) = world.running.first().copied() else { break };
        world.observe(id);
    }
    world.settle();
    prop_assert!(!world.controller.is_busy(), "{:#?}", world.told(0));
    prop_assert_eq!(world.controller.held(), vec![]);
    for (call, count) in results(world) {
        prop_assert_eq!(count, 1, "{:?} in {:#?}", call, world.told(0));
    }
    // And it can be woken.
    world.equip();
    let settings = world.configured.settings.clone();
    world.configure(Configured { settings, model: Ok(facts()), condenser: None });
    world.settle();
    world.say("Once more");
    world.settle();
    prop_assert_eq!(world.state(), AgentState::Running, "{:#?}", world.told(0));
    prop_assert!(world.asked.is_some());
    prop_assert_eq!(world.controller.log.depth(), 0);
    Ok(())
}

fn any_settings() -> impl Strategy<Value = AgentSettings> {
    let confirm = prop::sample::select(vec![Confirm::Never, Confirm::Risky, Confirm::Always]);
    let limits =
        (0..8_u64, 0..60_u64, 0..8_u32, 0..8_u64).prop_map(|(steps, seconds, answers, tokens)| {
            // An answer costs 0.0012 dollars, and is 1100 tokens.
            let cost = f64::from(answers) * 0.0012;
            Limits { steps, cost, tokens: tokens * 1100, time: Duration::from_secs(seconds) }
        });
    (confirm, any::<bool>(), limits, 0..8_u64, 6..40_usize).prop_map(
        |(confirm, go_on_after_crash, limits, delegate_steps, most_turns)| {
            let mut settings = AgentSettings {
                confirm,
                go_on_after_crash,
                limits,
                delegates: DelegateLimits { steps: delegate_steps },
                ..settings()
            };
            settings.view.most_turns = most_turns;
            settings
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_there_is_a_next_step_and_no_result_is_lost(
        settings in any_settings(),
        models in any_models(),
        repeats_ids in any::<bool>(),
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut world = World::new(settings.clone());
        world.learned = instructions("Be kind", &[("k", "word")]);
        world.repeats_ids = repeats_ids;
        world.configure(models.configured(settings));
        for event in &events {
            happen(&mut world, event);
            can_go_on(&world)?;
            for (call, count) in results(&world) {
                prop_assert!(count <= 1, "{call:?} has {count} results in {:#?}", world.told(0));
            }
        }
        decisions_are_about_what_they_name(&world)?;
        ends_well(&mut world)?;
    }

    /// People decide on what they saw, which may be over by then.
    #[test]
    fn a_decision_is_about_the_action_that_it_names(
        decisions in prop::collection::vec((any::<bool>(), 0..4_usize), 1..20),
    ) {
        let mut world = World::at_work(AgentSettings { confirm: Confirm::Always, ..settings() });
        for (agrees, before) in decisions {
            if world.asked.is_some() {
                let answer = world.bash(&["a", "b", "c"]);
                world.answer(answer);
            }
            let asked: Vec<_> = world.log.iter().filter(|event| asks(event)).collect();
            let action_id = asked.iter().rev().nth(before).map(|event| event.id);
            let agent_state =
                if agrees { AgentState::UserConfirmed } else { AgentState::UserRejected };
            let thought = "because".to_owned();
            let change = ChangeAgentState { agent_state, thought, action_id, scope: None, edited: None };
            world.put(of_user(Action::ChangeAgentState(change)));
            world.settle();
            let names_none = action_id.is_none();
            prop_assert_eq!(world.running.len(), usize::from(agrees && (before == 0 || names_none)));
            decisions_are_about_what_they_name(&world)?;
            if !world.running.is_empty() {
                world.done();
            }
        }
    }

    /// A model that works and people who only watch: the task comes to its end.
    #[test]
    fn a_model_that_finishes_gets_there(
        answers in prop::collection::vec(prop::collection::vec(0..10_u8, 1..4), 0..12),
    ) {
        let mut world = World::at_work(settings());
        for (at, calls) in answers.iter().enumerate() {
            if world.asked.is_none() || world.state() != AgentState::Running {
                break;
            }
            let condenses = world.asked.as_ref().is_some_and(|(.., it)| *it == Purpose::Condense);
            let answer: Answer = if condenses {
                world.text("A summary")
            } else {
                let mut calls: Vec<_> = calls.iter().map(|which| call(*which)).collect();
                calls.push(("execute_bash", json!({ "command": format!("echo {at}"), "security_risk": "LOW" })));
                world.calls(&calls)
            };
            world.answer(answer);
            while let Some(id) = world.running.first().copied() {
                world.observe(id);
                world.settle();
            }
        }
        for _ in 0..8 {
            while let Some(id) = world.running.first().copied() {
                world.observe(id);
                world.settle();
            }
            if world.asked.is_none() {
                break;
            }
            let finish = world.finish();
            world.answer(finish);
        }
        prop_assert_eq!(world.state(), AgentState::Finished, "{:#?}", world.told(0));
    }
}
