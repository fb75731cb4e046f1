//! What a terminal shows: an emulator that follows the output, and what brings another emulator to the
//! same state. Pure.

use avt::{
    Parser, Terminal,
    parser::{EdScope, Function},
};
use staithe_protocol::terminal::TerminalSize;

use super::{
    ink::{Ink, erases, shows_other},
    modes::Modes,
};

/// Bytes of a sequence that may have come without its end; a longer one is a string that nobody shows.
const FAR: u64 = 64 * 1024;
/// Cells that are drawn at a time, about: a few milliseconds.
const WORK: usize = 256 * 1024;

/// See the module.
pub struct Screen {
    terminal: Terminal,
    parser: Parser,
    ink: Ink,
    modes: Modes,
    /// The begin of a character whose rest has not come.
    rest: Vec<u8>,
    /// Where the output can be cut without cutting a sequence or a character, and where it ends.
    whole: u64,
    end: u64,
    /// Cells that were drawn at this time, at most.
    work: usize,
}

impl Screen {
    /// An empty one. A size of zero becomes one.
    pub fn new(size: TerminalSize) -> Option<Self> {
        let (cols, rows) = (usize::from(size.cols.max(1)), usize::from(size.rows.max(1)));
        Some(Self {
            terminal: Terminal::new(cols, rows).ok()?,
            parser: Parser::new(),
            ink: Ink::default(),
            modes: Modes::default(),
            rest: Vec::new(),
            whole: 0,
            end: 0,
            work: 0,
        })
    }

    /// Follows what the program prints, until that was much work: a few bytes can fill a whole screen. How
    /// many bytes it has followed, at least one if there are any.
    pub fn follow(&mut self, bytes: &[u8]) -> usize {
        self.work = 0;
        let mut followed = 0;
        for byte in bytes {
            self.end += 1;
            followed += 1;
            let whole = self.modes.follow(*byte);
            if self.character(*byte) && whole {
                self.whole = self.end;
            }
            if self.work >= WORK {
                break;
            }
        }
        followed
    }

    /// Whether the title was set since this was last asked.
    pub fn titled(&mut self) -> bool {
        self.modes.titled()
    }

    /// Takes a byte of a character; whether none is begun now. Bytes that are no character show as
    /// U+FFFD, as in terminals.
    fn character(&mut self, byte: u8) -> bool {
        if byte < 0x80 && self.rest.is_empty() {
            self.show(char::from(byte));
            return true;
        }
        self.rest.push(byte);
        while !self.rest.is_empty() {
            match std::str::from_utf8(&self.rest) {
                Ok(text) => {
                    let whole: Vec<char> = text.chars().collect();
                    for character in whole {
                        self.show(character);
                    }
                    self.rest.clear();
                }
                // Only the last byte can break it, and it may begin another.
                Err(error) => match error.error_len() {
                    None => return false,
                    Some(length) => {
                        self.show(char::REPLACEMENT_CHARACTER);
                        self.rest.drain(..length);
                    }
                },
            }
        }
        true
    }

    fn show(&mut self, character: char) {
        let Some(function) = self.parser.feed(character) else { return };
        let function = self.bounded(function);
        self.work += self.cells(&function);
        let aside = self.ink.aside();
        self.ink.follow(&function);
        let Some((none, again)) = aside else { return self.terminal.execute(function) };
        let (none, again) = (Function::Sgr(none), Function::Sgr(again));
        if erases(&function) {
            self.terminal.execute([none, function, again]);
        } else if shows_other(&function) {
            self.terminal.execute([function, none, Function::Ed(EdScope::All), again]);
        } else if matches!(function, Function::Print(_)) && self.may_wrap() {
            // A row that scrolls in is blank: first without, then the character once more as it is.
            let before = self.terminal.cursor();
            self.terminal.execute([none, function.clone(), again]);
            let after = self.terminal.cursor();
            let wrapped = after.row != before.row || after.col < before.col;
            let column = if wrapped { 0 } else { before.col };
            let column = Function::Cha(u16::try_from(column + 1).unwrap_or(u16::MAX));
            self.terminal.execute([column, function]);
        } else {
            self.terminal.execute(function);
        }
    }

    /// Once a character is everywhere, repeating it does no more; the cursor's column goes round.
    fn bounded(&self, function: Function) -> Function {
        let Function::Rep(count) = function else { return function };
        let (cols, rows) = self.terminal.size();
        let count = usize::from(count);
        let over = count.saturating_sub(cols * rows) / cols * cols;
        Function::Rep(u16::try_from(count - over).unwrap_or(u16::MAX))
    }

