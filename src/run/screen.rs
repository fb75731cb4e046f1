//! What is shown as it comes: pieces of answers, and events. Writes into anything. Pure.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::Value;

use super::{
    lines::{self, Line, text},
    style::{Cleaner, Ink, Style, clean},
};

/// Bytes of a streamed answer that are remembered, to be compared with the answer itself.
const MOST_REMEMBERED: usize = 256 * 1024;
/// Actions whose beginning is remembered.
const MOST_BEGUN: usize = 1000;

/// Something that is being streamed.
#[derive(Debug, Default)]
struct Streamed {
    cause: Value,
    kind: String,
    /// Bytes that came, as `offset` counts them.
    end: u64,
    /// What is shown of it.
    shown: String,
    cleaner: Cleaner,
}

/// Where it is shown.
pub(super) struct Screen<W> {
    out: W,
    style: Style,
    /// The last thing that ended without the end of a line.
    midline: bool,
    streamed: Option<Streamed>,
    /// The answer that was streamed, after something else came: it may be told whole now.
    answer: String,
    /// When actions began, in milliseconds.
    begun: BTreeMap<u64, i64>,
    /// The call that somebody is asked about.
    asked: String,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            midline: false,
            streamed: None,
            answer: String::new(),
            begun: BTreeMap::new(),
            asked: String::new(),
        }
    }

    /// A piece of an answer, as its frame. What was there already is passed over.
    pub(super) fn piece(&mut self, frame: &Value) -> io::Result<()> {
        let kind = text(frame, "/kind");
        if !matches!(kind, "answer" | "reasoning") {
            return Ok(());
        }
        let offset = frame["offset"].as_u64().unwrap_or(0);
        let new = |it: &Streamed| it.cause != frame["cause"] || it.kind != kind;
        if self.streamed.as_ref().is_none_or(new) {
            self.end_line()?;
            let (cause, kind) = (frame["cause"].clone(), kind.to_owned());
            self.streamed = Some(Streamed { cause, kind, ..Streamed::default() });
            if kind_is_thinking(frame) {
                self.write(Ink::Dim, "(thinking) ")?;
            }
        }
        let Some(streamed) = &mut self.streamed else { return Ok(()) };
        let words = text(frame, "/text");
        let end = offset + words.len() as u64;
        let known = usize::try_from(streamed.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(words) = words.get(known..).filter(|words| !words.is_empty()) else {
            return Ok(());
        };
        let gap = if offset > streamed.end { " … " } else { "" };
        let shown = format!("{gap}{}", streamed.cleaner.clean(words));
        streamed.end = end;
        if streamed.shown.len() < MOST_REMEMBERED {
            streamed.shown.push_str(&shown);
        }
        let ink = if streamed.kind == "reasoning" { Ink::Dim } else { Ink::Plain };
        if streamed.kind == "answer" {
            self.answer.clone_from(&streamed.shown);
        }
        self.write(ink, &shown)?;
        self.midline = !shown.ends_with('\n');
        self.out.flush()
    }

    /// An event.
    pub(super) fn event(&mut self, event: &Value) -> io::Result<()> {
        let took = self.took(event);
        let call = lines::call(event);
        if lines::is_asked(event) {
            call.clone_into(&mut self.asked);
        } else if event["action"].is_string() && !call.is_empty() && call == self.asked {
            // The same action again, as somebody decided.
            self.asked.clear();
            return self.lines(&lines::decided(event));
        }
        let said = lines::said(event);
        if !said.trim().is_empty() {
            self.say(said)?;
        }
        // Whatever the agent or its state does, the pieces before it are no answer to come.
        let ends = event["source"] == "agent"
            || text(event, "/observation") == "model_retry"
            || text(event, "/observation") == "agent_state_changed";
        if ends {
            self.answer.clear();
            self.streamed = None;
        }
        let lines = lines::of(event, took, self.style.width);
        if text(event, "/action") == "finish" {
            let last = clean(text(event, "/args/final_thought"));
            if last.trim() == clean(said).trim() {
                return self.lines(&lines[..1.min(lines.len())]);
            }
        }
        self.lines(&lines)
    }

    /// What the agent says, or what of it was not streamed.
    fn say(&mut self, words: &str) -> io::Result<()> {
        let words = clean(words);
        let words = words.trim();
        let shown = std::mem::take(&mut self.answer);
        let shown = shown.trim_start();
        let rest = words.strip_prefix(shown);
        let rest = rest.or_else(|| (words == shown.trim_end()).then_some(""));
        if let Some(rest) = rest.filter(|_| !shown.is_empty()) {
            if !rest.is_empty() {
                self.write(Ink::Plain, rest)?;
            }
            return self.end_line();
        }
        self.lines(&lines::paragraph(Ink::Plain, words, self.style.width))
    }

    /// How long an observation's action took, in milliseconds.
    fn took(&mut self, event: &Value) -> Option<u64> {
        let at = millis(text(event, "/timestamp"))?;
        if event["action"].is_string() {
            if let Some(id) = event["id"].as_u64() {
                self.begun.insert(id, at);
            }
            if self.begun.len() > MOST_BEGUN {
                self.begun.pop_first();
            }
            return None;
        }
        let began = self.begun.remove(&event["cause"].as_u64()?)?;
        u64::try_from(at - began).ok()
    }

    /// Lines of the command's own.
    pub(super) fn lines(&mut self, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.end_line()?;
        for line in lines {
            writeln!(self.out, "{}", self.style.paint(line.ink, line.text.trim_end()))?;
        }
        self.out.flush()
    }

    /// Ends a line that was begun.
    pub(super) fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.midline) {
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn write(&mut self, ink: Ink, words: &str) -> io::Result<()> {
        self.midline = true;
        write!(self.out, "{}", self.style.paint(ink, words))
    }
}

