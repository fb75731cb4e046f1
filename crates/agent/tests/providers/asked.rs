//! What is asked: keys, tools, results, pictures, what is to be cached, settings.

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use staithe_agent::{
    genai::{Wire, connect},
    model::{Answer, FailureKind, Image, Question, Said},
    settings::{ModelSettings, Provider},
};
use staithe_testkit::{
    FakeModel,
    model::{Asked, Step},
};

use super::common::{ALL, IMAGE, KEY, ask, call, question, result, settings, told_again, user};

/// What the server saw of this question.
async fn seen(settings: impl Fn(&FakeModel) -> ModelSettings, question: &Question) -> Asked {
    let server = FakeModel::start().await;
    server.script([Step::text("x")]);
    ask(&settings(&server), question).await.0.expect("an answer");
    server.asked().remove(0)
}

#[tokio::test]
async fn each_protocol_has_its_path_its_key_its_tools_and_its_turns() {
    let said = vec![
        user("Go"),
        told_again(&Answer {
            text: "Two.".to_owned(),
            calls: vec![
                call("c1", "run", r#"{"command":"a"}"#),
                call("c2", "run", r#"{"command":"b"}"#),
            ],
            ..Answer::default()
        }),
        result("c1", "run", "one"),
        result("c2", "run", "two"),
    ];
    for (provider, protocol) in ALL {
        let asked = seen(|server| settings(server, provider), &question(said.clone())).await;
        assert_eq!((asked.protocol, asked.key(), asked.streams()), (protocol, Some(KEY), true));
        let path = match provider {
            Provider::Openai => "/v1/chat/completions",
            Provider::Anthropic => "/v1/messages",
            Provider::Gemini => "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            Provider::Ollama => "/api/chat",
        };
        assert_eq!(asked.path, path);
        assert!(!asked.path.contains(KEY), "a key in an address ends in logs");
        let body = &asked.body;
        assert!(body.to_string().contains("You help."), "{provider:?}");
        let turns = asked.turns();
        match provider {
            Provider::Openai => {
                assert_eq!(body["tools"][0]["function"]["name"], "run");
                assert_eq!(turns[1]["tool_calls"][1]["id"], "c2");
                let results = [&turns[2]["tool_call_id"], &turns[3]["tool_call_id"]];
                assert_eq!(results, ["c1", "c2"]);
            }
            Provider::Anthropic => {
                assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["command"]));
                assert_eq!(
                    (turns.len(), turns[2]["role"].as_str()),
                    (3, Some("user")),
                    "all results in one turn"
                );
                assert_eq!(turns[2]["content"][1]["tool_use_id"], "c2");
                assert_eq!(body["max_tokens"], 32_000);
            }
            Provider::Gemini => {
                assert_eq!(body["tools"][0]["functionDeclarations"][0]["name"], "run");
                assert_eq!(
                    turns[2]["parts"].as_array().unwrap().len(),
                    2,
                    "all results in one turn"
                );
                assert_eq!(turns[2]["parts"][0]["functionResponse"]["name"], "run");
            }
            Provider::Ollama => {
                assert_eq!(body["tools"][0]["function"]["name"], "run");
                assert_eq!(
                    (&turns[2]["content"], &turns[3]["content"]),
                    (&json!("one"), &json!("two"))
                );
                assert_eq!(
                    turns[1]["tool_calls"][0]["function"]["arguments"],
                    json!({"command": "a"})
                );
            }
        }
    }
}

#[tokio::test]
async fn pictures_go_in_of_people_and_of_tools() {
    let data = "iVBORw0KGgo=";
    let said = vec![
        Said::User { text: "Look".to_owned(), images: vec![Image(IMAGE.to_owned())] },
        told_again(&Answer { calls: vec![call("c1", "run", "{}")], ..Answer::default() }),
        Said::Tool {
            call_id: "c1".to_owned(),
            name: "run".to_owned(),
            text: "shot".to_owned(),
            images: vec![Image(IMAGE.to_owned())],
        },
    ];
    for (provider, _) in ALL {
        let asked = seen(|server| settings(server, provider), &question(said.clone())).await;
        let turns = asked.turns();
        for turn in [turns[0], turns[turns.len() - 1]] {
            let picture = match provider {
                Provider::Openai => turn["content"][1]["image_url"]["url"] == IMAGE,
                Provider::Anthropic => turn["content"][1]["source"]["data"] == data,
                Provider::Gemini => turn["parts"][1]["inline_data"]["data"] == data,
                Provider::Ollama => turn["images"][0] == data,
            };
            assert!(picture, "{provider:?}: {turn}");
        }
        // One that sees nothing is told so.
        let blind = |server: &FakeModel| ModelSettings {
            vision: Some(false),
            ..settings(server, provider)
        };
        let asked = seen(blind, &question(said.clone())).await;
        let body = asked.body.to_string();
        assert!(
            !body.contains(data) && body.contains("which this model can't see"),
            "{provider:?}"
        );
    }
}

