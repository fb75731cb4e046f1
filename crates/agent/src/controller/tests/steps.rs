//! From a message to its end: answers, calls, results.

use serde_json::json;
use staithe_protocol::{Action, AgentState, Event, Observation, event::Body};

use super::world::{World, instructions, settings, user_run};
use crate::{controller::Purpose, model::Said, origin::Origin};

#[test]
fn a_message_is_answered_step_by_step() {
    let mut world = World::new(settings());
    let from = world.log.len();
    world.say("Do it");
    world.settle();
    world.check(from, &["u message", "running", "e recall", "e recall =", "a system"]);
    let from = world.log.len();
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    assert!(world.asked.is_none(), "the command runs");
    world.done();
    let answer = world.finish();
    world.answer(answer);
    world.check(from, &["a run ls", "a run =", "a finish", "finished"]);
    assert!(!world.controller.is_busy());
    let finished = world.log.last().unwrap();
    assert_eq!(finished.cause, Some(world.log[world.log.len() - 2].id), "told after its cause");
}

#[test]
fn calls_of_one_answer_are_carried_out_one_by_one_and_asked_about_once() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let answer = world.bash(&["a", "b", "c"]);
    world.answer(answer);
    for _ in 0..3 {
        assert!(world.asked.is_none());
        world.done();
    }
    world.check(from, &["a run a", "a run =", "a run b", "a run =", "a run c", "a run ="]);
    let (_, question, purpose) = world.asked.as_ref().unwrap();
    assert_eq!(*purpose, Purpose::Step);
    let results = question.said.iter().filter(|said| matches!(said, Said::Tool { .. }));
    assert_eq!(results.count(), 3);
    let origin =
        |event: &Event| Origin::from_value(event.tool_call_metadata.as_ref().unwrap()).unwrap();
    let whole: Vec<_> = (from..from + 6).map(|at| origin(&world.log[at]).whole.is_some()).collect();
    assert_eq!(whole, [true, false, false, false, false, false], "the first has all calls");
    let Body::Action(Action::Run(first)) = &world.log[from].body else { panic!("a run") };
    assert_eq!(first.thought, "Let me see");
}

#[test]
fn a_provider_that_repeats_its_ids_is_understood() {
    let mut world = World::at_work(settings());
    world.repeats_ids = true;
    for n in 0..3 {
        let from = world.log.len();
        let answer = world.bash(&["a", "b", "c"]);
        world.answer(answer);
        for _ in 0..3 {
            world.done();
        }
        let all = ["a run a", "a run =", "a run b", "a run =", "a run c", "a run ="];
        world.check(from, &all);
        if n == 0 {
            world.say("Hurry");
        }
    }
    assert_eq!(world.controller.log.top().steps, 3);
    let said = format!("{:?}", world.asked.as_ref().unwrap().1.said);
    assert_eq!(said.matches("output of c").count(), 3, "{said}");
    let answer = world.finish();
    world.answer(answer);
    assert_eq!(world.state(), AgentState::Finished);
    assert!(!world.controller.is_busy(), "it rests");
}

#[test]
fn the_agent_s_own_tools_are_answered_at_once() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let tasks = json!([{ "id": "1", "title": "t", "status": "todo", "notes": "" }]);
    let answer = world.calls(&[
        ("think", json!({ "thought": "hm" })),
        ("task_tracker", json!({ "command": "plan", "task_list": tasks })),
        ("task_tracker", json!({ "command": "view" })),
    ]);
    world.answer(answer);
    world.check(
        from,
        &[
            "a think",
            "a think =",
            "a task_tracking",
            "a task_tracking =",
            "a task_tracking",
            "a task_tracking =",
        ],
    );
    let Body::Observation(observation) = &world.log.last().unwrap().body else { panic!("tasks") };
    assert!(observation.content().contains("[todo] t"), "{}", observation.content());
    assert!(world.asked.is_some());
}

#[test]
fn calls_that_are_not_understood_are_told_so_and_count() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let mut answer = world.calls(&[("no_such_tool", json!({})), ("execute_bash", json!({}))]);
    answer.calls[1].arguments = "{\"comm".to_owned();
    world.answer(answer);
    world.check(from, &["a error BAD_TOOL_CALL", "a error BAD_TOOL_CALL"]);
    let (_, question, _) = world.asked.as_ref().unwrap();
    let results = question.said.iter().filter(|said| matches!(said, Said::Tool { .. }));
    assert_eq!(results.count(), 2, "{:?}", question.said);
    assert_eq!(world.controller.spent().steps, 1);
}

