//! What comes: text, thoughts, calls, usage, ends.

use serde_json::{Value, json};
use staithe_agent::{
    model::{FailureKind, Piece, Usage},
    settings::Provider,
};
use staithe_testkit::{
    FakeModel,
    model::{FakeCall, FakeUsage, Step},
};

use super::common::{
    ALL, answer, ask, call, failure, question, result, settings, shown, told_again, user,
};

#[tokio::test]
async fn text_comes_in_pieces_and_is_whole_however_it_is_cut() {
    let text = "Grüße, 世界 🙂\n\nA second line with \"quotes\" and \\ in it.";
    for (provider, _) in ALL {
        for (chunk, bytes) in [(0, 0), (1, 0), (3, 1), (5, 7), (0, 1)] {
            let server = FakeModel::start().await;
            server.script([Step { chunk, bytes, ..Step::text(text) }]);
            let (answer, pieces) =
                ask(&settings(&server, provider), &question(vec![user("Hi")])).await;
            let answer = answer.unwrap();
            assert_eq!(
                (answer.text.as_str(), shown(&pieces).as_str()),
                (text, text),
                "{provider:?} {chunk} {bytes}"
            );
            assert!(!answer.id.is_empty() && !answer.cut && answer.calls.is_empty());
            let most = if chunk == 0 { 1 } else { text.chars().count().div_ceil(chunk) };
            assert_eq!(pieces.len(), most, "{provider:?} {chunk} {bytes}");
        }
    }
}

#[tokio::test]
async fn usage_has_the_cache_in_it_and_apart() {
    let usage =
        FakeUsage { input: 1_000, output: 90, cache_read: 600, cache_write: 100, reasoning: 40 };
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        server.script([Step { usage, ..Step::text("x") }]);
        let told = answer(&settings(&server, provider)).await.usage;
        let expected = match provider {
            Provider::Openai | Provider::Anthropic => {
                Usage { input: 1_000, output: 90, cache_read: 600, cache_write: 100, reasoning: 40 }
            }
            Provider::Gemini => {
                Usage { input: 1_000, output: 90, cache_read: 600, cache_write: 0, reasoning: 40 }
            }
            Provider::Ollama => {
                Usage { input: 1_000, output: 90, cache_read: 600, cache_write: 0, reasoning: 0 }
            }
        };
        assert_eq!(told, expected, "{provider:?}");
    }
}