fn kind_is_thinking(frame: &Value) -> bool {
    text(frame, "/kind") == "reasoning"
}

/// A timestamp in milliseconds; those of other versions have no zone.
pub(super) fn millis(timestamp: &str) -> Option<i64> {
    if let Ok(at) = timestamp.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let at: jiff::civil::DateTime = timestamp.parse().ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STYLE: Style = Style { colours: false, width: 40 };

    fn shown(pieces: &[Value]) -> String {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, STYLE);
        for piece in pieces {
            match text(piece, "/type") {
                "partial" => screen.piece(piece).unwrap(),
                _ => screen.event(piece).unwrap(),
            }
        }
        screen.end_line().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn piece(kind: &str, offset: usize, text: &str) -> Value {
        json!({ "type": "partial", "cause": 4, "kind": kind, "seq": 1, "offset": offset, "text": text })
    }

    fn message(content: &str) -> Value {
        json!({ "id": 5, "source": "agent", "action": "message", "args": { "content": content } })
    }

    #[test]
    fn an_answer_is_shown_once_however_it_came() {
        let whole = message("Hello, world.");
        assert_eq!(shown(std::slice::from_ref(&whole)), "Hello, world.\n");
        let [first, second] = [piece("answer", 0, "Hello, "), piece("answer", 7, "world.")];
        assert_eq!(shown(&[first.clone(), second.clone(), whole.clone()]), "Hello, world.\n");
        // Joined again: what was there comes again, and the pieces overlap.
        let again = piece("answer", 0, "Hello, wor");
        assert_eq!(shown(&[first.clone(), again, second, whole.clone()]), "Hello, world.\n");
        // The rest did not come in pieces.
        assert_eq!(shown(&[first, whole.clone()]), "Hello, world.\n");
        // A try that came to nothing.
        let void = piece("answer", 0, "Good day");
        assert_eq!(shown(&[void, whole]), "Good day\nHello, world.\n");
    }

    #[test]
    fn thinking_is_apart_and_a_gap_is_told() {
        let pieces = [
            piece("reasoning", 0, "let me see"),
            piece("answer", 0, "It "),
            piece("answer", 9, "works."),
            piece("call", 0, "execute_bash"),
        ];
        assert_eq!(shown(&pieces), "(thinking) let me see\nIt  … works.\n");
    }

    #[test]
    fn an_action_that_was_asked_about_is_shown_once() {
        let run = |id, state: &str| {
            json!({ "id": id, "source": "agent", "action": "run",
                    "args": { "command": "make", "thought": "I build it.", "confirmation_state": state },
                    "tool_call_metadata": { "tool_call_id": "c1" } })
        };
        let both = [run(1, "awaiting_confirmation"), run(2, "confirmed")];
        assert_eq!(shown(&both), "I build it.\n? run  make\n  approved\n");
        assert_eq!(shown(&both[1..]), "I build it.\n● run  make\n");
    }

    #[test]
    fn a_step_tells_how_long_it_took_in_any_form_of_time() {
        let run = |id, at: &str| {
            json!({ "id": id, "timestamp": at, "source": "agent", "action": "run",
                    "args": { "command": "make", "thought": "" } })
        };
        let ran = |cause, at: &str| {
            json!({ "id": 9, "timestamp": at, "source": "agent", "cause": cause, "observation": "run",
                    "content": "built\n", "extras": { "exit_code": 0 } })
        };
        let ours = [run(1, "2026-01-01T00:00:00Z"), ran(1, "2026-01-01T00:00:01.5Z")];
        assert_eq!(shown(&ours), "● run  make\n  │ built\n  ✓ exit 0 · 1.5 s\n");
        let theirs = [run(1, "2026-01-01T00:00:00.5"), ran(1, "2026-01-01T00:00:02.5")];
        assert_eq!(shown(&theirs), "● run  make\n  │ built\n  ✓ exit 0 · 2.0 s\n");
        let unknown = [ran(7, "2026-01-01T00:00:02Z")];
        assert_eq!(shown(&unknown), "  │ built\n  ✓ exit 0\n");
    }
}
