//! The editor's commands as actions on a real runner.

mod common;

use common::{Line, Runner};
use serde_json::{Value, json};
use staithe_protocol::{Action, Observation};

fn action(name: &str, args: &Value) -> Action {
    serde_json::from_value(json!({ "action": name, "args": args })).expect("an action")
}

async fn said(line: &mut Line, name: &str, args: Value) -> String {
    line.act(action(name, &args)).await.content().into_owned()
}

#[tokio::test]
async fn files_are_made_changed_viewed_and_changed_back() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let path = "/workspace/f";
    let made = json!({ "path": path, "command": "create", "file_text": "a\n" });
    assert_eq!(said(&mut line, "edit", made).await, "File created successfully at: /workspace/f");
    let insert = json!({ "path": path, "command": "insert", "insert_line": 0, "new_str": "b" });
    let inserted = said(&mut line, "edit", insert).await;
    assert!(inserted.contains("     1\tb\n     2\ta\n"), "{inserted}");
    let view = json!({ "path": path, "impl_source": "oh_aci", "view_range": [1, 1] });
    assert_eq!(
        said(&mut line, "read", view).await,
        "Here's the result of running `cat -n` on /workspace/f:\n     1\tb\n"
    );
    let undone = said(&mut line, "edit", json!({ "path": path, "command": "undo_edit" })).await;
    assert!(undone.starts_with("Last edit to /workspace/f undone successfully. "), "{undone}");
    assert_eq!(std::fs::read_to_string(runner.workspace().join("f")).unwrap(), "a\n");
}

#[tokio::test]
async fn relative_paths_are_refused_with_what_was_meant() {
    let runner = Runner::start().await;
    let work = runner.workspace();
    std::fs::create_dir(work.join("d")).unwrap();
    std::fs::write(work.join("d/f"), "x").unwrap();
    let mut line = runner.line().await;
    assert_eq!(line.run("cd d").await.exit_code, 0);
    let refused = said(&mut line, "edit", json!({ "path": "f", "command": "view" })).await;
    let meant = work.join("d/f");
    assert!(refused.ends_with(&format!("Maybe you meant {}?", meant.display())), "{refused}");
}

#[tokio::test]
async fn an_edit_of_lines_is_not_for_the_sandbox() {
    let runner = Runner::start().await;
    let mut line = runner.line().await;
    let edit = action("edit", &json!({ "path": "/workspace/f", "content": "x" }));
    match line.act(edit).await {
        Observation::Error(error) => assert_eq!(error.error_id, "AGENT_ERROR$BAD_ACTION"),
        other => panic!("not refused: {other:?}"),
    }
}
