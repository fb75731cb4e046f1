//! What a step prints, as lines that can be shown: without ends, colours and control characters.

use std::collections::VecDeque;

/// Most characters of a line that are told. Whoever hides secrets in it must have them whole, and shorten
/// then.
const WIDTH: usize = 2000;
/// Most lines of a step that are kept.
const TAIL: usize = 50;

/// The bytes of a stream become lines; what is not ended yet waits. Of a line that is overwritten again and
/// again, as a bar of progress is, what it was last is told: once for all that comes at a time.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    at: At,
}

/// Where in a terminal's language.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum At {
    #[default]
    Text,
    /// After an escape.
    Escape,
    /// In `ESC [ …`, until a letter.
    Control,
    /// In `ESC ] …` and the like, until a bell or the next escape.
    Title,
}

impl Lines {
    /// Whole lines, but blank ones.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        // What the next characters will overwrite.
        let mut returned = None;
        for &byte in bytes {
            match byte {
                b'\r' => returned = self.flush().or(returned),
                b'\n' => {
                    let over = returned.take();
                    whole.extend(self.flush().or(over));
                }
                byte => self.take(byte),
            }
        }
        if self.line.is_empty() {
            whole.extend(returned);
        }
        whole
    }

    fn take(&mut self, byte: u8) {
        const ESCAPE: u8 = 0x1b;
        self.at = match (self.at, byte) {
            (_, ESCAPE) | (At::Escape, 0x20..=0x2f) => At::Escape,
            (At::Text, _) => {
                // Four bytes to a character; what is beyond is not told.
                if self.line.len() < WIDTH * 4 {
                    self.line.push(byte);
                }
                At::Text
            }
            (At::Escape, b'[') => At::Control,
            (At::Escape, b']' | b'P' | b'X' | b'^' | b'_') => At::Title,
            (At::Control, 0x40..=0x7e) | (At::Title, 0x07) | (At::Escape, _) => At::Text,
            (At::Control | At::Title, _) => self.at,
        };
    }

    /// What is there, ended or not; none when it is blank.
    pub(super) fn flush(&mut self) -> Option<String> {
        self.at = At::Text;
        let line = std::mem::take(&mut self.line);
        let line = one_line(&String::from_utf8_lossy(&line));
        (!line.is_empty()).then_some(line)
    }
}

/// Text as one line that can be shown.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c == '\t' || c == '\n' { ' ' } else { c });
    let line: String = plain.filter(|c| !c.is_control()).take(WIDTH).collect();
    line.trim_end().to_owned()
}

/// The last lines of a step.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    pub(super) fn push(&mut self, line: &str) {
        if self.0.len() == TAIL {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_control_characters_are_not_told() {
        let mut lines = Lines::default();
        let told = lines.push(b"\x1b[1;31mred\x1b[0m\ttext\x07\n\x1b]0;a title\x07x\x1b(By\n\n \n");
        assert_eq!(told, ["red text", "xy"]);
    }

    #[test]
    fn a_line_is_one_however_it_comes_and_a_return_ends_it() {
        let mut lines = Lines::default();
        let mut told = Vec::new();
        for byte in "10 %\r20 %\r\n\u{1b}[2Kgrün".bytes() {
            told.extend(lines.push(&[byte]));
        }
        assert_eq!(told, ["10 %", "20 %"]);
        assert_eq!(lines.flush().as_deref(), Some("grün"));
        assert_eq!(lines.flush(), None);
    }

    #[test]
    fn a_line_that_is_overwritten_is_told_once_as_it_was_last() {
        let mut lines = Lines::default();
        let bar = "(Reading database ... \r(Reading database ... 5%\r(Reading database ... 10%\r";
        assert_eq!(lines.push(bar.as_bytes()), ["(Reading database ... 10%"]);
        let end = format!("before\n{bar}(Reading database ... 900 files.)\r\n\nafter\r\n");
        let told = ["before", "(Reading database ... 900 files.)", "after"];
        assert_eq!(lines.push(end.as_bytes()), told);
        assert_eq!(lines.push(b"10%\r20%\r\x1b[K\nnext\n"), ["20%", "next"]);
        assert_eq!(lines.push(b"10%\r20%\r3"), Vec::<String>::new());
        assert_eq!(lines.push(b"0%\n"), ["30%"]);
    }

    #[test]
    fn a_secret_in_a_long_line_is_told_whole() {
        let line = format!("{} a-secret-word {}", "x".repeat(190), "y".repeat(3000));
        let told = Lines::default().push(format!("{line}\n").as_bytes());
        assert_eq!(told, [line[..WIDTH].to_owned()]);
        assert!(told[0].contains("a-secret-word"));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_room_than_what_is_told_of_it() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; 1000]), Vec::<String>::new());
        }
        assert!(lines.line.len() <= WIDTH * 4);
        assert_eq!(lines.flush().map(|line| line.len()), Some(WIDTH));
    }

    #[test]
    fn a_tail_is_the_last_fifty() {
        let mut tail = Tail::default();
        (0..120).for_each(|number| tail.push(&number.to_string()));
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[49].as_str()), (50, "70", "119"));
    }
}
