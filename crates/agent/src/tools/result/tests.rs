//! Each observation as the model reads it.

use serde_json::json;
use staithe_protocol::observation::{ErrorObservation, RunMetadata};

use super::*;

#[track_caller]
fn told(name: &str, content: &str, extras: &Value) -> ToolText {
    let wire = json!({ "observation": name, "content": content, "extras": extras });
    result_of(&serde_json::from_value(wire).unwrap(), 1_000)
}

fn run(content: &str, exit_code: i64, suffix: &str) -> Observation {
    let metadata = RunMetadata {
        exit_code,
        working_dir: Some("/workspace".into()),
        py_interpreter_path: Some("/usr/bin/python3".into()),
        suffix: suffix.into(),
        ..RunMetadata::default()
    };
    let run = RunObservation { content: content.into(), exit_code, metadata, ..Default::default() };
    Observation::Run(run)
}

#[test]
fn a_command_is_told_with_its_end_and_its_place() {
    assert_eq!(
        result_of(&run("a.py\n", 0, ""), 100).text,
        "a.py\n[Current working directory: /workspace]\n[Python interpreter: /usr/bin/python3]\n[Command finished with exit code 0]"
    );
    let still =
        result_of(&run("", -1, "[The command has no new output after 10 seconds.]"), 100).text;
    assert!(still.starts_with("[The command has no new output"), "{still}");
    assert!(!still.contains("exit code"), "{still}");
    assert!(result_of(&run("x", -1, ""), 100).text.contains("goes on running"));
    let cut = Observation::Run(RunObservation {
        content: "a\n[... Observation truncated due to length ...]\nb".into(),
        total_bytes: Some(99_999),
        ..RunObservation::default()
    });
    assert!(result_of(&cut, 1_000).text.contains("99999 bytes in all; to see all of it"));
    let ended = result_of(&run("x", 3, "[The command completed with exit code 3.]"), 100).text;
    assert_eq!(ended.matches("exit code").count(), 1, "{ended}");
    let old =
        told("run", "x", &json!({ "command": "ls", "exit_code": 2, "interpreter_details": "$ " }));
    assert_eq!(old.text, "x\n$\n[Command finished with exit code 2]");
}

#[test]
fn of_long_output_head_and_tail_are_told_and_where_the_rest_is() {
    let long = format!("HEAD{}TAIL", "ä".repeat(5_000));
    let text = result_of(&run(&long, 0, ""), 100).text;
    assert!(text.starts_with("HEAD") && text.contains("TAIL\n[Current"), "{text}");
    assert!(text.contains("4908 of 5008 characters are left out"), "{text}");
    assert!(text.contains("in a file"), "{text}");
    assert!(text.chars().count() < 450);
    assert_eq!(clip("abc", 3, None), "abc");
    assert_eq!(clip("äöü", 3, None), "äöü");
    assert_eq!(clip("abcde", 0, None), "\n[… 5 of 5 characters are left out here …]\n");
}

#[test]
fn faults_and_refusals_say_what_they_are() {
    let error =
        Observation::Error(ErrorObservation { content: "no".into(), error_id: String::new() });
    assert_eq!(result_of(&error, 9).text, "no\n[Error occurred in processing last action]");
    let rejected = told("user_rejected", "Rejected: too risky.", &json!({}));
    assert_eq!(rejected.text, "Rejected: too risky.\n[Last action has been rejected by the user]");
    assert_eq!(told("think", "", &json!({})).text, "[No output.]");
}

#[test]
fn a_page_is_told_with_its_address_its_fault_and_its_picture() {
    let page = told(
        "browse",
        "no element 9\n\nwords\n[12] button 'Save'",
        &json!({
            "url": "https://a.example/", "error": true, "last_browser_action": "click('9')",
            "last_browser_action_error": "no element 9", "screenshot": "iVBORw0KGgo",
            "open_pages_urls": ["https://a.example/", "https://b.example/"], "active_page_index": 0,
            "focused_element_bid": "4",
        }),
    );
    assert_eq!(
        page.text,
        "[Page: https://a.example/]\n[Open pages]\n0: https://a.example/ (shown)\n1: https://b.example/\n[The browser's action failed: click('9')]\nno element 9\n[Focused element: 4]\nwords\n[12] button 'Save'"
    );
    assert_eq!(page.images, [Image("data:image/png;base64,iVBORw0KGgo".into())]);
    let url = "data:image/png;base64,x";
    let page = told("browse", "w", &json!({ "url": "", "screenshot": url }));
    assert_eq!((page.text.as_str(), page.images), ("w", vec![Image(url.into())]));
}

#[test]
fn cells_and_tools_give_pictures_apart_from_their_text() {
    let png = format!("iVBORw0KGgo{}", "A".repeat(400));
    let cell = told(
        "run_ipython",
        &format!("1\n{png}\n[Jupyter current working directory: /w]"),
        &json!({ "code": "1", "image_urls": ["data:image/png;base64,x"] }),
    );
    assert!(!cell.text.contains("iVBOR") && cell.text.contains("/w]"), "{}", cell.text);
    assert_eq!(cell.images.len(), 1);
    let parts = json!({
        "content": [{ "type": "text", "text": "t" }, { "type": "image", "data": "x", "mimeType": "image/gif" }],
        "isError": true,
    });
    let mcp = told("mcp", &parts.to_string(), &json!({ "name": "n", "arguments": {} }));
    assert_eq!(mcp.text, "t\n[A picture]\n[The tool says that this is an error]");
    assert_eq!(mcp.images, [Image("data:image/gif;base64,x".into())]);
    assert_eq!(told("mcp", "plain", &json!({ "name": "n" })).text, "plain");
}

#[test]
fn edits_lists_reports_and_knowledge_are_told_in_words() {
    let edit = told("edit", "changed", &json!({ "path": "/w/f", "impl_source": "oh_aci" }));
    assert_eq!(edit.text, "changed");
    assert_eq!(told("edit", "", &json!({ "path": "/w/f" })).text, "The file /w/f was edited.");
    let tasks = json!([
        { "id": "1", "title": "a", "status": "done" },
        { "id": "2", "title": "b", "status": "in_progress", "notes": "n" },
        { "id": "3", "title": "c", "status": "todo" },
    ]);
    let list = told("task_tracking", "Set.", &json!({ "command": "plan", "task_list": tasks }));
    assert_eq!(list.text, "Set.\n[x] 1. a\n[>] 2. b (n)\n[ ] 3. c");
    assert_eq!(told("delegate", "", &json!({ "outputs": { "content": "done" } })).text, "done");
    let knowledge = json!({
        "recall_type": "knowledge",
        "microagent_knowledge": [{ "name": "git", "trigger": "push", "content": "Never force." }],
    });
    assert_eq!(
        told("recall", "", &knowledge).text,
        "<knowledge name=\"git\" because_of=\"push\">\nNever force.\n</knowledge>"
    );
    let place = json!({
        "recall_type": "workspace_context", "repo_name": "o/r", "repo_instructions": "Run make.",
    });
    assert_eq!(
        told("recall", "", &place).text,
        "<repository_instructions>\nRun make.\n</repository_instructions>"
    );
}
