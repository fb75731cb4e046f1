//! One agent's own part of the log: the session's agent has one, and each delegate another on top of it. Pure.

use serde_json::{Map, Value};
use staithe_protocol::{Action, Body, Event, EventId, Observation};

use crate::{
    model::ToolCall,
    origin::{OfCall, Origin},
    settings::ViewSettings,
    stuck::Detector,
    view::View,
};

/// Events of what people do by hand that are kept while a delegate works: a command has two.
const MOST_BY_HAND: usize = 64;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) view: View,
    /// The newest answer that has calls.
    pub(super) answer: Option<Answering>,
    /// The agent's action whose observation is due: there is one at most.
    pub(super) waiting: Option<Waiting>,
    /// Answers of the model.
    pub(super) steps: u64,
    /// So many of them it had when it was allowed to go on last.
    pub(super) granted: u64,
    /// The agent's list of tasks.
    pub(super) tasks: Vec<Value>,
    /// Answers with nothing in them, in a row.
    pub(super) empty: u32,
    /// Condensations since the last answer.
    pub(super) condensed: u32,
    pub(super) condense_asked: bool,
    /// The newest question was refused as too long.
    pub(super) too_long: bool,
    /// No summary can be had of what is to be forgotten.
    pub(super) unsummed: bool,
    /// The model failed in passing.
    pub(super) retry: Option<Retry>,
    pub(super) stuck: Detector,
    /// Events that the view is to forget, so that a loop is left: first and last.
    pub(super) forget: Option<(EventId, EventId)>,
    /// Words of people while a delegate worked for it, and the newest of what they did by hand: told when it works
    /// itself again.
    pub(super) meanwhile: Vec<Event>,
    /// For a delegate: what its parent is told.
    pub(super) ended: Option<Ended>,
}

/// An answer's calls, on their way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answering {
    pub(super) id: String,
    pub(super) calls: Vec<ToolCall>,
    /// So many of the calls have their event.
    pub(super) done: usize,
    /// The others are not carried out any more.
    pub(super) dropped: bool,
}

impl Answering {
    /// The next call and its origin.
    pub(super) fn next(&self) -> Option<(&ToolCall, Origin)> {
        let call = self.calls.get(self.done)?;
        let of = OfCall { id: call.id.clone(), tool: call.name.clone() };
        let total = self.calls.len();
        Some((call, Origin { answer_id: self.id.clone(), call: Some(of), total, whole: None }))
    }
}

/// An action that waits for its observation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) id: EventId,
    /// Without the whole answer.
    pub(super) origin: Option<Origin>,
    pub(super) due: Due,
}

/// Who answers an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    /// The executor. `held`: it does not know of it yet. `dropped`: nor will it.
    Runner { held: bool, dropped: bool },
    /// The controller itself.
    Own(Box<Observation>),
    /// The delegate that it started, of this name.
    Delegate(String),
}

/// The model is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) attempt: u32,
    pub(super) wait_ms: u64,
}

/// How a delegate ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ended {
    Finished(Map<String, Value>),
    Rejected(Map<String, Value>),
    Failed(String),
    /// The session's agent was stopped.
    Stopped,
}

impl Frame {
    /// The session's agent.
    pub(super) fn new(settings: ViewSettings) -> Self {
        Self::with(View::new(settings))
    }

    /// A delegate.
    pub(super) fn of_delegate(settings: ViewSettings, task: &str, action: EventId) -> Self {
        Self::with(View::of_delegate(settings, task, action))
    }

    fn with(view: View) -> Self {
        Self {
            view,
            answer: None,
            waiting: None,
            steps: 0,
            granted: 0,
            tasks: Vec::new(),
            empty: 0,
            condensed: 0,
            condense_asked: false,
            too_long: false,
            unsummed: false,
            retry: None,
            stuck: Detector::default(),
            forget: None,
            meanwhile: Vec::new(),
            ended: None,
        }
    }

    /// Something happened beside a delegate that works for it. Of what people did by hand the oldest is dropped where it
    /// is too much, and of what they said nothing.
    pub(super) fn meanwhile(&mut self, event: &Event) {
        let is_by_hand = |event: &Event| match &event.body {
            Body::Action(action) => !matches!(action, Action::Message(_) | Action::Recall(_)),
            Body::Observation(observation) => !matches!(observation, Observation::Recall(_)),
        };
        let by_hand = self.meanwhile.iter().filter(|event| is_by_hand(event)).count();
        if is_by_hand(event) && by_hand >= MOST_BY_HAND {
            let oldest = self.meanwhile.iter().position(is_by_hand);
            oldest.map(|at| self.meanwhile.remove(at));
        }
        self.meanwhile.push(event.clone());
    }

    /// The model answered, in full: what was counted for this answer begins anew.
    pub(super) fn answered(&mut self) {
        self.steps += 1;
        self.condensed = 0;
        self.view_is_good();
    }

    /// The view was condensed.
    pub(super) fn condensed(&mut self) {
        self.condensed += 1;
        self.forget = None;
        self.stuck.condensed();
        self.view_is_good();
    }

    /// Nothing is to be forgotten any more, for all that is known.
    fn view_is_good(&mut self) {
        self.condense_asked = false;
        self.too_long = false;
        self.unsummed = false;
        self.retry = None;
    }

    /// A call of the newest answer has its event.
    pub(super) fn called(&mut self, origin: &Origin) {
        let Some(call) = &origin.call else { return };
        let Some(answer) = self.answer.as_mut().filter(|a| a.id == origin.answer_id) else {
            return;
        };
        if let Some(at) = answer.calls.iter().position(|other| other.id == call.id) {
            answer.done = answer.done.max(at + 1);
        }
    }

    /// What is left of the answer is not carried out.
    pub(super) fn drop_rest(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.dropped = true;
        }
    }

    /// The task is given up: nothing new begins. What runs still has its observation coming.
    pub(super) fn give_up(&mut self) {
        self.drop_rest();
        self.retry = None;
        if let Some(Waiting { due: Due::Runner { held: true, dropped }, .. }) = &mut self.waiting {
            *dropped = true;
        }
    }

    /// A person lets it go on: what was counted against it begins anew.
    pub(super) fn encouraged(&mut self) {
        self.granted = self.steps;
        self.retry = None;
        self.empty = 0;
        self.stuck.reset();
    }

    /// What was held may run.
    pub(super) fn release(&mut self) {
        if let Some(Waiting { due: Due::Runner { held, dropped: false }, .. }) = &mut self.waiting {
            *held = false;
        }
    }

    /// Whether nothing of the newest answer is left to do.
    pub(super) fn is_through(&self) -> bool {
        self.waiting.is_none()
            && self.answer.as_ref().is_none_or(|answer| answer.done >= answer.calls.len())
    }

    /// What the controller answers an action with that nobody else does.
    pub(super) fn own_answer(action: &Action) -> Option<Observation> {
        let content = match action {
            Action::Think(_) => "Your thought has been logged.",
            Action::CondensationRequest => "The conversation is condensed before you go on.",
            _ => return None,
        };
        let content = content.to_owned();
        Some(match action {
            Action::Think(_) => Observation::Think { content },
            _ => Observation::Condense { content },
        })
    }
}
