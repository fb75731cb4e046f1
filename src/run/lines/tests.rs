//! Events and their lines.

use serde_json::json;

use super::*;

fn shown(event: &Value) -> Vec<String> {
    of(event, None, 50).into_iter().map(|line| line.text).collect()
}

fn ran(code: i64, content: &str) -> Value {
    json!({ "source": "agent", "observation": "run", "content": content,
            "extras": { "exit_code": code, "metadata": { "exit_code": code } } })
}

#[test]
fn each_tool_is_a_line_with_its_object() {
    let of = |action: &str, args: Value| {
        shown(&json!({ "source": "agent", "action": action, "args": args }))
    };
    assert_eq!(of("run", json!({ "command": "ls\npwd" })), ["● run  ls …"]);
    assert_eq!(of("run", json!({ "command": "C-c", "is_input": true })), ["● input  C-c"]);
    assert_eq!(of("run", json!({ "command": "" })), ["● wait  for the command's output"]);
    assert_eq!(of("run_ipython", json!({ "code": "1 + 1" })), ["● python  1 + 1"]);
    let edit = json!({ "path": "/w/a.rs", "command": "str_replace" });
    assert_eq!(of("edit", edit), ["● edit  /w/a.rs (str_replace)"]);
    assert_eq!(of("think", json!({ "thought": "hm" })), ["  hm"]);
    let mcp = json!({ "name": "find", "arguments": { "q": 1 } });
    assert_eq!(of("call_tool_mcp", mcp), ["● tool  find {\"q\":1}"]);
    assert_eq!(
        of("finish", json!({ "final_thought": "All is done." })),
        ["✓ finished", "All is done."]
    );
    assert_eq!(of("system", json!({ "content": "You are …" })), Vec::<String>::new());
}

#[test]
fn a_commands_end_is_told_with_the_last_of_its_output() {
    assert_eq!(shown(&ran(0, "")), ["  ✓ exit 0"]);
    assert_eq!(
        shown(&ran(0, "1\n2\n3\n4\n5\n")),
        ["  │ … 2 lines above", "  │ 3", "  │ 4", "  │ 5", "  ✓ exit 0"]
    );
    assert_eq!(
        shown(&ran(2, "\x1b[31m  no such file\x1b[0m\n")),
        ["  │   no such file", "  ✗ exit 2"]
    );
    assert_eq!(shown(&ran(-1, "")), ["  ✓ still running"]);
    let many = (0..1500).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(shown(&ran(1, &many))[0], "  │ … 1 488 lines above");
}

#[test]
fn what_is_asked_about_says_why_and_is_not_shown_twice() {
    let event = |state: &str| {
        json!({
            "source": "agent", "action": "run",
            "args": { "command": "sudo rm x", "thought": "I clean up.", "confirmation_state": state,
                      "security_risk": 2 },
            "tool_call_metadata": { "confirmation": { "kinds": ["k"], "rules": ["privileges"] } },
        })
    };
    let asked = event("awaiting_confirmation");
    assert_eq!(shown(&asked), ["? run  sudo rm x", "  risk: high (privileges)"]);
    assert_eq!(said(&asked), "I clean up.");
    assert_eq!(decided(&event("confirmed"))[0].text, "  approved");
    assert_eq!(decided(&event("rejected")), []);
    assert_eq!(shown(&event("rejected")), Vec::<String>::new());
}

#[test]
fn limits_retries_errors_and_faults_are_told() {
    let observed = |name: &str, content: &str, extras: Value| {
        shown(
            &json!({ "source": "environment", "observation": name, "content": content, "extras": extras }),
        )
    };
    let state = json!({ "agent_state": "paused", "reason": "limit.steps" });
    assert_eq!(observed("agent_state_changed", "", state), ["⏸ the limit of steps is reached"]);
    let retry = json!({ "attempt": 2, "most": 8, "wait_ms": 5000, "code": "model.rate_limited" });
    let words = "↻ the provider takes no more requests now; asked again in 5.0 s (2 of 8)";
    assert_eq!(observed("model_retry", "", retry), [words]);
    assert_eq!(observed("error", "Bad key.\nDetails", json!({})), ["  ✗ Bad key.", "    Details"]);
    let fault = json!({ "phase": "failed", "fault": { "cause": "No room.", "remedy": "Make room.", "log_tail": ["x"] } });
    assert_eq!(
        observed("phase_changed", "", fault),
        ["✗ there is no sandbox", "  No room.", "  Make room.", "  │ x"]
    );
    let cloned =
        json!({ "state": "cloned", "folder": "project", "url": "u", "commit": "0123456789abcdef" });
    assert_eq!(observed("repository", "", cloned), ["· cloned in project/ at 0123456789"]);
}

#[test]
fn an_unknown_event_is_passed_over_and_none_breaks_it() {
    for event in [
        json!({}),
        json!(7),
        json!({ "action": "novel" }),
        json!({ "observation": "novel", "extras": 3 }),
    ] {
        assert_eq!(shown(&event), Vec::<String>::new());
    }
    for width in [0, 1, 8] {
        of(&ran(1, "some words of output"), Some(5), width);
        of(
            &json!({ "source": "user", "action": "message", "args": { "content": "hello there" } }),
            None,
            width,
        );
        of(
            &json!({ "source": "agent", "action": "run", "args": { "command": "ls" } }),
            None,
            width,
        );
    }
}