#[tokio::test]
async fn an_address_of_a_picture_is_never_dropped() {
    let address = "https://pictures.example/a.png";
    let said =
        vec![Said::User { text: "Look".to_owned(), images: vec![Image(address.to_owned())] }];
    for (provider, _) in ALL {
        let asked = seen(|server| settings(server, provider), &question(said.clone())).await;
        assert!(asked.body.to_string().contains(address), "{provider:?}: {}", asked.body);
    }
}

/// How often something is marked to be cached, and in which turns.
fn marks(asked: &Asked) -> (usize, Vec<bool>) {
    let is_marked = |value: &Value| value.to_string().contains("cache_control");
    let all = asked.body.to_string().matches("\"cache_control\"").count();
    (all, asked.turns().into_iter().map(is_marked).collect())
}

#[tokio::test]
async fn anthropic_caches_the_system_and_the_last_three_turns() {
    let mut said = vec![user("Go")];
    for id in ["c1", "c2", "c3"] {
        said.push(told_again(&Answer { calls: vec![call(id, "run", "{}")], ..Answer::default() }));
        said.push(result(id, "run", "done"));
    }
    let asked = seen(|server| settings(server, Provider::Anthropic), &question(said.clone())).await;
    assert_eq!(marks(&asked), (4, vec![false, false, true, false, true, false, true]));
    assert_eq!(asked.body["system"][0]["cache_control"], json!({"type": "ephemeral"}));
    let off = |server: &FakeModel| ModelSettings {
        caching: false,
        ..settings(server, Provider::Anthropic)
    };
    assert_eq!(marks(&seen(off, &question(said.clone())).await).0, 0);
    for provider in [Provider::Openai, Provider::Gemini, Provider::Ollama] {
        let asked = seen(|server| settings(server, provider), &question(said.clone())).await;
        assert_eq!(marks(&asked).0, 0, "{provider:?} is asked for nothing that it does not know");
    }
}

#[tokio::test]
async fn settings_reach_the_provider() {
    for (provider, _) in ALL {
        let set = |server: &FakeModel| ModelSettings {
            temperature: Some(0.5),
            max_output: 123,
            ..settings(server, provider)
        };
        let body = seen(set, &question(vec![user("Go")])).await.body;
        let (temperature, most) = match provider {
            Provider::Openai | Provider::Anthropic => (&body["temperature"], &body["max_tokens"]),
            Provider::Gemini => (
                &body["generationConfig"]["temperature"],
                &body["generationConfig"]["maxOutputTokens"],
            ),
            Provider::Ollama => (&body["options"]["temperature"], &body["options"]["num_predict"]),
        };
        assert_eq!((temperature, most), (&json!(0.5), &json!(123)), "{provider:?}");
    }
    let think = |provider, model: &'static str| {
        move |server: &FakeModel| ModelSettings {
            model: model.to_owned(),
            reasoning: Some("high".to_owned()),
            temperature: Some(0.5),
            ..settings(server, provider)
        }
    };
    let asked = question(vec![user("Go")]);
    let openai = seen(think(Provider::Openai, "gpt-5-mini"), &asked).await.body;
    assert_eq!(openai["reasoning_effort"], "high");
    let anthropic = seen(think(Provider::Anthropic, "claude-sonnet-4-5"), &asked).await.body;
    assert_eq!(
        (&anthropic["thinking"]["type"], anthropic.get("temperature")),
        (&json!("enabled"), None)
    );
}

#[tokio::test]
async fn a_models_name_is_never_taken_apart() {
    for name in ["mistral-medium", "qwen3-max", "o3-mini-high", "acme/some-model:free", "team-none"]
    {
        let named = |server: &FakeModel| ModelSettings {
            model: name.to_owned(),
            ..settings(server, Provider::Openai)
        };
        let body = seen(named, &question(vec![user("Go")])).await.body;
        assert_eq!((body["model"].as_str(), body.get("reasoning_effort")), (Some(name), None));
    }
}

#[tokio::test]
async fn a_key_is_wanted_at_the_providers_own_address_alone() {
    let wire = Wire::new().unwrap();
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        server.script([Step::text("x")]);
        let mut settings = ModelSettings { key: None, ..settings(&server, provider) };
        ask(&settings, &question(vec![user("Go")])).await.0.unwrap();
        settings.base_url.clear();
        let kind = connect(&wire, &settings).err().map(|failed| failed.kind);
        let expected = (provider != Provider::Ollama).then_some(FailureKind::BadKey);
        assert_eq!(kind, expected, "{provider:?}");
    }
    let server = FakeModel::start().await;
    let settings =
        ModelSettings { base_url: "ftp://x".to_owned(), ..settings(&server, Provider::Openai) };
    assert_eq!(settings.key.as_ref().map(ExposeSecret::expose_secret), Some(KEY));
    assert_eq!(
        connect(&wire, &settings).err().map(|failed| failed.kind),
        Some(FailureKind::BadQuestion)
    );
}
