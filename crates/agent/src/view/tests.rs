//! The view of logs as they come to be.

mod random;

use serde_json::json;
use staithe_protocol::{
    Action, AgentState, Observation, Source,
    action::{Condensation, ConfirmationStatus, Message, RecallType, Run, Write},
    event::Body,
    observation::{AgentStateChanged, MicroagentKnowledge, RecallObservation, WriteObservation},
};

use super::*;
use crate::{
    logs::{ASKED, Log, check, delegate, finish, ran, report, run, run_with, settings, think},
    model::Answer,
    origin::Origin,
};

#[track_caller]
fn says(log: &Log, expected: &[&str]) {
    check(&log.said()).unwrap();
    assert_eq!(log.short(), expected);
}

#[test]
fn an_answer_stands_before_its_results_and_words_amid_them_behind() {
    let mut log = Log::new(settings());
    log.user("fix it");
    let answer = log.answer("Look", &["execute_bash", "think"]);
    let (first, second) = (log.origin(&answer, 0), log.origin(&answer, 1));
    let ls = log.action(run("ls"), &first);
    log.user("and hurry");
    log.result("a.py", ls, &first);
    let noted = log.action(think(), &second);
    log.observe(Observation::Think { content: "noted".into() }, Some(noted), Some(&second));
    says(
        &log,
        &[
            "user: fix it",
            "agent: Look [\"r1c0\", \"r1c1\"]",
            "r1c0: a.py",
            "r1c1: noted",
            "user: and hurry",
        ],
    );
}

#[test]
fn a_result_that_is_missing_is_told_as_unknown_until_it_comes() {
    let mut log = Log::new(settings());
    log.user("go");
    let answer = log.answer("", &["execute_bash", "execute_bash"]);
    let origin = log.origin(&answer, 0);
    let action = log.action(run("make"), &origin);
    log.user("stop");
    let said = log.short();
    check(&log.said()).unwrap();
    assert!(
        said[2].starts_with("r1c0: [There is no result: the call was interrupted."),
        "{said:?}"
    );
    assert!(said[3].starts_with("r1c1: [The call was not carried out"), "{said:?}");
    log.result("made", action, &origin);
    log.result("again", action, &origin);
    assert_eq!(log.short()[2], "r1c0: made", "the first result counts");
}

#[test]
fn an_action_that_waits_for_a_person_has_its_result_from_the_copy() {
    for (status, result) in [
        (ConfirmationStatus::Confirmed, ran("done")),
        (ConfirmationStatus::Rejected, Observation::UserRejected { content: "no".into() }),
    ] {
        let mut log = Log::new(settings());
        log.user("go");
        let answer = log.answer("Careful", &["execute_bash"]);
        let origin = log.origin(&answer, 0);
        let asked = log.action(run_with("rm", ConfirmationStatus::AwaitingConfirmation), &origin);
        log.observe(Observation::Null { content: String::new() }, Some(asked), Some(&origin));
        let copy = log.action(run_with("rm", status), &origin.short());
        let first = result.content().into_owned();
        log.observe(result, Some(copy), Some(&origin));
        says(&log, &["user: go", "agent: Careful [\"r1c0\"]", &format!("r1c0: {first}")]);
    }
}

#[test]
fn what_was_said_while_the_model_answered_comes_after_its_answer() {
    let mut log = Log::new(settings());
    log.user("one");
    let answer = log.answer("Doing one", &["execute_bash"]);
    let origin = log.origin(&answer, 0);
    log.user("two");
    let action = log.action(run("ls"), &origin);
    log.result("ok", action, &origin);
    let message = log.answer("All done", &[]);
    let origin = log.origin(&message, 0);
    log.user("three");
    let words = Message { content: "All done".into(), ..Message::default() };
    log.action(Action::Message(words), &origin);
    says(
        &log,
        &[
            "user: one",
            "agent: Doing one [\"r1c0\"]",
            "r1c0: ok",
            "user: two",
            "agent: All done []",
            "user: three",
        ],
    );
}

