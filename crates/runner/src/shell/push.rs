//! Live output: what of it is sent, and what is only counted. Pure.

use std::time::Duration;

use super::capture::{continuation, incomplete, text};

/// Bytes a second that are sent in the long run.
const RATE: u64 = 4 * 1024 * 1024;
/// Bytes that may be sent at once after a rest.
const BURST: u64 = 1024 * 1024;
/// Most bytes in one push.
const MOST: usize = 256 * 1024;
/// How long output is gathered before it is sent.
pub const GATHER: Duration = Duration::from_millis(10);

/// A push: `skipped` bytes were left out directly before `text`, which begins at `offset`.
#[derive(Debug, PartialEq, Eq)]
pub struct Push {
    pub offset: u64,
    pub text: String,
    /// The bytes that `text` was made of.
    pub bytes: u64,
    pub skipped: u64,
}

/// Gathers one stream's output and cuts it down to the rate.
#[derive(Debug)]
pub struct Pusher {
    /// Where in the stream `gathered` begins.
    offset: u64,
    gathered: Vec<u8>,
    /// Left out before `gathered`, and after it.
    skipped: u64,
    after: u64,
    tokens: u64,
    refilled: Duration,
}

impl Default for Pusher {
    fn default() -> Self {
        Self {
            offset: 0,
            gathered: Vec::new(),
            skipped: 0,
            after: 0,
            tokens: BURST,
            refilled: Duration::ZERO,
        }
    }
}

impl Pusher {
    /// Output came.
    pub fn push(&mut self, bytes: &[u8]) {
        let tokens = usize::try_from(self.tokens).unwrap_or(MOST);
        let room = match self.after {
            0 => tokens.min(MOST - self.gathered.len().min(MOST)),
            _ => 0, // a gap is open: what comes now belongs after it
        };
        let taken = bytes.len().min(room);
        self.gathered.extend_from_slice(&bytes[..taken]);
        self.tokens -= taken as u64;
        self.after += (bytes.len() - taken) as u64;
    }

    /// Whether there is something to say.
    pub fn is_waiting(&self) -> bool {
        !self.gathered.is_empty() || self.after > 0
    }

    /// What is to be sent now. A character that is not complete yet stays behind.
    pub fn flush(&mut self, now: Duration) -> Option<Push> {
        let passed = now.saturating_sub(self.refilled);
        let refill = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).saturating_mul(RATE);
        self.tokens = BURST.min(self.tokens.saturating_add(refill / 1_000_000));
        self.refilled = now;

        if self.skipped > 0 {
            let cut = continuation(&self.gathered);
            self.gathered.drain(..cut);
            self.offset += cut as u64;
            self.skipped += cut as u64;
        }
        let mut rest = self.gathered.split_off(self.gathered.len() - incomplete(&self.gathered));
        if self.after > 0 {
            self.after += rest.len() as u64;
            rest.clear();
        }
        let gathered = std::mem::replace(&mut self.gathered, rest);
        let after = std::mem::take(&mut self.after);
        let bytes = gathered.len() as u64;
        if bytes == 0 {
            self.skipped += after;
            self.offset += after;
            return None;
        }
        let push =
            Push { offset: self.offset, text: text(&gathered), bytes, skipped: self.skipped };
        self.offset += bytes + after;
        self.skipped = after;
        Some(push)
    }

    /// The stream ends: what is to be sent, with the gap at the end if there is one. The next stream
    /// begins at 0; the rate is for all streams together.
    pub fn finish(&mut self, now: Duration) -> impl Iterator<Item = Push> {
        let first = self.flush(now);
        let rest = std::mem::take(&mut self.gathered);
        let last = (!rest.is_empty() || self.skipped > 0).then(|| Push {
            offset: self.offset,
            text: text(&rest),
            bytes: rest.len() as u64,
            skipped: self.skipped,
        });
        self.offset = 0;
        self.skipped = 0;
        first.into_iter().chain(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn little_output_is_sent_as_it_is() {
        let mut pusher = Pusher::default();
        pusher.push(b"ab");
        pusher.push("€".as_bytes());
        let push = Push { offset: 0, text: "ab€".into(), bytes: 5, skipped: 0 };
        assert_eq!(pusher.flush(at(10)), Some(push));
        assert!(!pusher.is_waiting());
        pusher.push(b"c");
        let rest: Vec<Push> = pusher.finish(at(20)).collect();
        assert_eq!(rest, [Push { offset: 5, text: "c".into(), bytes: 1, skipped: 0 }]);
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_every_byte_is_accounted_for() {
        let mut pusher = Pusher::default();
        let (mut sent, mut skipped, mut total) = (0, 0, 0);
        let mut all = Vec::new();
        for ms in 1..=2000 {
            for _ in 0..100 {
                pusher.push("aé€".repeat(1000).as_bytes());
                total += 6000;
            }
            if ms % 10 == 0 {
                all.extend(pusher.flush(at(ms)));
            }
        }
        all.extend(pusher.finish(at(2000)));
        for push in &all {
            assert!(push.bytes <= MOST as u64);
            assert!(!push.text.contains('\u{fffd}'), "a character was cut");
            skipped += push.skipped;
            assert_eq!(push.offset, sent + skipped);
            sent += push.bytes;
        }
        assert_eq!(sent + skipped, total);
        assert!(sent <= BURST + 2 * RATE, "{sent}");
        assert!(sent >= RATE, "{sent}");
    }

    #[test]
    fn a_character_not_complete_yet_waits_for_its_rest() {
        let mut pusher = Pusher::default();
        pusher.push(b"a\xe2\x82");
        assert_eq!(pusher.flush(at(1)).map(|p| p.text), Some("a".into()));
        pusher.push(b"\xac");
        assert_eq!(pusher.flush(at(2)).map(|p| p.text), Some("€".into()));
    }
}
