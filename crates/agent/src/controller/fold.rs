//! What is known from the log alone. Pure: the fold is the only one to change it, so a restart knows the same.
//!
//! A state that is told follows from an event: `wanted` has those that follow and are not in the log yet, and what is
//! decided, is decided by the last of them. So a pause has its effect when it is in the log, not when it was told.

mod actions;
mod observations;

use std::collections::{BTreeSet, VecDeque};

use staithe_protocol::{
    Action, AgentState, Body, Event, EventId, Observation, Source, action::RecallType,
};

use super::{
    Spent,
    frame::{Answering, Due, Ended, Frame},
    spent::{Last, NO_PRICE},
};
use crate::{instructions::Told, origin::Origin, settings::ViewSettings};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Log {
    settings: ViewSettings,
    /// The state that was told last, and its reason.
    pub(super) state: AgentState,
    pub(super) reason: String,
    /// States to be told, in order.
    pub(super) wanted: VecDeque<Wanted>,
    root: Frame,
    /// The innermost is the last.
    delegates: Vec<Frame>,
    pub(super) spent: Spent,
    /// What had been spent when the limits were granted.
    pub(super) base: Spent,
    pub(super) confirming: Option<Confirming>,
    /// Kinds of action that need no agreement any more.
    pub(super) approved: BTreeSet<String>,
    /// Actions of clients that nobody else answers.
    pub(super) owed: VecDeque<Owed>,
    /// A user's message that came while the agent was at rest.
    pub(super) unanswered: Option<EventId>,
    /// The newest message of a user.
    last_user: Option<EventId>,
    /// The newest event that the newest question told.
    seen: Option<EventId>,
    pub(super) recalls: Recalls,
    pub(super) system_told: bool,
    /// The model that refused a question as too long last, and the tokens that the shortest such question of it had.
    pub(super) most_read: Option<(String, u64)>,
    /// Models without a known price that a pause was about, and those that a person let go on all the same.
    pub(super) unpriced: BTreeSet<String>,
    pub(super) agreed_unpriced: BTreeSet<String>,
    /// Why a person rejected the action whose observation is due.
    rejected_because: Option<String>,
}

/// A state to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) state: AgentState,
    pub(super) reason: String,
    pub(super) cause: Option<EventId>,
}

/// An action that a person is asked about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Confirming {
    pub(super) id: EventId,
    pub(super) action: Action,
    pub(super) timeout: Option<u64>,
    /// Without the whole answer.
    pub(super) origin: Option<Origin>,
    /// What an agreement to all of its kind is about.
    pub(super) kinds: BTreeSet<String>,
    /// The arguments that a person changed.
    pub(super) edited: Vec<String>,
    /// It has its null observation.
    pub(super) told: bool,
    pub(super) decision: Option<Decision>,
    /// The task was given up meanwhile.
    pub(super) dropped: bool,
}

/// What a person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Confirmed,
    /// With the reason, which may be empty.
    Rejected(String),
}

/// A client's action without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) id: EventId,
    pub(super) source: Source,
    /// None: a null observation.
    pub(super) refused: Option<String>,
}

/// What is looked up for the user's messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recalls {
    /// Messages that nothing was looked up for, the oldest first.
    pub(super) pending: VecDeque<(EventId, String)>,
    /// The workspace was told of.
    pub(super) workspace: bool,
    /// Knowledge that was told already.
    pub(super) known: Told,
    /// A recall without its observation.
    pub(super) open: Option<(EventId, RecallType, String)>,
    /// For delegates, which begin without a word of it.
    told: Option<Box<Event>>,
}

/// So many messages at most are looked at for words that call up knowledge.
const MOST_PENDING: usize = 64;

impl Log {
    pub(super) fn new(settings: ViewSettings) -> Self {
        Self {
            settings,
            state: AgentState::Loading,
            reason: String::new(),
            wanted: VecDeque::new(),
            root: Frame::new(settings),
            delegates: Vec::new(),
            spent: Spent::default(),
            base: Spent::default(),
            confirming: None,
            approved: BTreeSet::new(),
            owed: VecDeque::new(),
            unanswered: None,
            last_user: None,
            seen: None,
            recalls: Recalls::default(),
            system_told: false,
            most_read: None,
            unpriced: BTreeSet::new(),
            agreed_unpriced: BTreeSet::new(),
            rejected_because: None,
        }
    }

    /// The state that decides.
    pub(super) fn effective(&self) -> AgentState {
        self.wanted.back().map_or(self.state, |wanted| wanted.state)
    }

    /// Whoever works: the innermost delegate, or the session's agent.
    pub(super) fn top(&self) -> &Frame {
        self.delegates.last().unwrap_or(&self.root)
    }

    fn top_mut(&mut self) -> &mut Frame {
        self.delegates.last_mut().unwrap_or(&mut self.root)
    }

