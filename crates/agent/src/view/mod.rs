//! What the model sees of the log: turns, folded from its events in their order.
//!
//! ```text
//! event ──take──> items ──said──> turns of a question
//!                   │ user: words of people, what happened beside the agent, summaries
//!                   │ agent: words without a call
//!                   │ turn: an answer with its calls, and their results as they come
//! condensation ──forgets items, puts a summary──┘
//! ```
//! An answer is one item from its first event on, so its results always stand behind its calls, and what people say
//! meanwhile stands behind both. All numbers are kept while events come in; a question costs what the view holds,
//! never what the log holds.
//!
//! | file | what |
//! |---|---|
//! | `items` | what the view is made of |
//! | `fold` | events as items |
//! | `by_hand` | how much of what people did is kept |
//! | `foreign` | events that no call of this model made |
//! | `tell` | items as turns |
//! | `weigh` | how much of the window they fill |

mod by_hand;
mod fold;
mod foreign;
pub(crate) mod items;
mod tell;
pub(crate) mod weigh;

use std::collections::{HashMap, HashSet, VecDeque};

use staithe_protocol::{EventId, action::Condensation};

use self::{
    foreign::Waits,
    items::{Item, Kind, Outcome, Words},
    weigh::Gauge,
};
use crate::{
    model::{Image, Said},
    settings::ViewSettings,
};

/// Pictures of so many results are told, the newest.
const PICTURES: usize = 3;
/// Stands before a summary.
const SUMMARY: &str = "[What came here before was taken out of your sight to make room. Summary:]";
/// Shorter results are told however old they are: the note would be as long.
const SHORT: usize = 300;

/// The turns that a model is told.
#[derive(Clone, Debug)]
pub struct View {
    settings: ViewSettings,
    items: Vec<Item>,
    /// Calls without a result, by the events that are their actions.
    calls: HashMap<EventId, Place>,
    /// Actions of no call whose outcome is told.
    waiting: HashMap<EventId, Waits>,
    /// Where answers are, by their ids.
    answers: HashMap<String, usize>,
    /// Results that are told whole, and those with pictures; the oldest first.
    whole: VecDeque<Place>,
    pictured: VecDeque<Place>,
    /// Long words about what people did by hand; the oldest first.
    long: VecDeque<usize>,
    /// Items of what people did by hand.
    by_hand: usize,
    /// A delegate works; all up to its report is its own.
    inside: Option<Inside>,
    newest: Option<EventId>,
    /// In quarters of a token.
    weight: u64,
    turns: usize,
    gauge: Gauge,
    /// Items that were looked at, to prove what a step costs.
    #[cfg(test)]
    pub(crate) work: std::cell::Cell<usize>,
}

/// A call: its item, and which of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    item: usize,
    call: usize,
}