#[test]
fn a_call_that_was_misread_has_its_error_as_result() {
    let mut log = Log::new(settings());
    log.user("go");
    let mut answer = log.answer("", &["no such tool!"]);
    answer.calls[0].arguments = "{\"broken".to_owned();
    let origin = log.origin(&answer, 0);
    log.put(
        Source::Agent,
        Body::Observation(Observation::error("There is no tool", "X")),
        None,
        Some(&origin),
    );
    check(&log.said()).unwrap();
    let Some(Said::Assistant(answered)) = log.said().into_iter().nth(1) else { panic!() };
    assert_eq!(answered.calls[0].name, "no_such_tool_");
    assert_eq!(answered.calls[0].arguments, json!({ "not_json": "{\"broken" }).to_string());
    assert_eq!(log.short()[2], "r1c0: There is no tool");
}

#[test]
fn a_condensation_that_was_asked_for_answers_its_call() {
    let mut log = Log::new(settings());
    log.user("go");
    let answer = log.answer("", &["request_condensation"]);
    let origin = log.origin(&answer, 0);
    let action = log.action(Action::CondensationRequest, &origin);
    log.observe(Observation::Condense { content: "made room".into() }, Some(action), Some(&origin));
    log.observe(Observation::Condense { content: "by itself".into() }, None, None);
    says(&log, &["user: go", "agent:  [\"r1c0\"]", "r1c0: made room"]);
}

#[test]
fn finish_is_told_as_words() {
    let mut log = Log::new(settings());
    log.user("go");
    let answer = log.answer("So", &["execute_bash", "finish"]);
    let origins = [0, 1].map(|at| log.origin(&answer, at));
    let action = log.action(run("ls"), &origins[0]);
    log.result("ok", action, &origins[0]);
    let mut done = finish("Done.");
    if let Action::Finish(finish) = &mut done {
        finish.thought = "So".into(); // the answer's text, as of every action
    }
    log.action(done, &origins[1]);
    let alone = log.answer("Bye", &["finish"]);
    let origin = log.origin(&alone, 0);
    log.user("sure?");
    log.action(finish("Sure."), &origin);
    says(
        &log,
        &[
            "user: go",
            "agent: So [\"r1c0\"]",
            "r1c0: ok",
            "agent: Done.\n\nBye\n\nSure. []",
            "user: sure?",
        ],
    );
}

#[test]
fn a_talk_that_ends_with_the_agent_is_told_to_go_on() {
    let mut log = Log::new(settings());
    log.message(Source::Agent, "Hello");
    check(&log.said()).unwrap();
    let said = log.short();
    assert!(said[0].contains("beginning") && said[2].contains("no new message"), "{said:?}");
    check(&View::new(settings()).said(ASKED)).unwrap();
}

#[test]
fn what_people_do_by_hand_is_told() {
    let mut log = Log::new(settings());
    log.user("go");
    let by_hand = Run { command: "git pull".into(), ..Run::default() };
    let action = log.put(Source::User, Body::Action(Action::Run(by_hand)), None, None);
    log.put(Source::User, Body::Observation(ran("pulled")), Some(action), None);
    let write = Write { path: "/w/f".into(), ..Write::default() };
    let write = log.put(Source::User, Body::Action(Action::Write(write)), None, None);
    let done = WriteObservation { path: "/w/f".into(), ..WriteObservation::default() };
    log.put(Source::User, Body::Observation(Observation::Write(done)), Some(write), None);
    let hidden = Run { command: "probe".into(), hidden: true, ..Run::default() };
    let hidden = log.put(Source::User, Body::Action(Action::Run(hidden)), None, None);
    log.put(Source::User, Body::Observation(ran("probed")), Some(hidden), None);
    says(
        &log,
        &[
            "user: go\n\nUser executed the command:\ngit pull\n\nObserved result of command executed by user:\npulled\n[Command finished with exit code 0]\n\nUser changed the file /w/f.",
        ],
    );
}

