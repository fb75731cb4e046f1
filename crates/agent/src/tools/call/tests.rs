//! Calls as models make them, well and badly.

use super::*;
use crate::tools::McpTool;

fn all() -> Offer {
    let tool = |name: &str| McpTool {
        name: name.to_owned(),
        description: String::new(),
        schema: Value::Null,
    };
    Offer { python: true, browser: true, delegate: true, mcp: vec![tool("fetch"), tool("think")] }
}

fn call(name: &str, arguments: &str) -> Result<Called, Misread> {
    let call =
        ToolCall { id: "c".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() };
    read_call(&call, &all())
}

#[track_caller]
fn args(name: &str, arguments: &Value) -> (String, Value) {
    let action = call(name, &arguments.to_string()).unwrap().action;
    let wire = serde_json::to_value(&action).unwrap();
    (wire["action"].as_str().unwrap().to_owned(), wire["args"].clone())
}

#[track_caller]
fn refused(name: &str, arguments: &str) -> String {
    call(name, arguments).unwrap_err().to_string()
}

#[test]
fn commands_are_read_with_flags_and_limits_in_every_form() {
    for (arguments, is_input, timeout, risk) in [
        (json!({ "command": "ls", "security_risk": "LOW" }), false, None, Some(0)),
        (json!({ "command": "y", "is_input": "true" }), true, None, None),
        (json!({ "command": "y", "is_input": true, "security_risk": "high" }), true, None, Some(2)),
        (json!({ "command": "", "is_input": "False", "timeout": null }), false, None, None),
        (json!({ "command": "make", "timeout": 0.5 }), false, Some(1), None),
        (
            json!({ "command": "make", "timeout": "600", "security_risk": "MEDIUM" }),
            false,
            Some(600),
            Some(1),
        ),
    ] {
        let called = call("execute_bash", &arguments.to_string()).unwrap();
        let Action::Run(run) = &called.action else { panic!("{called:?}") };
        assert_eq!(run.command, arguments["command"].as_str().unwrap());
        assert_eq!((run.is_input, called.timeout, called.risk), (is_input, timeout, risk));
        assert_eq!((run.security_risk, run.blocking), (risk, timeout.is_some()), "{arguments}");
    }
}

#[test]
fn the_editor_s_commands_are_in_the_form_of_the_runner() {
    let (action, view) = args(
        "str_replace_editor",
        &json!({ "command": "view", "path": "/w/f", "view_range": ["1", 20], "security_risk": "LOW" }),
    );
    assert_eq!((action.as_str(), &view["impl_source"]), ("read", &json!("oh_aci")));
    assert_eq!((&view["view_range"], &view["path"]), (&json!([1, 20]), &json!("/w/f")));
    let (_, view) = args(
        "str_replace_editor",
        &json!({ "command": "view", "path": "/w", "view_range": "[3, -1]" }),
    );
    assert_eq!(view["view_range"], json!([3, -1]));
    for (arguments, key, value) in [
        (json!({ "command": "create", "file_text": "" }), "file_text", json!("")),
        (json!({ "command": "str_replace", "old_str": "a" }), "new_str", Value::Null),
        (
            json!({ "command": "insert", "insert_line": "0", "new_str": "x" }),
            "insert_line",
            json!(0),
        ),
        (json!({ "command": "undo_edit" }), "command", json!("undo_edit")),
    ] {
        let mut arguments = arguments;
        arguments["path"] = "/w/f".into();
        let (action, edit) = args("str_replace_editor", &arguments);
        assert_eq!((action.as_str(), &edit["impl_source"]), ("edit", &json!("oh_aci")));
        assert_eq!(edit[key], value, "{arguments}");
        assert_eq!(edit["command"], arguments["command"]);
    }
}

#[test]
fn the_other_tools_become_their_actions() {
    let made = |name: &str, arguments: &Value| args(name, arguments).0;
    assert_eq!(made("execute_ipython_cell", &json!({ "code": "1" })), "run_ipython");
    let (action, browse) = args("browser", &json!({ "code": "noop()" }));
    assert_eq!((action.as_str(), &browse["return_axtree"]), ("browse_interactive", &json!(true)));
    assert_eq!(made("web_read", &json!({ "url": "https://a.example" })), "browse");
    assert_eq!(made("think", &json!({ "thought": "t" })), "think");
    assert_eq!(args("finish", &json!({ "message": "m" })).1["final_thought"], "m");
    let (_, delegate) = args("delegate", &json!({ "task": "find it" }));
    assert_eq!(delegate["inputs"], json!({ "task": "find it" }));
    assert_eq!(call("request_condensation", "").unwrap().action, Action::CondensationRequest);
    let (_, tasks) = args(
        "task_tracker",
        &json!({ "command": "plan", "task_list": [{ "id": 1, "title": "a" }, { "title": "b", "status": "done", "notes": "n" }] }),
    );
    assert_eq!(
        tasks["task_list"],
        json!([
            { "id": "1", "title": "a", "status": "todo", "notes": "" },
            { "id": "2", "title": "b", "status": "done", "notes": "n" },
        ])
    );
    let (action, mcp) = args("fetch", &json!({ "anything": [1] }));
    assert_eq!(
        (action.as_str(), &mcp["arguments"]),
        ("call_tool_mcp", &json!({ "anything": [1] }))
    );
    assert_eq!(args("mcp_think", &json!({})).1["name"], "think");
}

