//! What a person is asked about, and what comes of the answer.

use serde_json::json;
use staithe_testkit::model::Step;

use crate::{
    scene::{
        Act::{Change, Do, Refused, Say, See},
        Scene, bash, finish, play,
    },
    stage::Stage,
};

/// Something that the rules call a high risk, and that does no harm.
fn risky() -> Step {
    Step::call("execute_bash", &json!({ "command": "rm -rf /nowhere", "security_risk": "HIGH" }))
}

/// The other of the same kind.
fn risky_too() -> Step {
    Step::call("execute_bash", &json!({ "command": "rm -rf /no/where", "security_risk": "HIGH" }))
}

const ASKED: &str = "[awaiting_user_confirmation]";

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn a_person_decides() {
    let scenes = vec![
        Scene {
            name: "yes",
            steps: vec![risky(), finish()],
            acts: vec![Say("Do it"), See(ASKED), Change("user_confirmed"), See("[finished]")],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state user_confirmed | [user_confirmed] | a run rm -rf /nowhere | [running] | \
                  = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "yes, to all of the kind",
            steps: vec![risky(), risky_too(), finish()],
            acts: vec![
                Say("Do it"),
                See(ASKED),
                Do(
                    r#"{"action":"change_agent_state","args":{"agent_state":"user_confirmed","scope":"kind"}}"#,
                ),
                See("[finished]"),
            ],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state user_confirmed | [user_confirmed] | a run rm -rf /nowhere | [running] | \
                  = run 0 | a run rm -rf /no/where | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "no, with a reason",
            steps: vec![risky(), finish()],
            acts: vec![
                Say("Do it"),
                See(ASKED),
                Do(
                    r#"{"action":"change_agent_state","args":{"agent_state":"user_rejected","thought":"not that"}}"#,
                ),
                See("[finished]"),
            ],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state user_rejected | [user_rejected] | a run rm -rf /nowhere no | \
                  = user_rejected | [running] | a finish | [finished]",
            look: |asked, _| {
                assert!(asked[1].last_text().contains("not that"), "{}", asked[1].body);
            },
            ..Scene::default()
        },
        Scene {
            name: "no",
            steps: vec![risky(), finish()],
            acts: vec![
                Say("Do it"),
                See(ASKED),
                Change("user_rejected"),
                See("[awaiting_user_input]"),
                Say("Do something else"),
                See("[finished]"),
            ],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state user_rejected | [user_rejected] | a run rm -rf /nowhere no | \
                  = user_rejected | [awaiting_user_input] | u message | [running] | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "stop while a person is asked",
            steps: vec![risky()],
            acts: vec![
                Say("Do it"),
                See(ASKED),
                Refused("paused", "agent.illegal_transition"),
                Refused("running", "agent.illegal_transition"),
                Change("stopped"),
                See("= error ERROR_ACTION_NOT_EXECUTED_STOPPED"),
            ],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state stopped | [stopped] | = error ERROR_ACTION_NOT_EXECUTED_STOPPED",
            ..Scene::default()
        },
        Scene {
            name: "a message while a person is asked",
            steps: vec![risky(), finish()],
            acts: vec![
                Say("Do it"),
                See(ASKED),
                Say("Sure?"),
                Change("user_confirmed"),
                See("[finished]"),
            ],
            log: "BEGIN | a run rm -rf /nowhere ? | = null | [awaiting_user_confirmation] | u message | \
                  u change_agent_state user_confirmed | [user_confirmed] | a run rm -rf /nowhere | [running] | \
                  = run 0 | a finish | [finished]",
            look: |asked, _| assert!(asked[1].last_text().contains("Sure?"), "{}", asked[1].body),
            ..Scene::default()
        },
        Scene {
            name: "always: an edit is asked about, a look is not",
            choice: r#"{"confirm":"always"}"#,
            steps: vec![
                Step::call(
                    "str_replace_editor",
                    &json!({ "command": "create", "path": "/workspace/a", "file_text": "x\n", "security_risk": "LOW" }),
                ),
                Step::call(
                    "str_replace_editor",
                    &json!({ "command": "view", "path": "/workspace/a", "security_risk": "LOW" }),
                ),
                finish(),
            ],
            acts: vec![Say("Do it"), See(ASKED), Change("user_confirmed"), See("[finished]")],
            log: "BEGIN | a edit create ? | = null | [awaiting_user_confirmation] | \
                  u change_agent_state user_confirmed | [user_confirmed] | a edit create | [running] | = edit | \
                  a read | = read | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "never",
            choice: r#"{"confirm":"never"}"#,
            steps: vec![risky(), finish()],
            log: "BEGIN | a run rm -rf /nowhere | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "what is harmless is not asked about",
            steps: vec![bash("ls"), finish()],
            log: "BEGIN | a run ls | = run 0 | a finish | [finished]",
            ..Scene::default()
        },
    ];
    play(scenes, "").await;
}

#[tokio::test]
async fn a_decision_holds_for_the_action_that_was_shown() {
    let stage = Stage::new(&[""], "").await;
    let mut play = stage.play(0).await;
    play.model.script([risky(), risky_too(), finish()]);
    play.say("Do it").await;
    let first = play.see("a run rm -rf /nowhere ?").await["id"].clone();
    play.see(ASKED).await;
    let decide = |state: &str, id: &serde_json::Value| {
        let args = json!({ "agent_state": state, "action_id": id });
        json!({ "action": "change_agent_state", "args": args })
    };
    play.must(&decide("user_rejected", &first)).await;
    play.see("[awaiting_user_input]").await;
    play.say("Another way").await;
    let second = play.see("a run rm -rf /no/where ?").await["id"].clone();
    play.see(ASKED).await;
    // The page of somebody who was away when the first was rejected.
    for state in ["user_confirmed", "user_rejected"] {
        let (status, answer) = play.act(&decide(state, &first)).await;
        assert_eq!((status, &answer["code"]), (409, &json!("agent.not_asked")), "{answer}");
    }
    play.must(&decide("user_confirmed", &second)).await;
    play.see("[finished]").await;
}
