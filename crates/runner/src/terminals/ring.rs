//! The newest output of a terminal, by its place in all output, and the sizes that held for it. Pure.

use std::collections::VecDeque;

use staithe_protocol::terminal::{RING, TerminalSize};

/// Changes of the size that are remembered; with one more, output from before the oldest is as good as
/// gone.
const MOST_SIZES: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Ring {
    bytes: VecDeque<u8>,
    /// Where the next byte will be.
    end: u64,
    /// Where a size begins to hold; the first one holds at the oldest place that can be gone back to.
    sizes: VecDeque<(u64, TerminalSize)>,
}

/// What comes next for somebody at some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Bytes(Vec<u8>),
    /// From here on this size holds.
    Size(TerminalSize),
    /// All is told.
    Nothing,
    /// The place is older than what is kept.
    Lost,
}

impl Ring {
    pub fn new(size: TerminalSize) -> Self {
        Self { bytes: VecDeque::new(), end: 0, sizes: VecDeque::from([(0, size)]) }
    }

    /// All bytes so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The oldest place that can be gone back to.
    pub fn oldest(&self) -> u64 {
        let kept = self.end - self.bytes.len() as u64;
        self.sizes.front().map_or(kept, |(since, _)| kept.max(*since))
    }

    /// The size that holds now.
    pub fn size(&self) -> TerminalSize {
        self.size_at(self.end)
    }

    /// The size that held for the byte at a place that can be gone back to; of several at the same
    /// place, the last.
    pub fn size_at(&self, place: u64) -> TerminalSize {
        let held = self.sizes.iter().rev().find(|(since, _)| *since <= place);
        held.or(self.sizes.front()).map_or(TerminalSize { cols: 80, rows: 24 }, |(_, size)| *size)
    }

    /// All bytes from a place on, if it is kept.
    pub fn since(&self, place: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(self.end.checked_sub(place)?).ok()?;
        let start = self.bytes.len().checked_sub(length)?;
        Some(self.bytes.range(start..).copied().collect())
    }

