//! Output that comes in pieces, with its secrets hidden also where a piece ends within one. Pure.

use std::collections::VecDeque;

use staithe_protocol::{EventId, frames::PartialKind};

use crate::mask::{StreamMask, Words};

/// Commands whose output is followed at a time; of older ones what waits is dropped, their observations have it.
const MOST: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Outputs(VecDeque<Output>);

/// Whose output it is, and which of them.
type Of = (Option<EventId>, PartialKind);

#[derive(Debug)]
struct Output {
    of: Of,
    mask: StreamMask,
    /// Where what is held back begins.
    at: u64,
}

/// What can be told of an output now.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in what the command printed, in bytes.
    pub offset: u64,
    pub text: String,
    /// Bytes left out directly before it.
    pub skipped: u64,
}

impl Outputs {
    /// Takes a piece; gives what can be told now, which may be none, and two where something is missing between.
    pub fn take(
        &mut self,
        words: &Words,
        of: Of,
        offset: u64,
        text: &str,
        skipped: u64,
    ) -> Vec<Piece> {
        let place = self.0.iter().position(|output| output.of == of);
        let place = place.unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(Output { of, mask: StreamMask::default(), at: offset });
            self.0.len() - 1
        });
        let output = &mut self.0[place];
        let mut pieces = Vec::new();
        let mut tell = |offset, text: String, skipped| {
            if !text.is_empty() || skipped > 0 {
                pieces.push(Piece { offset, text, skipped });
            }
        };
        let expected = output.at + as_bytes(output.mask.held());
        if skipped > 0 || expected != offset {
            tell(output.at, output.mask.gap(words), 0);
            output.at = offset;
        }
        let begins = output.at;
        let shown = output.mask.push(words, text);
        output.at = offset + as_bytes(text.len()) - as_bytes(output.mask.held());
        tell(begins, shown, skipped);
        pieces
    }

    /// The command's observation is in the log: it says all.
    pub fn end(&mut self, cause: EventId) {
        self.0.retain(|output| output.of != (Some(cause), PartialKind::Output));
    }

    /// What came of the model's answers is in the log.
    pub fn end_answers(&mut self) {
        self.0.retain(|output| output.of.1 == PartialKind::Output);
    }
}

fn as_bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::HIDDEN;

    fn piece(offset: u64, text: &str, skipped: u64) -> Piece {
        Piece { offset, text: text.to_owned(), skipped }
    }

    #[test]
    fn a_secret_across_pieces_is_hidden_and_offsets_are_those_of_the_output() {
        let words: Words = ["sk-secret"].into_iter().collect();
        let mut outputs = Outputs::default();
        let one = (Some(EventId(1)), PartialKind::Output);
        assert_eq!(outputs.take(&words, one, 0, "key: sk-", 0), [piece(0, "key: ", 0)]);
        let hidden = format!("{HIDDEN}!");
        assert_eq!(outputs.take(&words, one, 8, "secret!", 0), [piece(5, &hidden, 0)]);
        assert_eq!(outputs.take(&words, one, 15, "s", 0), []);
        assert_eq!(outputs.take(&words, one, 16, "o", 0), [piece(15, "so", 0)]);
    }

    #[test]
    fn outputs_are_apart_and_a_gap_is_told() {
        let words: Words = ["sk-secret"].into_iter().collect();
        let mut outputs = Outputs::default();
        let output = |cause| (cause, PartialKind::Output);
        let (one, none) = (output(Some(EventId(1))), output(None));
        assert_eq!(outputs.take(&words, one, 0, "sk-sec", 0), []);
        assert_eq!(outputs.take(&words, none, 0, "ret", 0), [piece(0, "ret", 0)]);
        let told = outputs.take(&words, one, 10, "x", 4);
        assert_eq!(told, [piece(0, HIDDEN, 0), piece(10, "x", 4)]);
        outputs.take(&words, one, 11, "sk", 0);
        outputs.end(EventId(1));
        assert_eq!(outputs.take(&words, one, 0, "-secret", 0), [piece(0, "-secret", 0)]);
    }
}
