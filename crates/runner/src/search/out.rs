//! The way of results to whoever asked: lines of JSON, in pieces, the first at once.

use std::time::Duration;

use staithe_protocol::search::{Found, Truncated};
use tokio::time::Instant;

use super::content::Take;
use crate::http::pieces::{Pieces, Unsent};

/// Results wait for company up to this size, in bytes, or so long.
const PIECE: usize = 16 * 1024;
const WAIT: Duration = Duration::from_millis(50);
/// After so long without a result it is told that the search goes on: who has gone is noticed then.
const SILENCE: Duration = Duration::from_secs(1);
/// A reader that takes nothing for so long ends its search: it would hold the turn of another.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a search takes.
pub(super) const LONGEST: Duration = Duration::from_mins(1);
/// The most files that one search looks at.
pub(super) const MOST_FILES: u64 = 1_000_000;

/// Where results go, and what was counted.
pub(super) struct Out {
    pieces: Pieces<Vec<u8>>,
    waiting: Vec<u8>,
    began: Instant,
    sent: Option<Instant>,
    /// Nobody takes any more; what waits goes with the last line.
    over: bool,
    most: u64,
    pub results: u64,
    pub files: u64,
    pub searched: u64,
    pub skipped_binary: u64,
    pub skipped_large: u64,
    pub unreadable: u64,
    pub truncated: Option<Truncated>,
}

impl Out {
    /// For at most so many results.
    pub(super) fn new(pieces: Pieces<Vec<u8>>, most: u64) -> Self {
        Self {
            pieces,
            waiting: Vec::new(),
            began: Instant::now(),
            sent: None,
            over: false,
            most,
            results: 0,
            files: 0,
            searched: 0,
            skipped_binary: 0,
            skipped_large: 0,
            unreadable: 0,
            truncated: None,
        }
    }

    /// Whether anything more may be told.
    pub(super) fn has_room(&self) -> bool {
        self.results < self.most
    }

    /// Sends what waits, if it waited long enough. False: nobody wants it.
    pub(super) fn flush(&mut self, now: bool) -> bool {
        let due = now
            || self.waiting.len() >= PIECE
            || self.sent.is_none_or(|sent| sent.elapsed() >= WAIT);
        if self.over || self.waiting.is_empty() || !due {
            return !self.over && !self.pieces.is_closed();
        }
        match self.pieces.send(std::mem::take(&mut self.waiting)) {
            Ok(()) => {}
            Err(Unsent::Gone) => self.over = true,
            Err(Unsent::Stalled(piece)) => {
                (self.over, self.waiting) = (true, piece);
                self.truncated = Some(Truncated::Time);
            }
        }
        self.sent = Some(Instant::now());
        !self.over
    }

    /// Tells one thing. False: nobody wants more.
    pub(super) fn tell(&mut self, found: &Found) -> bool {
        if self.over || serde_json::to_writer(&mut self.waiting, found).is_err() {
            return false; // plain data is always written
        }
        self.waiting.push(b'\n');
        self.flush(false)
    }

    /// Before the next file: why to stop, if so.
    pub(super) fn stops(&mut self) -> bool {
        if self.searched >= MOST_FILES {
            self.truncated = Some(Truncated::Files);
        } else if self.began.elapsed() >= LONGEST {
            self.truncated = Some(Truncated::Time);
        }
        let silent = self.sent.unwrap_or(self.began).elapsed() >= SILENCE;
        if silent && self.waiting.is_empty() {
            return !self.tell(&Found::Progress { searched: self.searched })
                || self.truncated.is_some();
        }
        self.truncated.is_some() || !self.flush(false)
    }

    /// The last line; `whole`: no folder was left out.
    pub(super) fn done(mut self, whole: bool) {
        if self.truncated.is_none() && self.began.elapsed() >= LONGEST {
            self.truncated = Some(Truncated::Time); // in the last file
        }
        if self.truncated.is_none() && !whole {
            self.truncated = Some(Truncated::Files);
        }
        let done = Found::Done {
            results: self.results,
            files: self.files,
            searched: self.searched,
            skipped_binary: self.skipped_binary,
            skipped_large: self.skipped_large,
            unreadable: self.unreadable,
            truncated: self.truncated,
            seconds: self.began.elapsed().as_secs_f64(),
        };
        if serde_json::to_writer(&mut self.waiting, &done).is_ok() {
            self.waiting.push(b'\n');
            self.pieces.end(self.waiting);
        }
    }
}

impl Take for Out {
    fn goes_on(&self) -> bool {
        !self.over && !self.pieces.is_closed() && self.began.elapsed() < LONGEST
    }

    fn take(&mut self, found: &Found) -> bool {
        if self.over {
            return false;
        }
        if matches!(found, Found::Match { .. }) {
            if !self.has_room() {
                self.truncated = Some(Truncated::Results);
                return false;
            }
            self.results += 1;
        }
        self.tell(found)
    }
}
