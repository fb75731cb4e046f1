//! What is taken from a client, and how it is told what was wrong.

use serde_json::{Value, json};
use staithe_protocol::{Action, action::Run};

#[track_caller]
fn check(value: &Value, code: &str, words: &[&str]) {
    let rejected = Action::from_client(value).expect_err("it should be rejected");
    assert_eq!(rejected.code, code, "{rejected}");
    for word in words {
        assert!(rejected.reason.contains(word), "{word}: {rejected}");
    }
}

#[test]
fn a_client_can_t_set_what_the_server_sets() {
    let taken = Action::from_client(&json!({
        "action": "run", "args": { "command": "ls" }, "timeout": 5,
        "id": 0, "source": "agent", "cause": 1, "timestamp": "t", "message": "x"
    }))
    .unwrap();
    assert_eq!(taken.action, Action::Run(Run { command: "ls".into(), ..Run::default() }));
    assert_eq!(taken.timeout, Some(5));
}

#[test]
fn args_may_be_left_out_when_none_is_needed() {
    for name in ["null", "condensation_request", "think", "finish", "task_tracking"] {
        let taken = Action::from_client(&json!({ "action": name })).unwrap();
        assert_eq!(taken.action.name(), name);
    }
}

#[test]
fn old_spellings_are_taken_from_a_client_too() {
    let args = json!({ "command": "ls", "is_confirmed": "awaiting_confirmation" });
    Action::from_client(&json!({ "action": "run", "args": args })).unwrap();
    let args = json!({ "content": "a", "images_urls": [] });
    Action::from_client(&json!({ "action": "message", "args": args })).unwrap();
}

#[test]
fn what_has_not_the_shape_of_an_action_is_malformed() {
    for (value, words) in [
        (json!("run"), vec!["object"]),
        (json!([]), vec!["object"]),
        (json!({}), vec!["`action`"]),
        (json!({ "action": 1 }), vec!["`action`"]),
        (json!({ "action": "run" }), vec!["`run`", "`command` is missing"]),
        (json!({ "action": "run", "args": [] }), vec!["`args`"]),
        (json!({ "action": "run", "args": { "command": 1 } }), vec!["`command`", "string"]),
        (
            json!({ "action": "read", "args": { "path": "a", "start": "1" } }),
            vec!["`start`", "i64"],
        ),
        (
            json!({ "action": "change_agent_state", "args": { "agent_state": "asleep" } }),
            vec!["`agent_state`", "asleep"],
        ),
        (json!({ "action": "condensation", "args": {} }), vec!["forgotten_event_ids"]),
        (
            json!({ "action": "condensation",
                "args": { "forgotten_event_ids": [1], "summary": "s" } }),
            vec!["summary_offset"],
        ),
    ] {
        check(&value, "action.malformed", &words);
    }
}

#[test]
fn a_limit_is_whole_seconds_within_a_day() {
    for timeout in [json!(0), json!(-1), json!(86_401), json!(1.5), json!("5"), json!(true)] {
        let value = json!({ "action": "null", "timeout": timeout });
        check(&value, "action.malformed", &["86400"]);
    }
    for timeout in [1, 86_400] {
        let value = json!({ "action": "null", "timeout": timeout });
        assert_eq!(Action::from_client(&value).unwrap().timeout, Some(timeout));
    }
    let value = json!({ "action": "null", "timeout": null });
    assert_eq!(Action::from_client(&value).unwrap().timeout, None);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    for (name, near) in [
        ("runn", "`run`"),
        ("run_python", "`run_ipython`"),
        ("Message", "`message`"),
        ("browse_inter", "`browse_interactive`"),
        ("", "known are"),
        ("zzzzzzzzzzzzzzzz", "known are"),
    ] {
        check(&json!({ "action": name }), "action.unknown", &[near]);
    }
}

#[test]
fn an_unknown_field_is_named_with_the_nearest() {
    let args = json!({ "command": "ls", "comand": "ls" });
    check(
        &json!({ "action": "run", "args": args }),
        "action.unknown_field",
        &["`comand`", "did you mean `command`"],
    );
    check(
        &json!({ "action": "null", "args": { "x": 1 } }),
        "action.unknown_field",
        &["`x`", "it has none"],
    );
    check(
        &json!({ "action": "run", "command": "ls" }),
        "action.unknown_field",
        &["`command`", "go into `args`"],
    );
}

#[test]
fn a_name_that_is_taken_from_nobody_is_answered_with_what_to_send() {
    for (name, instead) in [
        ("initialize", "WebSocket"),
        ("start", "change_agent_state"),
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
        ("push", "git push"),
        ("send_pr", "run"),
        ("summarize", "message"),
    ] {
        check(&json!({ "action": name, "args": {} }), "action.unsupported", &[instead]);
    }
}

#[test]
fn a_reason_does_not_grow_with_what_was_sent() {
    let long = "é".repeat(1 << 20);
    for value in [
        json!({ "action": long }),
        json!({ "action": "run", "args": { "command": "a", &long: 1 } }),
        json!({ "action": "run", "args": { "command": { "a": long } } }),
        json!({ "action": "read", "args": { "path": "a", "start": long } }),
        json!({ "action": "run", "args": { "command": "a" }, &long: 1 }),
    ] {
        let rejected = Action::from_client(&value).unwrap_err();
        assert!(rejected.reason.len() < 1000, "{}", rejected.reason.len());
    }
}
