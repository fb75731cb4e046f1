//! The fake itself: scripts, markers, whole answers.

use serde_json::json;

use super::*;

fn asked(protocol: Protocol, body: serde_json::Value) -> Asked {
    let path = if protocol == Protocol::Gemini { "/m:streamGenerateContent" } else { "/x" };
    Asked { protocol, path: path.to_owned(), headers: BTreeMap::new(), body }
}

#[tokio::test]
async fn steps_go_to_whom_they_are_for() {
    let model = FakeModel::start().await;
    model.script([Step::text("any")]);
    model.script_for("#7", [Step::text("seven"), Step::text("more")]);
    model.decide(|asked| asked.first_user().contains("decided").then(|| Step::text("by itself")));
    let take = |text: &str| {
        let asked = asked(
            Protocol::Openai,
            json!({"messages": [
                {"role": "system", "content": "#7 decided"}, {"role": "user", "content": text},
            ]}),
        );
        model.inner.take(&asked).1.map(|step| step.text)
    };
    assert_eq!(take("session #7").as_deref(), Some("seven"));
    assert_eq!(take("something").as_deref(), Some("any"));
    assert_eq!(take("decided").as_deref(), Some("by itself"));
    assert_eq!(take("something"), None);
    assert_eq!((model.left(), model.asked().len()), (1, 4));
}

#[test]
fn texts_are_found_in_every_protocol() {
    let parts = json!([{"text": "a"}, {"text": "b"}]);
    let said = [
        (Protocol::Openai, json!({"messages": [{"role": "user", "content": "a\nb"}]})),
        (Protocol::Anthropic, json!({"messages": [{"role": "user", "content": parts}]})),
        (Protocol::Gemini, json!({"contents": [{"role": "user", "parts": parts}]})),
        (Protocol::Ollama, json!({"messages": [{"role": "user", "content": "a\nb"}]})),
    ];
    for (protocol, body) in said {
        assert_eq!(asked(protocol, body).first_user(), "a\nb", "{protocol:?}");
    }
}

#[test]
fn answers_that_are_not_streamed_are_whole() {
    let step = Step::text("hi").and_call("run", r#"{"command":"ls"}"#);
    for protocol in [Protocol::Openai, Protocol::Anthropic, Protocol::Ollama] {
        let asked = asked(protocol, json!({"stream": false, "model": "m"}));
        let frames = shapes::Shape { step: &step, asked: &asked, number: 1 }.frames();
        assert_eq!(frames.len(), 1, "{protocol:?}");
        let body: serde_json::Value = serde_json::from_str(&frames[0]).unwrap();
        assert!(body.to_string().contains("hi") && body.to_string().contains("run"), "{body}");
    }
}

#[test]
fn scripts_are_files() {
    let script: Script = serde_json::from_value(json!({
        "steps": [{"text": "a", "calls": [{"name": "run", "arguments": {"x": 1}}, {"name": "run", "arguments": "{"}]}],
        "marked": {"#1": [{"status": 429, "headers": {"retry-after": "1"}, "body": {"error": "slow"}}]},
    }))
    .unwrap();
    assert_eq!(script.steps[0].calls[0].arguments, r#"{"x":1}"#);
    assert_eq!(script.steps[0].calls[1].arguments, "{");
    assert_eq!(script.marked["#1"][0].status, Some(429));
    assert!(serde_json::from_value::<Script>(json!({"steps": [{"txt": "a"}]})).is_err());
}
