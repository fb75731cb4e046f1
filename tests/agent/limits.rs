//! Limits: each pauses, and one click grants the same again.

use crate::scene::{
    Act::{Change, Say, See, Set},
    Scene, bash, finish, play,
};

/// 0.11 US dollars an answer.
const PRICED: &str = "price = { input = 1000.0, output = 1000.0 }";

fn stops_after_two(name: &'static str, choice: &'static str, log: &'static str) -> Scene {
    Scene {
        name,
        choice,
        group: PRICED,
        steps: vec![bash("echo 1"), bash("echo 2"), bash("echo 3"), finish()],
        acts: vec![
            Say("Do it"),
            See(match name {
                "cost" => "[paused limit.cost]",
                "tokens" => "[paused limit.tokens]",
                _ => "[paused limit.steps]",
            }),
            Change("running"),
            See("[finished]"),
        ],
        log,
        ..Scene::default()
    }
}

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn each_limit_pauses_and_is_granted_again() {
    let scenes = vec![
        stops_after_two(
            "steps",
            r#"{"limits":{"steps":2}}"#,
            "BEGIN | a run echo 1 | = run 0 | a run echo 2 | = run 0 | [paused limit.steps] | \
             u change_agent_state running | [running] | a run echo 3 | = run 0 | a finish | [finished]",
        ),
        stops_after_two(
            "cost",
            r#"{"limits":{"cost":0.2}}"#,
            "BEGIN | a run echo 1 | = run 0 | a run echo 2 | = run 0 | [paused limit.cost] | \
             u change_agent_state running | [running] | a run echo 3 | = run 0 | a finish | [finished]",
        ),
        stops_after_two(
            "tokens",
            r#"{"limits":{"tokens":200}}"#,
            "BEGIN | a run echo 1 | = run 0 | a run echo 2 | = run 0 | [paused limit.tokens] | \
             u change_agent_state running | [running] | a run echo 3 | = run 0 | a finish | [finished]",
        ),
        Scene {
            name: "time, which interrupts the command",
            choice: r#"{"limits":{"time":3}}"#,
            steps: vec![bash("sleep 60"), finish()],
            acts: vec![
                Say("Do it"),
                See("= run 130"),
                Set(r#"{"limits":{"time":60}}"#),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | a run sleep 60 | [paused limit.time] & = run 130 | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "of cost, and no price is known",
            group: "price = { input = -1.0, output = -1.0 }",
            choice: r#"{"limits":{"cost":5}}"#,
            steps: vec![bash("echo 1"), finish()],
            acts: vec![
                Say("Do it"),
                See("[paused limit.no_price]"),
                Change("running"),
                See("[finished]"),
            ],
            log: "u message | [running] | e recall | = recall | [paused limit.no_price] | \
                  u change_agent_state running | [running] | a system | a run echo 1 | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a message grants the same again",
            choice: r#"{"limits":{"steps":1}}"#,
            steps: vec![bash("echo 1"), finish()],
            acts: vec![Say("Do it"), See("[paused limit.steps]"), Say("Go on"), See("[finished]")],
            log: "BEGIN | a run echo 1 | = run 0 | [paused limit.steps] | u message | [running] | \
                  a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a limit that is changed holds at once",
            choice: r#"{"limits":{"steps":9}}"#,
            steps: vec![bash("sleep 4"), finish()],
            acts: vec![
                Say("Do it"),
                See("a run sleep 4"),
                Set(r#"{"limits":{"steps":1}}"#),
                See("[paused limit.steps]"),
                Set(r#"{"limits":{"steps":0}}"#),
                Change("running"),
                See("[finished]"),
            ],
            log: "BEGIN | a run sleep 4 | = run 0 | [paused limit.steps] | \
                  u change_agent_state running | [running] | a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}
