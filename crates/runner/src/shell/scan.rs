//! Finds the shell's marks in its output. Pure.
//!
//! A mark is an escape sequence with a nonce that is new for every command. What looks like a mark
//! but has another nonce is ordinary output and passes through as it came.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// The longest mark: a path of `PATH_MAX` with room for the rest. What grows beyond it is no mark.
const LONGEST: usize = 8 * 1024;
const ESC: u8 = 0x1b;

/// The nonces that are good at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonces {
    /// Said before the command begins. It stands in no secret place: saying it twice does nothing.
    pub begin: String,
    /// Said by the prompt. A command can read it; saying it makes the runner ask, no more.
    pub prompt: String,
    /// The prompt's nonce before this one: that prompt may still come.
    pub old_prompt: String,
    /// Said after the command, with its exit code. Only the shell's parser holds it.
    pub end: String,
    /// Said by the question that is typed when the prompt came back without `end`.
    pub answer: String,
}

/// What the shell says after a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The command's exit code.
    pub status: i64,
    /// The shell's process.
    pub pid: i64,
    /// The shell's `$-`.
    pub flags: String,
    /// The shell's directory.
    pub cwd: String,
}

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Begin,
    Prompt,
    /// A line of input that the command left behind was read away.
    Unread,
    End(End),
}

/// A piece of what the terminal printed.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(Cow<'a, [u8]>),
    Mark(Mark),
}

/// Cuts a stream into output and marks.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Marks without a body; one without a meaning is only left out.
    plain: Vec<(Vec<u8>, Option<Mark>)>,
    /// How a mark with a body begins and ends.
    bodied: Vec<(Vec<u8>, Vec<u8>)>,
    /// The beginning of what may become a mark.
    held: Vec<u8>,
}

enum Look {
    /// A mark of so many bytes.
    Whole(usize, Option<Mark>),
    /// May become one.
    Part,
    No,
}

impl Scanner {
    /// From now on these nonces are good, and no others.
    pub fn expect(&mut self, nonces: &Nonces) {
        self.plain.clear();
        self.bodied.clear();
        for (letter, nonce, mark) in [
            ('B', &nonces.begin, Some(Mark::Begin)),
            ('P', &nonces.prompt, Some(Mark::Prompt)),
            ('P', &nonces.old_prompt, None),
            ('U', &nonces.end, Some(Mark::Unread)),
            ('U', &nonces.answer, Some(Mark::Unread)),
        ] {
            if !nonce.is_empty() {
                self.plain.push((format!("\x1b]7717;{letter};{nonce}\x07").into_bytes(), mark));
            }
        }
        for nonce in [&nonces.end, &nonces.answer] {
            if !nonce.is_empty() {
                self.bodied.push((
                    format!("\x1b]7717;E;{nonce};").into_bytes(),
                    format!(";{nonce}\x07").into_bytes(),
                ));
            }
        }
    }

    /// Cuts a chunk up. The pieces come in order; marks are left out of the text.
    pub fn feed<'a>(&mut self, chunk: &'a [u8], pieces: &mut Vec<Piece<'a>>) {
        if self.held.is_empty() {
            let consumed = self.cut(chunk, &mut |range, mark| {
                push(pieces, Cow::Borrowed(&chunk[range]), mark);
            });
            self.held.extend_from_slice(&chunk[consumed..]);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(chunk);
            let consumed = self.cut(&joined, &mut |range, mark| {
                push(pieces, Cow::Owned(joined[range].to_vec()), mark);
            });
            joined.drain(..consumed);
            self.held = joined;
        }
    }

    /// What was held back and did not become a mark.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Says each text and the mark after it; returns how many bytes are decided.
    fn cut(
        &self,
        bytes: &[u8],
        say: &mut dyn FnMut(std::ops::Range<usize>, Option<Mark>),
    ) -> usize {
        let (mut start, mut at) = (0, 0);
        while let Some(found) = memchr(ESC, &bytes[at..]) {
            let esc = at + found;
            match self.look(&bytes[esc..]) {
                Look::No => at = esc + 1,
                Look::Part => {
                    say(start..esc, None);
                    return esc;
                }
                Look::Whole(length, mark) => {
                    say(start..esc, mark);
                    at = esc + length;
                    start = at;
                }
            }
        }
        say(start..bytes.len(), None);
        bytes.len()
    }

    fn look(&self, bytes: &[u8]) -> Look {
        let mut part = false;
        for (whole, mark) in &self.plain {
            if bytes.starts_with(whole) {
                return Look::Whole(whole.len(), mark.clone());
            }
            part |= whole.starts_with(bytes);
        }
        for (head, tail) in &self.bodied {
            part |= head.starts_with(bytes);
            let Some(rest) = bytes.strip_prefix(head.as_slice()) else { continue };
            let Some(length) = memmem::find(rest, tail) else {
                part |= bytes.len() < LONGEST;
                continue;
            };
            if let Some(end) = end_of(&rest[..length]) {
                return Look::Whole(head.len() + length + tail.len(), Some(Mark::End(end)));
            }
        }
        if part { Look::Part } else { Look::No }
    }
}

