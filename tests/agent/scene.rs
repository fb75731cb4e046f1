//! A scene: what a model says, what people do meanwhile, and what the log has in the end.

use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};
use staithe_testkit::model::{Asked, Step};

use crate::{
    common::{PROMPT, eventually},
    notes::{notes, unpaired},
    stage::{Play, Stage, change},
};

/// How every log begins, from the message on.
pub(crate) const BEGIN: &str = "u message | [running] | e recall | = recall | a system";

/// Looks at what the model was asked and what the log has.
type Look = fn(&[Asked], &[Value]);

/// See the module.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Lines of the model's group.
    pub(crate) group: &'static str,
    /// What people choose of the agent, as JSON.
    pub(crate) choice: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) acts: Vec<Act>,
    /// The notes of the log in the end, parted by ` | `; `BEGIN` stands for [`BEGIN`]. See [`is_as`].
    pub(crate) log: &'static str,
    pub(crate) look: Look,
}

/// What somebody does, or waits for.
pub(crate) enum Act {
    Say(&'static str),
    Change(&'static str),
    /// As JSON.
    Do(&'static str),
    /// A change of state that can't be, and the code that says so.
    Refused(&'static str, &'static str),
    /// What people choose of the agent, as JSON.
    Set(&'static str),
    /// An event with this note comes.
    See(&'static str),
    /// Each call of the model has its result.
    Settled,
    /// This is shown beside the events.
    Shown(&'static str),
    /// The model was asked so often.
    Asked(usize),
    /// A held answer goes on.
    Release,
    /// No connection to the model is open any more.
    Alone,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            name: "",
            group: "",
            choice: "{}",
            steps: Vec::new(),
            acts: vec![Act::Say("Do it"), Act::See("[finished]")],
            log: "",
            look: |_, _| {},
        }
    }
}

/// The agent's shell.
pub(crate) fn bash(command: &str) -> Step {
    Step::call("execute_bash", &json!({ "command": command, "security_risk": "LOW" }))
}

/// The agent is done.
pub(crate) fn finish() -> Step {
    Step::call("finish", &json!({ "message": "Done." }))
}

/// An answer that does not begin until it is released.
pub(crate) fn silent() -> Step {
    Step { silent: true, ..finish() }
}

/// An error of the provider's.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Step {
    Step::error(status, json!({ "error": { "message": message, "type": code, "code": code } }))
}

/// Plays all at once on one server, and tells all that went otherwise than written.
pub(crate) async fn play(scenes: Vec<Scene>, agent: &str) {
    let groups: Vec<_> = scenes.iter().map(|scene| scene.group).collect();
    let stage = Stage::new(&groups, agent).await;
    let played = scenes.iter().enumerate().map(|(number, scene)| one(&stage, number, scene));
    let wrong: Vec<String> = join_all(played).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let log = stage.server.log();
    let errors: Vec<_> =
        log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Plays one; what is wrong with it.
async fn one(stage: &Stage, number: usize, scene: &Scene) -> Option<String> {
    let mut play = stage.play(number).await;
    play.name = scene.name;
    play.set(&serde_json::from_str(scene.choice).unwrap()).await;
    play.model.script(scene.steps.clone());
    for act in &scene.acts {
        perform(&mut play, act).await;
    }
    let events = stage.server.events(&play.id).await;
    let first = events.iter().position(|event| event["source"] == "user").unwrap_or(events.len());
    let events = &events[first..];
    let (log, wanted) = (notes(events), scene.log.replace("BEGIN", BEGIN));
    let mut wrong = String::new();
    if !is_as(&log, &wanted) {
        let log = log.join(" | ");
        write!(wrong, "\n{}\n  wanted {wanted}\n  there  {log}", scene.name).unwrap();
    }
    if !matches!(play.state().await.as_str(), "paused" | "awaiting_user_confirmation" | "running") {
        for call in unpaired(events) {
            write!(wrong, "\n{}: {call}", scene.name).unwrap();
        }
    }
    if play.model.left() > 0 {
        write!(wrong, "\n{}: {} steps were not taken", scene.name, play.model.left()).unwrap();
    }
    if wrong.is_empty() {
        (scene.look)(&play.model.asked(), events);
    }
    (!wrong.is_empty()).then_some(wrong)
}

/// Whether the notes are as they are wanted. What is joined by ` & ` may come in any order: two hands write it.
fn is_as(notes: &[String], wanted: &str) -> bool {
    let mut left = notes;
    for group in wanted.split(" | ") {
        let mut group: Vec<_> = group.split(" & ").collect();
        let Some((here, rest)) = left.split_at_checked(group.len()) else { return false };
        let mut here: Vec<_> = here.iter().map(String::as_str).collect();
        group.sort_unstable();
        here.sort_unstable();
        if group != here {
            return false;
        }
        left = rest;
    }
    left.is_empty()
}

async fn perform(play: &mut Play<'_>, act: &Act) {
    match act {
        Act::Say(text) => play.say(text).await,
        Act::Change(state) => play.change(state).await,
        Act::Do(action) => play.must(&serde_json::from_str(action).unwrap()).await,
        Act::Refused(state, code) => {
            let (status, answer) = play.act(&change(state)).await;
            let told = (status, answer["code"].as_str());
            assert_eq!(told, (409, Some(*code)), "{}: {answer}", play.name);
        }
        Act::Set(choice) => {
            play.set(&serde_json::from_str(choice).unwrap()).await;
        }
        Act::See(note) => {
            play.see(note).await;
        }
        Act::Settled => {
            while !unpaired(&play.events).is_empty() {
                assert!(
                    play.next(PROMPT).await.is_some(),
                    "{}: {:?}",
                    play.name,
                    unpaired(&play.events)
                );
            }
        }
        Act::Shown(text) => play.shown(text).await,
        Act::Asked(count) => {
            let model = play.model.clone();
            let asked = eventually(PROMPT, || model.asked().len() >= *count).await;
            assert!(asked, "{}: asked {} times, not {count}", play.name, model.asked().len());
        }
        Act::Release => play.model.release(),
        Act::Alone => {
            let model = play.model.clone();
            assert!(
                eventually(PROMPT, || model.open() == 0).await,
                "{}: still connected",
                play.name
            );
        }
    }
}
