//! What goes wrong at the provider's and in the model's answers, and how the work goes on.

use serde_json::json;
use staithe_testkit::model::Step;

use crate::scene::{
    Act::{Change, Do, Say, See},
    Scene, bash, finish, play, refusal,
};

/// Retries that a test can wait for.
const QUICK: &str = "[agent.retries]\nmost = 2\nfirst = \"50ms\"\nlongest = \"100ms\"\n";

/// A failure that lasts until a person did something about it.
fn lasting(name: &'static str, failure: Step, log: &'static str, error: &'static str) -> Scene {
    Scene {
        name,
        steps: vec![failure, finish()],
        acts: vec![Say("Do it"), See(error), Change("running"), See("[finished]")],
        log,
        look: |_, events| {
            let told = events.iter().find(|event| event["observation"] == "error").unwrap();
            let words = told["content"].as_str().unwrap();
            assert!(words.contains("the provider's words"), "{words}");
        },
        ..Scene::default()
    }
}

#[tokio::test]
async fn a_failure_that_lasts_says_what_to_do_and_the_work_goes_on_after_it() {
    let words = "the provider's words";
    let scenes = vec![
        lasting(
            "bad key",
            refusal(401, "invalid_api_key", words),
            "BEGIN | ! ERROR_LLM_AUTHENTICATION | [error model.bad_key] | \
             u change_agent_state running | [running] | a finish | [finished]",
            "[error model.bad_key]",
        ),
        lasting(
            "no credit",
            refusal(429, "insufficient_quota", words),
            "BEGIN | ! ERROR_LLM_OUT_OF_CREDITS | [error model.no_credit] | \
             u change_agent_state running | [running] | a finish | [finished]",
            "[error model.no_credit]",
        ),
        lasting(
            "refused",
            refusal(400, "content_policy_violation", words),
            "BEGIN | ! ERROR_LLM_CONTENT_POLICY_VIOLATION | [error model.refused] | \
             u change_agent_state running | [running] | a finish | [finished]",
            "[error model.refused]",
        ),
        lasting(
            "no such model",
            refusal(404, "model_not_found", words),
            "BEGIN | ! ERROR_LLM_UNKNOWN_MODEL | [error model.unknown] | \
             u change_agent_state running | [running] | a finish | [finished]",
            "[error model.unknown]",
        ),
        lasting(
            "a question that is not understood",
            refusal(400, "invalid_request_error", words),
            "BEGIN | ! ERROR_LLM_BAD_REQUEST | [error model.bad_question] | \
             u change_agent_state running | [running] | a finish | [finished]",
            "[error model.bad_question]",
        ),
        Scene {
            steps: vec![
                refusal(400, "context_length_exceeded", words),
                Step::text("Boats."),
                refusal(400, "context_length_exceeded", words),
                finish(),
            ],
            ..lasting(
                "too long, however it is condensed",
                Step::default(),
                "BEGIN | retry 1 model.context_too_long | a condensation | ! ERROR_LLM_CONTEXT_TOO_LONG | [error model.context_too_long] | \
                 u change_agent_state running | [running] | a finish | [finished]",
                "[error model.context_too_long]",
            )
        },
    ];
    play(scenes, QUICK).await;
}

