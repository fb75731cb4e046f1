//! How a run ends before its agent does: Ctrl-C, a server that dies.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use staithe_testkit::FakeModel;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    bench::{LIMIT, bash, begun, bench, command, configuration, done, ended, err, finish, sees},
    common::{PROMPT, eventually, processes},
};

#[tokio::test]
async fn an_interrupt_stops_the_agent_and_its_command_within_a_second() {
    let bench = bench([bash("sleep 600"), finish("Never said.")]).await;
    let child = begun(&bench, &["run", "wait"]);
    sees(&bench, |event| event["action"] == "run").await;
    processes::interrupt(child.id().unwrap());
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 130);
    assert!(said.contains("■ stopping the agent") && said.contains("■ stopped"), "{said}");
    let (_, events) = sees(&bench, |event| event["extras"]["agent_state"] == "stopped").await;
    let at = |is: &dyn Fn(&Value) -> bool| {
        let event = events.iter().find(|event| is(event)).unwrap();
        event["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    let asked = at(&|event| event["args"]["agent_state"] == "stopped");
    let stopped = at(&|event| event["extras"]["agent_state"] == "stopped");
    assert!(stopped.duration_since(asked).as_millis() < 1000, "{asked} {stopped}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_joined_again_without_an_event_lost_or_doubled() {
    let mut held = bash("echo 2");
    held.silent = true;
    let mut bench = bench([bash("echo 1"), held]).await;
    let child = begun(&bench, &["run", "--json", "count"]);
    sees(&bench, |event| event["observation"] == "run").await;
    bench.server.kill9();
    bench.server.restart().await;
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let said = ended(&output, 1);
    assert!(err(&output).contains("the connection is lost"), "{}", err(&output));
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().filter_map(|line| line["event"]["id"].as_u64()).collect();
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(lines.last().unwrap()["code"], "agent.paused");
}

/// The last line of `--json`.
fn outcome(said: &str) -> Value {
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[track_caller]
fn is_interrupted(output: &Output, session: &str) {
    let last = outcome(&ended(output, 130));
    assert_eq!(
        (&last["type"], &last["outcome"], &last["exit_code"], &last["session"]),
        (&json!("outcome"), &json!("interrupted"), &json!(130), &json!(session))
    );
}

#[tokio::test]
async fn an_interrupt_before_the_task_is_told_stops_the_session_and_says_so() {
    let bench = bench([]).await;
    // It takes the connection and never answers: the clone goes on.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/project.git", silent.local_addr().unwrap());
    let child = begun(&bench, &["run", "--json", "--repository", &url, "wait"]);
    let (id, _) = sees(&bench, |event| event["extras"]["state"] == "cloning").await;
    let _waits = silent.accept().await.unwrap();
    processes::interrupt(child.id().unwrap());
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    is_interrupted(&output, &id);
    bench.server.phase(&id, "stopped", PROMPT).await;
    assert!(bench.model.asked().is_empty());
}

#[tokio::test]
async fn an_interrupt_while_the_session_is_made_stops_it() {
    let bench = bench([]).await;
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", between.local_addr().unwrap());
    let mut command = bench.command(&["run", "--json", "wait"]);
    command.env("STAITHE_URL", &url).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let (mut first, _) = between.accept().await.unwrap();
    processes::interrupt(child.id().unwrap());
    let address = bench.server.address().to_owned();
    let carry = tokio::spawn(async move {
        let mut ahead = TcpStream::connect(&address).await.unwrap();
        drop(copy_bidirectional(&mut first, &mut ahead).await);
        loop {
            let (mut next, _) = between.accept().await.unwrap();
            let mut ahead = TcpStream::connect(&address).await.unwrap();
            tokio::spawn(async move { drop(copy_bidirectional(&mut next, &mut ahead).await) });
        }
    });
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    is_interrupted(&output, &bench.session().await);
    bench.server.phase(&bench.session().await, "stopped", PROMPT).await;
    carry.abort();
}

#[tokio::test]
async fn what_is_refused_after_the_session_was_made_stops_it_and_ends_with_an_outcome() {
    let bench = bench([]).await;
    let output = bench.staithe(&["run", "--json", "--limit-cost=-1", "wait"]).await;
    let last = outcome(&ended(&output, 64));
    let id = bench.session().await;
    assert_eq!((&last["outcome"], &last["session"]), (&json!("failed"), &json!(id)));
    let code = last["code"].as_str().unwrap();
    assert!(err(&output).contains(&format!("({code})")), "{}", err(&output));
    bench.server.phase(&id, "stopped", PROMPT).await;
}

#[tokio::test]
async fn a_second_interrupt_leaves_at_once_and_the_outcome_is_the_last_line() {
    let bench = bench([bash("sleep 600"), finish("Never said.")]).await;
    let mut child = begun(&bench, &["run", "--json", "wait"]);
    let (id, _) = sees(&bench, |event| event["action"] == "run").await;
    // The server does not answer: nothing but the second one ends it before its time.
    processes::hold(bench.server.pid());
    processes::interrupt(child.id().unwrap());
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(LIMIT, told.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.contains("stopping the agent"), "{line}");
    processes::interrupt(child.id().unwrap());
    let output = timeout(Duration::from_secs(4), child.wait_with_output()).await;
    processes::let_go(bench.server.pid());
    is_interrupted(&output.expect("it leaves at once").unwrap(), &id);
}

#[tokio::test]
async fn an_interrupt_ends_a_server_of_its_own_and_its_sandboxes() {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    model.script([bash("echo begun > begun; sleep 600"), finish("Never said.")]);
    let config = configuration(dir.path(), &model);
    let data = dir.path().join("data");
    let mut command = command(&["run", "--json", "--engine", "local", "--config"]);
    command.arg(&config).arg("--data-dir").arg(&data).arg("wait");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = eventually(LIMIT, || found(&data, "begun"));
    assert!(begun.await, "the agent's command runs");
    let pid = child.id().unwrap();
    processes::interrupt(pid);
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    let last = outcome(&ended(&output, 130));
    assert_eq!(last["outcome"], "interrupted");
    let sessions = BTreeSet::from([last["session"].as_str().unwrap().to_owned()]);
    assert!(processes::of_sandboxes(&data, &sessions, pid).is_empty());
}

/// Whether a file of this name is in a folder, at any depth of a workspace.
fn found(folder: &Path, name: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        entry.file_name() == name
            || entry.file_type().is_ok_and(|kind| kind.is_dir()) && found(&entry.path(), name)
    })
}

#[tokio::test]
async fn without_a_server_programs_are_told_an_outcome_too() {
    let words = ["run", "--json", "--url", "http://127.0.0.1:1", "--token", "x", "hello"];
    let output = done(&mut command(&words)).await;
    let last = outcome(&ended(&output, 69));
    assert_eq!(
        (&last["outcome"], &last["code"], &last["exit_code"], &last["session"]),
        (&json!("failed"), &json!("run.no_server"), &json!(69), &Value::Null)
    );
}
