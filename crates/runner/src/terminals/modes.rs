//! What a program sets on its terminal beside the picture: modes of keys and mouse, the cursor's shape,
//! the title, colours of the whole. Pure.
//!
//! It follows the output byte by byte only as far as to know where a sequence begins and ends, so it also
//! knows where output can be cut without cutting one.

use std::collections::BTreeSet;

/// Private modes that no emulator of the picture keeps: mouse (9 to 1016), paste, focus, reversed
/// colours, a blinking cursor, the keypad and others that say what keys send.
const MODES: [u16; 20] = [
    5, 9, 12, 45, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1034, 1035, 1036,
    1039, 2004,
];
/// Of these only one is set at a time: which events of the mouse are told.
const MOUSE: [u16; 5] = [9, 1000, 1001, 1002, 1003];
/// And of these: how they are written.
const MOUSE_FORM: [u16; 4] = [1005, 1006, 1015, 1016];
/// Ways to the other screen.
const SCREENS: [u16; 3] = [47, 1047, 1049];
/// Most parameters of a sequence that are kept.
const MOST_PARAMETERS: usize = 32;
/// Most bytes of a title or a colour that are kept.
const MOST_TEXT: usize = 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Ground,
    Escape,
    /// Behind `ESC` and bytes that tell more is to come.
    EscapeMore,
    Csi,
    Osc,
    OscEscape,
    /// A string that nobody reads, up to its end.
    Skipped,
    SkippedEscape,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Modes {
    at: At,
    /// Of the sequence: a byte of `<=>?`, the parameters, a byte before the last.
    private: u8,
    parameters: Vec<u16>,
    middle: u8,
    text: Vec<u8>,

    title: Vec<u8>,
    titled: bool,
    set: BTreeSet<u16>,
    keypad: bool,
    /// `modifyOtherKeys`.
    other_keys: Option<u16>,
    cursor_shape: Option<u16>,
    /// Colours of text, background and cursor, by their numbers 10 to 12.
    colours: [Option<Vec<u8>>; 3],
    /// By which mode the other screen was gone to.
    other_screen: Option<u16>,
}

impl Modes {
    /// Follows a byte. Whether a sequence may be cut behind it.
    pub fn follow(&mut self, byte: u8) -> bool {
        // These two end whatever was begun, wherever they stand.
        if byte == 0x18 || byte == 0x1a {
            self.at = At::Ground;
            return true;
        }
        self.at = match self.at {
            At::Ground if byte == 0x1b => At::Escape,
            At::Ground => At::Ground,
            At::SkippedEscape if byte == b'\\' => At::Ground,
            At::Escape | At::SkippedEscape => self.escape(byte),
            At::EscapeMore => match byte {
                0x1b => At::Escape,
                0x30..=0x7e => At::Ground,
                _ => At::EscapeMore,
            },
            At::Csi => self.csi(byte),
            At::Osc => self.osc(byte),
            At::OscEscape => {
                self.end_of_osc();
                if byte == b'\\' { At::Ground } else { self.escape(byte) }
            }
            At::Skipped if byte == 0x1b => At::SkippedEscape,
            At::Skipped => At::Skipped,
        };
        self.at == At::Ground
    }

    /// A title was set since this was last asked.
    pub fn titled(&mut self) -> bool {
        std::mem::take(&mut self.titled)
    }

    /// The title, whatever bytes it has made readable.
    pub fn title(&self) -> String {
        let text = String::from_utf8_lossy(&self.title);
        text.chars().filter(|c| !c.is_control()).collect()
    }

    /// By which mode the other screen was gone to, while it is shown.
    pub fn other_screen(&self) -> Option<u16> {
        self.other_screen
    }

    /// The sequences that set all this on a terminal that was just reset.
    pub fn replay(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.title.is_empty() {
            out.extend_from_slice(b"\x1b]2;");
            out.extend_from_slice(&self.title);
            out.extend_from_slice(b"\x1b\\");
        }
        for (number, colour) in (10..).zip(&self.colours) {
            if let Some(colour) = colour {
                out.extend_from_slice(format!("\x1b]{number};").as_bytes());
                out.extend_from_slice(colour);
                out.extend_from_slice(b"\x1b\\");
            }
        }
        for mode in &self.set {
            out.extend_from_slice(format!("\x1b[?{mode}h").as_bytes());
        }
        if self.keypad {
            out.extend_from_slice(b"\x1b=");
        }
        if let Some(level) = self.other_keys {
            out.extend_from_slice(format!("\x1b[>4;{level}m").as_bytes());
        }
        if let Some(shape) = self.cursor_shape {
            out.extend_from_slice(format!("\x1b[{shape} q").as_bytes());
        }
        out
    }

