//! Terminal output as plain text: colours and other sequences are taken away. Pure.

/// Where in a sequence the text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In `ESC [ …`, up to its last byte.
    Control,
    /// In `ESC ] …` and its like, up to BEL or `ESC \`.
    Words,
    /// After an ESC in those.
    WordsEscape,
}

/// Takes sequences out of a text that comes in pieces, wherever it is cut.
#[derive(Debug, Default)]
pub struct Plain(At);

impl Plain {
    /// The next piece without its sequences.
    pub fn push(&mut self, text: &str) -> String {
        if self.0 == At::Text && !text.contains('\x1b') {
            return text.to_owned();
        }
        text.chars().filter(|character| self.keeps(*character)).collect()
    }

    fn keeps(&mut self, character: char) -> bool {
        let (next, keeps) = match (self.0, character) {
            // `ESC ( B`: one more follows.
            (At::Text, '\x1b') | (At::Escape, ' '..='/') => (At::Escape, false),
            // A sequence that a line's end is in was none.
            (At::Text, _) | (At::Control, '\n') => (At::Text, true),
            (At::Escape, '[') => (At::Control, false),
            (At::Escape, ']' | 'P' | '^' | '_') => (At::Words, false),
            (At::Escape, _)
            | (At::Control, '@'..='~')
            | (At::Words, '\x07')
            | (At::WordsEscape, '\\') => (At::Text, false),
            (At::Control, _) => (At::Control, false),
            (At::Words | At::WordsEscape, '\x1b') => (At::WordsEscape, false),
            (At::Words | At::WordsEscape, _) => (At::Words, false),
        };
        self.0 = next;
        keeps
    }
}

/// Bytes of a program's output as plain text.
pub fn plain(bytes: &[u8]) -> String {
    Plain::default().push(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_titles_and_character_sets_go_and_the_text_stays() {
        for (given, wanted) in [
            ("\x1b[0;31mNameError\x1b[0m: x", "NameError: x"),
            ("\x1b]0;a title\x07text\x1b]8;;http://x\x1b\\link", "textlink"),
            ("\x1b(Ba\x1b[?25lb\x1b=c", "abc"),
            ("plain ä\r\n", "plain ä\r\n"),
            ("cut \x1b[31", "cut "),
        ] {
            assert_eq!(plain(given.as_bytes()), wanted, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn where_it_is_cut_does_not_matter(pieces in prop::collection::vec("[a\x1b\\[\\]m\\\\\x07é1]{0,6}", 0..12)) {
            let mut by_pieces = Plain::default();
            let joined: String = pieces.iter().map(|piece| by_pieces.push(piece)).collect();
            prop_assert_eq!(joined, plain(pieces.concat().as_bytes()));
        }
    }
}
