//! A stop takes effect at once: on a command that runs, and on a model that never answers.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::{
    common::{PROMPT, eventually},
    notes::note,
    scene::{bash, silent},
    stage::{Play, Stage, change},
};

/// What it is to take: half of the stops at most, so that a machine that does something else for a moment does not
/// fail it. The longest is printed.
const BOUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 20;

#[tokio::test]
async fn a_stop_takes_effect_on_a_command_and_on_a_model_that_never_answers() {
    let stage = Stage::new(&["", ""], "").await;
    let mut commands = Vec::new();
    let mut play = stage.play(0).await;
    for round in 0..ROUNDS {
        play.model.script([bash("echo begun; sleep 600")]);
        play.partials.clear();
        play.say(&format!("Do it {round}")).await;
        play.shown("begun").await;
        commands.push(stopped(&mut play, "= run 130").await);
    }
    let mut questions = Vec::new();
    let mut play = stage.play(1).await;
    for round in 0..ROUNDS {
        play.model.script([silent()]);
        play.say(&format!("Do it {round}")).await;
        let model = play.model.clone();
        assert!(eventually(PROMPT, || model.asked().len() == round + 1).await, "it is asked");
        questions.push(stopped(&mut play, "[stopped]").await);
        assert!(eventually(PROMPT, || model.open() == 0).await, "the connection is closed");
    }
    for (what, mut times) in [("a command", commands), ("a question", questions)] {
        times.sort_unstable();
        let (median, longest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        eprintln!("{what} is stopped: median {median:?}, longest {longest:?} of {ROUNDS}");
        assert!(median <= BOUND, "{what}: {times:?}");
    }
}

/// Stops the agent; how long it takes until both the state and this were seen.
async fn stopped(play: &mut Play<'_>, wanted: &str) -> Duration {
    let begun = Instant::now();
    let frame = json!({ "type": "do", "ref": format!("{begun:?}"), "action": change("stopped") });
    play.client.send_json(&frame).await;
    let (mut is_told, mut is_ended) = (false, false);
    while !(is_told && is_ended) {
        let frame = play.next(PROMPT).await.expect("it is stopped");
        let note = note(&frame["event"]);
        is_told |= note.as_deref() == Some("[stopped]");
        is_ended |= note.as_deref() == Some(wanted);
    }
    begun.elapsed()
}
