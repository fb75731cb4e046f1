//! A person on a terminal: what is asked, and what is typed.

use serde_json::json;
use staithe_testkit::model::Step;

use crate::bench::{OnTerminal, bash, bench, finish};

#[tokio::test]
async fn a_person_on_a_terminal_approves_rejects_and_answers() {
    let mut first = bash("sudo true");
    first.text = "I clean up first.".to_owned();
    let steps = [
        first,
        bash("sudo -n id"),
        Step::call(
            "execute_bash",
            &json!({ "command": "rm -rf /etc/none", "security_risk": "HIGH" }),
        ),
        Step::text("Shall I go on?"),
        finish("All done."),
    ];
    let bench = bench(steps).await;
    let mut run = OnTerminal::start(&bench, &["run", "clean up"]);
    let question = "[y]es, [n]o and why, [a]ll of this kind: ";
    run.shows(question, 1).await;
    let shown = run.shown();
    assert!(shown.contains("\x1b[33m? run  sudo true\x1b[0m"), "coloured: {shown}");
    assert!(shown.contains("risk: high (privileges)"), "{shown}");
    run.types("maybe\n");
    run.shows("y, n, a or w: ", 1).await;
    run.types("a\n");
    // Another of its kind is not asked about; the next is of another.
    run.shows(question, 2).await;
    run.types("n\n");
    run.shows("why not (Enter: no reason): ", 1).await;
    run.types("leave that folder alone\n");
    run.shows("your answer (Enter alone ends): ", 1).await;
    run.types("yes, go on\n");
    assert_eq!(run.ended().await.code(), Some(0), "{}", run.shown());
    run.shows("✓ finished", 1).await;
    let shown = run.shown();
    assert!(shown.contains("approved") && shown.contains("✗ The user rejected"), "{shown}");
    assert_eq!(shown.matches("I clean up first.").count(), 1, "{shown}");
    let asked = bench.model.asked();
    let told = asked.last().unwrap().body.to_string();
    assert!(told.contains("leave that folder alone") && told.contains("yes, go on"), "{told}");
}