    fn escape(&mut self, byte: u8) -> At {
        match byte {
            b'[' => {
                (self.private, self.middle) = (0, 0);
                self.parameters.clear();
                return At::Csi;
            }
            b']' => {
                self.text.clear();
                return At::Osc;
            }
            b'P' | b'X' | b'^' | b'_' => return At::Skipped,
            0x20..=0x2f => return At::EscapeMore,
            0x00..=0x1f => return At::Escape, // carried out where it stands, or another begin
            b'=' => self.keypad = true,
            b'>' => self.keypad = false,
            b'c' => self.reset(),
            _ => {}
        }
        At::Ground
    }

    fn reset(&mut self) {
        *self = Self { titled: !self.title.is_empty(), ..Self::default() };
    }

    fn csi(&mut self, byte: u8) -> At {
        match byte {
            0x1b => return At::Escape,
            b'0'..=b'9' => {
                if self.parameters.is_empty() {
                    self.parameters.push(0);
                }
                if let Some(last) = self.parameters.last_mut() {
                    *last = last.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' | b':' => {
                if self.parameters.is_empty() {
                    self.parameters.push(0);
                }
                if self.parameters.len() < MOST_PARAMETERS {
                    self.parameters.push(0);
                }
            }
            b'<'..=b'?' => self.private = byte,
            0x20..=0x2f => self.middle = byte,
            0x40..=0x7e => {
                self.end_of_csi(byte);
                return At::Ground;
            }
            _ => {}
        }
        At::Csi
    }

    fn end_of_csi(&mut self, last: u8) {
        let first = self.parameters.first().copied();
        match (self.private, self.middle, last) {
            (b'?', 0, b'h' | b'l') => {
                for mode in std::mem::take(&mut self.parameters) {
                    self.mode(mode, last == b'h');
                }
            }
            (b'>', 0, b'm') if first == Some(4) => {
                self.other_keys = self.parameters.get(1).copied().filter(|level| *level > 0);
            }
            (b'>', 0, b'n') if first == Some(4) => self.other_keys = None,
            (0, b' ', b'q') => self.cursor_shape = first.filter(|shape| *shape > 0),
            (0, b'!', b'p') => {
                self.keypad = false;
                self.cursor_shape = None;
            }
            _ => {}
        }
    }

    fn mode(&mut self, mode: u16, on: bool) {
        if SCREENS.contains(&mode) {
            self.other_screen = on.then_some(mode);
        } else if mode == 66 {
            self.keypad = on;
        } else if on && MODES.contains(&mode) {
            for rivals in [&MOUSE[..], &MOUSE_FORM[..]] {
                if rivals.contains(&mode) {
                    self.set.retain(|other| !rivals.contains(other));
                }
            }
            self.set.insert(mode);
        } else {
            self.set.remove(&mode);
        }
    }

    fn osc(&mut self, byte: u8) -> At {
        match byte {
            0x07 => {
                self.end_of_osc();
                return At::Ground;
            }
            0x1b => return At::OscEscape,
            0x00..=0x1f => {}
            _ if self.text.len() < MOST_TEXT => self.text.push(byte),
            _ => {}
        }
        At::Osc
    }

    fn end_of_osc(&mut self) {
        let text = std::mem::take(&mut self.text);
        let mut parts = text.splitn(2, |byte| *byte == b';');
        let (number, value) = (parts.next().unwrap_or_default(), parts.next());
        let colour = |number: &[u8]| usize::from(number[number.len() - 1] - b'0');
        match (number, value) {
            (b"0" | b"2", value) => {
                self.title = value.unwrap_or_default().to_vec();
                self.titled = true;
            }
            // With a question mark it is asked for, not set.
            (b"10" | b"11" | b"12", Some(value)) if value != b"?" => {
                self.colours[colour(number)] = Some(value.to_vec());
            }
            (b"110" | b"111" | b"112", _) => self.colours[colour(number)] = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn following(output: &[u8]) -> Modes {
        let mut modes = Modes::default();
        for byte in output {
            modes.follow(*byte);
        }
        modes
    }

    fn after(output: &str) -> Modes {
        following(output.as_bytes())
    }

    #[track_caller]
    fn check(output: &str, replay: &str) {
        let got = String::from_utf8(after(output).replay()).unwrap();
        assert_eq!(got, replay, "after {output:?}");
        assert_eq!(String::from_utf8(after(&got).replay()).unwrap(), replay, "again");
    }

    #[test]
    fn what_is_set_is_set_again_and_what_is_taken_back_is_not() {
        check("plain\r\n\x1b[31mred", "");
        check("\x1b[?2004h\x1b[?1004h", "\x1b[?1004h\x1b[?2004h");
        check("\x1b[?2004h\x1b[?2004l", "");
        check("\x1b[?1000;1002;1006h", "\x1b[?1002h\x1b[?1006h");
        check("\x1b[?1006h\x1b[?1000h\x1b[?1000l", "\x1b[?1006h");
        check("\x1b=", "\x1b=");
        check("\x1b=\x1b>\x1b[?66h\x1b[?66l", "");
        check("\x1b[>4;2m", "\x1b[>4;2m");
        check("\x1b[>4;2m\x1b[>4m", "");
        check("\x1b[6 q", "\x1b[6 q");
        check("\x1b[6 q\x1b[0 q", "");
        check(
            "\x1b]0;a;b\x07\x1b]11;#fff\x1b\\\x1b]10;?\x07",
            "\x1b]2;a;b\x1b\\\x1b]11;#fff\x1b\\",
        );
        check("\x1b]11;#fff\x07\x1b]111\x07\x1b]2;\x07", "");
        check("\x1b[?2004h\x1b]2;t\x07\x1b=\x1bc", "");
    }

    #[test]
    fn strings_that_nobody_reads_set_nothing() {
        check("\x1bP1$r\x1b[?2004h\x1b\\", "\x1b[?2004h"); // a string ends at ESC, as in terminals
        check("\x1bP?2004h]2;x\x1b\\", "");
        check("\x1b_]2;x\x07\x1b\\", "");
        check("\x1b]2;x\x18\x1b]52;c;eA==\x07", "");
    }

    #[test]
    fn the_way_to_the_other_screen_is_known_while_it_is_shown() {
        assert_eq!(after("\x1b[?1049h").other_screen(), Some(1049));
        assert_eq!(after("\x1b[?47h").other_screen(), Some(47));
        assert_eq!(after("\x1b[?1049h\x1b[?1049l").other_screen(), None);
    }

    #[test]
    fn a_title_is_told_once_and_without_what_could_control() {
        let mut modes = after("\x1b]2;\u{e9}\u{9b}x\x07");
        assert_eq!(modes.title(), "\u{e9}x");
        assert!(modes.titled() && !modes.titled());
    }

    #[test]
    fn a_sequence_is_not_cut() {
        let mut modes = Modes::default();
        let cuts: Vec<bool> =
            b"a\x1b[1mb\x1b]2;x\x1b\\\x1b(0".iter().map(|b| modes.follow(*b)).collect();
        let plain: Vec<usize> = (0..cuts.len()).filter(|at| cuts[*at]).collect();
        assert_eq!(plain, [0, 4, 5, 12, 15]);
    }

    proptest! {
        #[test]
        fn no_output_is_too_odd_and_what_is_kept_is_bounded(
            output in prop::collection::vec(prop::sample::select(&b"\x1b\x1b\x1b[[]]P\\;;?>!0123456789hlmqpc =\x07\x18x\xff\x9b"[..]), 0..4000),
        ) {
            let modes = following(&output);
            prop_assert!(modes.text.len() <= MOST_TEXT && modes.title.len() <= MOST_TEXT);
            prop_assert!(modes.parameters.len() <= MOST_PARAMETERS);
            let replay = modes.replay();
            prop_assert_eq!(following(&replay).replay(), replay);
        }
    }
}