#[test]
fn what_people_do_by_hand_without_end_is_not_kept_without_end() {
    for printed in [10, 20_000] {
        let mut log = Log::new(settings());
        log.user("the task");
        let (mut largest, mut most) = (0, 0);
        for number in 0..2_000 {
            let by_hand = Run { command: format!("print {number}"), ..Run::default() };
            let action = log.put(Source::User, Body::Action(Action::Run(by_hand)), None, None);
            let printed = format!("begin {number} {}", "x".repeat(printed));
            log.put(Source::User, Body::Observation(ran(&printed)), Some(action), None);
            largest = largest.max(log.view.weight());
            most = most.max(log.view.items().len());
        }
        // Thirty whole ones, and the beginnings of the others.
        let whole = if printed > 300 { 30 * 21_000 } else { 0 };
        assert!(largest < whole + 200 * 600, "{largest}");
        assert!(most <= 202, "the task, the line, and two hundred: {most}");
        let told = log.short().join("\n");
        assert!(
            told.contains("the task") && told.contains("begin 1999 ") && !told.contains("begin 0 ")
        );
        let kept = log.view.items().len() - 2;
        let words = format!(
            "[{} more entries of what people did by hand are left out here.]",
            4_000 - kept
        );
        assert!(told.contains(&words), "{words}: {told}");
        assert!(told.find("the task") < told.find(&words), "in their place");
    }
}

#[test]
fn instructions_outlive_a_loop_that_is_forgotten_without_a_word() {
    let known = |log: &mut Log| {
        let recall = RecallObservation {
            repo_instructions: "Run make.".into(),
            ..RecallObservation::default()
        };
        log.observe(Observation::Recall(recall), Some(0), None);
    };
    let condensed = |summary: Option<&str>, ids: Option<Vec<i64>>| {
        let mut log = Log::new(settings());
        let said = log.user("go");
        known(&mut log);
        log.step("Round", "and round");
        let condensation = Condensation {
            forgotten_event_ids: ids,
            forgotten_events_start_id: i64::try_from(said).ok().map(|id| id + 1),
            forgotten_events_end_id: Some(1_000),
            summary: summary.map(str::to_owned),
            summary_offset: Some(1),
        };
        log.condense(condensation);
        log.short().join("\n")
    };
    let told = condensed(None, None);
    assert!(told.contains("Run make.") && !told.contains("Round"), "{told}");
    let told = condensed(Some("They are in here"), None);
    assert!(!told.contains("Run make."), "{told}");
    let told = condensed(None, Some((0..1_000).collect()));
    assert!(!told.contains("Run make."), "named one by one: {told}");
}

#[test]
fn knowledge_is_told_and_the_machinery_is_not() {
    let mut log = Log::new(settings());
    log.user("git push");
    let recall = RecallObservation {
        recall_type: RecallType::Knowledge,
        microagent_knowledge: vec![MicroagentKnowledge {
            name: "git".into(),
            trigger: "push".into(),
            content: "Never force.".into(),
        }],
        ..RecallObservation::default()
    };
    log.observe(Observation::Recall(recall), Some(0), None);
    let state = AgentStateChanged { agent_state: AgentState::Running, reason: String::new() };
    log.observe(Observation::AgentStateChanged(state), None, None);
    log.observe(Observation::Null { content: String::new() }, Some(0), None);
    log.put(
        Source::Environment,
        Body::Observation(Observation::error("rate limited", "model.rate_limited")),
        None,
        None,
    );
    let said = log.short();
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with("Never force.\n</knowledge>"), "{said:?}");
}

#[test]
fn what_a_delegate_does_is_in_its_view_alone() {
    let mut log = Log::new(settings());
    log.user("go");
    let answer = log.answer("", &["delegate"]);
    let origin = log.origin(&answer, 0);
    let action = log.action(delegate(), &origin);
    let mut inner = Log::new(settings());
    inner.view = View::of_delegate(settings(), "find it", EventId(action));
    inner.next = log.next;
    for log in [&mut log, &mut inner] {
        log.user("to the delegate");
        log.step("Searching", "found");
    }
    log.observe(report("It is there."), Some(action), Some(&origin));
    log.user("thanks");
    says(&log, &["user: go", "agent:  [\"r1c0\"]", "r1c0: It is there.", "user: thanks"]);
    let newest = log.view.newest();
    log.next = action + 1;
    log.user("said before");
    assert_eq!(log.view.newest(), newest, "what is taken late is no news");
    check(&inner.said()).unwrap();
    assert_eq!(inner.short()[0], "user: TASK: find it\n\nto the delegate");
}

