//! Keeps one plugin on its course: begins it, watches it, begins it again, tells its states.

use std::{pin::pin, rc::Rc, time::Duration};

use staithe_protocol::{
    plugin::{PluginPhase, PluginStart, PluginState},
    runner::FromRunner,
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_local},
    time::{sleep, timeout},
};

use super::{
    Plugin, Serving, Trouble,
    course::{Course, Fact, Next},
};
use crate::shell::Ground;

/// Words that may wait.
const WORDS: usize = 16;
/// Most bytes of a failure's detail.
const MOST_DETAIL: usize = 2048;

/// What is asked of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Start,
    Stop,
    Restart,
}

/// Said of a plugin that nobody used yet.
const LAZY: &str = "It begins when it is first used.";

/// One plugin's keeper. When it is dropped, the plugin is stopped.
pub struct Keeper {
    words: mpsc::Sender<Word>,
    state: watch::Receiver<PluginState>,
    task: JoinHandle<()>,
}

/// What a keeper needs beside its plugin.
pub struct Keeping {
    pub ground: Rc<Ground>,
    /// One that does not answer within it can't be had.
    pub deadline: Duration,
    pub start: PluginStart,
    /// An earlier keeper of the same plugin, whose end is waited for.
    pub after: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Has a plugin kept.
    pub fn new(plugin: Rc<dyn Plugin>, keeping: Keeping) -> Self {
        let Keeping { ground, deadline, start, after } = keeping;
        let (words, asked) = mpsc::channel(WORDS);
        let (phase, detail) = match start {
            PluginStart::Eager => (PluginPhase::Starting, None),
            PluginStart::Lazy => (PluginPhase::Stopped, Some(LAZY.to_owned())),
        };
        let (tell, state) =
            watch::channel(state(plugin.name(), phase, detail, &Serving::default()));
        let keep = Keep { plugin, ground, deadline, tell, serving: Serving::default() };
        let task = spawn_local(async move {
            if let Some(after) = after {
                drop(after.await); // that it ended is enough
            }
            keep.run(asked).await;
        });
        let keeper = Self { words, state, task };
        if start == PluginStart::Eager {
            keeper.say(Word::Start);
        }
        keeper
    }

    /// Has the plugin stopped; done when it is, and told.
    pub fn end(self) -> JoinHandle<()> {
        self.task
    }

    /// What it does now.
    pub fn state(&self) -> PluginState {
        self.state.borrow().clone()
    }

    /// Where its states can be followed.
    pub fn follow(&self) -> watch::Receiver<PluginState> {
        self.state.clone()
    }

    /// Asks for something. A keeper with so many words before it has this one among them.
    pub fn say(&self, word: Word) {
        self.words.try_send(word).ok();
    }
}

struct Keep {
    plugin: Rc<dyn Plugin>,
    ground: Rc<Ground>,
    deadline: Duration,
    tell: watch::Sender<PluginState>,
    serving: Serving,
}

/// What came of what was being done.
enum Outcome {
    Answered(Serving),
    Broke(Trouble),
    Overran,
    Rested,
}

impl Keep {
    async fn run(mut self, mut words: mpsc::Receiver<Word>) {
        let mut course = Course::default();
        let mut doing = Next::Rest;
        self.ground.lines.say(&FromRunner::Plugin { plugin: self.tell.borrow().clone() });
        loop {
            let (next, trouble) = {
                let mut outcome = pin!(self.carry_out(doing));
                loop {
                    let (fact, came) = tokio::select! {
                        biased;
                        word = words.recv() => match word {
                            Some(Word::Start) => (Fact::Start, None),
                            Some(Word::Stop) => (Fact::Stop, None),
                            Some(Word::Restart) => (Fact::Restart, None),
                            None => break (None, None),
                        },
                        came = &mut outcome => (fact_of(&came), Some(came)),
                    };
                    if let Some(next) = course.take(fact, self.ground.began.elapsed()) {
                        break (Some(next), came);
                    }
                }
            };
            let mut detail = None;
            match trouble {
                Some(Outcome::Answered(serving)) => self.serving = serving,
                Some(Outcome::Broke(trouble)) => detail = Some(trouble.to_string()),
                Some(Outcome::Overran) => detail = Some(self.overran()),
                Some(Outcome::Rested) | None => {}
            }
            let failed = next.is_some() && course.phase() == PluginPhase::Failed;
            if failed {
                detail = detail.map(|detail| with_tail(detail, &self.plugin.tail()));
            }
            if matches!(doing, Next::Begin | Next::Serve) && next != Some(Next::Serve) {
                self.plugin.stop().await;
                self.serving = Serving::default();
            }
            let phase = if next.is_some() { course.phase() } else { PluginPhase::Stopped };
            if phase == PluginPhase::Restarting && detail.is_none() {
                detail.clone_from(&self.tell.borrow().detail);
            }
            let told = state(self.plugin.name(), phase, detail, &self.serving);
            self.say(&told);
            match next {
                Some(next) => doing = next,
                None => return,
            }
        }
    }

    async fn carry_out(&self, doing: Next) -> Outcome {
        match doing {
            Next::Begin => match timeout(self.deadline, self.plugin.begin()).await {
                Ok(Ok(serving)) => Outcome::Answered(serving),
                Ok(Err(trouble)) => Outcome::Broke(trouble),
                Err(_) => Outcome::Overran,
            },
            Next::Serve => Outcome::Broke(self.plugin.health().await),
            Next::Pause(pause) => {
                sleep(pause).await;
                Outcome::Rested
            }
            Next::Rest => std::future::pending().await,
        }
    }

    fn overran(&self) -> String {
        format!(
            "It did not answer within {} s. Give it longer with plugins.deadline, or more memory and processors.",
            self.deadline.as_secs_f64()
        )
    }

    /// Tells a state, unless it was told already.
    fn say(&self, state: &PluginState) {
        let is_new = self.tell.send_if_modified(|told| {
            let is_new = told != state;
            told.clone_from(state);
            is_new
        });
        if is_new {
            self.ground.lines.say(&FromRunner::Plugin { plugin: state.clone() });
        }
    }
}

fn fact_of(outcome: &Outcome) -> Fact {
    match outcome {
        Outcome::Answered(_) => Fact::Answered,
        Outcome::Broke(trouble) => Fact::Broke { lasting: trouble.lasting },
        Outcome::Overran => Fact::Overran,
        Outcome::Rested => Fact::Rested,
    }
}

fn state(name: &str, state: PluginPhase, detail: Option<String>, serving: &Serving) -> PluginState {
    let Serving { port, base_path } = serving.clone();
    PluginState { name: name.to_owned(), state, detail, port, base_path }
}

fn with_tail(detail: String, tail: &str) -> String {
    if tail.is_empty() {
        return detail;
    }
    let room = MOST_DETAIL.saturating_sub(detail.len());
    let from = tail.ceil_char_boundary(tail.len().saturating_sub(room));
    format!("{detail}\nIts last lines:\n{}", &tail[from..])
}
