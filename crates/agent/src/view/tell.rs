//! Items as turns that the strictest provider takes: a person's first and no agent's last, no two of one after the
//! other, every result right behind its call. Pure.

use std::collections::HashSet;

use super::{
    Asked,
    items::{Item, Opaque, Outcome, Turn, Words},
};
use crate::model::{Answered, Image, Said, ToolCall};

/// Stands before a talk that begins with the agent.
const BEGINNING: &str = "[The beginning of this talk is not told.]";
/// Stands behind words of the agent that nobody answered.
const NO_WORD: &str = "[There is no new message. Go on with the task; if it is done or can't go on, say so by `finish`.]";
/// Of a call that was begun.
const UNKNOWN: &str = "[There is no result: the call was interrupted. It may have been carried out, in part or not at all; look before you do it again.]";
/// Of a call that was not.
const NOT_BEGUN: &str = "[The call was not carried out: the turn ended before it.]";
const NOTHING: &str = "[Nothing.]";

pub(super) fn turns(items: &[Item], asked: Asked<'_>) -> Vec<Said> {
    let mut talk = Talk { asked, said: Vec::new(), ids: HashSet::new() };
    for item in items {
        match item {
            Item::User(words) => talk.user(words),
            Item::Agent(words, opaque) => {
                let opaque = talk.opaque(opaque);
                talk.agent(Answered { text: words.text.clone(), calls: Vec::new(), opaque });
            }
            Item::Turn(turn) => talk.turn(turn),
        }
    }
    match talk.said.last() {
        None => talk.person(BEGINNING.to_owned(), Vec::new()),
        Some(Said::Assistant(_)) => talk.person(NO_WORD.to_owned(), Vec::new()),
        Some(_) => {}
    }
    talk.said
}

struct Talk<'a> {
    asked: Asked<'a>,
    said: Vec<Said>,
    /// Ids of calls that were told.
    ids: HashSet<String>,
}

impl Talk<'_> {
    fn user(&mut self, words: &Words) {
        let mut text = words.text.clone();
        let images = self.images(&words.images);
        let unseen = words.images.len() - images.len();
        if unseen > 0 {
            let gap = if text.is_empty() { "" } else { "\n" };
            text = format!("{text}{gap}[Pictures that you can't see: {unseen}.]");
        }
        self.person(text, images);
    }

    fn person(&mut self, text: String, mut images: Vec<Image>) {
        match self.said.last_mut() {
            Some(Said::User { text: before, images: shown }) => {
                join(before, &text);
                shown.append(&mut images);
            }
            _ => self.said.push(Said::User { text, images }),
        }
    }

    fn agent(&mut self, mut answered: Answered) {
        if answered.text.is_empty() && answered.calls.is_empty() {
            return;
        }
        match self.said.last_mut() {
            None => self.person(BEGINNING.to_owned(), Vec::new()),
            // One with calls has results behind it, so this one has none.
            Some(Said::Assistant(before)) => {
                join(&mut before.text, &answered.text);
                before.calls = answered.calls;
                before.opaque = answered.opaque;
                return;
            }
            Some(_) => {}
        }
        answered.calls.shrink_to_fit();
        self.said.push(Said::Assistant(answered));
    }

    fn turn(&mut self, turn: &Turn) {
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for call in &turn.calls {
            let (text, images) = match &call.result {
                Outcome::Spoken => continue,
                Outcome::Open if call.begun => (UNKNOWN, [].as_slice()),
                Outcome::Open => (NOT_BEGUN, [].as_slice()),
                Outcome::Told { text, images } => (text.as_str(), images.as_slice()),
            };
            let id = self.id(&call.made.id);
            let mut told = call.changed.clone().unwrap_or_default();
            join(&mut told, if text.is_empty() { NOTHING } else { text });
            results.push(Said::Tool {
                call_id: id.clone(),
                name: call.made.name.clone(),
                text: told,
                images: self.images(images),
            });
            calls.push(ToolCall { id, ..call.made.clone() });
        }
        // What is opaque belongs to the answer as it was.
        let is_as_it_was = calls.len() == turn.calls.len();
        let opaque = if is_as_it_was { self.opaque(&turn.opaque) } else { None };
        self.agent(Answered { text: turn.text.clone(), calls, opaque });
        self.said.append(&mut results);
    }

    /// The call's id, or one like it where an earlier answer has the same.
    fn id(&mut self, id: &str) -> String {
        let numbered = (2_usize..).map(|number| format!("{id}_{number}"));
        let mut ids = std::iter::once(id.to_owned()).chain(numbered);
        loop {
            if let Some(id) = ids.next()
                && self.ids.insert(id.clone())
            {
                return id;
            }
        }
    }

    fn images(&self, images: &[Image]) -> Vec<Image> {
        if self.asked.pictures { images.to_vec() } else { Vec::new() }
    }

    fn opaque(&self, opaque: &Opaque) -> Option<serde_json::Value> {
        opaque.value.clone().filter(|_| opaque.model == self.asked.model)
    }
}

fn join(before: &mut String, text: &str) {
    if !before.is_empty() && !text.is_empty() {
        before.push_str("\n\n");
    }
    before.push_str(text);
}
