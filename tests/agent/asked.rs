//! What the model is asked, in the form of each provider, and what of the workspace reaches it.

use serde_json::{Value, json};
use staithe_testkit::model::Step;

use crate::{
    scene::{Scene, bash, finish, play},
    stage::Stage,
};

#[tokio::test]
async fn every_provider_is_spoken_to_in_its_own_form() {
    let by = |name, group| Scene {
        name,
        group,
        steps: vec![
            Step {
                reasoning: "Let me think.".to_owned(),
                signature: "sig".to_owned(),
                ..bash("echo here")
            },
            Step { text: "There it is.".to_owned(), ..finish() },
        ],
        log: "BEGIN | a run echo here | = run 0 | a finish | [finished]",
        look: |asked, events| {
            assert!(asked[1].last_text().contains("here"), "{}", asked[1].body);
            let finish = events.iter().find(|event| event["action"] == "finish").unwrap();
            assert_eq!(finish["args"]["thought"], "There it is.");
            assert_eq!(
                finish["llm_metrics"]["accumulated_token_usage"]["prompt_tokens"], 200,
                "{finish}"
            );
        },
        ..Scene::default()
    };
    let prompted = Scene {
        name: "tools by prompt",
        group: "model = \"fake-1\"\nkey = \"sk-fake-0123456789abcdefghij\"\nnative_tools = \"no\"",
        steps: vec![
            Step::text(
                "I look.\n<function=execute_bash>\n<parameter=command>echo here</parameter>\n\
                 <parameter=security_risk>LOW</parameter>\n</function>",
            ),
            Step::text("<function=finish>\n<parameter=message>Done.</parameter>\n</function>"),
        ],
        log: "BEGIN | a run echo here | = run 0 | a finish | [finished]",
        look: |asked, events| {
            assert_eq!(asked[0].body["tools"], Value::Null);
            assert!(
                asked[0].body["messages"][0].to_string().contains("execute_bash"),
                "in the prompt"
            );
            assert!(asked[1].last_text().contains("here"), "{}", asked[1].body);
            let run = events.iter().find(|event| event["action"] == "run").unwrap();
            assert_eq!(run["args"]["thought"], "I look.");
        },
        ..Scene::default()
    };
    let scenes = vec![
        by("openai", "provider = \"openai\""),
        by("anthropic", "provider = \"anthropic\""),
        by("gemini", "provider = \"gemini\""),
        by("ollama", "provider = \"ollama\""),
        prompted,
    ];
    play(scenes, "").await;
}

#[tokio::test]
async fn the_workspace_s_instructions_and_what_a_word_calls_up_reach_the_model() {
    let stage = Stage::new(&[""], "").await;
    let mut play = stage.play(0).await;
    let agents = "Use tabs in this repository.";
    let boats = "---\nname: boats\ntriggers:\n- harbour\n---\nBoats lie at the staithe.\n";
    for (path, text) in [("AGENTS.md", agents), (".openhands/microagents/boats.md", boats)] {
        let path = format!("/api/sessions/{}/files/{path}?create_parents=1", play.id);
        let (status, _, body) =
            stage.server.put(&path, &[("if-none-match", "*")], text.into()).await;
        assert!(status < 300, "{status}: {}", String::from_utf8_lossy(&body));
    }
    play.model.script([Step::text("Which?"), finish()]);
    play.say("Tidy up").await;
    play.see("[awaiting_user_input]").await;
    play.say("The harbour").await;
    play.see("[finished]").await;
    let asked = play.model.asked();
    let (first, second) = (asked[0].body.to_string(), asked[1].body.to_string());
    assert!(first.contains(agents) && !first.contains("Boats lie"), "{:#?}", asked[0].turns());
    assert!(second.contains(agents) && second.contains("Boats lie"), "{:#?}", asked[1].turns());
    let recalled: Vec<_> =
        play.events.iter().filter(|event| event["observation"] == "recall").collect();
    assert_eq!(recalled.len(), 2, "{recalled:#?}");
    assert_eq!(recalled[1]["extras"]["microagent_knowledge"][0]["name"], json!("boats"));
}
