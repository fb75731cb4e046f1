//! When and what the view forgets, and what stands in its place. Pure.

use staithe_protocol::{EventId, action::Condensation};

use crate::{model::Question, view::View};

/// Why the view is to be condensed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The window fills.
    Fill,
    /// There are many turns.
    Turns,
    /// The model asked for it.
    Asked,
    /// The provider refused the question as too long.
    TooLong,
}

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub why: Why,
    pub forget: Vec<EventId>,
    /// Where the summary is put.
    pub offset: usize,
    /// What the summary is made of.
    pub(crate) transcript: String,
    /// What stands in its place when no summary can be had.
    pub(crate) fallback: String,
}

/// Whether the view is to be condensed before it is asked; `window` in tokens, 0 unknown; `beside` as in
/// [`View::tokens`].
pub fn due(view: &View, window: u64, beside: usize) -> Option<Why> {
    let _ = (view, window, beside);
    None
}

/// What is forgotten; none where nothing can be.
pub fn plan(view: &View, why: Why, window: u64) -> Option<Plan> {
    let _ = (view, why, window);
    None
}

impl Plan {
    /// What the model is asked for the summary. Without tools.
    pub fn question(&self) -> Question {
        Question { system: self.transcript.clone(), ..Question::default() }
    }

    /// The action for the log; without a summary, what was forgotten is told so.
    pub fn condensation(&self, summary: Option<&str>) -> Condensation {
        let _ = (&self.fallback, summary);
        Condensation {
            forgotten_event_ids: None,
            forgotten_events_start_id: None,
            forgotten_events_end_id: None,
            summary: None,
            summary_offset: None,
        }
    }
}