    /// The program printed something.
    pub fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(RING)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(RING);
        self.bytes.drain(..over);
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            // It grows as it is used, and never beyond what it keeps.
            let capacity = needed.next_power_of_two().min(RING);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
        let kept = self.end - self.bytes.len() as u64;
        while self.sizes.get(1).is_some_and(|(since, _)| *since <= kept) {
            self.sizes.pop_front();
        }
    }

    /// Another size holds for what the program prints from now on. Whether it is another one.
    pub fn resize(&mut self, size: TerminalSize) -> bool {
        if size == self.size() {
            return false;
        }
        if self.sizes.len() == MOST_SIZES {
            self.sizes.pop_front();
        }
        self.sizes.push_back((self.end, size));
        true
    }

    /// What comes next at `place` for somebody who was told of `known`; at most `most` bytes.
    pub fn next(&self, place: u64, known: TerminalSize, most: usize) -> Next {
        if place < self.oldest() {
            return Next::Lost;
        }
        let here = self.size_at(place);
        if here != known {
            return Next::Size(here);
        }
        let changes = self.sizes.iter().map(|(since, _)| *since).find(|since| *since > place);
        let left = changes.unwrap_or(self.end).saturating_sub(place);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        if length == 0 {
            return Next::Nothing;
        }
        let start = self.bytes.len() - usize::try_from(self.end - place).unwrap_or(0);
        Next::Bytes(self.bytes.range(start..start + length).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(cols: u16) -> TerminalSize {
        TerminalSize { cols, rows: 24 }
    }

    /// All that comes at a place, sizes in brackets.
    fn told(ring: &Ring, mut place: u64, mut known: TerminalSize, most: usize) -> Option<String> {
        let mut told = String::new();
        loop {
            match ring.next(place, known, most) {
                Next::Bytes(bytes) => {
                    assert!(bytes.len() <= most && !bytes.is_empty());
                    place += bytes.len() as u64;
                    told += &String::from_utf8(bytes).unwrap();
                }
                Next::Size(size) => {
                    known = size;
                    told.extend(["[", &size.cols.to_string(), "]"]);
                }
                Next::Nothing => return Some(told),
                Next::Lost => return None,
            }
        }
    }

    #[test]
    fn sizes_come_between_the_bytes_that_they_hold_for() {
        let mut ring = Ring::new(size(80));
        ring.push(b"ab");
        assert!(ring.resize(size(90)) && !ring.resize(size(90)));
        ring.push(b"cd");
        ring.resize(size(10));
        ring.resize(size(100));
        ring.push(b"e");
        assert_eq!(told(&ring, 0, size(80), 100).unwrap(), "ab[90]cd[100]e");
        assert_eq!(told(&ring, 3, size(90), 1).unwrap(), "d[100]e");
        assert_eq!(told(&ring, 4, size(90), 1).unwrap(), "[100]e");
        assert_eq!(told(&ring, 5, size(100), 1).unwrap(), "");
        assert_eq!((ring.size(), ring.end(), ring.oldest()), (size(100), 5, 0));
    }

    #[test]
    fn it_keeps_a_mebibyte_and_takes_no_more() {
        let mut ring = Ring::new(size(80));
        for round in 0..300_u64 {
            ring.push(&vec![b'x'; 10_000]);
            assert!(ring.bytes.capacity() <= RING);
            let kept = ((round + 1) * 10_000).min(RING as u64);
            assert_eq!(ring.oldest(), (round + 1) * 10_000 - kept);
        }
        ring.push(&vec![b'y'; 3 * RING]);
        assert_eq!(ring.oldest(), 3_000_000 + 2 * RING as u64);
        assert_eq!(ring.next(ring.oldest() - 1, size(80), 1), Next::Lost);
        assert_eq!(ring.next(ring.oldest(), size(80), 1), Next::Bytes(b"y".to_vec()));
    }

    #[test]
    fn with_too_many_sizes_the_bytes_before_the_oldest_are_lost() {
        let mut ring = Ring::new(size(1));
        for cols in 0..1000 {
            ring.push(b"x");
            ring.resize(size(2 + cols));
        }
        assert!(ring.sizes.len() <= MOST_SIZES);
        assert_eq!(told(&ring, 0, size(1), 9), None);
        let oldest = ring.oldest();
        assert_eq!(oldest, 1000 - MOST_SIZES as u64 + 1);
        assert!(told(&ring, oldest, ring.size_at(oldest), 9).is_some());
    }

    proptest! {
        /// Whoever comes back to any place that is kept, and reads in pieces of any length, gets what
        /// one gets who was never away.
        #[test]
        fn any_place_that_is_kept_goes_on_exactly(
            steps in prop::collection::vec((0..70_000_usize, prop::option::of(1..5_u16)), 1..40),
            back in 0..2_000_000_u64,
            most in 1..80_000_usize,
        ) {
            let mut ring = Ring::new(size(9));
            let mut all = Vec::new();
            let mut sizes = vec![(0, 9)];
            for (length, cols) in steps {
                let bytes: Vec<u8> = (0..=250_u8).cycle().skip(all.len() % 251).take(length).collect();
                ring.push(&bytes);
                all.extend(bytes);
                if let Some(cols) = cols {
                    ring.resize(size(cols));
                    sizes.push((all.len() as u64, cols));
                }
            }
            let held = |place: u64| sizes.iter().rfind(|(since, _)| *since <= place).unwrap().1;
            let mut place = (all.len() as u64).saturating_sub(back);
            let mut known = size(held(place));
            if place < ring.oldest() {
                prop_assert_eq!(ring.next(place, known, most), Next::Lost);
                return Ok(());
            }
            loop {
                match ring.next(place, known, most) {
                    Next::Bytes(bytes) => {
                        let at = usize::try_from(place).unwrap();
                        prop_assert_eq!(&all[at..at + bytes.len()], &bytes[..]);
                        prop_assert_eq!(held(place + bytes.len() as u64 - 1), known.cols);
                        place += bytes.len() as u64;
                    }
                    Next::Size(size) => {
                        prop_assert_eq!(held(place), size.cols);
                        known = size;
                    }
                    Next::Nothing => break,
                    Next::Lost => prop_assert!(false, "lost"),
                }
            }
            prop_assert_eq!((place, known), (all.len() as u64, ring.size()));
        }
    }
}
