//! Hiding secrets in texts: whole ones, ones that come in pieces, and those of events. Pure.
//!
//! Whatever lies under an occurrence of any secret is hidden, also where occurrences overlap. A secret occurs as it is,
//! and as it stands in JSON that is told as text, also when that JSON is a text in other JSON.
//!
//! | file | what |
//! |---|---|
//! | `forms` | how a secret may be written |
//! | `event` | an event's JSON, in which the vocabulary's own words stay |

mod event;
mod forms;

use std::ops::Range;

pub use staithe_protocol::HIDDEN;

/// A shorter secret, in bytes, would mask ordinary text: it is not hidden.
pub const SHORTEST: usize = 6;

/// The secrets that are hidden together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words {
    plain: Vec<String>,
    /// All that they may be written as, they themselves among it.
    written: Vec<String>,
    /// The same as it stands between the quotes of JSON.
    escaped: Vec<String>,
}

/// It says how many there are, never which.
impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Words({})", self.plain.len())
    }
}

impl<S: Into<String>> FromIterator<S> for Words {
    fn from_iter<T: IntoIterator<Item = S>>(secrets: T) -> Self {
        let secrets = secrets.into_iter().map(Into::into);
        let plain = distinct(secrets.filter(|secret: &String| secret.len() >= SHORTEST));
        let written = distinct(plain.iter().flat_map(|secret| forms::of(secret)));
        let escaped = distinct(written.iter().map(|form| forms::escape(form)));
        Self { plain, written, escaped }
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

impl Words {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.plain.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// A text with all secrets hidden.
    pub fn hide(&self, text: String) -> String {
        hide(text, &self.written)
    }
}

fn hide(text: String, secrets: &[String]) -> String {
    if !secrets.iter().any(|secret| text.contains(secret)) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let mut told = 0;
    for range in covered(&text, secrets, 0) {
        shown.push_str(&text[told..range.start]);
        shown.push_str(HIDDEN);
        told = range.end;
    }
    shown.push_str(&text[told..]);
    shown
}

/// What lies under occurrences, in order; those that overlap are one. The first `hidden` bytes count as
/// one that began before.
fn covered(text: &str, secrets: &[String], hidden: usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for secret in secrets {
        let mut from = 0;
        while let Some(at) = text[from..].find(secret.as_str()) {
            let start = from + at;
            found.push(start..start + secret.len());
            from = start + text[start..].chars().next().map_or(1, char::len_utf8);
        }
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    if hidden > 0 {
        merged.push(0..hidden);
    }
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Hides secrets in a text that comes in pieces. What may be the beginning of one is held back, which is less
/// than the longest secret has bytes; all pieces together are what [`Words::hide`] makes of the whole.
#[derive(Debug, Default)]
pub struct StreamMask {
    held: String,
    /// So many bytes at the beginning of `held` lie under a secret that was hidden already.
    hidden: usize,
}

impl StreamMask {
    /// Takes the next piece; gives what can be told now. The words may be others, or more, with each piece.
    pub fn push(&mut self, words: &Words, piece: &str) -> String {
        self.held.push_str(piece);
        let open = self.opening(words);
        self.tell(words, open)
    }

    /// The text has ended: the rest.
    pub fn finish(&mut self, words: &Words) -> String {
        self.tell(words, self.held.len())
    }

    /// Something of the text is missing from here on: what is held back may be a secret's beginning for all
    /// that, so one that is long enough to be of use is hidden.
    pub fn gap(&mut self, words: &Words) -> String {
        let (length, hidden) = (self.held.len(), self.hidden);
        let rest = self.finish(words);
        let begins = length - hidden >= SHORTEST;
        if begins && !rest.is_empty() { HIDDEN.to_owned() } else { rest }
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Where the longest end of the text begins that a secret may begin with.
    fn opening(&self, words: &Words) -> usize {
        let longest = words.written.iter().map(String::len).max().unwrap_or_default();
        let first = self.held.len().saturating_sub(longest.saturating_sub(1));
        let mut places = (first..self.held.len()).filter(|at| self.held.is_char_boundary(*at));
        let begins = |at: &usize| {
            let end = &self.held[*at..];
            words.written.iter().any(|secret| secret.len() > end.len() && secret.starts_with(end))
        };
        places.find(begins).unwrap_or(self.held.len())
    }

    /// Tells what stands before `open` and keeps the rest.
    fn tell(&mut self, words: &Words, open: usize) -> String {
        let mut shown = String::with_capacity(open);
        let (mut told, mut still) = (0, 0);
        for (place, range) in
            covered(&self.held, &words.written, self.hidden).into_iter().enumerate()
        {
            let goes_on = place == 0 && self.hidden > 0;
            if range.start >= open && !goes_on {
                break;
            }
            if !goes_on {
                shown.push_str(&self.held[told..range.start]);
                shown.push_str(HIDDEN);
            }
            told = range.end.min(open);
            still = range.end.saturating_sub(open);
        }
        shown.push_str(&self.held[told..open]);
        self.held.drain(..open);
        self.hidden = still;
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cuts a text at characters.
    fn pieces(text: &str, sizes: &[usize]) -> Vec<String> {
        let mut chars = text.chars();
        let mut pieces: Vec<String> =
            sizes.iter().map(|size| chars.by_ref().take(*size).collect()).collect();
        pieces.push(chars.collect());
        pieces
    }

    proptest! {
        #[test]
        fn pieces_are_told_as_the_whole_is_and_little_is_held_back(
            secrets in prop::collection::vec("[ab€\"/\\\\\n]{2,8}", 1..4),
            text in "[ab€c\"/\\\\\nn]{0,60}",
            sizes in prop::collection::vec(0..9_usize, 0..20),
        ) {
            let words: Words = secrets.iter().cloned().collect();
            let longest = words.written.iter().map(String::len).max().unwrap_or(0);
            let mut mask = StreamMask::default();
            let mut told = String::new();
            for piece in pieces(&text, &sizes) {
                told.push_str(&mask.push(&words, &piece));
                prop_assert!(mask.held() < longest.max(1));
                for secret in words.iter() {
                    prop_assert!(!told.contains(secret));
                }
            }
            told.push_str(&mask.finish(&words));
            prop_assert_eq!(mask.held(), 0);
            prop_assert_eq!(told, words.hide(text));
        }

        #[test]
        fn a_secret_in_its_context_never_gets_out_however_it_is_cut(
            before in ".{0,20}",
            secret in "[a-zA-Z0-9_-]{6,40}",
            after in ".{0,20}",
            sizes in prop::collection::vec(0..12_usize, 0..30),
        ) {
            let words: Words = [secret.clone()].into_iter().collect();
            let mut mask = StreamMask::default();
            let text = format!("{before}{secret}{after}");
            let mut told = String::new();
            for piece in pieces(&text, &sizes) {
                told.push_str(&mask.push(&words, &piece));
            }
            told.push_str(&mask.finish(&words));
            prop_assert!(!told.contains(&secret));
            prop_assert!(told.contains(HIDDEN));
        }
    }

    #[test]
    fn what_overlaps_is_hidden_whole() {
        let words: Words = ["abcdef", "defghi"].into_iter().collect();
        assert_eq!(words.hide("xabcdefghix".into()), format!("x{HIDDEN}x"));
        assert_eq!(words.hide("abcdefabcdef".into()), format!("{HIDDEN}{HIDDEN}"));
        let mut mask = StreamMask::default();
        let told: String =
            "xabcdefghix".chars().map(|c| mask.push(&words, c.encode_utf8(&mut [0; 4]))).collect();
        assert_eq!(told, format!("x{HIDDEN}x"));
    }

    #[test]
    fn text_that_can_be_no_secret_is_told_at_once() {
        let words: Words = ["sk-secret"].into_iter().collect();
        let mut mask = StreamMask::default();
        assert_eq!(mask.push(&words, "a prompt: "), "a prompt: ");
        assert_eq!(mask.push(&words, "is sk-"), "is ");
        assert_eq!(mask.push(&words, "ill?"), "sk-ill?");
        assert_eq!(mask.push(&words, "sk-sec"), "");
        assert_eq!(mask.finish(&words), "sk-sec");
    }

    #[test]
    fn at_a_gap_most_of_a_secret_is_hidden_and_a_letter_is_not() {
        let words: Words = ["sk-secret"].into_iter().collect();
        let mut mask = StreamMask::default();
        assert_eq!(mask.push(&words, "x sk-secre"), "x ");
        assert_eq!(mask.gap(&words), HIDDEN);
        assert_eq!(mask.push(&words, "x s"), "x ");
        assert_eq!(mask.gap(&words), "s");
    }
}
