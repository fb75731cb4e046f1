//! Masking of secrets in events.

use proptest::prelude::*;
use serde_json::{Value, json};

use staithe_protocol::{Action, AgentState, Body, Event, Observation};

use crate::mask::Words;

fn masked(value: &Value, secret: &str) -> Value {
    let words: Words = [secret].into_iter().collect();
    let json = words.hide_in_json(serde_json::to_vec(value).unwrap());
    serde_json::from_slice(&json).expect("what is masked is still JSON")
}

#[test]
fn a_secret_is_masked_in_strings_at_every_depth() {
    let event =
        json!({"content": "a hunter22 b", "extras": {"list": ["hunter22", {"x": "hunter22!"}]}});
    let hidden = json!({
        "content": "a <secret_hidden> b",
        "extras": {"list": ["<secret_hidden>", {"x": "<secret_hidden>!"}]},
    });
    assert_eq!(masked(&event, "hunter22"), hidden);
}

#[test]
fn a_secret_that_looks_like_a_number_or_a_key_breaks_no_event() {
    let event = json!({"content": "123456", "total_bytes": 123_456, "n": 91_234_567});
    let hidden = json!({"content": "<secret_hidden>", "total_bytes": 123_456, "n": 91_234_567});
    assert_eq!(masked(&event, "123456"), hidden);
    let event = json!({"content": "my content"});
    assert_eq!(masked(&event, "content"), json!({"content": "my <secret_hidden>"}));
}

const EXAMPLES: [&str; 2] = [
    include_str!("../../../crates/protocol/tests/examples/actions.jsonl"),
    include_str!("../../../crates/protocol/tests/examples/observations.jsonl"),
];

/// Events of every kind, as they are stored.
fn events() -> Vec<Value> {
    let own = [
        json!({"action": "change_agent_state", "args": {"agent_state": "user_confirmed", "scope": "kind"}}),
        json!({"action": "run", "args": {"command": "ls", "confirmation_state": "awaiting_confirmation"}}),
        json!({"action": "call_tool_mcp", "args": {"name": "find", "arguments": {"harbour": {"berths": ["harbour"]}}}}),
        json!({"observation": "agent_state_changed", "extras": {"agent_state": "finished", "reason": "limit.time"}}),
        json!({"observation": "phase_changed", "extras": {"phase": "failed", "fault": {
            "code": "sandbox.start_failed", "step": "create", "cause": "harbour", "remedy": "harbour"}}}),
        json!({"observation": "phase_changed", "extras": {"phase": "starting", "step": "connect", "reason": "restart"}}),
        json!({"observation": "plugin_changed", "extras": {"name": "jupyter", "state": "restarting"}}),
        json!({"observation": "model_retry", "extras": {
            "attempt": 1, "most": 2, "wait_ms": 3, "code": "model.rate_limited"}}),
        json!({"observation": "error", "content": "harbour", "extras": {"error_id": "STATUS$ERROR_AGENT_STUCK"}}),
    ];
    let examples = EXAMPLES.iter().flat_map(|text| text.lines());
    let examples = examples.map(|line| serde_json::from_str(line).unwrap());
    let all = examples.chain(own).map(|mut event: Value| {
        let envelope = [("id", json!(7)), ("timestamp", json!("2026-11-26T10:00:00Z"))];
        for (key, value) in envelope.into_iter().chain([("source", json!("environment"))]) {
            event.as_object_mut().unwrap().entry(key).or_insert(value);
        }
        let event: Event = serde_json::from_value(event).unwrap();
        serde_json::from_slice(&event.to_json()).unwrap()
    });
    all.collect()
}

/// All that can be a secret of an event: every string and key in it.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            found.push(key.clone());
            texts(value, found);
        }),
        _ => {}
    }
}

