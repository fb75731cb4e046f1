//! A scripted model mends a small program: every tool that needs no plugin is used, a second tab agrees to one step,
//! and the log is as its snapshot, `task.snapshot`. `STAITHE_BLESS=1` writes that anew.

use std::{collections::BTreeMap, env, fs, path::Path};

use serde_json::{Value, json};
use staithe_testkit::model::Step;

use crate::{
    common::{Client, PROMPT},
    notes::{note, unpaired},
    scene::{bash, finish},
    stage::{Play, Stage},
};

/// Adds its arguments, but for the last.
const PROGRAM: &str = "#!/bin/sh\\nsum=0\\nwhile [ $# -gt 1 ]; do\\n  sum=$((sum + $1))\\n  shift\\ndone\\necho $sum\\n";
const TEST: &str =
    "#!/bin/sh\\n[ \"$(sh sum.sh 1 2 3)\" = 6 ] && echo passed || { echo failed; exit 1; }\\n";

fn edit(workspace: &str, arguments: &Value) -> Step {
    let mut all = json!({ "path": format!("{workspace}/sum.sh"), "security_risk": "LOW" });
    for (name, value) in arguments.as_object().unwrap() {
        all[name] = value.clone();
    }
    Step::call("str_replace_editor", &all)
}

fn tasks(status: &str) -> Step {
    let task = json!({ "id": "1", "title": "mend sum.sh", "status": status, "notes": "" });
    Step::call("task_tracker", &json!({ "command": "plan", "task_list": [task] }))
}

/// What the model says, answer by answer.
fn script(workspace: &str) -> Vec<Step> {
    vec![
        Step { text: "I look first.".to_owned(), ..tasks("in_progress") },
        bash("sh test.sh"),
        edit(workspace, &json!({ "command": "view" })),
        Step {
            reasoning: "One too few.".to_owned(),
            ..Step::call("think", &json!({ "thought": "the loop ends early" }))
        },
        edit(
            workspace,
            &json!({ "command": "str_replace", "old_str": "-gt 1", "new_str": "-gt 0" }),
        ),
        edit(
            workspace,
            &json!({ "command": "insert", "insert_line": 1, "new_str": "# wrong place" }),
        ),
        edit(workspace, &json!({ "command": "undo_edit" })),
        bash("sh test.sh").and_call(
            "str_replace_editor",
            &json!({
                "command": "create", "path": format!("{workspace}/NOTES"), "file_text": "mended\n",
                "security_risk": "LOW",
            })
            .to_string(),
        ),
        Step::call("delegate", &json!({ "task": "Check that nothing else was changed." })),
        bash("git status --short"),
        Step::call("finish", &json!({ "message": "sum.sh and NOTES alone" })),
        Step::call("execute_bash", &json!({ "command": "rm -rf NOTES", "security_risk": "HIGH" })),
        Step::call("request_condensation", &json!({})),
        Step::text("The loop of sum.sh ended early; it is mended, and the test passes."),
        tasks("done"),
        finish(),
    ]
}

#[tokio::test]
async fn a_failing_test_is_mended_and_every_event_is_as_it_was_before() {
    let stage = Stage::new(&[""], "").await;
    let mut play = stage.play(0).await;
    let setup = format!(
        "printf '{PROGRAM}' > sum.sh; printf '{TEST}' > test.sh; git init -q . && git add . && \
         git -c user.name=a -c user.email=a@b commit -qm first; pwd"
    );
    let told = play.client.run("setup", &setup).await;
    let workspace = told["content"].as_str().unwrap().lines().last().unwrap().to_owned();
    play.model.script(script(&workspace));
    play.say("Mend sum.sh: its test fails.").await;
    let asked = play.see("[awaiting_user_confirmation]").await;
    second_tab_agrees(&play, asked["id"].as_i64().unwrap()).await;
    play.see("[finished]").await;

    let result = play.client.run("check", "sh test.sh; git -c color.ui=never status --short").await;
    assert_eq!(result["content"], "passed\n M sum.sh");
    assert_eq!((play.model.left(), unpaired(&play.events)), (0, Vec::new()));
    compare(&lines(&stage, &play, &workspace).await);
}

/// Another client sees what is asked, and says yes.
async fn second_tab_agrees(play: &Play<'_>, id: i64) {
    let mut tab = Client::connect(play.server, &play.id, &play.token, -1).await;
    let seen = tab.events_up_to(id).await;
    assert_eq!(seen.last().unwrap()["extras"]["agent_state"], "awaiting_user_confirmation");
    let action = crate::stage::change("user_confirmed");
    let answer = tab.ask(&json!({ "type": "do", "ref": "yes", "action": action })).await;
    assert_eq!(answer["type"], "done", "{answer}");
    let confirmed = |frame: &Value| note(&frame["event"]).as_deref() == Some("[user_confirmed]");
    tab.until(PROMPT, confirmed).await;
}

/// From the message on: the number, who, what, of which action, and by which call.
async fn lines(stage: &Stage, play: &Play<'_>, workspace: &str) -> String {
    let events = stage.server.events(&play.id).await;
    let first = events.iter().position(|event| event["action"] == "message").unwrap();
    let last =
        events.iter().rposition(|event| note(event).as_deref() == Some("[finished]")).unwrap();
    let mut numbers = BTreeMap::new();
    let mut text = String::new();
    for event in &events[first..=last] {
        let Some(note) = note(event) else { continue };
        let number = numbers.len();
        numbers.insert(event["id"].to_string(), number);
        let cause = numbers.get(&event["cause"].to_string()).map(|cause| format!(" of {cause}"));
        let call =
            event["tool_call_metadata"]["tool_call_id"].as_str().map(|call| format!(" by {call}"));
        let source = event["source"].as_str().unwrap();
        let line = format!(
            "{number} {source}: {note}{}{}\n",
            cause.unwrap_or_default(),
            call.unwrap_or_default()
        );
        text.push_str(&line.replace(workspace, "<workspace>"));
    }
    text
}

fn compare(lines: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/task.snapshot");
    if env::var_os("STAITHE_BLESS").is_some() {
        fs::write(&path, lines).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap();
    assert_eq!(lines, wanted, "{lines}");
}