#[tokio::test]
async fn calls_begin_at_once_and_keep_the_text_of_their_arguments() {
    let (first, second) = (r#"{ "command" : "ls -la",  "n":1.0 }"#, r#"{"command":"a\nb","n":2}"#);
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        let step = Step { chunk: 4, bytes: 11, ..Step::text("I look.") };
        server.script([step.and_call("run", first).and_call("run", second)]);
        let (answer, pieces) = ask(&settings(&server, provider), &question(vec![user("Hi")])).await;
        let calls = answer.unwrap().calls;
        assert_eq!(calls.len(), 2, "{provider:?}");
        assert_ne!(calls[0].id, calls[1].id, "{provider:?}");
        for (call, written) in calls.iter().zip([first, second]) {
            let (told, meant): (Value, Value) = (
                serde_json::from_str(&call.arguments).unwrap(),
                serde_json::from_str(written).unwrap(),
            );
            assert_eq!(told, meant, "{provider:?}");
            if matches!(provider, Provider::Openai | Provider::Anthropic) {
                assert_eq!(call.arguments, written, "{provider:?}: as the model wrote it");
            }
        }
        let begins = pieces.iter().filter(|piece| **piece == Piece::Call("run".to_owned())).count();
        assert_eq!((begins, shown(&pieces).as_str()), (2, "I look."), "{provider:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_told_as_they_are_and_can_be_told_again() {
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        let broken = r#"{"command": "ls", "n": "#;
        let step = Step { chunk: 3, ..Step::default() };
        server.script([step.and_call("run", broken), Step::text("Sorry")]);
        let settings = settings(&server, provider);
        let first = answer(&settings).await;
        assert_eq!(first.calls.len(), 1, "{provider:?}");
        assert_eq!(first.calls[0].arguments, broken, "{provider:?}");
        let said =
            vec![user("Go"), told_again(&first), result(&first.calls[0].id, "run", "no JSON")];
        ask(&settings, &question(said)).await.0.unwrap();
        let again = server.asked()[1].body.to_string();
        assert!(
            again.contains("no JSON") && again.contains(r#"\"command"#),
            "{provider:?}: {again}"
        );
    }
}

#[tokio::test]
async fn calls_with_odd_places_cost_no_memory_and_lose_nothing() {
    let server = FakeModel::start().await;
    let function = json!({"name": "run", "arguments": {"command": "ls"}});
    let call = json!({"index": u32::MAX, "id": "c1", "type": "function", "function": function});
    let frame = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
    server.script([Step { insert: Some((1, frame)), ..Step::text("so") }]);
    let asked = question(vec![user("Hi")]);
    let (answer, pieces) = ask(&settings(&server, Provider::Openai), &asked).await;
    let calls = answer.unwrap().calls;
    assert_eq!(calls, [super::common::call("c1", "run", r#"{"command":"ls"}"#)]);
    assert_eq!(pieces[0], Piece::Call("run".to_owned()));
}

#[tokio::test]
async fn a_call_without_arguments_has_an_empty_object() {
    for provider in [Provider::Openai, Provider::Anthropic] {
        let server = FakeModel::start().await;
        server.script([Step::default().and_call("finish", "")]);
        assert_eq!(answer(&settings(&server, provider)).await.calls[0].arguments, "{}");
    }
}

#[tokio::test]
async fn calls_of_gemini_in_two_answers_have_four_ids() {
    let server = FakeModel::start().await;
    let step = Step::call("run", &json!({"command": "a"})).and_call("run", r#"{"command":"b"}"#);
    server.script([step.clone(), step]);
    let settings = settings(&server, Provider::Gemini);
    let mut ids: Vec<String> =
        answer(&settings).await.calls.into_iter().map(|call| call.id).collect();
    ids.extend(answer(&settings).await.calls.into_iter().map(|call| call.id));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn thoughts_come_apart_and_what_is_signed_goes_back() {
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        let step = Step {
            reasoning: "Let me think.".to_owned(),
            signature: "c2lnbmVk".to_owned(),
            chunk: 4,
            ..Step::text("I look.")
        };
        server.script([
            step.and_call("run", r#"{"command":"ls"}"#),
            Step::text("Done"),
            Step::text("Done"),
        ]);
        let mut settings = settings(&server, provider);
        let (first, pieces) = ask(&settings, &question(vec![user("Hi")])).await;
        let first = first.unwrap();
        assert_eq!(
            (first.reasoning.as_str(), first.text.as_str()),
            ("Let me think.", "I look."),
            "{provider:?}"
        );
        assert!(matches!(&pieces[0], Piece::Reasoning(_)), "{provider:?}");
        let said = vec![user("Hi"), told_again(&first), result(&first.calls[0].id, "run", "a.txt")];
        ask(&settings, &question(said.clone())).await.0.unwrap();
        let again = server.asked()[1].clone();
        let turn = again.turns()[1].clone();
        match provider {
            Provider::Anthropic => {
                let block = json!({"type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk"});
                assert_eq!(turn["content"][0], block);
                assert_eq!(turn["content"][2]["type"], "tool_use");
            }
            Provider::Gemini => {
                assert_eq!(turn["parts"][1]["thoughtSignature"], "c2lnbmVk", "{turn}");
                assert_eq!(turn["parts"][1]["functionCall"]["args"], json!({"command": "ls"}));
            }
            _ => assert!(
                !again.body.to_string().contains("Let me think"),
                "{provider:?} wants none back"
            ),
        }
        // Another model can't read what this one signed.
        settings.model.push_str("-other");
        ask(&settings, &question(said)).await.0.unwrap();
        assert!(!server.asked()[2].body.to_string().contains("c2lnbmVk"), "{provider:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_says_so() {
    let ends = [
        (Provider::Openai, "length"),
        (Provider::Anthropic, "max_tokens"),
        (Provider::Gemini, "MAX_TOKENS"),
        (Provider::Ollama, "length"),
    ];
    for (provider, end) in ends {
        let server = FakeModel::start().await;
        server.script([Step { end: Some(end.to_owned()), ..Step::text("half") }]);
        let told = answer(&settings(&server, provider)).await;
        assert!(told.cut && told.text == "half", "{provider:?}");
        // Gemini and Ollama have whole calls only.
        let can_be_half = matches!(provider, Provider::Openai | Provider::Anthropic);
        for (arguments, is_half) in
            [("{\"command\": \"rm -rf /a", true), ("", true), ("{\"a\": 1}", false)]
        {
            if is_half && !can_be_half {
                continue;
            }
            let call =
                FakeCall { name: "run".into(), arguments: arguments.into(), ..FakeCall::default() };
            server.script([Step {
                end: Some(end.to_owned()),
                calls: vec![call],
                ..Step::default()
            }]);
            let told = answer(&settings(&server, provider)).await;
            assert_eq!((told.calls.len(), told.cut), (1, is_half), "{provider:?} {arguments}");
        }
    }
}

#[tokio::test]
async fn answers_against_a_policy_are_refused_and_broken_ones_pass() {
    let ends = [
        (Provider::Openai, "content_filter", FailureKind::Refused),
        (Provider::Anthropic, "refusal", FailureKind::Refused),
        (Provider::Gemini, "SAFETY", FailureKind::Refused),
        (Provider::Gemini, "PROHIBITED_CONTENT", FailureKind::Refused),
        (Provider::Gemini, "MALFORMED_FUNCTION_CALL", FailureKind::Unavailable),
        (Provider::Openai, "error", FailureKind::Unavailable),
        (Provider::Ollama, "load", FailureKind::Unavailable),
    ];
    for (provider, end, kind) in ends {
        let server = FakeModel::start().await;
        server.script([Step { end: Some(end.to_owned()), ..Step::text("so") }]);
        let failed = failure(&settings(&server, provider)).await;
        assert_eq!(failed.kind, kind, "{provider:?} {end}: {failed}");
        assert!(failed.message.contains(end), "{failed}");
    }
}

#[tokio::test]
async fn nothing_said_is_an_answer_too() {
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        server.script([Step::default()]);
        let told = answer(&settings(&server, provider)).await;
        assert!(told.text.is_empty() && told.calls.is_empty(), "{provider:?}");
    }
}

#[tokio::test]
async fn a_model_without_tools_of_its_own_calls_by_prompt() {
    for (provider, _) in ALL {
        let server = FakeModel::start().await;
        // As it is when the provider minds the stop word.
        let text = "I look.\n\n<function=run>\n<parameter=command>ls < a</parameter>\n<parameter=n>3</parameter>\n";
        server.script([Step { chunk: 2, ..Step::text(text) }]);
        let mut settings = settings(&server, provider);
        settings.native_tools = Some(false);
        let mut asked = question(vec![user("Hi")]);
        asked.said.push(told_again(&staithe_agent::model::Answer {
            calls: vec![call("1", "run", r#"{"command":"pwd"}"#)],
            ..Default::default()
        }));
        asked.said.push(result("1", "run", "/tmp"));
        let (answer, pieces) = ask(&settings, &asked).await;
        let answer = answer.unwrap();
        assert_eq!(answer.text, "I look.", "{provider:?}");
        let told: Value = serde_json::from_str(&answer.calls[0].arguments).unwrap();
        assert_eq!(
            (answer.calls[0].name.as_str(), told),
            ("run", json!({"command": "ls < a", "n": 3}))
        );
        assert_eq!(shown(&pieces), "I look.\n\n", "{provider:?}");
        assert_eq!(pieces.last(), Some(&Piece::Call("run".to_owned())), "{provider:?}");
        let body = server.asked()[0].body.to_string();
        for part in [
            "---- FUNCTION run ----",
            "</function\"",
            "EXECUTION RESULT of [run]:",
            "<parameter=command>pwd",
        ] {
            assert!(body.contains(part), "{provider:?}: {part} in {body}");
        }
        assert!(server.asked()[0].body.get("tools").is_none(), "{provider:?}");
    }
}

#[tokio::test]
async fn three_hundred_at_once_get_their_own_answers() {
    let server = FakeModel::start().await;
    let wire = staithe_agent::genai::Wire::new().unwrap();
    let mut asks = tokio::task::JoinSet::new();
    for number in 0..300 {
        let marker = format!("[session {number}]");
        server.script_for(&marker, [Step { chunk: 5, ..Step::text(&marker) }]);
        let model =
            staithe_agent::genai::connect(&wire, &settings(&server, ALL[number % 4].0)).unwrap();
        asks.spawn(async move {
            let asked = question(vec![user(&format!("Do it {marker}"))]);
            let answer = model.answer(&asked, &mut |_| {}).await.unwrap();
            assert_eq!(answer.text, marker);
        });
    }
    let done = asks.join_all().await;
    assert_eq!((done.len(), server.asked().len(), server.left()), (300, 300, 0));
}