#[test]
fn an_empty_answer_is_asked_about_twice_and_the_third_in_a_row_ends_it() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    for _ in 0..3 {
        let answer = world.text(" ");
        world.answer(answer);
    }
    world.check(
        from,
        &["e message", "e message", "e error ERROR_LLM_EMPTY_ANSWER", "error model.empty_answer"],
    );
    assert_eq!(world.controller.spent().steps, 3);
    world.change(AgentState::Running);
    world.settle();
    let answer = world.text("");
    world.answer(answer);
    assert_eq!(world.state(), AgentState::Running, "counted anew");
}

#[test]
fn words_without_a_call_wait_for_the_user() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    let answer = world.text("What colour?");
    world.answer(answer);
    world.check(from, &["a message", "awaiting_user_input"]);
    let from = world.log.len();
    world.say("Blue");
    world.settle();
    world.check(from, &["u message", "running"]);
}

#[test]
fn a_message_amid_a_turn_is_told_after_the_results_and_keeps_the_agent_from_resting() {
    let mut world = World::at_work(settings());
    let answer = world.bash(&["a"]);
    world.answer(answer);
    world.say("Hurry");
    world.done();
    let (_, question, _) = world.asked.as_ref().unwrap();
    assert!(
        matches!(&question.said[question.said.len() - 2..], [Said::Tool { .. }, Said::User { text, .. }] if text.contains("Hurry")),
        "{:?}",
        question.said
    );
    world.say("One more thing"); // the question is open
    let from = world.log.len();
    let answer = world.text("Done");
    world.answer(answer);
    world.check(from, &["a message"]);
    assert!(world.asked.is_some(), "it is asked again");
    world.say("And another");
    let from = world.log.len();
    let answer = world.finish();
    world.answer(answer);
    world.check(from, &["a finish", "finished", "running"]);
}

#[test]
fn a_message_that_crosses_the_end_is_not_overlooked() {
    let mut world = World::at_work(settings());
    let answer = world.text("Done");
    world.heard(Ok(answer)); // its event is on its way
    world.say("Wait");
    world.settle();
    assert_eq!(world.state(), AgentState::Running);
    assert!(world.asked.is_some());
}

#[test]
fn knowledge_is_looked_up_at_first_and_when_a_word_calls_it() {
    let mut world = World::new(settings());
    world.learned = instructions("Be kind", &[("git", "commit"), ("docker", "container")]);
    let from = world.log.len();
    world.say("Commit it");
    world.settle();
    let Body::Observation(Observation::Recall(first)) = &world.log[from + 3].body else {
        panic!("{:?}", world.told(from))
    };
    assert!(first.repo_instructions.contains("Be kind"));
    assert_eq!(first.working_dir, "/workspace");
    assert_eq!(first.microagent_knowledge[0].trigger, "commit");
    let answer = world.text("Done");
    world.answer(answer);
    let from = world.log.len();
    world.say("Thanks");
    world.settle();
    world.check(from, &["u message", "running"]);
    world.say("As I said");
    world.say("Now the Container");
    let answer = world.bash(&["ls"]);
    world.answer(answer);
    world.done();
    let told = ["u message", "u message", "a run ls", "a run =", "e recall", "e recall ="];
    world.check(from + 2, &told);
    let pending: Vec<_> = world.controller.log.recalls.pending.iter().collect();
    assert_eq!(pending, [&(world.log[from + 2].id, "As I said".to_owned())], "nothing was for it");
    let (_, question, _) = world.asked.as_ref().unwrap();
    assert!(format!("{:?}", question.said).contains("about docker"));
}

#[test]
fn what_clients_do_is_answered_and_is_none_of_the_agent_s_business() {
    let mut world = World::at_work(settings());
    let from = world.log.len();
    world.submit(user_run("ls")).unwrap();
    world.submit(Action::Null).unwrap();
    world.settle();
    world.check(from, &["u run ls", "u null", "u null ="]);
    assert!(world.running.is_empty() && world.asked.is_some());
    assert!(
        world
            .submit(Action::LoopRecovery(staithe_protocol::action::LoopRecovery::default()))
            .is_none()
    );
}

#[test]
fn the_view_is_condensed_when_it_is_asked_for() {
    let mut world = World::at_work(settings());
    for n in 0..10 {
        let answer = world.bash(&[&format!("echo {n} {}", "x".repeat(500))]);
        world.answer(answer);
        world.done();
    }
    let from = world.log.len();
    let answer = world.calls(&[("request_condensation", json!({}))]);
    world.answer(answer);
    assert_eq!(world.asked.as_ref().unwrap().2, Purpose::Condense, "{:?}", world.told(from));
    let summary = world.text("We counted");
    world.answer(summary);
    world.check(from, &["a condensation_request", "a condense =", "a condensation"]);
    let (_, question, purpose) = world.asked.as_ref().unwrap();
    assert_eq!(*purpose, Purpose::Step);
    assert!(format!("{:?}", question.said).contains("We counted"));
}
