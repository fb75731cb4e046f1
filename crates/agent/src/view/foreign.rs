//! Events that no call of the model made: what people did by hand, and logs of other programs. Pure.

use staithe_protocol::{Action, Event, Observation, Source};

use super::{
    View,
    items::{Item, Kind, Opaque, Words},
};
use crate::tools::{recall_text, result_of};

/// What is done with the outcome of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// It is told.
    Result,
    /// That it was done is told if it was; in these words.
    Success(String),
}

/// The most that waits: outcomes that never came are given up.
const MOST: usize = 256;

impl View {
    pub(super) fn foreign_action(&mut self, event: &Event, action: &Action) {
        let told = match event.source {
            Source::User => by_user(action),
            Source::Agent => self.by_agent(event, action),
            Source::Environment => None,
        };
        let Some((text, waits)) = told else { return };
        if event.source == Source::User {
            self.told_by_hand(event.id, text, Vec::new());
        } else {
            self.told(event.id, Kind::Told, text, Vec::new());
        }
        if self.waiting.len() >= MOST
            && let Some(oldest) = self.waiting.keys().min().copied()
        {
            self.waiting.remove(&oldest);
        }
        self.waiting.insert(event.id, waits);
    }

    /// An agent's action without the answer that made it, as other programs write them.
    fn by_agent(&mut self, event: &Event, action: &Action) -> Option<(String, Waits)> {
        let text = match action {
            Action::Reject(reject) => {
                let reason = reject.outputs.get("reason").and_then(serde_json::Value::as_str);
                reason.unwrap_or(&reject.thought).to_owned()
            }
            Action::Run(run) if run.hidden => return None,
            Action::Delegate(_) => {
                self.inside = Some(super::Inside { action: event.id, call_id: None });
                action.message()
            }
            action if action.is_runnable() => action.message(),
            _ => return None,
        };
        if !text.is_empty() {
            let words = Words { event: event.id, kind: Kind::Spoken, text, images: Vec::new() };
            self.push(Item::Agent(words, Opaque::default()));
        }
        Some((String::new(), Waits::Result))
    }

    pub(super) fn foreign_observation(&mut self, event: &Event, observation: &Observation) {
        let most = self.settings.most_result;
        let waits = event.cause.and_then(|cause| self.waiting.remove(&cause));
        let told = match (observation, waits) {
            (Observation::Recall(recall), _) => {
                return self.told(event.id, Kind::Known, recall_text(recall, most), Vec::new());
            }
            (Observation::Error(_), Some(Waits::Success(_))) => None,
            (_, Some(Waits::Success(text))) => {
                return self.told_by_hand(event.id, text, Vec::new());
            }
            (observation, Some(Waits::Result)) => {
                let mut told = result_of(observation, most);
                let of =
                    if event.source == Source::User { " of command executed by user" } else { "" };
                told.text = format!("Observed result{of}:\n{}", told.text);
                Some(told)
            }
            // What the agent's own working ran into, for the model to see.
            (Observation::Error(_), None) if event.source == Source::Agent => {
                Some(result_of(observation, most))
            }
            _ => None,
        };
        if let Some(told) = told {
            if event.source == Source::User {
                self.told_by_hand(event.id, told.text, told.images);
            } else {
                self.told(event.id, Kind::Told, told.text, told.images);
            }
        }
    }
}

fn by_user(action: &Action) -> Option<(String, Waits)> {
    match action {
        Action::Run(run) if run.hidden => None,
        Action::Run(run) if run.is_input => {
            let text = format!("User typed into the running command:\n{}", run.command);
            Some((text, Waits::Result))
        }
        Action::Run(run) => {
            Some((format!("User executed the command:\n{}", run.command), Waits::Result))
        }
        Action::RunIpython(cell) => {
            Some((format!("User executed the Python code:\n{}", cell.code), Waits::Result))
        }
        Action::Write(write) => Some((String::new(), changed(&write.path))),
        Action::Edit(edit) => Some((String::new(), changed(&edit.path))),
        _ => None,
    }
}

fn changed(path: &str) -> Waits {
    Waits::Success(format!("User changed the file {path}."))
}
