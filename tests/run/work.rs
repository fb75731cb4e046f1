//! What a run shows of an agent's work, for people and for programs, and what it exits with.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use staithe_testkit::{GitServer, model::Step};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout,
};

use crate::{
    bench::{KEY, LIMIT, bash, begun, bench, command, done, ended, err, finish},
    common::{PROMPT, Server},
};

#[tokio::test]
async fn a_task_is_shown_to_its_end_and_again_from_its_trajectory() {
    let mut first = bash("echo hello > sea.txt && cat sea.txt");
    first.reasoning = "One command will do.".to_owned();
    first.text = "I write the file.".to_owned();
    first.chunk = 5;
    let bench = bench([first, bash("cat nothing.txt"), finish("It is in sea.txt.")]).await;
    let output = bench.staithe(&["run", "write a file"]).await;
    let said = ended(&output, 0);
    let lines: Vec<&str> = said.lines().collect();
    for line in [
        "> write a file",
        "(thinking) One command will do.",
        "I write the file.",
        "● run  echo hello > sea.txt && cat sea.txt",
        "  │ hello",
        "● run  cat nothing.txt",
        "✓ finished",
        "It is in sea.txt.",
        "3 steps · 300 tokens in, 30 out · $0.0014",
    ] {
        assert_eq!(lines.iter().filter(|it| **it == line).count(), 1, "{line}\n{said}");
    }
    assert!(said.contains("  ✓ exit 0 · ") && said.contains("  ✗ exit 1 · "), "{said}");
    assert!(!said.contains('\x1b'), "no colours but on a terminal");
    assert_eq!(err(&output), "");
    let id = bench.session().await;
    bench.server.phase(&id, "stopped", PROMPT).await;

    let file = bench.server.dir().join("run.json");
    let path = file.to_str().unwrap();
    let exported = bench.staithe(&["session", "export", &id, "-o", path]).await;
    assert_eq!(ended(&exported, 0), "");
    let trajectory: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(trajectory["trajectory"].as_array().unwrap().len() > 8);
    let replayed = ended(&done(&mut command(&["replay", path])).await, 0);
    let again: Vec<&str> = replayed.lines().collect();
    for line in lines.iter().filter(|line| {
        let own = line.starts_with("· session") || line.contains("tokens in");
        !own && !line.starts_with("(thinking)")
            && !line.starts_with("go on:")
            && !line.starts_with("files:")
    }) {
        assert!(again.contains(line), "{line}\n{replayed}");
    }
    let missing = bench.staithe(&["session", "export", &"0".repeat(32)]).await;
    ended(&missing, 64);
    assert!(err(&missing).contains("(session.not_found)"), "{}", err(&missing));
}

#[tokio::test]
async fn a_limit_ends_the_run_and_it_is_gone_on_with() {
    let bench = bench([bash("echo 1"), bash("echo 2"), finish("Done.")]).await;
    let said = ended(&bench.staithe(&["run", "--limit-steps", "2", "count"]).await, 3);
    assert!(said.contains("⏸ the limit of steps is reached"), "{said}");
    let id = bench.session().await;
    assert!(said.contains(&format!("staithe run --session {id}")), "{said}");
    let said = ended(&bench.staithe(&["run", "--session", &id]).await, 0);
    assert!(said.contains("✓ finished\nDone.\n1 step · "), "{said}");
    assert!(!said.contains("echo 1"), "what was shown is not shown again: {said}");
    let over = bench.staithe(&["run", "--session", &id]).await;
    ended(&over, 64);
    assert!(err(&over).contains("there is nothing to go on with"), "{}", err(&over));
}

#[tokio::test]
async fn an_approval_without_a_person_ends_the_run_unless_all_is_agreed_to() {
    let bench = bench([bash("sudo true"), finish("Done.")]).await;
    let output = bench.staithe(&["run", "--json", "clean up"]).await;
    let said = ended(&output, 4);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&last["outcome"], &last["exit_code"]), (&json!("needs_approval"), &json!(4)));
    let id = bench.session().await;
    let said = ended(&bench.staithe(&["run", "--session", &id, "--yes"]).await, 0);
    assert!(said.contains("✓ finished"), "{said}");
}

