//! Many steps of one agent cost the same each; many agents work side by side.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use staithe_testkit::model::{Asked, FakeUsage, Step};
use tokio::time::Instant;

use crate::{
    common::{Server, eventually},
    notes::{notes, unpaired},
    scene::{BEGIN, finish},
    stage::Stage,
};

const STEPS: usize = 2000;
/// Steps that are looked at together: their questions grow, and are condensed.
const WINDOW: usize = 200;

/// What was seen of one question.
#[derive(Clone, Copy)]
struct Cost {
    bytes: usize,
    /// Of the server so far, in ticks of its clock.
    cpu: u64,
}

/// Processor time that a process has used, in ticks of a hundredth of a second.
fn cpu(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_steps_cost_the_same_each() {
    // The view as it is shipped, and the window of a large model.
    let stage = Stage::new(&["window = 200000"], "").await;
    let mut play = stage.play(0).await;
    play.set(&json!({ "limits": { "steps": 0, "cost": 0 } })).await;
    let (costs, pid) = (Arc::new(Mutex::new(Vec::new())), stage.server.pid());
    let seen = costs.clone();
    play.model.decide(move |asked: &Asked| {
        if asked.body["tools"].is_null() {
            return Some(Step::text("Many thoughts were had."));
        }
        let mut costs = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = asked.body.to_string().len();
        costs.push(Cost { bytes, cpu: cpu(pid) });
        // What is counted is believed: four letters are a token.
        let input = u64::try_from(bytes / 4).unwrap();
        let usage = FakeUsage { input, ..FakeUsage::default() };
        let thought = format!("thought {} of many, about boats that lie at a staithe", costs.len());
        // A result that is worth being masked later, here and there.
        let print = json!({ "command": "printf %2000s boats", "security_risk": "LOW" });
        let think = match costs.len() % 20 {
            0 => Step::call("execute_bash", &print),
            _ => Step::call("think", &json!({ "thought": thought })),
        };
        Some(Step { usage, ..if costs.len() > STEPS { finish() } else { think } })
    });
    play.say("Think long").await;
    while crate::notes::note(&play.events.last().cloned().unwrap_or_default()).as_deref()
        != Some("[finished]")
    {
        assert!(play.next(crate::common::PROMPT).await.is_some(), "it goes on");
    }
    let costs = costs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let bytes =
        |at: usize| costs[at..at + WINDOW].iter().map(|cost| cost.bytes).sum::<usize>() / WINDOW;
    let ticks = |at: usize| costs[at + WINDOW].cpu - costs[at].cpu;
    let (early, late) = (100, STEPS - WINDOW);
    let condensed = play.events.iter().filter(|event| event["action"] == "condensation").count();
    eprintln!(
        "bytes of a question: {} from step {early}, {} from step {late}; {condensed} condensations; \
         ms of the server's processor for {WINDOW} steps: {} and {}",
        bytes(early),
        bytes(late),
        ticks(early) * 10,
        ticks(late) * 10,
    );
    assert!(condensed > 3, "the view is condensed: {condensed}");
    assert!(bytes(late) * 10 <= bytes(early) * 12, "flat");
    // Loosely: other tests share the machine.
    assert!(ticks(late) <= ticks(early) * 2 + 50, "the server's own work, too");
    assert_eq!(unpaired(&play.events[..200]), Vec::<String>::new());
}

const SESSIONS: usize = 300;
/// One of them, on a machine that does something else, too.
const LONGEST: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_agents_work_side_by_side() {
    let stage = Stage::with(&[""], "", &[("STAITHE__LIMITS__MAX_SESSIONS", "400")]).await;
    stage.models[0].decide(|asked: &Asked| {
        let results = asked.turns().iter().filter(|turn| turn["role"] == "tool").count();
        let command = format!("echo {results} >> lines; wc -l < lines");
        let run = json!({ "command": command, "security_risk": "LOW" });
        Some(if results < 3 { Step::call("execute_bash", &run) } else { finish() })
    });
    let begun = Instant::now();
    let sessions = join_all((0..SESSIONS).map(|_| begin(&stage.server))).await;
    let logs = join_all(sessions.iter().map(|id| finished(&stage.server, id))).await;
    eprintln!("{SESSIONS} sessions of 4 steps took {:?}", begun.elapsed());
    let wanted = (0..3).map(|n| format!(" | a run echo {n} >> lines; wc -l < lines | = run 0"));
    let wanted = format!("{BEGIN}{} | a finish | [finished]", wanted.collect::<String>());
    for events in logs {
        let first = events.iter().position(|event| event["source"] == "user").unwrap();
        let log = notes(&events[first..]);
        let log: Vec<_> = log.into_iter().filter(|note| note != "[init]").collect();
        assert_eq!(log.join(" | "), wanted);
        assert_eq!(unpaired(&events), Vec::<String>::new());
    }
    let busy = eventually(crate::common::PROMPT, || stage.models[0].open() <= SESSIONS).await;
    assert!(busy, "connections are not piled up");
}

async fn begin(server: &Server) -> String {
    let body = json!({ "first_message": "Count" });
    let (status, _, made) = server.post("/api/sessions", &[], &body).await;
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn finished(server: &Server, id: &str) -> Vec<Value> {
    let mut client = crate::common::Client::connect(server, id, &server.token, -1).await;
    let end = Instant::now() + LONGEST;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match client.recv_json(left).await {
            Ok(frame) if frame["event"]["extras"]["agent_state"] == "finished" => break,
            Ok(_) => {}
            Err(error) => panic!("{id}: {error:#}: {:?}", notes(&server.events(id).await)),
        }
    }
    server.events(id).await
}