#[test]
fn what_is_opaque_goes_to_its_model_alone_and_pictures_to_those_who_see() {
    let mut log = Log::new(settings());
    let picture = Message {
        content: String::new(),
        image_urls: Some(vec!["data:image/png;base64,x".into()]),
        ..Message::default()
    };
    log.put(Source::User, Body::Action(Action::Message(picture)), None, None);
    let answer = Answer { opaque: Some(json!({ "s": 1 })), ..log.answer("", &["think"]) };
    let origin = log.origin(&answer, 0);
    log.action(think(), &origin);
    let opaque = |asked: Asked<'_>| match &log.view.said(asked)[1] {
        Said::Assistant(answered) => answered.opaque.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(opaque(ASKED), Some(json!({ "s": 1 })));
    assert_eq!(opaque(Asked { model: "other", ..ASKED }), None);
    assert!(matches!(&log.said()[0], Said::User { images, .. } if images.len() == 1));
    let blind = log.view.said(Asked { pictures: false, ..ASKED });
    check(&blind).unwrap();
    assert!(
        matches!(&blind[0], Said::User { text, images } if images.is_empty() && text.contains("see: 1"))
    );
}

#[test]
fn old_results_are_masked_in_steps_and_never_before_they_were_seen() {
    let mut log = Log::new(settings());
    log.user("go");
    let text = "x".repeat(400);
    let masked = |log: &Log| log.short().iter().filter(|line| line.contains("left out: ")).count();
    for (steps, expected) in [(6, 0), (7, 3), (8, 3), (9, 3), (10, 6)] {
        while log.answers() < steps {
            log.step("", &text);
        }
        assert_eq!(masked(&log), expected, "after {steps}");
    }
    let before = masked(&log);
    let answer = log.answer("", &["execute_bash"; 9]);
    for at in 0..9 {
        let origin = log.origin(&answer, at);
        let action = log.action(run("ls"), &origin);
        log.result(&text, action, &origin);
    }
    let said = log.short();
    assert!(said[said.len() - 9..].iter().all(|line| line.ends_with("xxx")), "{said:?}");
    assert!(masked(&log) > before);
    let all: u64 = log.view.items.iter().map(Item::weight).sum();
    assert_eq!(log.view.weight, all);
}

#[test]
fn forgotten_events_leave_with_all_that_belongs_to_them() {
    let mut log = Log::new(settings());
    log.user("go");
    for step in 0..4 {
        log.step(&format!("step {step}"), "ok"); // events 1 and 2, 3 and 4, …
    }
    let forget = |ids: &[i64]| Condensation {
        forgotten_event_ids: Some(ids.to_vec()),
        forgotten_events_start_id: None,
        forgotten_events_end_id: None,
        summary: Some("Two steps.".into()),
        summary_offset: Some(1),
    };
    // Of step 2 only the action is named: it stays, and its result with it.
    log.condense(forget(&[1, 2, 3, 4, 5, -7]));
    let summary = format!("{SUMMARY}\nTwo steps.");
    says(
        &log,
        &[
            &format!("user: go\n\n{summary}"),
            "agent: step 2 [\"r3c0\"]",
            "r3c0: ok",
            "agent: step 3 [\"r4c0\"]",
            "r4c0: ok",
        ],
    );
    log.condense(Condensation {
        forgotten_event_ids: None,
        forgotten_events_start_id: Some(0),
        forgotten_events_end_id: Some(9),
        summary: None,
        summary_offset: None,
    });
    log.user("still there?");
    says(&log, &["user: still there?"]);
    assert!(log.view.calls.is_empty() && log.view.answers.is_empty() && log.view.whole.is_empty());
}

#[test]
fn a_late_result_of_a_forgotten_call_is_passed_over_and_a_late_call_told_alone() {
    let mut log = Log::new(settings());
    log.user("go");
    let answer = log.answer("Both", &["execute_bash", "think"]);
    let origins = [0, 1].map(|at| log.origin(&answer, at));
    let action = log.action(run("make"), &origins[0]);
    log.condense(Condensation {
        forgotten_event_ids: Some(vec![1]),
        forgotten_events_start_id: None,
        forgotten_events_end_id: None,
        summary: None,
        summary_offset: None,
    });
    log.result("made", action, &origins[0]);
    says(&log, &["user: go"]);
    log.action(think(), &Origin { whole: None, ..origins[1].clone() });
    check(&log.said()).unwrap();
    assert_eq!(log.short()[1], "agent:  [\"r1c1\"]");
}
