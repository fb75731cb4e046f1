//! Each tool, as the model calls it and as it is answered.

use serde_json::{Value, json};
use staithe_testkit::model::{Asked, Step};

use crate::scene::{
    Act::{Say, See},
    Scene, bash, finish, play,
};

fn edit(arguments: &Value) -> Step {
    let mut all = json!({ "path": "/workspace/boat.txt", "security_risk": "LOW" });
    for (name, value) in arguments.as_object().unwrap() {
        all[name] = value.clone();
    }
    Step::call("str_replace_editor", &all)
}

fn offered(asked: &Asked) -> Vec<&str> {
    let tools = asked.body["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

/// The last result of a tool that the model was told.
fn told(asked: &[Asked], number: usize) -> String {
    asked[number].last_text()
}

#[expect(clippy::too_many_lines, reason = "a table of scenes")]
#[tokio::test]
async fn each_tool_answers() {
    let tasks = json!([{ "id": "1", "title": "sail", "status": "todo", "notes": "" }]);
    let scenes = vec![
        Scene {
            name: "the shell, with input",
            steps: vec![
                bash("read word; echo got-$word"),
                Step::call(
                    "execute_bash",
                    &json!({ "command": "harbour", "is_input": "true", "security_risk": "LOW" }),
                ),
                finish(),
            ],
            log: "BEGIN | a run read word; echo got-$word | = run -1 | a run harbour | = run 0 | a finish | [finished]",
            look: |asked, _| assert!(told(asked, 2).contains("got-harbour"), "{}", told(asked, 2)),
            ..Scene::default()
        },
        Scene {
            name: "the shell, with a limit that passes, and a key that ends it",
            steps: vec![
                Step::call(
                    "execute_bash",
                    &json!({ "command": "sleep 60", "timeout": 1, "security_risk": "LOW" }),
                ),
                Step::call(
                    "execute_bash",
                    &json!({ "command": "C-c", "is_input": "true", "security_risk": "LOW" }),
                ),
                bash("echo free"),
                finish(),
            ],
            log: "BEGIN | a run sleep 60 | = run -1 | a run C-c | = run 130 | a run echo free | = run 0 | \
                  a finish | [finished]",
            ..Scene::default()
        },
        Scene {
            name: "the editor",
            steps: vec![
                edit(&json!({ "command": "create", "file_text": "one\ntwo\n" })),
                edit(&json!({ "command": "str_replace", "old_str": "two", "new_str": "three" })),
                edit(&json!({ "command": "insert", "insert_line": 1, "new_str": "half" })),
                edit(&json!({ "command": "undo_edit" })),
                edit(&json!({ "command": "str_replace", "old_str": "nowhere", "new_str": "x" })),
                edit(&json!({ "command": "view", "view_range": [1, 2] })),
                finish(),
            ],
            log: "BEGIN | a edit create | = edit | a edit str_replace | = edit | a edit insert | = edit | \
                  a edit undo_edit | = edit | a edit str_replace | = edit | a read | = read | \
                  a finish | [finished]",
            look: |asked, _| {
                assert!(told(asked, 5).contains("nowhere"), "{}", told(asked, 5));
                let view = told(asked, 6);
                assert!(
                    view.contains("one") && view.contains("three") && !view.contains("half"),
                    "{view}"
                );
            },
            ..Scene::default()
        },
        Scene {
            name: "what the agent does for itself",
            steps: vec![
                Step::call("think", &json!({ "thought": "hm" })),
                Step::call("task_tracker", &json!({ "command": "plan", "task_list": tasks })),
                Step::call("task_tracker", &json!({ "command": "view" })),
                finish(),
            ],
            log: "BEGIN | a think | = think | a task_tracking plan | = task_tracking | a task_tracking view | \
                  = task_tracking | a finish | [finished]",
            look: |asked, _| assert!(told(asked, 3).contains("[todo] sail"), "{}", told(asked, 3)),
            ..Scene::default()
        },
        Scene {
            name: "a delegate works and reports",
            steps: vec![
                Step::call("delegate", &json!({ "task": "count the boats" })),
                bash("echo 3"),
                Step::call("finish", &json!({ "message": "three boats" })),
                finish(),
            ],
            acts: vec![Say("Do it"), See("[finished]")],
            log: "BEGIN | a delegate | a run echo 3 | = run 0 | a finish | = delegate | a finish | [finished]",
            look: |asked, _| {
                assert!(asked[1].first_user().contains("count the boats"), "{}", asked[1].body);
                assert!(!offered(&asked[1]).contains(&"delegate"), "one deep");
                assert!(told(asked, 3).contains("three boats"), "{}", told(asked, 3));
            },
            ..Scene::default()
        },
        Scene {
            name: "the agent asks for a condensation",
            steps: (0..6)
                .map(|number| bash(&format!("echo {number}")))
                .chain([
                    Step::call("request_condensation", &json!({})),
                    Step::text("We counted boats."),
                    finish(),
                ])
                .collect(),
            log: "BEGIN | a run echo 0 | = run 0 | a run echo 1 | = run 0 | a run echo 2 | = run 0 | a run echo 3 | \
                  = run 0 | a run echo 4 | = run 0 | a run echo 5 | = run 0 | a condensation_request | = condense | \
                  a condensation | a finish | [finished]",
            look: |asked, _| {
                let last = asked.last().unwrap().body.to_string();
                assert!(last.contains("We counted boats.") && !last.contains("echo 3"), "{last}");
            },
            ..Scene::default()
        },
        Scene {
            name: "what there is no plugin for is not offered",
            steps: vec![
                Step::call("execute_ipython_cell", &json!({ "code": "1", "security_risk": "LOW" })),
                finish(),
            ],
            log: "BEGIN | ! BAD_TOOL_CALL | a finish | [finished]",
            look: |asked, _| {
                let mut names = offered(&asked[0]);
                names.sort_unstable();
                let wanted = [
                    "delegate",
                    "execute_bash",
                    "finish",
                    "request_condensation",
                    "str_replace_editor",
                    "task_tracker",
                    "think",
                ];
                assert_eq!(names, wanted);
            },
            ..Scene::default()
        },
        Scene {
            name: "several calls in one answer",
            steps: vec![
                bash("echo 1")
                    .and_call("think", r#"{"thought":"two"}"#)
                    .and_call("execute_bash", r#"{"command":"echo 3","security_risk":"LOW"}"#),
                finish(),
            ],
            log: "BEGIN | a run echo 1 | = run 0 | a think | = think | a run echo 3 | = run 0 | a finish | [finished]",
            look: |asked, _| {
                let results = asked[1].turns().iter().filter(|turn| turn["role"] == "tool").count();
                assert_eq!((asked.len(), results), (2, 3));
            },
            ..Scene::default()
        },
    ];
    play(scenes, "[sandbox]\nno_change_timeout = \"1s\"\n").await;
}