/// What the controller goes by.
fn meant(event: &Event) -> (String, Option<AgentState>, String) {
    let (name, state, word) = match &event.body {
        Body::Action(Action::ChangeAgentState(it)) => ("change", Some(it.agent_state), ""),
        Body::Action(action) => (action.name(), None, ""),
        Body::Observation(Observation::AgentStateChanged(it)) => {
            ("changed", Some(it.agent_state), it.reason.as_str())
        }
        Body::Observation(Observation::Error(it)) => ("error", None, it.error_id.as_str()),
        Body::Observation(Observation::ModelRetry(it)) => ("retry", None, it.code.as_str()),
        Body::Observation(observation) => (observation.name(), None, ""),
    };
    (format!("{:?} {name}", event.source), state, word.to_owned())
}

#[test]
fn an_event_is_understood_whatever_the_secrets_are() {
    for event in events() {
        let mut secrets = Vec::new();
        texts(&event, &mut secrets);
        let read = |json: &[u8]| serde_json::from_slice::<Event>(json);
        let before = read(event.to_string().as_bytes()).unwrap().to_json();
        let each = secrets.iter().map(|secret| vec![secret.clone()]).chain([secrets.clone()]);
        for secrets in each {
            let words: Words = secrets.iter().cloned().collect();
            let after = words.hide_in_json(before.clone());
            let after = read(&after).unwrap_or_else(|error| panic!("{secrets:?} {event}: {error}"));
            assert_eq!(meant(&after), meant(&read(&before).unwrap()), "{secrets:?}");
        }
    }
}

#[test]
fn keys_that_a_caller_made_up_are_masked() {
    let hidden = |event: &Value| masked(event, "sk-secret").to_string();
    for (part, map) in
        [("args", "arguments"), ("args", "inputs"), ("args", "outputs"), ("extras", "arguments")]
    {
        let event =
            json!({"action": "x", part: {map: {"sk-secret": {"a sk-secret": [{"sk-secret": 1}]}}}});
        assert!(!hidden(&event).contains("sk-secret"), "{part}.{map}");
    }
    let event = json!({"extras": {"sk-secret": 1}, "sk-secret": {"arguments": {"sk-secret": 1}}});
    assert_eq!(masked(&event, "sk-secret"), event);
}

#[test]
fn a_secret_in_json_that_is_told_as_text_is_masked() {
    let key = "-----BEGIN KEY-----\nab/c\"d\\e\u{e9}\n-----END KEY-----";
    let arguments = json!({"command": format!("echo '{key}'")}).to_string();
    let nested = json!({"body": arguments}).to_string();
    let slashed = arguments.replace('/', "\\/").replace('\u{e9}', "\\u00e9");
    for text in [key.replace('\n', "\r\n"), arguments, nested, slashed] {
        let event = json!({"content": text, "tool_call_metadata": {"arguments": text}});
        let hidden = masked(&event, key);
        for text in [&hidden["content"], &hidden["tool_call_metadata"]["arguments"]] {
            let text = text.as_str().unwrap();
            assert!(text.contains("<secret_hidden>") && !text.contains("ab"), "{text}");
        }
    }
}

proptest! {
    #[test]
    fn no_string_keeps_a_secret(before in ".{0,8}", secret in "[a-z\"\\\\\n]{6,12}", after in ".{0,8}") {
        let event = json!({"a": [format!("{before}{secret}{after}")], "b": 1});
        let hidden = masked(&event, &secret);
        prop_assert!(!hidden["a"][0].as_str().unwrap().contains(&secret));
        prop_assert_eq!(&hidden["b"], 1);
        let arguments = event.to_string();
        let within = masked(&json!({"content": arguments, "twice": json!([arguments]).to_string()}), &secret);
        let once = within["content"].as_str().unwrap();
        // What is JSON no more was hidden over its edge, so nothing can be read of it.
        if let Ok(inside) = serde_json::from_str::<Value>(once) {
            prop_assert!(!inside["a"][0].as_str().unwrap_or_default().contains(&secret), "{}", once);
        }
    }
}