#[test]
fn what_is_wrong_with_a_call_is_named() {
    for (name, arguments, words) in [
        ("execute_bash", "{", "not a JSON object"),
        ("execute_bash", "[]", "not a JSON object"),
        ("execute_bash", "{}", "needs the argument `command`"),
        ("execute_bash", r#"{"command":1}"#, "`command` of `execute_bash` must be a text"),
        ("execute_bash", r#"{"command":"x","cwd":"/"}"#, "no argument `cwd`"),
        ("execute_bash", r#"{"command":"x","timeout":0}"#, "from 1 to 86400"),
        ("execute_bash", r#"{"command":"x","timeout":"1e99"}"#, "from 1 to 86400"),
        ("execute_bash", r#"{"command":"x","is_input":"maybe"}"#, "`true` or `false`"),
        ("execute_bash", r#"{"command":"x","security_risk":"NONE"}"#, "`LOW`, `MEDIUM` or `HIGH`"),
        ("str_replace_editor", r#"{"command":"open","path":"/f"}"#, "`undo_edit`"),
        ("str_replace_editor", r#"{"command":"view"}"#, "needs the argument `path`"),
        ("str_replace_editor", r#"{"command":"create","path":"/f"}"#, "`file_text` for `create`"),
        ("str_replace_editor", r#"{"command":"insert","path":"/f","new_str":""}"#, "`insert_line`"),
        (
            "str_replace_editor",
            r#"{"command":"insert","path":"/f","insert_line":1.5}"#,
            "whole number",
        ),
        ("str_replace_editor", r#"{"command":"view","path":"/f","view_range":[1]}"#, "[1, 40]"),
        ("task_tracker", r#"{"command":"plan"}"#, "`task_list` for `plan`"),
        ("task_tracker", r#"{"command":"plan","task_list":[{"status":"todo"}]}"#, "`title`"),
        (
            "task_tracker",
            r#"{"command":"plan","task_list":[{"title":"t","status":"x"}]}"#,
            "`status`",
        ),
        ("task_tracker", r#"{"command":"drop"}"#, "`view` or `plan`"),
        ("delegate", r#"{"task":" "}"#, "what is to be done"),
        ("request_condensation", r#"{"x":1}"#, "no argument `x`"),
    ] {
        let said = refused(name, arguments);
        assert!(said.contains(words), "{name} {arguments}: {said}");
    }
    let many = json!({ "command": "plan", "task_list": vec![json!({ "title": "t" }); 101] });
    assert!(refused("task_tracker", &many.to_string()).contains("at most 100"));
}

#[test]
fn an_unknown_tool_is_answered_with_the_nearest() {
    for (name, nearest) in [
        ("bash", Some("execute_bash")),
        ("execute_Bash", Some("execute_bash")),
        ("str_replace_based_edit", None),
        ("fetsh", Some("fetch")),
        ("finishh", Some("finish")),
        ("", None),
        ("rm", None),
    ] {
        match call(name, "{}") {
            Err(Misread::UnknownTool { nearest: found, .. }) => {
                assert_eq!(found.as_deref(), nearest, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let key = "k".repeat(164);
    let strange = json!({ (key.clone()): 1 }).to_string();
    for said in [refused(&key, "{}"), refused("think", &strange)] {
        assert!(said.contains("(a name of 164 characters)") && !said.contains("kkk"), "{said}");
    }
    let said = refused("bash", "{}");
    assert!(said.contains("Did you mean `execute_bash`?") && said.contains("mcp_think"), "{said}");
    let call = ToolCall { id: String::new(), name: "web_read".into(), arguments: "{}".into() };
    let none = read_call(&call, &Offer::default());
    assert!(matches!(none, Err(Misread::UnknownTool { .. })), "not offered, not known");
}
