//! What a pen draws beside characters: lines and reversed colours. Pure.
//!
//! Terminals erase with the pen's background and nothing else of it; our emulator erases with the whole
//! pen. So this follows what the pen has, and takes it away around what erases.

use avt::parser::{DecMode, Function, SgrOp, SgrOps};

/// See the module.
#[derive(Debug, Default)]
pub struct Ink {
    now: Lines,
    /// Kept by the first and by the other screen.
    kept: [Lines; 2],
    on_other: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each of them can be with each other")]
struct Lines {
    underline: bool,
    blink: bool,
    inverse: bool,
    strike: bool,
}

impl Ink {
    /// What takes it all away, and what gives it back; none where there is nothing to take.
    pub fn aside(&self) -> Option<(SgrOps, SgrOps)> {
        if self.now == Lines::default() {
            return None;
        }
        let Lines { underline, blink, inverse, strike } = self.now;
        let none = [
            SgrOp::ResetUnderline,
            SgrOp::ResetBlink,
            SgrOp::ResetInverse,
            SgrOp::ResetStrikethrough,
        ];
        let again = [
            (underline, SgrOp::SetUnderline),
            (blink, SgrOp::SetBlink),
            (inverse, SgrOp::SetInverse),
            (strike, SgrOp::SetStrikethrough),
        ];
        let again: Vec<SgrOp> =
            again.into_iter().filter(|(is_set, _)| *is_set).map(|(_, op)| op).collect();
        Some((SgrOps::from(none.to_vec()), SgrOps::from(again)))
    }

    /// Follows what is carried out.
    pub fn follow(&mut self, function: &Function) {
        match function {
            Function::Sgr(ops) => ops.as_slice().iter().for_each(|op| self.take(*op)),
            Function::Decsc | Function::Scosc => self.keep(),
            Function::Decrc | Function::Scorc => self.back(),
            Function::Ris => *self = Self::default(),
            Function::Decstr => {
                self.now = Lines::default();
                self.kept[usize::from(self.on_other)] = Lines::default();
            }
            Function::Decset(modes) => {
                for mode in modes.as_slice() {
                    if matches!(mode, DecMode::SaveCursor | DecMode::SaveCursorAltScreenBuffer) {
                        self.keep();
                    }
                    self.on_other |= is_screen(*mode);
                }
            }
            Function::Decrst(modes) => {
                for mode in modes.as_slice() {
                    self.on_other &= !is_screen(*mode);
                    if matches!(mode, DecMode::SaveCursor | DecMode::SaveCursorAltScreenBuffer) {
                        self.back();
                    }
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self) {
        self.kept[usize::from(self.on_other)] = self.now;
    }

    fn back(&mut self) {
        self.now = self.kept[usize::from(self.on_other)];
    }

    fn take(&mut self, op: SgrOp) {
        let lines = &mut self.now;
        match op {
            SgrOp::Reset => *lines = Lines::default(),
            SgrOp::SetUnderline | SgrOp::ResetUnderline => {
                lines.underline = op == SgrOp::SetUnderline;
            }
            SgrOp::SetBlink | SgrOp::ResetBlink => lines.blink = op == SgrOp::SetBlink,
            SgrOp::SetInverse | SgrOp::ResetInverse => lines.inverse = op == SgrOp::SetInverse,
            SgrOp::SetStrikethrough | SgrOp::ResetStrikethrough => {
                lines.strike = op == SgrOp::SetStrikethrough;
            }
            _ => {}
        }
    }
}

fn is_screen(mode: DecMode) -> bool {
    matches!(mode, DecMode::AltScreenBuffer | DecMode::SaveCursorAltScreenBuffer)
}

/// Whether a function goes to the other screen, which then is an empty one.
pub fn shows_other(function: &Function) -> bool {
    matches!(function, Function::Decset(modes) if modes.as_slice().iter().copied().any(is_screen))
}

/// Whether a function leaves blanks where something was.
pub fn erases(function: &Function) -> bool {
    matches!(
        function,
        Function::Dch(_)
            | Function::Dl(_)
            | Function::Ech(_)
            | Function::Ed(_)
            | Function::El(_)
            | Function::Ich(_)
            | Function::Il(_)
            | Function::Lf
            | Function::Nel
            | Function::Ri
            | Function::Sd(_)
            | Function::Su(_)
    )
}
