//! The server is killed again and again while an agent works: no call is carried out twice, none is lost unseen, and
//! the agent goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use staithe_testkit::model::Step;

use crate::{
    common::{Client, Dice, PROMPT, eventually},
    notes::{note, unpaired},
    scene::finish,
    stage::{Stage, change},
};

const KILLS: usize = 15;
/// Between two kills, at most, in milliseconds.
const APART: u64 = 400;

/// Two commands in an answer; each writes a line that no other writes.
fn two(number: usize) -> Step {
    let command = |part: usize| format!("echo {number}-{part} >> lines; sleep 0.0{part}");
    let call = |part| json!({ "command": command(part), "security_risk": "LOW" });
    Step::call("execute_bash", &call(1)).and_call("execute_bash", &call(2).to_string())
}

#[tokio::test]
async fn a_server_that_is_killed_runs_no_call_twice_and_loses_none() {
    let mut dice = Dice::thrown();
    let mut stage = Stage::new(&[""], "").await;
    let (answers, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, end) = (answers.clone(), over.clone());
    stage.models[0].decide(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        Some(if end.load(Ordering::SeqCst) == 0 { two(number) } else { finish() })
    });
    let (id, token) = {
        let play = stage.play(0).await;
        play.say("Write lines").await;
        (play.id.clone(), play.token.clone())
    };
    let mut cursor = -1;
    for _ in 0..KILLS {
        let until = Duration::from_millis(dice.below(APART));
        eventually(until, || false).await;
        stage.server.kill9();
        stage.server.restart().await;
        // What was cut is paused, and goes on when a person says so.
        let mut client = Client::connect(&stage.server, &id, &token, cursor).await;
        client.until(PROMPT, |frame| is_noted(frame, "[paused crash]")).await;
        let frame =
            json!({ "type": "do", "ref": format!("{cursor}"), "action": change("running") });
        let answer = client.ask(&frame).await;
        assert_eq!(answer["type"], "done", "{answer}");
        cursor = client.cursor;
    }
    over.store(1, Ordering::SeqCst);
    let mut client = Client::connect(&stage.server, &id, &token, cursor).await;
    client.until(PROMPT, |frame| is_noted(frame, "[finished]")).await;
    let lines = client.run("lines", "cat lines").await["content"].as_str().unwrap().to_owned();
    let events = stage.server.events(&id).await;
    let questions = answers.load(Ordering::SeqCst);
    let interrupted = events.iter().filter(|event| event["observation"] == "error").count();
    eprintln!(
        "{KILLS} kills, {questions} questions, {} events, {interrupted} calls cut",
        events.len()
    );
    check(&events, &lines);
}

fn is_noted(frame: &Value, wanted: &str) -> bool {
    note(&frame["event"]).as_deref() == Some(wanted)
}

fn check(events: &[Value], lines: &str) {
    let mut written: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines.lines() {
        *written.entry(line).or_default() += 1;
    }
    let twice: Vec<_> = written.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "carried out twice: {twice:?}");
    assert_eq!(unpaired(events), Vec::<String>::new(), "a call without a result, or with two");
    let line = |event: &Value| {
        let command = event["args"]["command"].as_str().unwrap_or_default();
        command.strip_prefix("echo ").and_then(|rest| rest.split(' ').next()).map(str::to_owned)
    };
    let mut known = BTreeSet::new();
    for event in
        events.iter().filter(|event| event["action"] == "run" && event["source"] == "agent")
    {
        let line = line(event).unwrap();
        let result = events.iter().find(|other| other["cause"] == event["id"]).unwrap();
        if result["observation"] == "run" && result["extras"]["metadata"]["exit_code"] == 0 {
            assert!(written.contains_key(line.as_str()), "{line} is said to have been written");
        }
        known.insert(line);
    }
    let unseen: Vec<_> = written.keys().filter(|line| !known.contains(**line)).collect();
    assert!(unseen.is_empty(), "carried out and not in the log: {unseen:?}");
}
