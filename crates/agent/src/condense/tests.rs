//! What is forgotten, when, and what a step costs.

use staithe_protocol::{Observation, observation::RecallObservation};

use super::*;
use crate::{
    logs::{Log, check, settings},
    settings::ViewSettings,
};

fn steps(log: &mut Log, number: usize) {
    for step in 0..number {
        log.step(&format!("step {step}"), &format!("result {step}"));
    }
}

/// A log with a task and so many steps.
fn worked(settings: ViewSettings, number: usize) -> Log {
    let mut log = Log::new(settings);
    log.user("the task");
    steps(&mut log, number);
    log
}

#[test]
fn it_is_due_when_the_window_fills_or_there_are_many_turns() {
    let log = worked(settings(), 19);
    assert_eq!((log.view.turns(), due(&log.view, 0, 0)), (39, None));
    let log = worked(settings(), 20);
    assert_eq!(due(&log.view, 0, 0), Some(Why::Turns));
    let tokens = log.view.tokens(0);
    let no_limit = ViewSettings { most_turns: 0, fill: 0.5, ..settings() };
    let mut log = worked(no_limit, 20);
    assert_eq!(due(&log.view, tokens * 2, 0), None);
    assert_eq!(due(&log.view, tokens * 2, 100), Some(Why::Fill), "the prompt counts, too");
    assert_eq!(due(&log.view, 0, 100), None, "an unknown window");
    log.view.learn(100, 200);
    assert_eq!(due(&log.view, tokens * 2, 0), Some(Why::Fill), "as the provider counts");
}

#[test]
fn the_first_and_the_newest_stay_and_a_summary_stands_between() {
    let mut log = worked(settings(), 10);
    log.user("use tabs");
    steps(&mut log, 30);
    let before = log.view.weight();
    let plan = plan(&log.view, Why::Turns, 0).unwrap();
    let question = plan.question();
    let [Said::User { text, .. }] = question.said.as_slice() else { panic!() };
    for words in ["Agent: step 3", "Result: result 3", "Call of execute_bash", "User: use tabs"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("the task"));
    log.condense(plan.condensation(Some(" All is well. ")));
    check(&log.said()).unwrap();
    let said = log.short();
    assert!(
        said[0].starts_with("user: the task") && said[0].contains("Summary:]\nAll is well."),
        "{said:?}"
    );
    assert!(said[0].ends_with("In the user's words:\n- use tabs"), "{said:?}");
    assert!(said.last().unwrap().contains("result 29"), "{said:?}");
    assert!(log.view.turns() <= 42 && log.view.weight() < before * 3 / 4);
}

#[test]
fn instructions_go_on_holding() {
    let mut log = worked(settings(), 2);
    let recall = RecallObservation {
        repo_instructions: "Run make.".to_owned(),
        ..RecallObservation::default()
    };
    log.observe(Observation::Recall(recall), None, None);
    for why in [Why::Turns, Why::TooLong] {
        steps(&mut log, 30);
        let plan = plan(&log.view, why, 0).unwrap();
        log.condense(plan.condensation(None));
        assert_eq!(log.short()[0].matches("Run make.").count(), 1, "{:?}", log.short());
    }
    let huge = RecallObservation {
        repo_instructions: "x".repeat(100_000),
        ..RecallObservation::default()
    };
    let mut log = Log::new(ViewSettings { most_result: 100_000, ..settings() });
    log.user("the task");
    log.observe(Observation::Recall(huge), None, None);
    steps(&mut log, 3);
    let plan = plan(&log.view, Why::TooLong, 0).unwrap();
    log.condense(plan.condensation(None));
    assert!(log.view.weight() < 4_000, "unless they are what is too long");
}

