//! The newest events in their encoded form, and the output that runs beside them. Pure.
//!
//! ```text
//! append --> pending --committed--> recent ring --budget spent--> (store only)
//! ```

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use staithe_protocol::{EventId, frames::PartialKind};

/// Most bytes of encoded events kept for joining clients; older ones are read from the store.
pub const RECENT_BYTES: usize = 256 * 1024;
/// Most bytes of output kept for joining clients.
pub const PARTIAL_BYTES: usize = 256 * 1024;

/// Gives ids and knows which events are durable.
#[derive(Debug, Default)]
pub struct EventLog {
    next: EventId,
    committed: HashSet<u64>,
    /// First id that is not known to be durable.
    durable_end: u64,
    references: HashSet<u64>,
}

impl EventLog {
    /// A log whose newest event is `head` and which knows the hashes of these references.
    pub fn new(head: Option<EventId>, references: impl IntoIterator<Item = u64>) -> Self {
        let next = head.map_or(EventId(0), EventId::next);
        Self {
            next,
            committed: HashSet::new(),
            durable_end: next.0,
            references: references.into_iter().collect(),
        }
    }

    /// The next id.
    pub fn assign(&mut self) -> EventId {
        let id = self.next;
        self.next = id.next();
        id
    }

    /// The newest id given, as a cursor; −1 when none was.
    pub fn newest(&self) -> i64 {
        i64::try_from(self.next.0).unwrap_or(i64::MAX) - 1
    }

    /// Whether a reference with this hash may be in the log already.
    pub fn may_know(&self, reference_hash: u64) -> bool {
        self.references.contains(&reference_hash)
    }

    /// Remembers a reference.
    pub fn know(&mut self, reference_hash: u64) {
        self.references.insert(reference_hash);
    }

    /// An event is durable. Returns the new head when it moved: ids below it are all durable.
    pub fn commit(&mut self, id: EventId) -> Option<EventId> {
        self.committed.insert(id.0);
        let before = self.durable_end;
        while self.committed.remove(&self.durable_end) {
            self.durable_end += 1;
        }
        (self.durable_end > before).then(|| EventId(self.durable_end - 1))
    }
}

/// Consecutive encoded events up to the newest.
#[derive(Debug, Default)]
pub struct Recent {
    frames: VecDeque<(EventId, Bytes)>,
    bytes: usize,
}

impl Recent {
    /// Adds the next event; forgets the oldest beyond the budget.
    pub fn push(&mut self, id: EventId, frame: Bytes) {
        if self.frames.back().is_some_and(|(last, _)| last.next() != id) {
            self.clear();
        }
        self.bytes += frame.len();
        self.frames.push_back((id, frame));
        while self.bytes > RECENT_BYTES && self.frames.len() > 1 {
            if let Some((_, gone)) = self.frames.pop_front() {
                self.bytes -= gone.len();
            }
        }
    }

    /// The events after a cursor, about `max_bytes` of them; nothing when the first one asked for has
    /// been forgotten.
    pub fn after(
        &self,
        after: Option<EventId>,
        up_to: EventId,
        max_bytes: usize,
    ) -> Option<Vec<(EventId, Bytes)>> {
        let first = after.map_or(EventId(0), EventId::next);
        let (oldest, _) = self.frames.front()?;
        let skip = first.0.checked_sub(oldest.0)?;
        let mut bytes = 0;
        let frames = self.frames.iter().skip(usize::try_from(skip).ok()?);
        let taken: Vec<_> = frames
            .take_while(|(id, frame)| {
                let fits = *id <= up_to && (bytes == 0 || bytes + frame.len() <= max_bytes);
                bytes += frame.len();
                fits
            })
            .cloned()
            .collect();
        Some(taken)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.frames.shrink_to_fit();
        self.bytes = 0;
    }
}

/// One piece of output.
#[derive(Clone, Debug)]
pub struct Partial {
    pub seq: u64,
    pub cause: Option<EventId>,
    pub kind: PartialKind,
    pub frame: Bytes,
    /// The command's observation, or what came of the answer, once it is in the log: who has that one needs this no
    /// more.
    pub observed_by: Option<EventId>,
}

/// The newest output of a session.
#[derive(Debug, Default)]
pub struct Partials {
    ring: VecDeque<Partial>,
    bytes: usize,
    next: u64,
    /// The newest commands whose observations are in the log.
    settled: VecDeque<EventId>,
}

/// How many commands are remembered as settled: more than can have output on its way.
const SETTLED: usize = 64;

impl Partials {
    /// Adds output; `encode` makes its frame from its number. Returns how many older pieces it pushed
    /// out. Output that arrives after its command's observation tells nothing new and is dropped.
    pub fn push(
        &mut self,
        cause: Option<EventId>,
        kind: PartialKind,
        encode: impl FnOnce(u64) -> Bytes,
    ) -> u64 {
        let settled = |cause| kind == PartialKind::Output && self.settled.contains(&cause);
        if cause.is_some_and(settled) {
            return 0;
        }
        self.forget_observed();
        let seq = self.next;
        self.next += 1;
        let frame = encode(seq);
        self.bytes += frame.len();
        self.ring.push_back(Partial { seq, cause, kind, frame, observed_by: None });
        let mut dropped = 0;
        while self.bytes > PARTIAL_BYTES && self.ring.len() > 1 {
            if let Some(gone) = self.ring.pop_front() {
                self.bytes -= gone.frame.len();
                dropped += 1;
            }
        }
        dropped
    }

