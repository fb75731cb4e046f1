//! The actions that are known by their keys, so that none is run twice.

use std::{collections::HashMap, collections::VecDeque, rc::Rc};

use staithe_protocol::Observation;
use tokio::sync::oneshot;

/// Finished actions whose results are kept.
const MOST: usize = 256;
/// Bytes of results that are kept; the newest one always is.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A result, or where it will come.
pub enum Known {
    Done(Rc<Observation>),
    Running(oneshot::Receiver<Rc<Observation>>),
    /// Not known before: the caller runs it and says [`Acts::finish`].
    New(oneshot::Receiver<Rc<Observation>>),
}

/// The table.
#[derive(Default)]
pub struct Acts {
    running: Vec<(String, Vec<oneshot::Sender<Rc<Observation>>>)>,
    done: HashMap<String, Rc<Observation>>,
    /// Keys of `done`, oldest first, with their sizes.
    order: VecDeque<(String, usize)>,
    bytes: usize,
}

impl Acts {
    /// Somebody wants this action's result.
    pub fn want(&mut self, key: &str) -> Known {
        if let Some(result) = self.done.get(key) {
            return Known::Done(Rc::clone(result));
        }
        let (tell, told) = oneshot::channel();
        if let Some((_, waiting)) = self.running.iter_mut().find(|(k, _)| k == key) {
            waiting.retain(|waiter| !waiter.is_closed());
            waiting.push(tell);
            return Known::Running(told);
        }
        self.running.push((key.to_owned(), vec![tell]));
        Known::New(told)
    }

    /// An action's result.
    pub fn finish(&mut self, key: &str, result: Observation) {
        let Some(at) = self.running.iter().position(|(k, _)| k == key) else { return };
        let (key, waiting) = self.running.remove(at);
        let result = Rc::new(result);
        for waiter in waiting {
            drop(waiter.send(Rc::clone(&result)));
        }
        let size = result.content().len();
        self.bytes += size;
        self.order.push_back((key.clone(), size));
        self.done.insert(key, result);
        while self.order.len() > MOST || (self.bytes > MOST_BYTES && self.order.len() > 1) {
            if let Some((oldest, size)) = self.order.pop_front() {
                self.done.remove(&oldest);
                self.bytes -= size;
            }
        }
    }

    /// Keys of all that is known, newest last.
    pub fn keys(&self) -> Vec<String> {
        let done = self.order.iter().map(|(key, _)| key);
        done.chain(self.running.iter().map(|(key, _)| key)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> Observation {
        Observation::error(text, "")
    }

    #[test]
    fn an_action_is_run_once_and_its_result_is_told_to_all() {
        let mut acts = Acts::default();
        let Known::New(mut first) = acts.want("a") else { panic!("new") };
        let Known::Running(mut second) = acts.want("a") else { panic!("running") };
        acts.finish("a", result("1"));
        assert_eq!(first.try_recv().unwrap().content(), "1");
        assert_eq!(second.try_recv().unwrap().content(), "1");
        assert!(matches!(acts.want("a"), Known::Done(r) if r.content() == "1"));
    }

    #[test]
    fn the_oldest_result_goes_but_nothing_that_runs() {
        let mut acts = Acts::default();
        let running = acts.want("running");
        for n in 0..=MOST {
            let known = acts.want(&n.to_string());
            acts.finish(&n.to_string(), result("x"));
            drop(known);
        }
        assert!(matches!(acts.want("1"), Known::Done(_)));
        assert!(matches!(acts.want("0"), Known::New(_)));
        assert!(matches!(acts.want("running"), Known::Running(_)));
        assert_eq!(acts.keys().len(), MOST + 2);
        drop(running);
    }

    #[test]
    fn large_results_make_room_for_each_other() {
        let mut acts = Acts::default();
        for key in ["a", "b", "c"] {
            drop(acts.want(key));
            acts.finish(key, result(&"x".repeat(MOST_BYTES / 2)));
        }
        assert_eq!(acts.keys(), ["b", "c"]);
    }
}
