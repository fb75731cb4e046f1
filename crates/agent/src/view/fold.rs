//! Events as items of the view. Pure.

use serde_json::Value;
use staithe_protocol::{Action, Event, EventId, Observation, Source, action::Message, event::Body};

use super::{
    Inside, Place, View,
    items::{Item, Kind, Opaque, Outcome, Turn, Words},
};
use crate::{
    controller::edit,
    model::{Answered, Image, ToolCall},
    origin::{OfCall, Origin, Whole},
    tools::result_of,
};

impl View {
    /// Takes the next event of the log.
    pub fn take(&mut self, event: &Event) {
        // What people said to a delegate comes to the one that started it when that ends, with ids of before.
        self.newest = self.newest.max(Some(event.id));
        let origin = event.tool_call_metadata.as_ref().and_then(Origin::from_value);
        if let Some(inside) = &self.inside {
            if !inside.is_ended_by(event, origin.as_ref()) {
                return;
            }
            self.inside = None;
        }
        match &event.body {
            Body::Action(action) => self.action(event, action, origin),
            Body::Observation(observation) => self.observation(event, observation, origin),
        }
    }

    fn action(&mut self, event: &Event, action: &Action, origin: Option<Origin>) {
        let is_agents = event.source == Source::Agent;
        match (action, origin) {
            (Action::Message(message), origin) => self.message(event, message, origin),
            (Action::Condensation(condensation), _) => self.forget(event.id, condensation),
            (action, Some(origin)) if is_agents && origin.call.is_some() => {
                self.called(event, action, &origin);
            }
            (Action::Finish(finish), _) if is_agents => {
                let texts = [&finish.final_thought, &finish.thought];
                if let Some(text) = texts.into_iter().find(|text| !text.is_empty()) {
                    self.spoken(event.id, text.clone(), Opaque::default(), None);
                }
            }
            (action, _) => self.foreign_action(event, action),
        }
    }

    /// An action that a call of the model made, or that came of it once a person decided.
    fn called(&mut self, event: &Event, action: &Action, origin: &Origin) {
        let Some(of) = &origin.call else { return };
        let Some(place) = self.place(event.id, of, origin, Some(action)) else { return };
        self.calls.insert(event.id, place);
        if let Some(Item::Turn(turn)) = self.items.get_mut(place.item) {
            turn.heard(event.id);
            if let Some(call) = turn.calls.get_mut(place.call) {
                self.weight -= call.weight();
                call.begun = true;
                call.changed = edit::told(event.tool_call_metadata.as_ref(), action);
                self.weight += call.weight();
            }
        }
        match action {
            Action::Delegate(_) => {
                self.inside = Some(Inside { action: event.id, call_id: Some(of.id.clone()) });
            }
            Action::Finish(finish) if self.set(place, Outcome::Spoken) => {
                self.calls.remove(&event.id);
                let seen = self.items.get(place.item).and_then(|item| match item {
                    Item::Turn(turn) => turn.seen,
                    _ => None,
                });
                // Its `thought` is the text of the answer.
                if !finish.final_thought.is_empty() {
                    let text = finish.final_thought.clone();
                    self.spoken(event.id, text, Opaque::default(), seen);
                }
            }
            _ => {}
        }
    }

    /// Where a call is. The first event of an answer makes its item.
    fn place(
        &mut self,
        event: EventId,
        of: &OfCall,
        origin: &Origin,
        action: Option<&Action>,
    ) -> Option<Place> {
        if let Some(item) = self.answers.get(&origin.answer_id).copied()
            && let Some(Item::Turn(turn)) = self.items.get(item)
            && let Some(call) = turn.place_of(&of.id)
        {
            return Some(Place { item, call });
        }
        let whole = match (&origin.whole, action) {
            (Some(whole), _) => whole.clone(),
            // Its answer was forgotten, or is not in the log: the call is told by itself.
            (None, Some(action)) => Whole {
                said: Answered { calls: vec![remade(of, action)], ..Answered::default() },
                model: String::new(),
                seen: None,
            },
            (None, None) => return None,
        };
        let seen = whole.seen;
        let mut turn = Turn::new(whole);
        turn.heard(event);
        let call = turn.place_of(&of.id)?;
        let item = self.place_after(seen);
        self.insert(item, Item::Turn(turn));
        self.answers.insert(origin.answer_id.clone(), item);
        Some(Place { item, call })
    }

