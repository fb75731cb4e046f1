//! The end of what a program prints: bounded. Pure.

use std::collections::VecDeque;

/// Bytes of it that are kept.
pub const TAIL: usize = 4096;
/// Lines of it that are told.
pub const LINES: usize = 12;

/// The last bytes.
#[derive(Default)]
pub struct Tail(VecDeque<u8>);

impl Tail {
    /// Appends.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let over = self.0.len().saturating_sub(TAIL);
        self.0.drain(..over);
    }

    /// The last lines without what only terminals understand.
    pub fn lines(&mut self) -> String {
        let text = super::text::plain(self.0.make_contiguous());
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}