#[test]
fn a_summary_is_made_of_the_summary_before_it() {
    let mut log = worked(settings(), 30);
    let first = plan(&log.view, Why::Turns, 0).unwrap();
    log.condense(first.condensation(Some("FIRST")));
    steps(&mut log, 30);
    let second = plan(&log.view, Why::Turns, 0).unwrap();
    assert!(second.transcript.starts_with("Summary of what came before:"), "{}", second.transcript);
    assert!(second.transcript.contains("FIRST"));
    log.condense(second.condensation(Some("SECOND")));
    let said = log.short();
    assert!(said[0].contains("SECOND") && !said[0].contains("FIRST"), "{said:?}");
}

#[test]
fn without_a_summary_that_is_told_and_what_is_known_stays() {
    let mut log = worked(settings(), 30);
    log.user("never push");
    steps(&mut log, 30);
    let first = plan(&log.view, Why::Turns, 0).unwrap();
    log.condense(first.condensation(Some("FIRST")));
    steps(&mut log, 40);
    for failed in [None, Some("  ")] {
        let second = plan(&log.view, Why::Turns, 0).unwrap();
        let told = second.condensation(failed).summary.unwrap();
        for words in ["No summary could be made", "FIRST", "never push"] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

#[test]
fn a_question_that_was_too_long_is_halved_again_and_again_to_nothing() {
    let mut log = worked(settings(), 12);
    log.user(&"long ".repeat(5_000));
    log.step("reading", &"y".repeat(3_000));
    let mut halved = 0;
    while let Some(plan) = plan(&log.view, Why::TooLong, 0) {
        let before = log.view.weight();
        log.condense(plan.condensation(Some(&"s".repeat(100_000))));
        check(&log.said()).unwrap();
        // Half, and the summary itself.
        assert!(log.view.weight() <= before / 2 + before / 4 + 1_000, "{before}");
        halved += 1;
        assert!(halved < 20);
    }
    assert!(halved > 1);
}

#[test]
fn what_is_not_worth_it_is_left() {
    let log = Log::new(settings());
    for why in [Why::Asked, Why::Turns, Why::TooLong] {
        assert_eq!(plan(&log.view, why, 0), None);
    }
    let mut log = worked(settings(), 1);
    assert_eq!(plan(&log.view, Why::Asked, 0).map(|plan| plan.forget.len()), None);
    steps(&mut log, 20);
    let plan = plan(&log.view, Why::Asked, 0).unwrap();
    log.condense(plan.condensation(None));
    let again = super::plan(&log.view, Why::TooLong, 0);
    assert!(again.is_none_or(|plan| plan.forget.len() > 1), "a summary alone is not summed up");
}

#[test]
fn the_transcript_fits_the_window() {
    let mut log = Log::new(ViewSettings { most_result: 30_000, ..settings() });
    log.user("go");
    for _ in 0..50 {
        log.step(&"a".repeat(5_000), &"日".repeat(20_000));
    }
    let small = plan(&log.view, Why::Fill, 8_000).unwrap();
    assert!(small.transcript.chars().count() <= 4_200, "{}", small.transcript.chars().count());
    let large = plan(&log.view, Why::Fill, 10_000_000).unwrap();
    assert!(large.transcript.chars().count() <= MOST_TRANSCRIPT + 200);
}

/// The items that were looked at in the steps from one number to another, each with its question.
fn work(from: usize, to: usize) -> usize {
    let mut log = worked(settings(), 1);
    for step in 0..to {
        if step == from {
            log.view.work.set(0);
        }
        if let Some(why) = due(&log.view, 0, 0) {
            let plan = plan(&log.view, why, 0).unwrap();
            log.condense(plan.condensation(Some("S")));
        }
        log.said();
        log.step("on", &"r".repeat(500));
    }
    log.view.work.get()
}

#[test]
fn a_step_costs_the_same_at_one_hundred_and_at_two_thousand() {
    let (early, late) = (work(100, 200), work(1_900, 2_000));
    assert!(late * 10 <= early * 11, "{early} items in 100 steps, later {late}");
    assert!(early < 100 * 60, "{early}");
}
