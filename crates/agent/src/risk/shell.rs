//! A line of shell as its simple commands: words without their quotes, what is piped into what, and where output goes.
//! Pure. It does not expand anything: a word that would be is known to be uncertain.
//!
//! Commands within `$( )`, `` ` ` ``, `<( )` and `( )` are in the list too, before the one that uses them.

/// A word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes; what is expanded stands as it was written.
    pub(super) text: String,
    /// A variable or another command's output is in it.
    pub(super) uncertain: bool,
}

/// A program with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
    /// Files that are written or appended to.
    pub(super) writes: Vec<Word>,
    /// Its input is the output of the command before it in the list that is not within it.
    pub(super) piped: bool,
    /// Commands within it: how many of those before it in the list.
    pub(super) within: usize,
}

/// What could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) commands: Vec<Simple>,
    /// Quotes and brackets are closed, and it is not nested too deep.
    pub(super) sound: bool,
}

const DEEPEST: usize = 8;

/// Reads a line, or a script.
pub(super) fn parse(line: &str) -> Parsed {
    let mut reader = Reader { rest: line.chars().collect(), at: 0, sound: true };
    let mut commands = Vec::new();
    reader.list(None, &mut commands, 0);
    Parsed { commands, sound: reader.sound }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    sound: bool,
}

/// The command that is being read.
#[derive(Default)]
struct Open {
    simple: Simple,
    word: Option<Word>,
    /// The next word is a file that is written (`true`), or one that is read.
    file: Option<bool>,
}

impl Open {
    fn push(&mut self, letter: char) {
        self.word.get_or_insert_default().text.push(letter);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match self.file.take() {
            Some(true) => self.simple.writes.push(word),
            Some(false) => {}
            None => self.simple.words.push(word),
        }
    }

