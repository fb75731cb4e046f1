//! The line between server and runner: keys, calls, cuts, and the requests beside it.

mod common;

use common::{KEY, Runner, blocking, check, input, limits};
use futures_util::SinkExt as _;
use hyper::Method;
use serde_json::{Value, json};
use staithe_protocol::{
    Action, Observation,
    runner::{Answer, Call, FromRunner, KEY_HEADER},
};

fn act(key: &str, command: &str) -> Call {
    Call::Act { key: key.into(), action: blocking(command), limits: limits(), source: None }
}

#[tokio::test]
async fn only_the_right_key_opens_anything() {
    let runner = Runner::start().await;
    let paths = [
        (Method::GET, "/link"),
        (Method::POST, "/execute_action"),
        (Method::POST, "/list_files"),
        (Method::GET, "/files/content?path=a"),
        (Method::PUT, "/files/content?path=a"),
        (Method::GET, "/output?key=a"),
        (Method::GET, "/nothing"),
    ];
    for (method, path) in paths {
        for key in ["", "wrong", "the key of this sessio", "the key of this session "] {
            let (status, _, body) =
                runner.http(method.clone(), path, &[(KEY_HEADER, key)], "{}").await;
            // A header's blanks at the end are not part of it.
            if key.trim_end() == KEY {
                assert_ne!(status, 403, "{path}");
            } else {
                assert_eq!(status, 403, "{path} {key}");
                assert_eq!(&body[..], br#"{"detail":"Invalid API Key"}"#);
            }
        }
        let (status, ..) = runner.http(method, path, &[], "").await;
        assert_eq!(status, 403, "{path}");
    }
    let (status, _, body) = runner.http(Method::GET, "/alive", &[], "").await;
    assert_eq!((status.as_u16(), &body[..]), (200, br#"{"status":"ok"}"#.as_slice()));
    let (status, _, body) = runner.http(Method::GET, "/server_info", &[], "").await;
    let info: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200);
    assert!(info["uptime"].is_f64() && info["resources"]["memory"]["rss"].is_u64(), "{info}");
}

#[tokio::test]
async fn a_key_runs_its_action_once_also_across_a_cut_line() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let epoch = line.hello.epoch.clone();
    assert_eq!(line.hello.workspace, runner.workspace().to_str().unwrap());
    let id = line.begin(act("k1", "echo once >> count; cat count")).await;
    check(&line.ran(id).await, 0, "once");
    line.begin(act("k2", "echo go; read x; echo more >> count; echo $x")).await;
    line.output_contains("go").await;
    drop(line);

    let mut line = runner.line().await;
    assert_eq!(line.hello.epoch, epoch);
    assert_eq!(line.hello.known_keys, ["k1", "k2"]);
    let id = line.begin(act("k1", "echo once >> count; cat count")).await;
    check(&line.ran(id).await, 0, "once");
    let waiting = [line.begin(act("k2", "")).await, line.begin(act("k2", "")).await];
    let call =
        Call::Act { key: "k3".into(), action: input("typed"), limits: limits(), source: None };
    line.begin(call).await;
    for id in waiting {
        check(&line.ran(id).await, 0, "go\ntyped");
    }
    check(&line.run("cat count").await, 0, "once\nmore");
}

#[tokio::test]
async fn a_call_that_is_no_longer_wanted_is_not_answered_and_its_action_goes_on() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let id = line.begin(act("k", "echo go; read x; touch done")).await;
    line.output_contains("go").await;
    line.say(&json!({ "type": "cancel", "id": id }).to_string()).await;
    assert!(line.info().await.busy);
    line.type_in("").await;
    assert!(runner.workspace().join("done").exists());
    let id = line.begin(act("k", "")).await;
    check(&line.ran(id).await, 0, "go");
}

