//! Any event survives its encoding.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use staithe_protocol::{Action, Event, Fault, Observation, Phase, PhaseView};

fn text() -> BoxedStrategy<Value> {
    // `any::<String>` has NUL, quotes, escapes and characters of all planes.
    any::<String>().prop_map(Value::from).boxed()
}

fn or_null(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![Just(Value::Null), inner].boxed()
}

fn integer() -> BoxedStrategy<Value> {
    any::<i64>().prop_map(Value::from).boxed()
}

fn number() -> BoxedStrategy<Value> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, ZERO};
    (POSITIVE | NEGATIVE | NORMAL | ZERO).prop_map(Value::from).boxed()
}

fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        integer(),
        text()
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
    .boxed()
}

fn object() -> BoxedStrategy<Value> {
    vec((any::<String>(), anything()), 0..4)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
        .boxed()
}

fn texts() -> BoxedStrategy<Value> {
    vec(text(), 0..4).prop_map(Value::from).boxed()
}

fn words(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(words).prop_map(Value::from).boxed()
}

/// A value for a field, by its name: a name has one type throughout the vocabulary.
fn value_of(key: &str, default: &Value) -> BoxedStrategy<Value> {
    match key {
        "agent_state" => words(&["init", "running", "awaiting_user_input", "rate_limited"]),
        "confirmation_state" => words(&["confirmed", "rejected", "awaiting_confirmation"]),
        "recall_type" => words(&["workspace_context", "knowledge"]),
        "image_urls" | "file_urls" => or_null(texts()),
        "goal_image_urls" | "open_pages_urls" => texts(),
        "view_range" => or_null(vec(integer(), 2).prop_map(Value::from).boxed()),
        "forgotten_event_ids" => or_null(vec(integer(), 0..4).prop_map(Value::from).boxed()),
        "forgotten_events_start_id"
        | "forgotten_events_end_id"
        | "summary_offset"
        | "insert_line"
        | "security_risk" => or_null(integer()),
        "total_bytes" => or_null(any::<u64>().prop_map(Value::from).boxed()),
        "tools" => or_null(vec(anything(), 0..4).prop_map(Value::from).boxed()),
        "microagent_knowledge" => vec(text(), 0..3)
            .prop_map(|names| {
                let one = |name| json!({ "name": name, "trigger": "t", "content": "c" });
                names.into_iter().map(one).collect::<Value>()
            })
            .boxed(),
        "metadata" => fields(default.as_object().unwrap()),
        _ => match default {
            Value::String(_) => text(),
            Value::Null => or_null(text()),
            Value::Bool(_) => any::<bool>().prop_map(Value::from).boxed(),
            Value::Number(_) => integer(),
            Value::Array(_) => vec(anything(), 0..4).prop_map(Value::from).boxed(),
            Value::Object(_) => object(),
        },
    }
}

fn fields(defaults: &Map<String, Value>) -> BoxedStrategy<Value> {
    let each: Vec<_> =
        defaults.iter().map(|(key, default)| (Just(key.clone()), value_of(key, default))).collect();
    each.prop_map(|pairs| Value::Object(pairs.into_iter().collect())).boxed()
}

/// The fields of an example, all of them, as the types know them.
fn defaults(line: &str, name: &str, held: &str) -> (String, Map<String, Value>) {
    let value: Value = serde_json::from_str(line).unwrap();
    let mut whole = if name == "action" {
        serde_json::to_value(serde_json::from_value::<Action>(value).unwrap()).unwrap()
    } else {
        serde_json::to_value(serde_json::from_value::<Observation>(value).unwrap()).unwrap()
    };
    let name = whole[name].as_str().unwrap().to_owned();
    let Value::Object(mut fields) = whole[held].take() else { panic!("{line}") };
    // Left out where they are null.
    if name == "run" && held == "extras" {
        fields.insert("total_bytes".to_owned(), Value::Null);
    }
    if held == "args" && fields.contains_key("thought") && fields.contains_key("path") {
        fields.insert("security_risk".to_owned(), Value::Null);
    }
    (name, fields)
}

fn phases() -> impl Strategy<Value = Value> {
    let fault = (any::<String>(), any::<String>(), vec(any::<String>(), 0..3)).prop_map(
        |(cause, remedy, log_tail)| Fault {
            code: "sandbox.start_failed".to_owned(),
            step: None,
            cause,
            remedy,
            log_tail,
        },
    );
    (select(&Phase::ALL[..]), option::of(fault)).prop_map(|(phase, fault)| {
        serde_json::to_value(Observation::PhaseChanged(PhaseView { fault, ..PhaseView::of(phase) }))
            .unwrap()
    })
}

fn bodies() -> impl Strategy<Value = Value> {
    let actions: Vec<_> = include_str!("examples/actions.jsonl")
        .lines()
        .map(|line| {
            let (name, args) = defaults(line, "action", "args");
            fields(&args).prop_map(move |args| json!({ "action": name, "args": args })).boxed()
        })
        .collect();
    let observations: Vec<_> = include_str!("examples/observations.jsonl")
        .lines()
        .map(|line| {
            let (name, extras) = defaults(line, "observation", "extras");
            // An agent's change of state has no content.
            let content = match name.as_str() {
                "agent_state_changed" => Just("".into()).boxed(),
                _ => text(),
            };
            (content, fields(&extras))
                .prop_map(move |(content, extras)| {
                    json!({ "observation": name, "content": content, "extras": extras })
                })
                .boxed()
        })
        .collect();
    prop_oneof![
        5 => proptest::strategy::Union::new(actions),
        5 => proptest::strategy::Union::new(observations),
        1 => phases(),
    ]
}

fn events() -> impl Strategy<Value = Value> {
    (
        (any::<u64>(), text(), words(&["agent", "user", "environment"])),
        (option::of(any::<u64>()), option::of(1..86_400_u64)),
        (option::of(object()), option::of(object())),
        bodies(),
    )
        .prop_map(|((id, timestamp, source), (cause, timeout), (tool, metrics), mut body)| {
            let is_action = body.get("action").is_some();
            let event = body.as_object_mut().unwrap();
            event.insert("id".to_owned(), id.into());
            event.insert("timestamp".to_owned(), timestamp);
            event.insert("source".to_owned(), source);
            for (key, value) in [
                ("cause", cause.map(Value::from)),
                ("timeout", timeout.filter(|_| is_action).map(Value::from)),
                ("tool_call_metadata", tool),
                ("llm_metrics", metrics),
            ] {
                if let Some(value) = value {
                    event.insert(key.to_owned(), value);
                }
            }
            body
        })
}

/// What is written as null in one place may be left out in another.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_event_survives_its_encoding(mut value in events()) {
        let event: Event = serde_json::from_value(value.clone()).unwrap();
        let encoded = event.to_json();
        prop_assert_eq!(&serde_json::from_slice::<Event>(&encoded).unwrap(), &event);

        // And nothing was lost on the way in.
        let mut written: Value = serde_json::from_slice(&encoded).unwrap();
        let computed = written.as_object_mut().unwrap();
        prop_assert!(computed.remove("message").is_some());
        computed.remove("success");
        if let Some(given) = value.as_object_mut() {
            given.remove("success");
        }
        without_nulls(&mut value);
        without_nulls(&mut written);
        prop_assert_eq!(written, value);
    }

    #[test]
    fn nothing_that_a_client_sends_is_a_panic(value in anything(), name in any::<String>()) {
        let named = json!({ "action": name, "args": value });
        for value in [value, named] {
            if let Ok(taken) = Action::from_client(&value) {
                prop_assert!(Action::NAMES.contains(&taken.action.name()));
            }
        }
    }
}
