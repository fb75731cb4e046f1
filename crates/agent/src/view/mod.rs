//! What the model sees of the log.

use staithe_protocol::{Event, EventId};

use crate::{model::Said, settings::ViewSettings};

/// The turns that a model is told, folded from the events of the log in their order.
#[derive(Clone, Debug)]
pub struct View {
    settings: ViewSettings,
    said: Vec<Said>,
    newest: Option<EventId>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The model's name: what one gave back opaque is told to it alone.
    pub model: &'a str,
    /// It sees pictures.
    pub pictures: bool,
}

impl View {
    pub fn new(settings: ViewSettings) -> Self {
        Self { settings, said: Vec::new(), newest: None }
    }

    /// The view of another agent, which a `delegate` action starts: its task is the first word.
    pub fn of_delegate(settings: ViewSettings, task: &str, action: EventId) -> Self {
        let _ = (task, action);
        Self::new(settings)
    }

    /// Takes the next event of the log.
    pub fn take(&mut self, event: &Event) {
        self.newest = Some(event.id);
    }

    /// The turns of a question that is asked now. Calls without a result are told to have an unknown outcome.
    pub fn said(&self, asked: Asked<'_>) -> Vec<Said> {
        let _ = (asked, self.settings);
        self.said.clone()
    }

    /// The newest event that was taken: what a question told at most, for the answer's [`crate::origin::Origin`].
    pub fn newest(&self) -> Option<EventId> {
        self.newest
    }

    /// Calls that have no result yet.
    pub fn open_calls(&self) -> usize {
        0
    }

    /// Turns in it.
    pub fn turns(&self) -> usize {
        self.said.len()
    }

    /// Tokens that a question of it has, as is estimated; `beside` are the characters of the system prompt and the
    /// tools.
    pub fn tokens(&self, beside: usize) -> u64 {
        u64::try_from(beside / 4).unwrap_or(u64::MAX)
    }

    /// Learns from a question that was asked: what was estimated, and what the provider counted.
    pub fn learn(&mut self, estimated: u64, counted: u64) {
        let _ = (estimated, counted);
    }
}