#[tokio::test]
async fn json_is_every_event_once_and_the_outcome_last() {
    let mut first = bash("echo hello");
    first.text = "I say hello.".to_owned();
    first.chunk = 3;
    first.hold_after = Some(3);
    let bench = bench([first, finish("Said.")]).await;
    let mut child = begun(&bench, &["run", "--json", "say hello"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap() {
        if line.contains("\"kind\":\"answer\"") {
            bench.model.release();
        }
        said.push_str(&line);
        said.push('\n');
    }
    ended(&timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap(), 0);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "hello");
    let events: Vec<_> = lines.iter().filter(|line| line["type"] == "event").collect();
    for (id, event) in (0_u64..).zip(&events) {
        assert_eq!(event["event"]["id"], id);
    }
    let streamed: String = lines
        .iter()
        .filter(|line| line["type"] == "partial" && line["kind"] == "answer")
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    // Its end may come with the event alone, when that is there before the piece.
    assert!(!streamed.is_empty() && "I say hello.".starts_with(&streamed), "{streamed:?}");
    let id = bench.session().await;
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["type"], &last["outcome"], &last["exit_code"], &last["session"]),
        (&json!("outcome"), &json!("finished"), &json!(0), &json!(id))
    );
    assert_eq!((&last["used"]["steps"], &last["used"]["input_tokens"]), (&json!(2), &json!(200)));
    assert!(!said.contains(KEY));
}

#[tokio::test]
async fn only_the_last_words_are_printed_when_that_is_asked_for() {
    let bench = bench([bash("echo 1"), finish("The answer is 1.")]).await;
    let mut command = bench.command(&["run", "--quiet", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, b"count to one\n").await.unwrap();
    drop(stdin);
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(ended(&output, 0), "The answer is 1.\n");
    assert_eq!(bench.model.asked()[0].first_user().trim(), "count to one");
}

#[tokio::test]
async fn what_the_agent_asks_is_printed_and_has_its_code() {
    let bench = bench([Step::text("Which file do you mean?")]).await;
    let said = ended(&bench.staithe(&["run", "fix it"]).await, 5);
    assert!(said.contains("\nWhich file do you mean?\n"), "{said}");
    assert_eq!(said.matches("Which file").count(), 1, "{said}");
}

#[tokio::test]
async fn a_model_that_cannot_be_used_is_told_with_what_to_do() {
    let wrong =
        json!({ "error": { "message": "Incorrect API key provided", "code": "invalid_api_key" } });
    let bench = bench([Step::error(401, wrong)]).await;
    let said = ended(&bench.staithe(&["run", "hello"]).await, 1);
    assert!(said.contains("✗ The provider does not take the key"), "{said}");
    let unknown = bench.staithe(&["run", "--model", "none", "hello"]).await;
    ended(&unknown, 64);
    assert!(err(&unknown).contains("(model.unknown_name)"), "{}", err(&unknown));

    let dir = tempfile::tempdir().unwrap();
    let no_keys =
        ["OPENAI", "ANTHROPIC", "GEMINI"].map(|name| format!("STAITHE__MODELS__{name}__KEY_ENV"));
    let env: Vec<_> = no_keys.iter().map(|name| (name.as_str(), "")).collect();
    let server = Server::start_with(dir.path(), &env).await;
    let mut command =
        command(&["run", "--url", &server.url, "--token", &server.token, "--json", "hello"]);
    let output = done(&mut command).await;
    let said = ended(&output, 1);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], "model.not_configured", "{said}");
    assert!(err(&output).contains("(model.not_configured)"), "{}", err(&output));
}

#[tokio::test]
async fn a_repository_is_cloned_before_the_task_and_one_that_is_not_there_ends_the_run() {
    let origin = tempfile::tempdir().unwrap();
    let git = GitServer::start(origin.path(), "ann", "").await;
    let bench = bench([bash("cat a.txt project/a.txt"), finish("Read.")]).await;
    let url = format!("{}/project.git", git.url);
    let words = ["run", "--repository", &url, "--branch", "other", "read it"];
    let said = ended(&bench.staithe(&words).await, 0);
    let cloned = said.find("· cloned in project/ at ").unwrap();
    assert!(cloned < said.find("> read it").unwrap(), "{said}");
    assert!(said.contains("  │ other"), "{said}");
    let missing = format!("{}/none.git", git.url);
    let output = bench.staithe(&["run", "--json", "--repository", &missing, "read it"]).await;
    let said = ended(&output, 1);
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["code"], "git.failed", "{last}");
    let reason = last["reason"].as_str().unwrap();
    assert!(reason.contains("none.git was not cloned: "), "{reason}");
    let id = last["session"].as_str().unwrap();
    bench.server.phase(id, "stopped", PROMPT).await;
    ended(&bench.staithe(&["run", "--repository", "no repository", "read it"]).await, 64);
}