    /// The command's observation is in the log.
    pub fn observed(&mut self, cause: EventId, by: EventId) {
        if self.settled.len() == SETTLED {
            self.settled.pop_front();
        }
        self.settled.push_back(cause);
        let is_its = |it: &&mut Partial| it.cause == Some(cause) && it.kind == PartialKind::Output;
        for partial in self.ring.iter_mut().filter(is_its) {
            partial.observed_by = Some(by);
        }
    }

    /// What came of the model's answers so far is in the log.
    pub fn answered(&mut self, by: EventId) {
        let is_open =
            |it: &&mut Partial| it.kind != PartialKind::Output && it.observed_by.is_none();
        for partial in self.ring.iter_mut().filter(is_open) {
            partial.observed_by = Some(by);
        }
    }

    /// Output with a number of at least `from`, for a client that has events up to `cursor`; and the
    /// number to ask for next.
    pub fn from(&self, from: u64, cursor: i64, max: usize) -> (Vec<Bytes>, u64) {
        let wanted = |partial: &&Partial| {
            partial.seq >= from
                && !partial
                    .observed_by
                    .is_some_and(|by| i64::try_from(by.0).is_ok_and(|by| by <= cursor))
        };
        let taken: Vec<_> = self.ring.iter().filter(wanted).take(max).collect();
        let next = match taken.last() {
            Some(last) if taken.len() == max => last.seq + 1,
            _ => self.next,
        };
        (taken.into_iter().map(|partial| partial.frame.clone()).collect(), next)
    }

    /// The number of the next piece.
    pub fn next(&self) -> u64 {
        self.next
    }

    fn forget_observed(&mut self) {
        while self.ring.len() > 64 && self.ring.front().is_some_and(|p| p.observed_by.is_some()) {
            if let Some(gone) = self.ring.pop_front() {
                self.bytes -= gone.frame.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_head_never_passes_an_event_that_is_not_durable(order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut log = EventLog::new(None, []);
            for _ in 0..40 { log.assign(); }
            let mut durable = HashSet::new();
            let mut head = None;
            for id in order {
                durable.insert(id);
                if let Some(moved) = log.commit(EventId(id)) { head = Some(moved); }
                let expected = (0..40).take_while(|id| durable.contains(id)).last().map(EventId);
                prop_assert_eq!(head, expected);
            }
        }

        #[test]
        fn what_recent_gives_is_dense_and_begins_after_the_cursor(sizes in prop::collection::vec(1..60_000_usize, 1..60), after in 0..60_u64, max in 1..200_000_usize) {
            let mut recent = Recent::default();
            let newest = EventId(sizes.len() as u64 - 1);
            for (id, size) in sizes.iter().enumerate() {
                recent.push(EventId(id as u64), Bytes::from(vec![0; *size]));
            }
            prop_assert!(recent.bytes <= RECENT_BYTES || recent.frames.len() == 1);
            if let Some(events) = recent.after(Some(EventId(after)), newest, max) {
                for (place, (id, _)) in events.iter().enumerate() {
                    prop_assert_eq!(id.0, after + 1 + place as u64);
                }
                prop_assert_eq!(events.is_empty(), after >= newest.0);
            }
        }
    }

    #[test]
    fn a_forgotten_cursor_is_told_apart_from_one_that_is_up_to_date() {
        let mut recent = Recent::default();
        for id in 0..10 {
            recent.push(EventId(id), Bytes::from(vec![0; 100_000]));
        }
        assert!(recent.after(None, EventId(9), 1000).is_none());
        assert_eq!(recent.after(Some(EventId(9)), EventId(9), 1000), Some(Vec::new()));
    }

    #[test]
    fn output_of_an_observed_command_is_left_out_for_who_has_the_observation() {
        let mut partials = Partials::default();
        for _ in 0..3 {
            partials
                .push(Some(EventId(4)), PartialKind::Output, |seq| Bytes::from(seq.to_string()));
        }
        partials.observed(EventId(4), EventId(5));
        assert_eq!(partials.from(0, 5, 10), (Vec::new(), 3));
        assert_eq!(partials.from(0, 4, 2), (vec![Bytes::from("0"), Bytes::from("1")], 2));
        assert_eq!(partials.from(2, 4, 2), (vec![Bytes::from("2")], 3));
    }

    #[test]
    fn an_answers_pieces_are_left_out_for_who_has_what_came_of_it() {
        let mut partials = Partials::default();
        let encode = |seq: u64| Bytes::from(seq.to_string());
        partials.push(Some(EventId(4)), PartialKind::Answer, encode);
        partials.push(Some(EventId(4)), PartialKind::Output, encode);
        partials.observed(EventId(4), EventId(5));
        assert_eq!(partials.from(0, 5, 10), (vec![Bytes::from("0")], 2));
        partials.answered(EventId(6));
        partials.push(Some(EventId(7)), PartialKind::Answer, encode);
        assert_eq!(partials.from(0, 6, 10), (vec![Bytes::from("2")], 3));
        assert_eq!(partials.from(0, 4, 10).0.len(), 3);
    }

    #[test]
    fn output_without_end_is_bounded() {
        let mut partials = Partials::default();
        for _ in 0..100 {
            partials.push(None, PartialKind::Output, |_| Bytes::from(vec![b'y'; 64 * 1024]));
        }
        assert!(partials.bytes <= PARTIAL_BYTES);
        assert_eq!(partials.next(), 100);
    }
}