    /// Where an answer belongs: before the words that its question did not tell.
    fn place_after(&self, seen: Option<EventId>) -> usize {
        let Some(seen) = seen else { return self.items.len() };
        let is_later = |item: &&Item| matches!(item, Item::User(words) if words.kind != Kind::Summary && words.event > seen);
        self.items.len() - self.items.iter().rev().take_while(is_later).count()
    }

    fn message(&mut self, event: &Event, message: &Message, origin: Option<Origin>) {
        let images: Vec<Image> = message.image_urls.iter().flatten().cloned().map(Image).collect();
        let mut text = message.content.clone();
        if let Some(files) = message.file_urls.as_ref().filter(|files| !files.is_empty()) {
            text = format!("{text}\n[Files: {}]", files.join(", "));
        }
        let kind = if event.source == Source::User { Kind::Spoken } else { Kind::Told };
        if event.source == Source::Agent {
            let whole = origin.and_then(|origin| origin.whole);
            let seen = whole.as_ref().and_then(|whole| whole.seen);
            let opaque = whole.map(|w| Opaque { model: w.model, value: w.said.opaque });
            self.spoken(event.id, text, opaque.unwrap_or_default(), seen);
        } else {
            self.told(event.id, kind, text, images);
        }
    }

    /// What the agent said without a call, to a question that told so much.
    fn spoken(&mut self, event: EventId, text: String, opaque: Opaque, seen: Option<EventId>) {
        let at = self.place_after(seen);
        let words = Words { event, kind: Kind::Spoken, text, images: Vec::new() };
        self.insert(at, Item::Agent(words, opaque));
    }

    /// Puts words that are not the model's.
    pub(super) fn told(&mut self, event: EventId, kind: Kind, text: String, images: Vec<Image>) {
        if !text.is_empty() || !images.is_empty() {
            self.push(Item::User(Words { event, kind, text, images }));
        }
    }

    fn observation(&mut self, event: &Event, observation: &Observation, origin: Option<Origin>) {
        if matches!(
            observation,
            Observation::Null { .. }
                | Observation::AgentStateChanged(_)
                | Observation::PhaseChanged(_)
                | Observation::PluginChanged(_)
                | Observation::PortsChanged(_)
        ) {
            return;
        }
        let of_cause = event.cause.and_then(|cause| self.calls.get(&cause).copied());
        let place = of_cause.or_else(|| {
            let origin = origin?;
            self.place(event.id, origin.call.as_ref()?, &origin, None)
        });
        match place {
            Some(place) => {
                let told = result_of(observation, self.settings.most_result);
                self.answer(place, event.id, told.text, told.images);
            }
            None => self.foreign_observation(event, observation),
        }
    }
}

impl Inside {
    /// Whether an event is the delegate's report to the one that started it, or what stands for it.
    fn is_ended_by(&self, event: &Event, origin: Option<&Origin>) -> bool {
        let call_id = origin.and_then(|origin| origin.call.as_ref()).map(|call| &call.id);
        matches!(event.body, Body::Observation(_))
            && (event.cause == Some(self.action)
                || (event.cause.is_none() && call_id.is_some() && call_id == self.call_id.as_ref()))
    }
}

/// A call made again from its action.
fn remade(of: &OfCall, action: &Action) -> ToolCall {
    let wire = serde_json::to_value(action).unwrap_or_default();
    let arguments =
        wire.get("args").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    ToolCall { id: of.id.clone(), name: of.tool.clone(), arguments: arguments.to_string() }
}
