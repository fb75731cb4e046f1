//! What waits to be sent on one line. Pure.

use std::collections::VecDeque;

use staithe_protocol::runner::FromRunner;

use crate::shell::push::Push;

/// Most bytes of output that wait; what comes beyond is left out and counted.
const MOST_OUTPUT: usize = 256 * 1024;

/// The queue of one line. Answers always find room: there are only as many as calls.
#[derive(Default)]
pub struct Outbox {
    queue: VecDeque<FromRunner>,
    output: usize,
    /// Output left out since the last push that was queued: of which stream, and where the gap ends.
    gap: Option<(Option<String>, u64, u64)>,
}

impl Outbox {
    /// Queues an answer, or the first word.
    pub fn say(&mut self, message: FromRunner) {
        self.close_gap();
        self.queue.push_back(message);
    }

    /// Queues output, or leaves it out.
    pub fn output(&mut self, key: Option<&str>, push: &Push) {
        if self.gap.as_ref().is_some_and(|(of, ..)| of.as_deref() != key) {
            self.close_gap();
        }
        if self.output + push.text.len() > MOST_OUTPUT {
            let (.., end, lost) = self.gap.take().unwrap_or((None, 0, 0));
            debug_assert!(end <= push.offset);
            let lost = lost + push.skipped + push.bytes;
            self.gap = Some((key.map(str::to_owned), push.offset + push.bytes, lost));
            return;
        }
        let lost = self.gap.take().map_or(0, |(.., lost)| lost);
        self.output += push.text.len();
        self.queue.push_back(FromRunner::Output {
            key: key.map(str::to_owned),
            offset: push.offset,
            text: push.text.clone(),
            skipped: push.skipped + lost,
        });
    }

    /// The next message to send.
    pub fn pop(&mut self) -> Option<FromRunner> {
        let message = self.queue.pop_front()?;
        if let FromRunner::Output { text, .. } = &message {
            self.output -= text.len();
        }
        Some(message)
    }

    /// Says how much was left out where nothing follows it.
    fn close_gap(&mut self) {
        if let Some((key, offset, skipped)) = self.gap.take() {
            self.queue.push_back(FromRunner::Output { key, offset, text: String::new(), skipped });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(offset: u64, length: usize, skipped: u64) -> Push {
        Push { offset, text: "x".repeat(length), bytes: length as u64, skipped }
    }

    fn drain(outbox: &mut Outbox) -> Vec<(Option<String>, u64, usize, u64)> {
        std::iter::from_fn(|| outbox.pop())
            .filter_map(|message| match message {
                FromRunner::Output { key, offset, text, skipped } => {
                    Some((key, offset, text.len(), skipped))
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_line_that_stands_still_holds_a_bounded_output_and_counts_the_rest() {
        let mut outbox = Outbox::default();
        let step = 100_000;
        for n in 0..10 {
            outbox.output(Some("a"), &push(n * 100_000, step, 0));
        }
        let a = || Some("a".to_owned());
        assert_eq!(drain(&mut outbox), [(a(), 0, step, 0), (a(), 100_000, step, 0)]);
        outbox.output(Some("a"), &push(1_000_000, 5, 0));
        assert_eq!(drain(&mut outbox), [(a(), 1_000_000, 5, 800_000)]);
    }

    #[test]
    fn a_gap_is_told_before_the_answer_and_before_another_stream() {
        let mut outbox = Outbox::default();
        outbox.output(Some("a"), &push(0, MOST_OUTPUT, 0));
        outbox.output(Some("a"), &push(MOST_OUTPUT as u64, 10, 7));
        outbox.output(None, &push(0, 3, 0));
        let told = drain(&mut outbox);
        assert_eq!(told[1], (Some("a".into()), MOST_OUTPUT as u64 + 10, 0, 17));
        outbox.output(None, &push(3, 1, 0));
        assert_eq!(drain(&mut outbox), [(None, 3, 1, 3)]);
    }
}
