//! A terminal emulator of another make than the runner's, to compare screens by.
#![expect(dead_code, reason = "each test program uses its part")]

use std::{cell::RefCell, fmt::Write as _, rc::Rc};

use alacritty_terminal::{
    Term,
    event::{Event, EventListener},
    grid::Dimensions,
    index::{Column, Line},
    term::{
        Config, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::Processor,
};

struct Size {
    cols: usize,
    rows: usize,
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.rows
    }

    fn screen_lines(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.cols
    }
}

/// Hears the title.
#[derive(Clone, Default)]
struct Ear(Rc<RefCell<String>>);

impl EventListener for Ear {
    fn send_event(&self, event: Event) {
        match event {
            Event::Title(title) => *self.0.borrow_mut() = title,
            Event::ResetTitle => self.0.borrow_mut().clear(),
            _ => {}
        }
    }
}

/// A tab is kept where it stood, for who copies the text; it shows as a blank.
fn shown(cell: &Cell) -> char {
    if cell.c == '\t' { ' ' } else { cell.c }
}

/// A cell's colours and lines, as far as they can be seen: a blank has no ink.
fn seen(cell: &Cell) -> String {
    let inverse = cell.flags.contains(Flags::INVERSE);
    let (ink, paper) = if inverse { (cell.bg, cell.fg) } else { (cell.fg, cell.bg) };
    let lines = cell.flags & (Flags::ALL_UNDERLINES | Flags::STRIKEOUT);
    if shown(cell) == ' ' && lines.is_empty() {
        return format!("on {paper:?}");
    }
    let faces = Flags::BOLD | Flags::DIM | Flags::ITALIC | Flags::HIDDEN;
    format!("{ink:?} on {paper:?} {lines:?} {:?}", cell.flags & faces)
}

/// An emulator.
pub(crate) struct Emulator {
    term: Term<Ear>,
    parser: Processor,
    ear: Ear,
}

impl Emulator {
    pub(crate) fn new(cols: u16, rows: u16) -> Self {
        let ear = Ear::default();
        let size = Size { cols: cols.into(), rows: rows.into() };
        let config = Config { scrolling_history: 0, ..Config::default() };
        let term = Term::new(config, &size, ear.clone());
        Self { term, parser: Processor::new(), ear }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.term, bytes);
    }

    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        self.term.resize(Size { cols: cols.into(), rows: rows.into() });
    }

    /// What it shows, line by line, without blanks at the ends.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for row in 0..self.term.screen_lines() {
            let line = &self.term.grid()[Line(i32::try_from(row).expect("a row"))];
            let cells = (0..self.term.columns()).map(|column| &line[Column(column)]);
            let cells = cells.filter(|cell| !cell.flags.contains(Flags::WIDE_CHAR_SPACER));
            let shown: String = cells.map(shown).collect();
            text += shown.trim_end();
            text.push('\n');
        }
        text
    }

    /// All that a person could see or feel: characters, colours, the cursor, modes and the title.
    pub(crate) fn state(&self) -> String {
        let mut state = self.text();
        let mut last = String::new();
        for row in 0..self.term.screen_lines() {
            for column in 0..self.term.columns() {
                let cell =
                    &self.term.grid()[Line(i32::try_from(row).expect("a row"))][Column(column)];
                let pen = seen(cell);
                if pen != last {
                    writeln!(state, "{row},{column}: {pen}").expect("a string");
                    last = pen;
                }
            }
        }
        let point = self.term.grid().cursor.point;
        let wrap = self.term.grid().cursor.input_needs_wrap;
        let pen = &self.term.grid().cursor.template;
        let modes = *self.term.mode() - TermMode::URGENCY_HINTS;
        writeln!(
            state,
            "cursor {},{} {wrap} {:?}",
            point.line,
            point.column,
            self.term.cursor_style()
        )
        .expect("a string");
        writeln!(state, "pen {:?} on {:?} {:?}", pen.fg, pen.bg, pen.flags).expect("a string");
        writeln!(state, "{modes:?} {:?}", self.ear.0.borrow()).expect("a string");
        state
    }
}
