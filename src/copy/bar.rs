//! How far a copy is, on a terminal; nothing where there is none.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two redraws while nothing comes.
const TICK: Duration = Duration::from_millis(500);

/// Clones share it.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// None is shown until something begins.
    pub(super) fn new() -> Self {
        Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
    }

    /// Another thing is copied; its size is 0 if nobody knows it.
    pub(super) fn begin(&self, name: &str, size: u64) {
        let template = if size > 0 {
            "{elapsed:>5} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}"
        } else {
            "{elapsed:>5} {bytes} {bytes_per_sec} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_length(size);
        self.0.set_position(0);
        self.0.set_message(name.to_owned());
        self.0.enable_steady_tick(TICK);
    }

    pub(super) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub(super) fn more(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// A line beside it, on stderr.
    pub(super) fn tell(&self, line: &str) {
        self.0.suspend(|| eprintln!("staithe: {line}"));
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