    /// About how many cells a function draws at most.
    fn cells(&self, function: &Function) -> usize {
        let (cols, rows) = self.terminal.size();
        match function {
            Function::Print(_) | Function::Sgr(_) => 1,
            Function::Rep(count) => usize::from(*count),
            Function::Dl(_)
            | Function::Decaln
            | Function::Decrst(_)
            | Function::Decset(_)
            | Function::Ed(_)
            | Function::Il(_)
            | Function::Ris
            | Function::Sd(_)
            | Function::Su(_) => cols * rows,
            _ => cols,
        }
    }

    /// Whether the cursor is where a character may go to the next row.
    fn may_wrap(&self) -> bool {
        self.terminal.cursor().col + 1 >= self.terminal.size().0
    }

    /// Another size holds from now on.
    pub fn resize(&mut self, size: TerminalSize) {
        self.terminal.resize(usize::from(size.cols.max(1)), usize::from(size.rows.max(1)));
    }

    /// The title that the program set.
    pub fn title(&self) -> String {
        self.modes.title()
    }

    /// Where a sequence or a character began whose rest has not come, if one has.
    pub fn begun(&self) -> Option<u64> {
        let begun = self.end - self.whole;
        (1..FAR).contains(&begun).then_some(self.whole)
    }

    /// Bytes that bring an emulator of the same size to this state; `begun` is what was printed of a
    /// sequence or a character whose rest has not come.
    pub fn replay(&self, begun: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x1bc".to_vec();
        // What sets tabs in the emulator's own words is known to few others.
        let picture = self.terminal.dump();
        let picture = picture.replace("\x1b[5W", "\x1b[3g").replace("\x1b[0W", "\x1bH");
        bytes.extend(self.by_the_same_way(&picture));
        bytes.extend(self.modes.replay());
        bytes.extend(begun);
        bytes
    }

    /// The emulator tells of the other screen by mode 1047. Emulators that know only 1049 would stay on
    /// the first one, and the cursor that 1049 keeps for the way back would not be kept.
    fn by_the_same_way(&self, picture: &str) -> Vec<u8> {
        const SWITCH: &str = "\x1b[?1047h";
        const SAVE: &str = "\x1b7";
        let whole = || picture.as_bytes().to_vec();
        if self.modes.other_screen() != Some(1049) {
            return whole();
        }
        let Some((first, other)) = picture.split_once(SWITCH) else { return whole() };
        // `… CUP SGR ESC 7 [modes back] CUP SGR`: 1049 keeps cursor and pen as they are before ESC 7.
        let (first, back) = match first.rfind(SAVE) {
            Some(at) => {
                let behind = &first[at + SAVE.len()..];
                let back: String = ["\x1b[?7h", "\x1b[?6l"]
                    .into_iter()
                    .filter(|mode| behind.contains(mode))
                    .collect();
                (&first[..at], back)
            }
            None => (first, String::new()),
        };
        // The other screen is cleared in the pen's colours: once more, without.
        format!("{first}\x1b[?1049h{back}\x1b[0m\x1b[H\x1b[2J{other}").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(cols: u16, rows: u16) -> Screen {
        Screen::new(TerminalSize { cols, rows }).unwrap()
    }

    #[test]
    fn a_character_repeated_very_often_is_drawn_once_everywhere_and_shows_the_same() {
        for setting in ["", "\x1b[2;4r\x1b[3;1H", "\x1b[?7l", "\x1b[4hxyz\r"] {
            for count in [0, 1, 119, 120, 121, 139, 140, 141, 4000, 65_535] {
                let mut repeated = screen(20, 6);
                repeated.follow(format!("one\r\n{setting}a\x1b[{count}b").as_bytes());
                assert!(repeated.work < 2 * 120 + 8 * 20 + 120, "{setting:?} {count}");
                let mut printed = screen(20, 6);
                printed.follow(format!("one\r\n{setting}a{}", "a".repeat(count.max(1))).as_bytes());
                assert_eq!(
                    String::from_utf8(repeated.replay(b"")),
                    String::from_utf8(printed.replay(b"")),
                    "{setting:?} {count}"
                );
            }
        }
    }

    #[test]
    fn output_that_fills_a_large_screen_is_followed_in_parts() {
        let output = b"\x1b[2J".repeat(3);
        let mut screen = screen(1000, 1000);
        let mut parts = Vec::new();
        while parts.iter().sum::<usize>() < output.len() {
            parts.push(screen.follow(&output[parts.iter().sum()..]));
        }
        assert_eq!(parts, [4; 3]);
        assert_eq!(screen.begun(), None);
        assert_eq!(screen.follow(&[b'x'; 4096]), 4096, "plain output goes in one");
    }
}
