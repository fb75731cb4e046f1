//! Where a run is shown: lines for people, JSON for programs, or the last words alone.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IsTerminal as _, Stdout, Write as _},
};

use serde_json::Value;

use super::{
    lines::{Line, text},
    screen::Screen,
    style::{Ink, Style},
};

/// Columns where nobody knows them.
const USUAL_WIDTH: usize = 80;
/// Columns that lines are wrapped at, however wide the terminal is, and however narrow.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=120;

/// How it is shown.
pub(super) enum Show {
    Lines(Screen<Stdout>),
    /// With the bytes that came of each answer.
    Json(BTreeMap<String, u64>),
    Quiet,
}

/// How stdout looks.
pub(super) fn style() -> Style {
    let out = io::stdout();
    let colours = out.is_terminal() && env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let size = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    let width = if size == 0 { USUAL_WIDTH } else { size };
    Style { colours, width: width.clamp(*WIDTHS.start(), *WIDTHS.end()) }
}

impl Show {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        if json {
            Self::Json(BTreeMap::new())
        } else if quiet {
            Self::Quiet
        } else {
            Self::Lines(Screen::new(io::stdout(), style()))
        }
    }

    /// A frame as it came.
    pub(super) fn frame(&mut self, frame: &Value, written: &str) -> io::Result<()> {
        match (self, text(frame, "/type")) {
            (Self::Lines(screen), "event") => screen.event(&frame["event"]),
            (Self::Lines(screen), "partial") => screen.piece(frame),
            (Self::Json(came), "partial") => {
                if is_new(came, frame) {
                    return say(written);
                }
                Ok(())
            }
            (Self::Json(_), "hello" | "event" | "expired" | "draining") => say(written),
            _ => Ok(()),
        }
    }

    /// Columns of the terminal on which lines are shown; none where nobody reads them as they come.
    pub(super) fn columns(&self) -> Option<usize> {
        let is_read = matches!(self, Self::Lines(_)) && io::stdout().is_terminal();
        is_read.then(|| style().width)
    }

    /// A word of the command's own, for people; beside it with `--json` and `--quiet`.
    pub(super) fn note(&mut self, ink: Ink, words: &str) -> io::Result<()> {
        match self {
            Self::Lines(screen) => screen.lines(&[Line { ink, text: words.to_owned() }]),
            _ if matches!(ink, Ink::Dim | Ink::Plain) => Ok(()),
            _ => {
                eprintln!("{words}");
                Ok(())
            }
        }
    }

    /// Ends what is being streamed.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        match self {
            Self::Lines(screen) => screen.end_line(),
            _ => Ok(()),
        }
    }
}

/// Whether something of a piece did not come before; after a connection is made anew, pieces come again.
fn is_new(came: &mut BTreeMap<String, u64>, frame: &Value) -> bool {
    let of = format!("{} {}", frame["cause"], text(frame, "/kind"));
    let end = frame["offset"].as_u64().unwrap_or(0) + text(frame, "/text").len() as u64;
    // Answers come one after the other; those of long ago don't come again.
    if came.len() > 64 && !came.contains_key(&of) {
        came.clear();
    }
    let known = came.entry(of).or_insert(0);
    let new = end > *known;
    *known = end.max(*known);
    new
}

/// A line on stdout.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_piece_that_comes_again_is_no_news() {
        let piece = |cause: u64, offset: u64, text: &str| json!({ "cause": cause, "kind": "answer", "offset": offset, "text": text });
        let mut came = BTreeMap::new();
        assert!(is_new(&mut came, &piece(1, 0, "ab")));
        assert!(is_new(&mut came, &piece(1, 2, "cd")));
        assert!(!is_new(&mut came, &piece(1, 0, "abcd")));
        assert!(is_new(&mut came, &piece(1, 0, "abcde")));
        assert!(is_new(&mut came, &piece(2, 0, "ab")), "another answer");
    }
}
