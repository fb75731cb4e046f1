//! What the person types, and what is asked on the terminal.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _, Write as _},
    thread,
};

use tokio::sync::mpsc;

/// Lines that wait to be read: more are not typed ahead.
const MOST_WAITING: usize = 4;

/// What was typed to an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Yes,
    /// All of its kind.
    All,
    /// No, and why where that was said.
    No(Option<String>),
    /// First all that is asked about.
    Whole,
}

impl Word {
    /// `y`, `n`, `a`, `w` or a word that begins with them; after `n`, why not.
    pub(super) fn of(typed: &str) -> Option<Self> {
        let (word, rest) = typed.trim().split_once([' ', ':', ',']).unwrap_or((typed.trim(), ""));
        let reason = rest.trim();
        match (word.to_lowercase().as_str(), reason) {
            ("y" | "yes", "") => Some(Self::Yes),
            ("a" | "all", "") => Some(Self::All),
            ("w" | "whole", "") => Some(Self::Whole),
            ("n" | "no", "") => Some(Self::No(None)),
            ("n" | "no", reason) => Some(Self::No(Some(reason.to_owned()))),
            _ => None,
        }
    }
}

/// Lines from the terminal, if there is a person: a terminal to read from and one to ask on. With the task on stdin, the
/// terminal that controls the process is read.
pub(super) fn lines(task_on_stdin: bool) -> Option<mpsc::Receiver<String>> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let input: Box<dyn BufRead + Send> = if task_on_stdin {
        Box::new(BufReader::new(File::open("/dev/tty").ok()?))
    } else if io::stdin().is_terminal() {
        Box::new(BufReader::new(io::stdin()))
    } else {
        return None;
    };
    let (tell, typed) = mpsc::channel(MOST_WAITING);
    // It reads on until the process ends: nothing takes a thread out of that.
    let reader = thread::Builder::new().name("typed".to_owned()).spawn(move || {
        for line in input.lines() {
            let Ok(line) = line else { return };
            if tell.blocking_send(line).is_err() {
                return;
            }
        }
    });
    reader.is_ok().then_some(typed)
}

/// Asks, without the end of a line.
pub(super) fn ask(words: &str) {
    eprint!("{words}");
    drop(io::stderr().flush()); // a terminal that is gone says so elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_short_or_long_and_a_no_may_say_why() {
        for (typed, word) in [
            ("y", Some(Word::Yes)),
            (" Yes \r", Some(Word::Yes)),
            ("a", Some(Word::All)),
            ("w", Some(Word::Whole)),
            ("n", Some(Word::No(None))),
            ("n use the other file", Some(Word::No(Some("use the other file".to_owned())))),
            ("no: not now", Some(Word::No(Some("not now".to_owned())))),
            ("", None),
            ("yes please do", None),
            ("maybe", None),
        ] {
            assert_eq!(Word::of(typed), word, "{typed:?}");
        }
    }
}