    fn frames_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        std::iter::once(&mut self.root).chain(&mut self.delegates)
    }

    /// All frames, the session's agent first.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        std::iter::once(&self.root).chain(&self.delegates)
    }

    /// How many delegates work in one another.
    pub(super) fn depth(&self) -> usize {
        self.delegates.len()
    }

    /// Whether a user said something that the model was not told.
    pub(super) fn is_unread(&self) -> bool {
        self.last_user.is_some_and(|said| self.seen.is_some_and(|seen| said > seen))
    }

    /// Takes the next event.
    pub(super) fn fold(&mut self, event: &Event) {
        if let Some(metrics) = &event.llm_metrics {
            self.spent = Spent::from_metrics(metrics);
            if let Some((estimated, counted)) = Last::learnt(metrics) {
                self.top_mut().view.learn(estimated, counted);
            }
        }
        let origin = event.tool_call_metadata.as_ref().and_then(Origin::from_value);
        match &event.body {
            Body::Action(action) => {
                if let (Source::Agent, Some(origin)) = (event.source, &origin) {
                    self.begun(origin);
                }
                self.show(event);
                self.action(event, action, origin);
            }
            Body::Observation(observation) => {
                // One with a cause answers an action, whose own metadata it repeats.
                if let (Source::Agent, None, Some(origin)) = (event.source, event.cause, &origin) {
                    self.begun(origin);
                    self.refused(event.id, origin, observation);
                }
                if !matches!(observation, Observation::AgentStateChanged(_)) {
                    self.left(event.cause);
                }
                self.show(event);
                self.observation(event, observation);
            }
        }
    }

    /// The views that an event belongs to take it: those of all for what people do, else that of whoever works.
    fn show(&mut self, event: &Event) {
        let recall = matches!(&event.body, Body::Action(Action::Recall(_)))
            || event.cause.is_some_and(|cause| {
                self.recalls.open.as_ref().is_some_and(|(open, ..)| *open == cause)
            });
        if event.source == Source::User || recall {
            let works = self.delegates.len();
            for (_, frame) in self.frames_mut().enumerate().filter(|(depth, _)| *depth < works) {
                frame.meanwhile(event);
            }
        }
        let top = self.top_mut();
        top.view.take(event);
        for said in std::mem::take(&mut top.meanwhile) {
            top.view.take(&said);
        }
    }

    /// An event of the model's: a new answer, or the next call of the one that is open.
    fn begun(&mut self, origin: &Origin) {
        let given_up = is_given_up(self.effective());
        let top = self.top_mut();
        let known = top.answer.as_ref().is_some_and(|answer| answer.id == origin.answer_id);
        if let (Some(whole), false) = (&origin.whole, known) {
            top.answered();
            top.empty = 0;
            top.answer = Some(Answering {
                id: origin.answer_id.clone(),
                calls: whole.said.calls.clone(),
                done: 0,
                dropped: given_up || top.ended.is_some(),
            });
            self.seen = whole.seen;
            let seen = whole.seen;
            self.recalls.pending.retain(|(id, _)| seen.is_none_or(|seen| *id > seen));
        }
        self.top_mut().called(origin);
    }

    /// A call that came to nothing has its event.
    fn refused(&mut self, id: EventId, origin: &Origin, observation: &Observation) {
        let top = self.top_mut();
        let call = origin.call.as_ref().and_then(|of| {
            let answer = top.answer.as_ref()?;
            answer.calls.iter().find(|call| call.id == of.id)
        });
        let Some(call) = call else { return };
        let said = format!("{} {}", call.name, call.arguments);
        top.stuck.refused(id, &said, observation);
    }

    /// The delegate's parent is answered: the delegate, and whoever works for it, is gone.
    fn left(&mut self, cause: Option<EventId>) {
        let Some(cause) = cause else { return };
        let is = |frame: &Frame| {
            frame.waiting.as_ref().is_some_and(|waiting| {
                waiting.id == cause && matches!(waiting.due, Due::Delegate(_))
            })
        };
        let parent = self.frames().position(is);
        if let Some(parent) = parent {
            self.delegates.truncate(parent);
        }
    }

    /// A state follows from an event.
    fn want(&mut self, state: AgentState, reason: &str, cause: impl Into<Option<EventId>>) {
        if self.effective() == state {
            return;
        }
        self.entered(state);
        self.wanted.push_back(Wanted { state, reason: reason.to_owned(), cause: cause.into() });
    }

    /// The agent comes to rest by itself, unless somebody spoke meanwhile.
    fn rest(&mut self, state: AgentState, cause: EventId) {
        self.want(state, "", cause);
        if self.is_unread()
            && let Some(said) = self.last_user
        {
            self.want(AgentState::Running, "", said);
        }
    }

    /// What a state does to the work, whoever told it.
    fn entered(&mut self, state: AgentState) {
        if state == AgentState::Running {
            self.unanswered = None;
            self.top_mut().release();
        } else if is_given_up(state) {
            self.give_up();
        }
    }

    /// Nothing new begins; delegates end.
    fn give_up(&mut self) {
        self.unanswered = None;
        self.frames_mut().for_each(Frame::give_up);
        for delegate in &mut self.delegates {
            delegate.ended.get_or_insert(Ended::Stopped);
        }
        if let Some(confirming) = &mut self.confirming {
            confirming.dropped = true;
        }
    }

    /// A person wants the agent to go on.
    fn encouraged(&mut self) {
        self.agree_to_price();
        self.frames_mut().for_each(Frame::encouraged);
    }

    /// Whoever lets the agent go on from that pause knows that its cost can't be limited.
    fn agree_to_price(&mut self) {
        if self.state == AgentState::Paused && self.reason == NO_PRICE {
            self.agreed_unpriced.append(&mut self.unpriced);
        }
    }
}

/// Whether a task has ended in this state: nothing of it goes on.
pub(super) fn is_given_up(state: AgentState) -> bool {
    matches!(
        state,
        AgentState::Stopped
            | AgentState::Finished
            | AgentState::Rejected
            | AgentState::Error
            | AgentState::AwaitingUserInput
    )
}

/// Whether a message of a user wakes the agent in this state.
pub(super) fn is_resting(state: AgentState) -> bool {
    is_given_up(state)
        || matches!(state, AgentState::Loading | AgentState::Init | AgentState::Paused)
}
