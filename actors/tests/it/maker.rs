//! A maker of images that does what the test says.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use staithe_actors::images::maker::ImageMaker;
use staithe_engine::EngineFailed;
use staithe_protocol::{Fault, Progress, StartStep};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// See the module. Images whose names begin with `plain` are not built.
#[derive(Default)]
pub(crate) struct FakeMaker {
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    made: BTreeSet<String>,
    calls: Vec<String>,
    cancelled: usize,
    under_way: HashMap<String, mpsc::UnboundedSender<Order>>,
    most_at_once: usize,
    stubborn: bool,
    /// The so-manieth call from now on for a name panics.
    panics: Option<u32>,
}

enum Order {
    Tell(Progress),
    End(Result<(), Fault>),
    Panic,
}

impl FakeMaker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What it was asked to make, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.script().calls.clone()
    }

    /// How often it saw that it was cancelled.
    pub(crate) fn cancelled(&self) -> usize {
        self.script().cancelled
    }

    pub(crate) fn is_making(&self, asked: &str) -> bool {
        self.script().under_way.contains_key(asked)
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.script().most_at_once
    }

    /// From now on a cancelled making ends when the test says so.
    pub(crate) fn be_stubborn(&self) {
        self.script().stubborn = true;
    }

    /// The so-manieth question for a name from now on panics.
    pub(crate) fn panic_at_name(&self, nth: u32) {
        self.script().panics = Some(nth);
    }

    pub(crate) fn tell(&self, asked: &str, progress: Progress) {
        self.order(asked, Order::Tell(progress));
    }

    pub(crate) fn finish(&self, asked: &str) {
        self.order(asked, Order::End(Ok(())));
    }

    pub(crate) fn fail(&self, asked: &str, code: &str) {
        self.order(asked, Order::End(Err(fault(code))));
    }

    pub(crate) fn crash(&self, asked: &str) {
        self.order(asked, Order::Panic);
    }

    #[track_caller]
    fn order(&self, asked: &str, order: Order) {
        let script = self.script();
        let making = script.under_way.get(asked).expect("it is being made");
        assert!(making.send(order).is_ok(), "it listens");
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, asked: &str) -> mpsc::UnboundedReceiver<Order> {
        let (orders, listens) = mpsc::unbounded_channel();
        let mut script = self.script();
        script.calls.push(asked.to_owned());
        let twice = script.under_way.insert(asked.to_owned(), orders);
        script.most_at_once = script.most_at_once.max(script.under_way.len());
        drop(script);
        assert!(twice.is_none(), "{asked} is made twice at a time");
        listens
    }
}

/// Ends a call however it ends.
struct Ends<'a>(&'a FakeMaker, &'a str);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.script().under_way.remove(self.1);
    }
}

#[async_trait]
impl ImageMaker for FakeMaker {
    fn name_of(&self, asked: &str) -> String {
        let mut script = self.script();
        let left = script.panics.map(|left| left - 1);
        script.panics = left.filter(|left| *left > 0);
        drop(script);
        assert!(left != Some(0), "the test wants a panic");
        if asked.starts_with("plain") { asked.to_owned() } else { format!("built/{asked}") }
    }

    async fn is_made(&self, asked: &str) -> Result<bool, EngineFailed> {
        Ok(asked.starts_with("plain") || self.script().made.contains(asked))
    }

    async fn make(
        &self,
        asked: &str,
        tell: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), Fault> {
        let mut orders = self.begin(asked);
        let _ends = Ends(self, asked);
        let mut seen = false;
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                () = cancel.cancelled(), if !seen => {
                    seen = true;
                    let mut script = self.script();
                    script.cancelled += 1;
                    if script.stubborn {
                        continue;
                    }
                    return Err(fault("sandbox.image_build_cancelled"));
                }
            };
            match order {
                Some(Order::Tell(progress)) => tell(progress),
                Some(Order::End(outcome)) => {
                    if outcome.is_ok() {
                        self.script().made.insert(asked.to_owned());
                    }
                    return outcome;
                }
                Some(Order::Panic) => panic!("the test wants the maker to panic"),
                None => return Err(fault("image.forgotten")),
            }
        }
    }
}

pub(crate) fn fault(code: &str) -> Fault {
    Fault {
        code: code.into(),
        step: Some(StartStep::Build),
        cause: "step 3 of 7 failed".into(),
        remedy: "Mend extra_deps.".into(),
        log_tail: vec!["E: no such package".into()],
    }
}