#[tokio::test]
async fn every_open_line_gets_the_output_and_its_own_answers() {
    let runner = Runner::start().await;
    let (mut one, mut other) = (runner.line().await, runner.line().await);
    let id = one.begin(act("k", "echo for all")).await;
    check(&one.ran(id).await, 0, "for all");
    other.output_contains("for all\n").await;
    for line in [&one, &other] {
        let output = &line.outputs[0];
        assert_eq!((output.key.as_deref(), output.offset, output.skipped), (Some("k"), 0, 0));
    }
}

#[tokio::test]
async fn bad_words_are_refused_and_the_line_goes_on() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    for (text, number) in [
        ("no json", 0),
        (r#"{"type":"request","id":7,"call":"unheard"}"#, 7),
        (
            r#"{"type":"request","id":8,"call":"act","key":"k","action":{"action":"run","args":{}},"limits":{"timeout_ms":1,"no_change_ms":1,"max_output":1}}"#,
            8,
        ),
        (r#"{"type":"request","id":9,"call":"file","op":{"op":"eat","path":"x"}}"#, 9),
    ] {
        line.say(text).await;
        match line.receive().await {
            FromRunner::Answer { id, answer: Answer::Failed { error } } => {
                assert_eq!((id, error.code.as_str()), (number, "bad_request"), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let binary = tokio_tungstenite::tungstenite::Message::binary(vec![0, 1]);
    line.socket.send(binary).await.unwrap();
    assert!(matches!(line.receive().await, FromRunner::Answer { id: 0, .. }));
    check(&line.run("echo on").await, 0, "on");
}

#[tokio::test]
async fn an_action_that_no_sandbox_carries_out_is_an_error() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let tool = json!({ "action": "call_tool_mcp", "args": { "name": "x" } });
    let action: Action = serde_json::from_value(tool).unwrap();
    match line.act(action).await {
        Observation::Error(error) => assert_eq!(error.error_id, "AGENT_ERROR$BAD_ACTION"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_references_clients_are_served() {
    let runner = Runner::start().await;
    let action = json!({ "action": { "action": "run", "args": { "command": "mkdir D; touch b A .c; ln -s D l; echo hi; (exit 2)" } }, "timeout": 20 });
    let (status, answer) = runner.post("/execute_action", &action).await;
    assert_eq!(status, 200);
    assert_eq!(answer["observation"], "run");
    assert_eq!((&answer["content"], &answer["extras"]["exit_code"]), (&json!("hi"), &json!(2)));
    let (status, answer) = runner.post("/execute_action", &json!({})).await;
    assert_eq!((status.as_u16(), &answer["detail"]), (422, &json!("Invalid request parameters")));
    for bad in [
        json!({ "action": { "action": "unheard" } }),
        json!({ "action": { "action": "run", "args": { "command": "x" } }, "timeout": -1 }),
    ] {
        let (status, answer) = runner.post("/execute_action", &bad).await;
        assert_eq!(status, 400, "{bad}");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    let (_, names) = runner.post("/list_files", &json!({ "path": null })).await;
    assert_eq!(names, json!(["D/", "l/", ".c", "A", "b"]));
    let (_, names) = runner.post("/list_files", &json!({ "path": "none" })).await;
    assert_eq!(names, json!([]));
    let (_, names) = runner.post("/list_files", &json!({ "path": "/etc" })).await;
    assert_eq!(names, json!([]));
}

#[tokio::test]
async fn the_socket_is_for_one_user_and_replaces_a_stale_one() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut runner = Runner::start().await;
    let socket = runner.dir.path().join("socket/runner.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    runner.terminate().await;
    assert!(socket.exists(), "nobody took it away");
    let mut again = common::spawn(runner.dir.path(), |_| {});
    common::eventually("the new socket answers", async || {
        tokio::net::UnixStream::connect(&socket).await.ok()
    })
    .await;
    again.kill().unwrap();
    again.wait().unwrap();
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_staithe-runner"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["--help"]).0, Some(0));
    for wrong in [["serve", "--port"], ["serve", "--key-stdin"], ["unheard", "of"]] {
        let (code, words) = run(&wrong);
        assert_eq!(code, Some(64));
        assert!(words.contains("--help") && words.lines().count() == 1, "{words}");
    }
}
