//! Pause, resume, stop and messages at each moment that matters.

use staithe_testkit::model::Step;

use crate::scene::{
    Act::{Alone, Asked, Change, Do, Refused, Release, Say, See, Settled, Shown},
    Scene, bash, finish, play, refusal, silent,
};

/// A command that says when it runs.
fn long() -> Step {
    bash("echo begun; sleep 60")
}

/// The same, with a call after it.
fn long_and_more() -> Step {
    let more = r#"{"command":"echo after","security_risk":"LOW"}"#;
    long().and_call("execute_bash", more)
}

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn while_the_model_is_asked() {
    let scenes = vec![
        Scene {
            name: "pause and resume",
            steps: vec![silent(), finish()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Change("paused"),
                See("[paused]"),
                Alone,
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | u change_agent_state paused | [paused] | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "stop, and a message begins anew",
            steps: vec![silent(), finish()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Change("stopped"),
                See("[stopped]"),
                Alone,
                Refused("running", "agent.illegal_transition"),
                Say("Again"),
                See("[finished]"),
            ],
            log: "BEGIN | u change_agent_state stopped | [stopped] | u message | [running] | \
                  a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a message while it is asked is told with the next question",
            steps: vec![Step { silent: true, ..bash("echo 1") }, finish()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Say("Hurry"),
                See("u message"),
                Release,
                See("[finished]"),
            ],
            log: "BEGIN | u message | a run echo 1 | = run 0 | a finish | [finished]",
            look: |asked, _| assert!(asked[1].last_text().contains("Hurry"), "{}", asked[1].body),
            ..Scene::default()
        },
        Scene {
            name: "a message that crosses the end is answered",
            steps: vec![silent(), finish()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Say("One more"),
                See("u message"),
                Release,
                See("[finished]"),
                See("[finished]"),
            ],
            log: "BEGIN | u message | a finish | [finished] | [running] | a finish | [finished]",
            look: |asked, _| {
                assert!(asked[1].last_text().contains("One more"), "{}", asked[1].body);
            },
            ..Scene::default()
        },
        Scene {
            name: "a pause amid the stream of an answer takes nothing of it",
            steps: vec![
                Step {
                    chunk: 4,
                    hold_after: Some(3),
                    ..Step::text("What was begun and never ended")
                },
                finish(),
            ],
            acts: vec![
                Say("Do it"),
                Shown("What"),
                Change("paused"),
                See("[paused]"),
                Alone,
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | u change_agent_state paused | [paused] | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}

#[tokio::test]
async fn while_a_command_runs() {
    let scenes = vec![
        Scene {
            name: "pause interrupts it, and the calls after it are carried out later",
            steps: vec![long_and_more(), finish()],
            acts: vec![
                Say("Do it"),
                Shown("begun"),
                Change("paused"),
                See("= run 130"),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | a run echo begun; sleep 60 | u change_agent_state paused | [paused] & = run 130 | \
                  u change_agent_state running | [running] | a run echo after | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "stop interrupts it, and the calls after it are not carried out",
            steps: vec![long_and_more()],
            acts: vec![Say("Do it"), Shown("begun"), Change("stopped"), See("[stopped]"), Settled],
            log: "BEGIN | a run echo begun; sleep 60 | u change_agent_state stopped | [stopped] & = run 130 & \
                  ! ERROR_ACTION_NOT_EXECUTED_STOPPED",
            ..Scene::default()
        },
        Scene {
            name: "after a stop the next task finds a free shell",
            steps: vec![long(), bash("echo free"), finish()],
            acts: vec![
                Say("Do it"),
                Shown("begun"),
                Change("stopped"),
                See("= run 130"),
                Say("Another"),
                See("[finished]"),
            ],
            log: "BEGIN | a run echo begun; sleep 60 | u change_agent_state stopped | [stopped] & = run 130 | \
                  u message | [running] | a run echo free | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a message while it runs is told after its result",
            steps: vec![bash("echo begun; sleep 4"), finish()],
            acts: vec![Say("Do it"), Shown("begun"), Say("Hurry"), See("[finished]")],
            log: "BEGIN | a run echo begun; sleep 4 | u message | = run 0 | a finish | [finished]",
            look: |asked, _| assert!(asked[1].last_text().contains("Hurry"), "{}", asked[1].body),
            ..Scene::default()
        },
        Scene {
            name: "a command of a person goes on when the agent is stopped",
            steps: vec![silent()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Do(r#"{"action":"run","args":{"command":"echo begun; sleep 4; echo mine"}}"#),
                Shown("begun"),
                Change("stopped"),
                See("[stopped]"),
                See("= run 0"),
            ],
            log: "BEGIN | u run echo begun; sleep 4; echo mine | u change_agent_state stopped | [stopped] | = run 0",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn while_it_waits_or_rests() {
    let busy = || {
        let mut step = refusal(429, "rate_limit_exceeded", "slow down");
        step.headers.insert("retry-after".to_owned(), "600".to_owned());
        step
    };
    let down = || {
        let mut step = refusal(503, "overloaded", "later");
        step.headers.insert("retry-after".to_owned(), "600".to_owned());
        step
    };
    let scenes = vec![
        Scene {
            name: "a rate limit is not waited for when a person says so",
            steps: vec![busy(), finish()],
            acts: vec![
                Say("Do it"),
                See("[rate_limited model.rate_limited]"),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | retry 1 model.rate_limited | [rate_limited model.rate_limited] | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "pause and resume while rate limited",
            steps: vec![busy(), finish()],
            acts: vec![
                Say("Do it"),
                See("[rate_limited model.rate_limited]"),
                Change("paused"),
                See("[paused]"),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | retry 1 model.rate_limited | [rate_limited model.rate_limited] | \
                  u change_agent_state paused | [paused] | u change_agent_state running | [running] | \
                  a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "stop while it is to be asked again",
            steps: vec![down()],
            acts: vec![
                Say("Do it"),
                See("retry 1 model.unavailable"),
                Change("stopped"),
                See("[stopped]"),
            ],
            log: "BEGIN | retry 1 model.unavailable | u change_agent_state stopped | [stopped]",
            ..Scene::default()
        },
        Scene {
            name: "pause and resume while it is to be asked again",
            steps: vec![down(), finish()],
            acts: vec![
                Say("Do it"),
                See("retry 1 model.unavailable"),
                Change("paused"),
                See("[paused]"),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | retry 1 model.unavailable | u change_agent_state paused | [paused] | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "words without a call wait for the user",
            steps: vec![Step::text("What colour?"), finish()],
            acts: vec![
                Say("Paint it"),
                See("[awaiting_user_input]"),
                Say("Blue"),
                See("[finished]"),
            ],
            log: "BEGIN | a message | [awaiting_user_input] | u message | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a person ends it",
            steps: vec![silent()],
            acts: vec![
                Say("Do it"),
                Asked(1),
                Do(r#"{"action":"finish","args":{}}"#),
                See("[finished]"),
                Alone,
            ],
            log: "BEGIN | u finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a second task in the same session",
            steps: vec![finish(), bash("echo 2"), finish()],
            acts: vec![Say("Do it"), See("[finished]"), Say("And more"), See("[finished]")],
            log: "BEGIN | a finish | [finished] | u message | [running] | a run echo 2 | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}
