//! Where output goes while it comes: to the open lines, gathered and cut to the rate.

use std::{rc::Rc, time::Duration};

use tokio::time::Instant;

use super::push::{GATHER, Push, Pusher};
use crate::lines::Lines;

/// The stream that is being sent: a command's, or what comes between commands.
pub struct Output {
    lines: Rc<Lines>,
    began: Instant,
    pusher: Pusher,
    key: Option<String>,
    /// When what is gathered is sent.
    pub due: Option<Instant>,
}

impl Output {
    pub fn new(lines: Rc<Lines>, began: Instant) -> Self {
        Self { lines, began, pusher: Pusher::default(), key: None, due: None }
    }

    /// Output of the present stream.
    pub fn push(&mut self, bytes: &[u8], now: Instant) {
        self.pusher.push(bytes);
        if self.due.is_none() {
            self.due = Some(now + GATHER);
        }
    }

    /// Sends what is due; says whether something was.
    pub fn tick(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            if let Some(push) = self.pusher.flush(self.since(now)) {
                self.send(&push);
            }
            if self.pusher.is_waiting() {
                self.due = Some(now + GATHER);
            }
        }
        is_due
    }

    /// The present stream ends; another begins.
    pub fn switch(&mut self, key: Option<String>, now: Instant) {
        self.due = None;
        let pushes: Vec<Push> = self.pusher.finish(self.since(now)).collect();
        for push in pushes {
            self.send(&push);
        }
        self.key = key;
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    fn send(&self, push: &Push) {
        self.lines.output(self.key.as_deref(), push);
    }
}
