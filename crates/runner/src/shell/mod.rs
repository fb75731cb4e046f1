//! The persistent shell: commands run in it one at a time, on a terminal of its own.
//!
//! | file | what |
//! |---|---|
//! | `decide` (pure) | what is done with a `run`, by what the shell is doing |
//! | `line`, `posix` (pure) | the words typed to bash, and to other shells |
//! | `program` | which shell there is |
//! | `scan` (pure) | finds the shell's marks in its output |
//! | `capture` (pure) | what an observation keeps of an output |
//! | `push` (pure) | what of it is sent live |
//! | `words` (pure) | what observations say beside it |
//! | `spool` | whole outputs on disk |
//! | `pty`, `stage`, `live` | the terminal and the process on it |
//! | `missed` | programs that an interrupt cannot have reached |
//! | `running` | the command that runs and who waits for it |
//! | `task` | the loop that holds all this together |

pub mod capture;
pub mod decide;
pub mod line;
pub mod live;
pub mod missed;
pub mod output;
pub mod posix;
pub mod program;
pub mod pty;
pub mod push;
pub mod running;
pub mod scan;
pub mod spool;
pub mod stage;
mod task;
pub mod words;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use staithe_protocol::Observation;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_local,
    time::Instant,
};

use self::{
    program::{Dialect, Program},
    running::{Ask, Identity},
    spool::Spools,
    task::Task,
};
use crate::{environment::Changes, lines::Lines, reap::Reaper};

/// Static commands at once.
const MOST_STATIC: usize = 8;

/// What a shell needs of the program around it.
pub struct Ground {
    pub program: Option<Program>,
    /// What this place makes of the environment.
    pub env: Changes,
    /// What the server adds to it.
    pub configured: RefCell<BTreeMap<String, String>>,
    pub workspace: String,
    pub state_dir: PathBuf,
    pub identity: Identity,
    pub reaper: Rc<Reaper>,
    pub lines: Rc<Lines>,
    pub spools: RefCell<Spools>,
    pub began: Instant,
    /// The program ends: no shell is started any more.
    pub ending: Cell<bool>,
}

/// What others may see of the shell.
pub struct View {
    pub busy: Cell<bool>,
    pub cwd: RefCell<String>,
    /// When the last action ended or output came.
    pub active: Cell<Instant>,
}

enum Message {
    Run(Box<Ask>),
    Interrupt(oneshot::Sender<bool>),
    /// The environment is another one; said when that is taken care of.
    Configured(oneshot::Sender<()>),
}

/// The persistent shell, and shells of their own for static commands.
pub struct Shells {
    pub ground: Rc<Ground>,
    main: mpsc::Sender<Message>,
    statics: RefCell<Vec<mpsc::Sender<Message>>>,
    pub view: Rc<View>,
}

impl Shells {
    /// Starts the persistent shell.
    pub fn start(ground: Ground) -> Self {
        let ground = Rc::new(ground);
        let (main, view) = spawn(&ground, ground.workspace.clone(), true);
        Self { ground, main, statics: RefCell::default(), view }
    }

    /// Runs, types, waits: what a `run` action asks for.
    pub async fn run(&self, mut ask: Ask) {
        if !ask.run.is_static {
            drop(self.main.send(Message::Run(Box::new(ask))).await);
            return;
        }
        let cwd = ask.run.cwd.clone().unwrap_or_else(|| self.view.cwd.borrow().clone());
        let cwd = Path::new(&self.ground.workspace).join(cwd);
        if !cwd.is_dir() {
            let text = format!("ERROR: Not a directory: {}", cwd.display());
            drop(ask.reply.send(Observation::error(text, "")));
            return;
        }
        self.statics.borrow_mut().retain(|shell| !shell.is_closed());
        if self.statics.borrow().len() >= MOST_STATIC {
            let text = format!("ERROR: {MOST_STATIC} static commands are running; no more can be.");
            drop(ask.reply.send(Observation::error(text, "")));
            return;
        }
        ask.run.is_input = false;
        ask.run.blocking = true;
        let (shell, _) = spawn(&self.ground, cwd.to_string_lossy().into_owned(), false);
        self.statics.borrow_mut().push(shell.clone());
        drop(shell.send(Message::Run(Box::new(ask))).await);
    }

    /// Interrupts what runs, in every shell. Says whether anything did.
    pub async fn interrupt(&self) -> bool {
        let mut shells = self.statics.borrow().clone();
        shells.push(self.main.clone());
        let mut any = false;
        for shell in shells {
            let (tell, told) = oneshot::channel();
            drop(shell.send(Message::Interrupt(tell)).await);
            any |= told.await.unwrap_or(false);
        }
        any
    }

    /// Sets what is added to the environment of shells from now on. A shell that has run no command is
    /// started anew.
    pub async fn configure(&self, env: BTreeMap<String, String>) {
        if *self.ground.configured.borrow() == env {
            return;
        }
        self.ground.configured.replace(env);
        let (tell, told) = oneshot::channel();
        drop(self.main.send(Message::Configured(tell)).await);
        drop(told.await); // the shell is gone when the program ends
    }

    /// How the shell is spoken to; none if there is no shell.
    pub fn dialect(&self) -> Option<Dialect> {
        self.ground.program.as_ref().map(|program| program.dialect)
    }

    /// From now on no shell is started.
    pub fn end(&self) {
        self.ground.ending.set(true);
    }

    /// The file with a command's whole output.
    pub fn output(&self, key: &str) -> Option<PathBuf> {
        self.ground.spools.borrow().find(key)
    }

    /// What other programs of the session are started with, too.
    pub fn ground(&self) -> &Rc<Ground> {
        &self.ground
    }

    /// How long ago the program began.
    pub fn uptime(&self) -> Duration {
        self.ground.began.elapsed()
    }
}

fn spawn(ground: &Rc<Ground>, cwd: String, lasting: bool) -> (mpsc::Sender<Message>, Rc<View>) {
    let (send, receive) = mpsc::channel(16);
    let view = Rc::new(View {
        busy: Cell::new(false),
        cwd: RefCell::new(cwd),
        active: Cell::new(Instant::now()),
    });
    let task = Task::new(Rc::clone(ground), Rc::clone(&view), lasting);
    spawn_local(task.run(receive));
    (send, view)
}
