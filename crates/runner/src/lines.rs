//! The open lines to servers: each with its queue, all getting the output.

use std::{cell::RefCell, rc::Rc};

use staithe_protocol::runner::FromRunner;
use tokio::sync::Notify;

use crate::{outbox::Outbox, shell::push::Push};

/// One line's queue.
#[derive(Default)]
pub struct Line {
    outbox: RefCell<Outbox>,
    filled: Notify,
}

impl Line {
    /// Queues an answer.
    pub fn say(&self, message: FromRunner) {
        self.outbox.borrow_mut().say(message);
        self.filled.notify_one();
    }

    /// The next message to send.
    pub async fn next(&self) -> FromRunner {
        loop {
            if let Some(message) = self.try_next() {
                return message;
            }
            self.filled.notified().await;
        }
    }

    /// The next message to send, if there is one.
    pub fn try_next(&self) -> Option<FromRunner> {
        self.outbox.borrow_mut().pop()
    }
}

/// All lines.
#[derive(Default)]
pub struct Lines(RefCell<Vec<Rc<Line>>>);

impl Lines {
    /// A new line.
    pub fn open(&self) -> Rc<Line> {
        let line = Rc::new(Line::default());
        self.0.borrow_mut().push(Rc::clone(&line));
        line
    }

    /// A line was cut.
    pub fn close(&self, line: &Rc<Line>) {
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, line));
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// A word for all lines: one that tells a state whole, so that it may be told seldom.
    pub fn say(&self, word: &FromRunner) {
        for line in self.0.borrow().iter() {
            line.say(word.clone());
        }
    }

    /// Output for all lines.
    pub fn output(&self, key: Option<&str>, push: &Push) {
        for line in self.0.borrow().iter() {
            line.outbox.borrow_mut().output(key, push);
            line.filled.notify_one();
        }
    }
}
