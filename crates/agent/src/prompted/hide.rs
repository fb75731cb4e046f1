//! An answer as it comes, without the text of a call in it. Pure.

use super::form::{BEGIN, is_name};
use crate::model::Piece;

/// Characters of a tool's name; more is no call.
const MOST_NAME: usize = 200;

/// Holds back what may become a call.
#[derive(Debug, Default)]
pub(super) struct Hide {
    held: String,
    /// A call began: nothing is shown any more.
    called: bool,
}

impl Hide {
    /// More of the text came.
    pub(super) fn text(&mut self, more: &str, heard: &mut (dyn FnMut(Piece) + Send)) {
        if self.called {
            return;
        }
        self.held.push_str(more);
        let mut shown = 0;
        while let Some(at) = self.held[shown..].find('<').map(|at| shown + at) {
            match self.at(at) {
                Looks::Call(name) => {
                    self.show(at, heard);
                    self.held.clear();
                    self.called = true;
                    return heard(Piece::Call(name));
                }
                Looks::Open => return self.show(at, heard),
                Looks::Text => shown = at + 1,
            }
        }
        self.show(self.held.len(), heard);
    }

    /// Nothing comes any more: what is held was no call.
    pub(super) fn rest(&mut self, heard: &mut (dyn FnMut(Piece) + Send)) {
        self.show(self.held.len(), heard);
    }

    fn show(&mut self, end: usize, heard: &mut (dyn FnMut(Piece) + Send)) {
        if end > 0 {
            let rest = self.held.split_off(end);
            heard(Piece::Text(std::mem::replace(&mut self.held, rest)));
        }
    }

    fn at(&self, at: usize) -> Looks {
        let text = &self.held[at..];
        let Some(rest) = text.strip_prefix(BEGIN) else {
            return if BEGIN.starts_with(text) { Looks::Open } else { Looks::Text };
        };
        let name: String = rest.chars().take(MOST_NAME).take_while(|c| is_name(*c)).collect();
        match rest[name.len()..].chars().next() {
            Some('>') if !name.is_empty() => Looks::Call(name),
            None if name.len() < MOST_NAME => Looks::Open,
            _ => Looks::Text,
        }
    }
}

/// What begins at a `<`.
enum Looks {
    Call(String),
    /// It may become a call.
    Open,
    Text,
}