fn push<'a>(pieces: &mut Vec<Piece<'a>>, text: Cow<'a, [u8]>, mark: Option<Mark>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces.extend(mark.map(Piece::Mark));
}

/// Reads `status;pid;flags;directory`.
fn end_of(body: &[u8]) -> Option<End> {
    let body = String::from_utf8_lossy(body);
    let mut parts = body.splitn(4, ';');
    Some(End {
        status: parts.next()?.parse().ok()?,
        pid: parts.next()?.parse().ok()?,
        flags: parts.next()?.to_owned(),
        cwd: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scanner() -> Scanner {
        let mut scanner = Scanner::default();
        scanner.expect(&Nonces {
            begin: "b0".into(),
            prompt: "p0".into(),
            old_prompt: "q0".into(),
            end: "e0".into(),
            answer: String::new(),
        });
        scanner
    }

    /// The text and the marks of a stream that comes in these chunks.
    fn scan(chunks: &[&[u8]]) -> (Vec<u8>, Vec<Mark>) {
        let mut scanner = scanner();
        let (mut text, mut marks) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let mut pieces = Vec::new();
            scanner.feed(chunk, &mut pieces);
            for piece in pieces {
                match piece {
                    Piece::Text(t) => text.extend_from_slice(&t),
                    Piece::Mark(m) => marks.push(m),
                }
            }
        }
        text.extend(scanner.take_held());
        (text, marks)
    }

    const STREAM: &[u8] = b"\x1b]7717;P;q0\x07\x1b]7717;B;b0\x07one\x1b[1mtwo\x1b\x1b]77\x1b]7717;E;e0;3;42;himB;/a;b\x07c;e0\x07\x1b]7717;P;p0\x07";

    #[test]
    fn marks_are_found_wherever_the_stream_is_cut() {
        let end = End { status: 3, pid: 42, flags: "himB".into(), cwd: "/a;b\u{7}c".into() };
        let wanted =
            (b"one\x1b[1mtwo\x1b\x1b]77".to_vec(), vec![Mark::Begin, Mark::End(end), Mark::Prompt]);
        assert_eq!(scan(&[STREAM]), wanted);
        for at in 0..STREAM.len() {
            assert_eq!(scan(&[&STREAM[..at], &STREAM[at..]]), wanted, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(scan(&bytes), wanted);
    }

    #[test]
    fn a_mark_with_another_nonce_is_ordinary_output() {
        let forged = b"\x1b]7717;E;e1;0;1;h;/;e1\x07\x1b]7717;B;\x07\x1b]7717;E;;0;1;h;/;\x07";
        assert_eq!(scan(&[forged]), (forged.to_vec(), vec![]));
    }

    #[test]
    fn a_mark_that_never_ends_is_ordinary_output() {
        let mut endless = b"\x1b]7717;E;e0;".to_vec();
        endless.resize(3 * LONGEST, b'x');
        assert_eq!(scan(&[&endless]), (endless.clone(), vec![]));
    }

    proptest! {
        #[test]
        fn output_without_marks_passes_unchanged(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0x1b), Just(b']'), Just(b'7'), any::<u8>()], 0..20), 0..20)
        ) {
            let whole: Vec<u8> = chunks.concat();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(scan(&chunks), (whole, vec![]));
        }
    }
}
