//! What an observation keeps of an output: its head and its tail. Pure.

use std::collections::VecDeque;

/// Stands where the middle was left out; the reference's words.
pub const TRUNCATED: &str = "\n[... Observation truncated due to length ...]\n";

/// Head and tail of a stream of any length, in bounded memory.
#[derive(Debug, Default)]
pub struct Capture {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes left out between head and tail.
    dropped: u64,
}

impl Capture {
    /// Keeps at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { half: (most / 2).max(1), ..Self::default() }
    }

    /// Appends output.
    pub fn push(&mut self, bytes: &[u8]) {
        let into_head = bytes.len().min(self.half - self.head.len().min(self.half));
        self.head.extend_from_slice(&bytes[..into_head]);
        let rest = &bytes[into_head..];
        let kept = &rest[rest.len().saturating_sub(self.half)..];
        let over = (self.tail.len() + kept.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(kept);
        self.dropped += (rest.len() - kept.len() + over) as u64;
    }

    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Takes what was kept as text and begins anew, keeping at most `most` bytes of what comes now.
    /// Unless this is the `last` time, a character that is not complete yet stays for the next.
    pub fn take(&mut self, last: bool, most: usize) -> String {
        let mut old = std::mem::replace(self, Self::new(most));
        let (front, back) = old.tail.as_slices();
        let mut end = [front, back].concat();
        if old.dropped == 0 {
            old.head.append(&mut end);
            if !last {
                let carried = old.head.split_off(old.head.len() - incomplete(&old.head));
                self.push(&carried);
            }
            return text(&old.head);
        }
        if !last {
            let carried = end.split_off(end.len() - incomplete(&end));
            self.push(&carried);
        }
        old.head.truncate(old.head.len() - incomplete(&old.head));
        let whole = text(&old.head) + TRUNCATED;
        whole + &text(&end[continuation(&end)..])
    }
}

/// Bytes as text: what is not UTF-8, and NUL, becomes U+FFFD.
pub fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
}

/// How many bytes at the end are the beginning of a character that is not complete.
pub fn incomplete(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

/// How many bytes at the beginning are the rest of a character that was cut, three at most.
pub fn continuation(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|b| matches!(b, 0x80..=0xbf)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_output_is_kept_whole() {
        let mut capture = Capture::new(10);
        capture.push(b"hello ");
        capture.push(b"you\n");
        assert_eq!(capture.take(true, 10), "hello you\n");
        assert!(capture.is_empty());
    }

    #[test]
    fn of_long_output_head_and_tail_are_kept() {
        let mut capture = Capture::new(6);
        for chunk in ["ab", "cdefg", "h", "ijklmnop", "q"] {
            capture.push(chunk.as_bytes());
        }
        assert_eq!(capture.take(true, 6), format!("abc{TRUNCATED}opq"));
    }

    #[test]
    fn a_character_is_never_cut_by_truncation() {
        let mut capture = Capture::new(8);
        capture.push("aäöü€€€€z".as_bytes());
        assert_eq!(capture.take(true, 8), format!("aä{TRUNCATED}€z"));
    }

    #[test]
    fn a_character_not_complete_yet_waits_for_its_rest() {
        let mut capture = Capture::new(100);
        capture.push(b"a\xe2\x82");
        assert_eq!(capture.take(false, 100), "a");
        capture.push(b"\xac!");
        assert_eq!(capture.take(true, 100), "€!");
    }

    #[test]
    fn what_is_no_text_becomes_replacement_characters() {
        assert_eq!(text(b"a\0b\xff"), "a\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(chunks in prop::collection::vec(".{0,12}", 0..20), most in 2usize..60) {
            let whole = chunks.concat();
            let (mut by_chunks, mut at_once) = (Capture::new(most), Capture::new(most));
            for chunk in &chunks {
                by_chunks.push(chunk.as_bytes());
            }
            at_once.push(whole.as_bytes());
            let kept = by_chunks.take(true, 1);
            prop_assert_eq!(&kept, &at_once.take(true, 1));
            if !whole.contains('\0') {
                prop_assert!(kept.len() <= most + TRUNCATED.len() + 1); let cut = kept.contains(char::REPLACEMENT_CHARACTER);
                prop_assert!(!cut || whole.contains(char::REPLACEMENT_CHARACTER)); }
        }
    }
}