fn passing(name: &'static str, steps: Vec<Step>, log: &'static str) -> Scene {
    Scene { name, steps, log, ..Scene::default() }
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_visibly() {
    let down = || refusal(500, "server_error", "the provider's words");
    let limited = || {
        let mut step = refusal(429, "rate_limit_exceeded", "slow down");
        step.headers.insert("retry-after".to_owned(), "1".to_owned());
        step
    };
    let cut = Step { cut_after: Some(2), chunk: 3, ..Step::text("What nobody is to believe") };
    let garbage = Step { body: Some(json!("<html>gateway</html>")), ..Step::default() };
    let broken = Step {
        insert: Some((1, json!("no chunk at all"))),
        stop_after: Some(2),
        ..Step::text("x")
    };
    let once = "BEGIN | retry 1 model.unavailable | a finish | [finished]";
    let scenes = vec![
        passing(
            "down twice",
            vec![down(), down(), finish()],
            "BEGIN | retry 1 model.unavailable | retry 2 model.unavailable | a finish | [finished]",
        ),
        passing(
            "rate limited, for as long as the provider says",
            vec![limited(), finish()],
            "BEGIN | retry 1 model.rate_limited | [rate_limited model.rate_limited] | [running] | \
             a finish | [finished]",
        ),
        passing("the connection breaks amid the answer", vec![cut, finish()], once),
        passing("a page instead of an answer", vec![garbage, finish()], once),
        passing("an answer that ends before its end", vec![broken, finish()], once),
        Scene {
            group: "silence = \"1s\"",
            ..passing(
                "nothing is said at all",
                vec![Step { silent: true, ..finish() }, finish()],
                once,
            )
        },
        Scene {
            name: "down for good",
            steps: vec![down(), down(), down(), finish()],
            acts: vec![
                Say("Do it"),
                See("[error model.unavailable]"),
                Say("Again"),
                See("[finished]"),
            ],
            log: "BEGIN | retry 1 model.unavailable | retry 2 model.unavailable | \
                  ! ERROR_LLM_SERVICE_UNAVAILABLE | [error model.unavailable] | u message | [running] | \
                  a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, QUICK).await;
}

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn answers_that_are_not_as_they_should_be() {
    let empty = || Step::text(" ");
    let many = || (0..6).map(|number| bash(&format!("echo {number}")));
    let long = refusal(400, "context_length_exceeded", "too long");
    let scenes = vec![
        Scene {
            name: "arguments that are no JSON",
            steps: vec![Step::default().and_call("execute_bash", "{\"comm"), finish()],
            log: "BEGIN | ! BAD_TOOL_CALL | a finish | [finished]",
            look: |asked, _| {
                assert!(asked[1].last_text().contains("valid JSON"), "{}", asked[1].body);
            },
            ..Scene::default()
        },
        Scene {
            name: "an argument is missing, and one is of no form that is known",
            steps: vec![
                Step::call("execute_bash", &json!({ "security_risk": "LOW" })),
                Step::call(
                    "str_replace_editor",
                    &json!({ "command": "view", "path": "/a", "security_risk": "LOW", "view_range": "all" }),
                ),
                finish(),
            ],
            log: "BEGIN | ! BAD_TOOL_CALL | ! BAD_TOOL_CALL | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "a tool that is not there",
            steps: vec![Step::call("run_bash", &json!({})), finish()],
            log: "BEGIN | ! BAD_TOOL_CALL | a finish | [finished]",
            look: |asked, _| {
                assert!(asked[1].last_text().contains("execute_bash"), "{}", asked[1].body);
            },
            ..Scene::default()
        },
        Scene {
            name: "a bad call among good ones",
            steps: vec![
                bash("echo 1")
                    .and_call("nothing", "{}")
                    .and_call("execute_bash", r#"{"command":"echo 2","security_risk":"LOW"}"#),
                finish(),
            ],
            log: "BEGIN | a run echo 1 | = run 0 | ! BAD_TOOL_CALL | a run echo 2 | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "two empty answers",
            steps: vec![empty(), empty(), finish()],
            log: "BEGIN | e message | e message | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "three empty answers",
            steps: vec![empty(), empty(), empty(), finish()],
            acts: vec![
                Say("Do it"),
                See("[error model.empty_answer]"),
                Say("Go on"),
                See("[finished]"),
            ],
            log: "BEGIN | e message | e message | ! ERROR_LLM_EMPTY_ANSWER | [error model.empty_answer] | \
                  u message | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "too long: condensed, and asked again",
            steps: many().chain([long, Step::text("We counted boats."), finish()]).collect(),
            log: "BEGIN | a run echo 0 | = run 0 | a run echo 1 | = run 0 | a run echo 2 | = run 0 | a run echo 3 | \
                  = run 0 | a run echo 4 | = run 0 | a run echo 5 | = run 0 | retry 1 model.context_too_long | a condensation | \
                  a finish | [finished]",
            look: |asked, _| {
                let [.., before, _, after] = asked else { panic!("three questions") };
                assert!(after.turns().len() < before.turns().len(), "{}", after.body);
                assert!(after.body.to_string().contains("We counted boats."), "{}", after.body);
            },
            ..Scene::default()
        },
        Scene {
            name: "round in circles, and out of it",
            steps: (0..4).map(|_| bash("echo same")).chain([finish()]).collect(),
            acts: vec![
                Say("Do it"),
                See("[error stuck.repeats]"),
                Do(r#"{"action":"loop_recovery","args":{"option":1}}"#),
                See("[finished]"),
            ],
            log: "BEGIN | a run echo same | = run 0 | a run echo same | = run 0 | a run echo same | = run 0 | \
                  a run echo same | = run 0 | ! ERROR_AGENT_STUCK | [error stuck.repeats] | \
                  u loop_recovery | [running] | a condensation | a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}