/// The action that started a delegate.
#[derive(Clone, Debug)]
struct Inside {
    action: EventId,
    call_id: Option<String>,
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
        Self {
            settings,
            items: Vec::new(),
            calls: HashMap::new(),
            waiting: HashMap::new(),
            answers: HashMap::new(),
            whole: VecDeque::new(),
            pictured: VecDeque::new(),
            long: VecDeque::new(),
            by_hand: 0,
            inside: None,
            newest: None,
            weight: 0,
            turns: 0,
            gauge: Gauge::default(),
            #[cfg(test)]
            work: std::cell::Cell::default(),
        }
    }

    /// The view of another agent, which a `delegate` action starts: its task is the first word.
    pub fn of_delegate(settings: ViewSettings, task: &str, action: EventId) -> Self {
        let mut view = Self::new(settings);
        view.newest = Some(action);
        let text = format!("TASK: {task}");
        view.push(Item::User(Words {
            event: action,
            kind: Kind::Spoken,
            text,
            images: Vec::new(),
        }));
        view
    }

    /// The turns of a question that is asked now: from the first to the last a person's, or the result of a call.
    /// Calls without a result are told to have an unknown outcome.
    pub fn said(&self, asked: Asked<'_>) -> Vec<Said> {
        self.looked_at(self.items.len());
        tell::turns(&self.items, asked)
    }

    /// The newest event that was taken: what a question told at most, for the answer's
    /// [`Origin`](crate::origin::Origin).
    pub fn newest(&self) -> Option<EventId> {
        self.newest
    }

    /// What the agent said, if that is the last of it all.
    pub(crate) fn last_said(&self) -> Option<&str> {
        match self.items.last()? {
            Item::Agent(words, _) => Some(&words.text),
            _ => None,
        }
    }

    /// Turns in it: words, answers and results.
    pub fn turns(&self) -> usize {
        self.turns
    }

    /// Tokens that a question of it has, as is estimated; `beside` are the characters of the system prompt and the
    /// tools.
    pub fn tokens(&self, beside: usize) -> u64 {
        let beside = u64::try_from(beside).unwrap_or(u64::MAX);
        self.gauge.tokens(self.weight.saturating_add(beside))
    }

    /// Learns from a question that was asked: what was estimated, and what the provider counted.
    pub fn learn(&mut self, estimated: u64, counted: u64) {
        self.gauge.learn(estimated, counted);
    }

    pub(crate) fn settings(&self) -> &ViewSettings {
        &self.settings
    }

    pub(crate) fn items(&self) -> &[Item] {
        self.looked_at(self.items.len());
        &self.items
    }

    /// All it holds, in quarters of a token.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests count"))]
    fn looked_at(&self, items: usize) {
        #[cfg(test)]
        self.work.set(self.work.get() + items);
        #[cfg(not(test))]
        let _ = items;
    }

    fn push(&mut self, item: Item) {
        self.looked_at(1);
        self.weight += item.weight();
        self.turns += item.turns();
        self.by_hand += usize::from(item.is(Kind::ByHand));
        self.items.push(item);
    }

    /// Puts an item where it is not the last.
    fn insert(&mut self, at: usize, item: Item) {
        if at >= self.items.len() {
            return self.push(item);
        }
        self.weight += item.weight();
        self.turns += item.turns();
        self.by_hand += usize::from(item.is(Kind::ByHand));
        self.items.insert(at, item);
        self.relocate(|old| Some(if old < at { old } else { old + 1 }));
    }

    /// Says where items are now; none for those that are gone.
    fn relocate(&mut self, now: impl Fn(usize) -> Option<usize>) {
        self.looked_at(self.items.len());
        let moved = |place: &Place| Some(Place { item: now(place.item)?, ..*place });
        self.calls = self.calls.iter().filter_map(|(id, at)| Some((*id, moved(at)?))).collect();
        let answers = std::mem::take(&mut self.answers).into_iter();
        self.answers = answers.filter_map(|(id, at)| Some((id, now(at)?))).collect();
        self.whole = self.whole.iter().filter_map(moved).collect();
        self.pictured = self.pictured.iter().filter_map(moved).collect();
        self.long = self.long.iter().filter_map(|at| now(*at)).collect();
    }

    /// Takes out what does not stay.
    fn retain(&mut self, mut stays: impl FnMut(&Item) -> bool) {
        let mut places = Vec::with_capacity(self.items.len());
        let mut kept = Vec::with_capacity(self.items.len());
        for item in self.items.drain(..) {
            if stays(&item) {
                places.push(Some(kept.len()));
                kept.push(item);
            } else {
                self.weight -= item.weight();
                self.turns -= item.turns();
                self.by_hand -= usize::from(item.is(Kind::ByHand));
                places.push(None);
            }
        }
        self.items = kept;
        self.looked_at(places.len());
        self.relocate(|old| places.get(old).copied().flatten());
    }

    /// Forgets items all of whose events are named, and puts the summary in their place. An answer is forgotten with
    /// its results or not at all; instructions and knowledge only where they are named one by one or a summary has
    /// them: a loop that is left must not take them along.
    fn forget(&mut self, event: EventId, condensation: &Condensation) {
        let number = |id: &i64| u64::try_from(*id).ok().map(EventId);
        let ids: HashSet<EventId> =
            condensation.forgotten_event_ids.iter().flatten().filter_map(number).collect();
        let start = condensation.forgotten_events_start_id.as_ref().and_then(number);
        let end = condensation.forgotten_events_end_id.as_ref().and_then(number);
        let is_forgotten = |id: &EventId| {
            ids.contains(id)
                || start.zip(end).is_some_and(|(start, end)| (start..=end).contains(id))
        };
        let is_spared = |item: &Item| {
            item.is(Kind::Known)
                && condensation.summary.is_none()
                && !item.events().iter().all(|id| ids.contains(id))
        };
        self.retain(|item| {
            let events = item.events();
            events.is_empty() || !events.iter().all(is_forgotten) || is_spared(item)
        });
        if let Some(summary) = &condensation.summary {
            let offset = condensation.summary_offset.unwrap_or(0);
            let at = usize::try_from(offset).unwrap_or(0).min(self.items.len());
            let (kind, images) = (Kind::Summary, Vec::new());
            let text = format!("{SUMMARY}\n{summary}");
            self.insert(at, Item::User(Words { event, kind, text, images }));
        }
    }

    /// A call's result came.
    fn answer(&mut self, place: Place, event: EventId, text: String, images: Vec<Image>) {
        let has_pictures = !images.is_empty();
        let is_long = text.len() > SHORT;
        if !self.set(place, Outcome::Told { text, images }) {
            return;
        }
        if let Some(Item::Turn(turn)) = self.items.get_mut(place.item) {
            turn.heard(event);
        }
        self.calls.retain(|_, waiting| *waiting != place);
        if is_long {
            self.whole.push_back(place);
        }
        if has_pictures {
            self.pictured.push_back(place);
        }
        self.mask(place.item);
    }

    /// Sets a call's outcome if it has none.
    fn set(&mut self, place: Place, outcome: Outcome) -> bool {
        self.looked_at(1);
        let Some(Item::Turn(turn)) = self.items.get_mut(place.item) else { return false };
        let Some(call) = turn.calls.get_mut(place.call) else { return false };
        if !matches!(call.result, Outcome::Open) {
            return false;
        }
        self.weight -= call.weight();
        call.result = outcome;
        self.weight += call.weight();
        true
    }

    /// Takes away what is told of old results, but nothing of the answer at `newest`, which the model has not seen.
    fn mask(&mut self, newest: usize) {
        let most = self.settings.whole_results;
        if most > 0 && self.whole.len() > most + most / 2 {
            while self.whole.len() > most
                && let Some(place) = self.whole.front().copied().filter(|at| at.item != newest)
            {
                self.whole.pop_front();
                self.rewrite(place, |tool, text, images| {
                    images.clear();
                    let length = text.chars().count();
                    *text = format!("[The result of this older call of {tool} is left out: {length} characters.]");
                });
            }
        }
        while self.pictured.len() > PICTURES
            && let Some(place) = self.pictured.front().copied().filter(|at| at.item != newest)
        {
            self.pictured.pop_front();
            self.rewrite(place, |_, _, images| images.clear());
        }
    }

    fn rewrite(&mut self, place: Place, change: impl FnOnce(&str, &mut String, &mut Vec<Image>)) {
        self.looked_at(1);
        let Some(Item::Turn(turn)) = self.items.get_mut(place.item) else { return };
        let Some(call) = turn.calls.get_mut(place.call) else { return };
        self.weight -= call.weight();
        if let Outcome::Told { text, images } = &mut call.result {
            change(&call.made.name, text, images);
        }
        self.weight += call.weight();
    }
}

#[cfg(test)]
mod tests;
