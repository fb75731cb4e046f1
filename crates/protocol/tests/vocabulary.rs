//! The reference's own examples (§5.1, §5.2) pass through, and old spellings are read (§4.3).

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml does not see as tests"
)]

use serde_json::{Value, json};
use staithe_protocol::{
    Action, AgentState, Body, Event, EventId, Observation, Phase, PhaseView, Source,
    action::{ChangeAgentState, ConfirmationStatus, Edit, Run},
    observation::{RunMetadata, RunObservation},
};

const ACTIONS: &str = include_str!("examples/actions.jsonl");
const OBSERVATIONS: &str = include_str!("examples/observations.jsonl");

/// The examples leave out what the chapter's envelope has; an event needs it.
fn with_envelope(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).expect(line);
    for (key, default) in
        [("id", json!(3)), ("timestamp", json!("2024-12-20T10:00:00")), ("source", json!("agent"))]
    {
        value.as_object_mut().unwrap().entry(key).or_insert(default);
    }
    value
}

fn read(value: &Value) -> Event {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Whether all that `less` says is said by `more` too.
#[track_caller]
fn assert_within(less: &Value, more: &Value, at: &str) {
    match (less, more) {
        (Value::Object(less), Value::Object(more)) => {
            for (key, value) in less {
                let other = more.get(key).unwrap_or_else(|| panic!("{at}.{key} is lost"));
                assert_within(value, other, &format!("{at}.{key}"));
            }
        }
        _ => assert_eq!(less, more, "{at}"),
    }
}

#[test]
fn every_example_of_the_reference_comes_back_with_every_key() {
    for line in ACTIONS.lines().chain(OBSERVATIONS.lines()) {
        let example = with_envelope(line);
        let event = read(&example);
        let written: Value = serde_json::from_slice(&event.to_json()).unwrap();
        assert_within(&example, &written, line);
        assert_eq!(read(&written), event, "{line}");
    }
}

#[test]
fn the_examples_have_every_action() {
    for name in Action::NAMES {
        let found = ACTIONS.lines().any(|line| with_envelope(line)["action"] == **name);
        assert!(found, "{name}");
    }
}

#[test]
fn what_a_client_may_send_of_the_examples_is_taken() {
    for line in ACTIONS.lines() {
        let example = with_envelope(line);
        let taken = Action::from_client(&example).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(Body::Action(taken.action), read(&example).body, "{line}");
    }
}

#[test]
fn an_action_alone_is_its_name_and_its_args() {
    for line in ACTIONS.lines() {
        let Body::Action(action) = read(&with_envelope(line)).body else { panic!("{line}") };
        let written = serde_json::to_value(&action).unwrap();
        assert_eq!(written["action"], action.name());
        assert!(written["args"].is_object(), "{line}");
        assert_eq!(serde_json::from_value::<Action>(written).unwrap(), action);
    }
}

#[test]
fn the_keys_of_an_event_stand_in_the_reference_s_order() {
    let run = Run { command: "ls".into(), ..Run::default() };
    let event = Event {
        id: EventId(6),
        timestamp: "t".into(),
        source: Source::Agent,
        cause: Some(EventId(5)),
        body: Body::Action(Action::Run(run)),
        tool_call_metadata: Some(json!(1)),
        llm_metrics: None,
        timeout: Some(120),
    };
    assert_eq!(
        String::from_utf8(event.to_json()).unwrap(),
        concat!(
            r#"{"id":6,"timestamp":"t","source":"agent","message":"Running command: ls","cause":5,"#,
            r#""action":"run","tool_call_metadata":1,"args":{"command":"ls","thought":"","#,
            r#""blocking":false,"keep_prompt":true,"hidden":false,"#,
            r#""confirmation_state":"confirmed","is_input":false,"is_static":false,"cwd":null},"#,
            r#""timeout":120}"#
        )
    );
    let ran = RunObservation { command: "ls".into(), ..RunObservation::default() };
    let event = Event { body: Body::Observation(Observation::Run(ran)), timeout: None, ..event };
    let text = String::from_utf8(event.to_json()).unwrap();
    let places: Vec<_> = ["cause", "observation", "tool_call", "content", "extras", "success"]
        .iter()
        .map(|key| text.find(&format!("\"{key}")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn old_spellings_are_read() {
    let event = read(&json!({
        "id": 1, "source": "user", "action": "run",
        "args": {
            "command": "ls", "is_confirmed": "rejected", "timestamp": "2024-01-01",
            "task_completed": "true", "keep_prompt": false, "of_another_version": 1
        }
    }));
    assert_eq!(event.timestamp, "2024-01-01");
    let Body::Action(Action::Run(run)) = event.body else { panic!() };
    assert_eq!(run.confirmation_state, ConfirmationStatus::Rejected);
    assert!(!run.keep_prompt);

    let event = read(&json!({
        "id": 1, "source": "user", "timestamp": "t", "action": "message",
        "args": { "content": "look", "images_urls": ["data:a"] }
    }));
    let Body::Action(Action::Message(message)) = event.body else { panic!() };
    assert_eq!(message.image_urls, Some(vec!["data:a".to_owned()]));
}

#[test]
fn an_edit_without_a_source_is_by_command_when_it_has_one() {
    for (args, source) in [
        (json!({ "path": "a", "content": "x" }), "llm_based_edit"),
        (json!({ "path": "a", "command": "create", "file_text": "x" }), "oh_aci"),
        (json!({ "path": "a", "command": "view", "impl_source": "other" }), "other"),
    ] {
        let action = serde_json::from_value(json!({ "action": "edit", "args": args })).unwrap();
        let Action::Edit(Edit { impl_source, .. }) = action else { panic!() };
        assert_eq!(impl_source, source);
    }
}

#[test]
fn a_run_s_exit_code_is_read_from_either_form() {
    for (extras, exit_code, metadata) in [
        (json!({ "command": "a", "exit_code": 3, "command_id": 7 }), 3, (3, 7)),
        (json!({ "command": "a", "metadata": { "exit_code": 3, "pid": 7 } }), 3, (3, 7)),
        (json!({ "command": "a", "metadata": {} }), -1, (-1, -1)),
        (json!({ "command": "a" }), 0, (0, -1)),
        (json!({ "command": "a", "exit_code": 1, "metadata": { "exit_code": 2 } }), 1, (2, -1)),
    ] {
        let value = json!({ "observation": "run", "content": "", "extras": extras });
        let Observation::Run(run) = serde_json::from_value(value).unwrap() else { panic!() };
        assert_eq!(run.exit_code, exit_code, "{extras}");
        let RunMetadata { exit_code, pid, .. } = run.metadata;
        assert_eq!((exit_code, pid), metadata, "{extras}");
    }
}

#[test]
fn a_run_tells_success_by_its_exit_code() {
    let run = |exit_code| {
        Observation::Run(RunObservation { exit_code, ..RunObservation::default() }).success()
    };
    assert_eq!([run(0), run(1), run(-1)], [Some(true), Some(false), Some(false)]);
    assert_eq!(Observation::error("no", "").success(), None);
}

#[test]
fn a_phase_is_said_in_words_and_in_fields() {
    let observation = Observation::PhaseChanged(PhaseView::of(Phase::Ready));
    let written = serde_json::to_value(&observation).unwrap();
    assert_eq!(
        written,
        json!({
            "observation": "phase_changed",
            "content": "The session is ready.",
            "extras": { "phase": "ready" }
        })
    );
    assert_eq!(serde_json::from_value::<Observation>(written).unwrap(), observation);
}

#[test]
fn what_is_no_event_is_refused_with_its_fault() {
    let base = json!({ "id": 1, "source": "user", "timestamp": "t" });
    for (more, words) in [
        (json!({}), "neither"),
        (json!({ "action": "runs", "args": {} }), "unknown action `runs`"),
        (json!({ "action": "run", "args": {} }), "`command` is missing"),
        (json!({ "action": "run", "args": { "command": 1 } }), "`command`: invalid type"),
        (json!({ "observation": "chat" }), "unknown observation `chat`"),
        (json!({ "observation": "read" }), "`path` is missing"),
    ] {
        let mut value = base.clone();
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = serde_json::from_value::<Event>(value).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_agent_s_state_has_one_word() {
    for state in ["loading", "init", "awaiting_user_confirmation", "rate_limited"] {
        let agent_state: AgentState = serde_json::from_value(json!(state)).unwrap();
        assert_eq!(agent_state.as_str(), state);
        let action = Action::ChangeAgentState(ChangeAgentState {
            agent_state,
            ..ChangeAgentState::default()
        });
        assert_eq!(action.message(), format!("Agent state changed to {state}"));
    }
}
