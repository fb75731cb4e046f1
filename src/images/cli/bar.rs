//! How far a build is, on a terminal or in a log.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use staithe_protocol::Progress;

/// Between two redraws while nothing is told.
const TICK: Duration = Duration::from_millis(500);

/// A bar where stderr is a terminal, else one line for each step.
pub(super) struct Bar {
    bar: ProgressBar,
    /// The step that was written last, where there is no terminal.
    said: Mutex<(u32, String)>,
}

impl Bar {
    pub(super) fn begin() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{elapsed:>5} [{bar:24}] {pos}/{len} {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK);
        Self { bar, said: Mutex::default() }
    }

    pub(super) fn show(&self, progress: Progress) {
        if self.bar.is_hidden() {
            self.say(progress);
            return;
        }
        self.bar.set_length(u64::from(progress.of));
        self.bar.set_position(u64::from(progress.number));
        self.bar.set_message(progress.text);
    }

    /// Above the bar: what a step printed.
    pub(super) fn line(&self, line: &str) {
        if !self.bar.is_hidden() {
            self.bar.println(line);
        }
    }

    fn say(&self, progress: Progress) {
        let now = (progress.number, progress.text);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != now {
            eprintln!("[{}/{} {} s] {}", now.0, progress.of, progress.seconds, now.1);
            *said = now;
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
