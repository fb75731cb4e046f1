//! What the view is made of. Pure.

use serde_json::{Value, json};
use staithe_protocol::EventId;

use super::weigh;
use crate::{
    model::{Answered, Image, ToolCall},
    origin::Whole,
    tools::plain,
};

/// A part of the view that is kept or forgotten as a whole.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    User(Words),
    /// What the agent said without calling a tool.
    Agent(Words, Opaque),
    Turn(Turn),
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person's, or the agent's.
    Spoken,
    /// What happened beside the agent.
    Told,
    /// What a person did beside the agent, or what came of it.
    ByHand,
    /// What stands for so many of those.
    LeftOut(usize),
    /// Instructions and knowledge, which go on holding.
    Known,
    /// What stands for forgotten items.
    Summary,
}

#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub event: EventId,
    pub kind: Kind,
    pub text: String,
    pub images: Vec<Image>,
}

/// What a model wants back, and which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opaque {
    pub model: String,
    pub value: Option<Value>,
}

/// An answer with calls, and their results.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// All of the log that it is made of.
    pub events: Vec<EventId>,
    /// The newest event that its question told.
    pub seen: Option<EventId>,
    pub text: String,
    pub opaque: Opaque,
    pub calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub made: ToolCall,
    /// Its action is in the log.
    pub begun: bool,
    /// What a person changed of it, told before its result.
    pub changed: Option<String>,
    pub result: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Open,
    Told {
        text: String,
        images: Vec<Image>,
    },
    /// It is told as words instead, which follow.
    Spoken,
}

impl Turn {
    pub(crate) fn new(whole: Whole) -> Self {
        let Answered { text, calls, opaque } = whole.said;
        let mut distinct: Vec<Call> = Vec::with_capacity(calls.len());
        for call in calls {
            if distinct.iter().all(|known| known.made.id != call.id) {
                distinct.push(Call::new(call));
            }
        }
        let opaque = Opaque { model: whole.model, value: opaque };
        Self { events: Vec::new(), seen: whole.seen, text, opaque, calls: distinct }
    }

    pub(crate) fn place_of(&self, call_id: &str) -> Option<usize> {
        self.calls.iter().position(|call| call.made.id == call_id)
    }

    pub(crate) fn heard(&mut self, event: EventId) {
        if self.events.last() != Some(&event) {
            self.events.push(event);
        }
    }
}

impl Call {
    pub(crate) fn new(mut call: ToolCall) -> Self {
        // It is told again, to providers that take neither a strange name nor what is no object.
        call.name = plain(&call.name);
        if !matches!(serde_json::from_str(&call.arguments), Ok(Value::Object(_))) {
            call.arguments = match call.arguments.trim() {
                "" => "{}".to_owned(),
                text => json!({ "not_json": text }).to_string(),
            };
        }
        Self { made: call, begun: false, changed: None, result: Outcome::Open }
    }

    /// In quarters of a token.
    pub(crate) fn weight(&self) -> u64 {
        let changed = self.changed.as_deref().map_or(0, weigh::text);
        let call = weigh::text(&self.made.arguments) + weigh::text(&self.made.name) + changed + 40;
        match &self.result {
            Outcome::Open => call + 40,
            Outcome::Told { text, images } => call + weigh::text(text) + weigh::images(images),
            Outcome::Spoken => 0,
        }
    }
}

impl Item {
    /// Whether they are words of this kind that are not the agent's.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        matches!(self, Self::User(words) if words.kind == kind)
    }

    /// In quarters of a token.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::User(words) | Self::Agent(words, _) => {
                weigh::text(&words.text) + weigh::images(&words.images) + 16
            }
            Self::Turn(turn) => {
                weigh::text(&turn.text) + turn.calls.iter().map(Call::weight).sum::<u64>() + 16
            }
        }
    }

    /// How many turns are told for it.
    pub(crate) fn turns(&self) -> usize {
        match self {
            Self::User(_) | Self::Agent(..) => 1,
            Self::Turn(turn) => 1 + turn.calls.len(),
        }
    }

    /// The events of the log that it is made of.
    pub(crate) fn events(&self) -> &[EventId] {
        match self {
            Self::User(words) | Self::Agent(words, _) => std::slice::from_ref(&words.event),
            Self::Turn(turn) => &turn.events,
        }
    }
}