    fn end(&mut self, commands: &mut Vec<Simple>) -> bool {
        self.end_word();
        self.file = None;
        let simple = std::mem::take(&mut self.simple);
        let any = !simple.words.is_empty() || !simple.writes.is_empty();
        if any {
            commands.push(simple);
        }
        any
    }
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek(0)?;
        self.at += 1;
        Some(letter)
    }

    fn skip(&mut self, wanted: char) -> bool {
        let there = self.peek(0) == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Reads commands up to `close`, or to the end.
    fn list(&mut self, close: Option<char>, commands: &mut Vec<Simple>, depth: usize) {
        if depth > DEEPEST {
            self.sound = false;
            self.at = self.rest.len();
            return;
        }
        let mut open = Open::default();
        loop {
            let Some(letter) = self.next() else {
                self.sound &= close.is_none();
                break;
            };
            if Some(letter) == close {
                break;
            }
            match letter {
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(letter) => open.push(letter),
                    None => self.sound = false,
                },
                '\'' => self.single(&mut open),
                '"' => self.double(&mut open, commands, depth),
                '$' | '`' => self.expansion(letter, &mut open, commands, depth),
                '#' if open.word.is_none() => {
                    while self.peek(0).is_some_and(|letter| letter != '\n') {
                        self.at += 1;
                    }
                }
                ' ' | '\t' | '\r' => open.end_word(),
                '\n' | ';' => {
                    open.end(commands);
                }
                '&' if self.peek(0) == Some('>') => {
                    self.at += 1;
                    self.redirect(&mut open);
                }
                '&' => {
                    self.skip('&');
                    open.end(commands);
                }
                '|' => {
                    let either = self.skip('|');
                    self.skip('&');
                    open.end(commands);
                    open.simple.piped = !either;
                }
                '>' => self.redirect(&mut open),
                '<' => self.input(&mut open, commands, depth),
                '(' => {
                    open.end_word();
                    let before = commands.len();
                    self.list(Some(')'), commands, depth + 1);
                    open.simple.within += commands.len() - before;
                }
                letter => open.push(letter),
            }
        }
        open.end(commands);
    }

    fn single(&mut self, open: &mut Open) {
        open.word.get_or_insert_default();
        loop {
            match self.next() {
                Some('\'') => return,
                Some(letter) => open.push(letter),
                None => {
                    self.sound = false;
                    return;
                }
            }
        }
    }

    fn double(&mut self, open: &mut Open, commands: &mut Vec<Simple>, depth: usize) {
        open.word.get_or_insert_default();
        loop {
            match self.next() {
                Some('"') => return,
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(letter @ ('"' | '\\' | '$' | '`')) => open.push(letter),
                    Some(letter) => {
                        open.push('\\');
                        open.push(letter);
                    }
                    None => self.sound = false,
                },
                Some(letter @ ('$' | '`')) => self.expansion(letter, open, commands, depth),
                Some(letter) => open.push(letter),
                None => {
                    self.sound = false;
                    return;
                }
            }
        }
    }

    /// `$NAME`, `${…}`, `$(…)` or `` `…` ``.
    fn expansion(
        &mut self,
        first: char,
        open: &mut Open,
        commands: &mut Vec<Simple>,
        depth: usize,
    ) {
        let before = commands.len();
        match (first, self.peek(0)) {
            ('`', _) => self.list(Some('`'), commands, depth + 1),
            (_, Some('(')) => {
                self.at += 1;
                self.list(Some(')'), commands, depth + 1);
            }
            (_, Some('\'')) => {
                // $'…' is a quoted word with escapes, which are not read here.
                self.at += 1;
                self.single(open);
            }
            (_, Some(next))
                if next == '{'
                    || next == '_'
                    || next.is_alphanumeric()
                    || "?!#@*$".contains(next) =>
            {
                open.push('$');
            }
            _ => {
                open.push('$');
                return;
            }
        }
        open.simple.within += commands.len() - before;
        open.word.get_or_insert_default().uncertain = true;
    }

    /// After `>`: the next word is a file, unless it is a descriptor.
    fn redirect(&mut self, open: &mut Open) {
        let digits =
            open.word.as_ref().is_some_and(|word| word.text.chars().all(|c| c.is_ascii_digit()));
        if digits {
            open.word = None;
        }
        open.end_word();
        if !self.skip('>') {
            self.skip('|');
        }
        let descriptor = self.skip('&');
        open.file = Some(!descriptor);
    }

    /// After `<`: a file, a here-document or `<( )`.
    fn input(&mut self, open: &mut Open, commands: &mut Vec<Simple>, depth: usize) {
        open.end_word();
        if self.skip('(') {
            let before = commands.len();
            self.list(Some(')'), commands, depth + 1);
            open.simple.within += commands.len() - before;
            open.word.get_or_insert_default().uncertain = true;
        } else if self.skip('<') {
            if self.skip('<') {
                open.file = Some(false); // <<< word
            } else {
                self.here_document();
            }
        } else {
            self.skip('&');
            open.file = Some(false);
        }
    }

    /// Takes the lines up to the delimiter out of what is read.
    fn here_document(&mut self) {
        self.skip('-');
        while self.skip(' ') {}
        let mut end = String::new();
        while let Some(letter) = self.peek(0) {
            if letter.is_whitespace() || ";|&)<>".contains(letter) {
                break;
            }
            if !"'\"\\".contains(letter) {
                end.push(letter);
            }
            self.at += 1;
        }
        let Some(line_end) = self.rest[self.at..].iter().position(|&letter| letter == '\n') else {
            self.sound = false;
            return;
        };
        let mut start = self.at + line_end + 1;
        let body = start;
        loop {
            let rest = &self.rest[start..];
            let length = rest.iter().position(|&letter| letter == '\n').unwrap_or(rest.len());
            let line: String = rest[..length].iter().collect();
            let next = (start + length + 1).min(self.rest.len());
            if line.trim_start_matches('\t') == end {
                self.rest.drain(body..next);
                return;
            }
            if next >= self.rest.len() {
                self.sound = false;
                self.rest.truncate(body);
                return;
            }
            start = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let parsed = parse(line);
        assert!(parsed.sound, "{line}");
        let words = |simple: &Simple| {
            let words: Vec<_> = simple.words.iter().map(|word| word.text.as_str()).collect();
            let pipe = if simple.piped { "| " } else { "" };
            let writes: String =
                simple.writes.iter().flat_map(|word| [" > ", &word.text]).collect();
            format!("{pipe}{}{writes}", words.join("·"))
        };
        let commands: Vec<_> = parsed.commands.iter().map(words).collect();
        assert_eq!(commands, expected, "{line}");
    }

    #[test]
    fn words_are_split_as_the_shell_does() {
        check("rm -rf 'a b' \"c d\" e\\ f", &["rm·-rf·a b·c d·e f"]);
        check("a && b || c; d & e\nf", &["a", "b", "c", "d", "e", "f"]);
        check("curl x | tee y | sh", &["curl·x", "| tee·y", "| sh"]);
        check("echo \"a;b\" 'c|d' # not; this", &["echo·a;b·c|d"]);
        check("echo a#b", &["echo·a#b"]);
        check("r\"\"m x", &["rm·x"]);
        check("a \\\n b", &["a·b"]);
        check("", &[]);
    }

    #[test]
    fn what_is_within_is_seen() {
        check("echo $(rm x)", &["rm·x", "echo·"]);
        check("echo \"`rm x`\"", &["rm·x", "echo·"]);
        check("bash <(curl x)", &["curl·x", "bash·"]);
        check("(cd a; rm b)", &["cd·a", "rm·b"]);
        check("echo '$(rm x)'", &["echo·$(rm x)"]);
        assert_eq!(parse("bash <(curl x)").commands[1].within, 1);
    }

    #[test]
    fn files_that_are_written_are_seen() {
        check("echo x > /etc/a 2>&1 >> b", &["echo·x > /etc/a > b"]);
        check("cmd 2>err <in &>all", &["cmd > err > all"]);
        check("> f", &[" > f"]);
    }

    #[test]
    fn a_here_document_is_no_command() {
        check("cat <<'EOF' > a.sh\nrm -rf /\nEOF\nls", &["cat > a.sh", "ls"]);
        check("cat <<-E\n\tx\n\tE\nls", &["cat", "ls"]);
        assert!(!parse("cat <<EOF\nx").sound);
    }

    #[test]
    fn variables_are_uncertain_and_quoted_ones_are_not() {
        let uncertain = |line: &str| parse(line).commands[0].words[1].uncertain;
        assert!(uncertain("rm $X") && uncertain("rm \"${X}/a\"") && uncertain("rm a$X"));
        assert!(!uncertain("rm '$X'") && !uncertain("rm \\$X") && !uncertain("rm a$"));
    }

    #[test]
    fn what_is_not_closed_is_not_sound() {
        for line in ["echo 'a", "echo \"a", "echo $(a", "echo `a", "(a", "a \\", &"$(".repeat(50)] {
            assert!(!parse(line).sound, "{line}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_to_its_end(line in "[a-z '\"`$(){}<>|&;#\\\\\n-]{0,60}") {
            let parsed = parse(&line);
            prop_assert!(parsed.commands.len() <= line.len());
        }
    }
}
