//! Changes of the workspace's files, told to all who watch.
//!
//! | file | what |
//! |---|---|
//! | `glob`, `rules` (pure) | patterns for paths; what is ignored |
//! | `index` (pure) | what was told: every folder and what is in it |
//! | `hints` (pure) | what may have changed since |
//! | `heads` (pure) | repositories whose branch is told |
//! | `tale`, `owned` (pure) | what is to be told, and who did it |
//! | `ring`, `interest` (pure) | what was told last, and who wants to hear of it |
//! | `pace` (pure) | when to look |
//! | `notify`, `look` | the kernel's word; looking at files |
//! | `tree`, `settle`, `apply` | from hints to changes |
//! | `rumour` | what lists saw where the kernel tells nothing |
//! | `run` | watching, from the first who listens until a while after the last |
//! | `readers` | who listens |
//!
//! The kernel's events are no more than hints: what is told is the difference between what was told and
//! what is there, found under the folder's own descriptor. So whoever makes every change that is told to
//! what was listed after `resync` has what is there, once things are quiet.

mod apply;
pub mod glob;
mod heads;
pub mod hints;
pub mod index;
pub mod interest;
pub mod look;
pub mod notify;
pub mod owned;
pub mod pace;
pub mod readers;
pub mod ring;
pub mod rules;
pub mod rumour;
pub mod run;
pub mod settle;
pub mod tale;
pub mod tree;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{Method, Request, body::Incoming};
use staithe_protocol::{
    Source,
    watch::{WatchMode, WatchSettings},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::{owned::Owned, ring::Ring, rumour::Listed, tree::Lists};
use crate::{
    app::App,
    http::words::{Answer, bad, nothing_at, query, upgrade},
};

/// What an action did may be seen so much later.
const AFTERMATH: Duration = Duration::from_millis(200);

/// All of it; one per process.
pub struct Watch {
    settings: RefCell<WatchSettings>,
    /// While it is watched.
    state: RefCell<Option<State>>,
    /// Something is new in `state`.
    news: watch::Sender<()>,
    /// Somebody listens or no longer does, or a list was made.
    poked: Notify,
    lists: Arc<Lists>,
    owned: RefCell<Owned>,
    listed: RefCell<Listed>,
    readers: Cell<usize>,
    running: Cell<bool>,
    acting: Cell<usize>,
    acted: Cell<Option<Instant>>,
}

/// Of one time of watching.
struct State {
    epoch: String,
    mode: WatchMode,
    limited: bool,
    ring: Ring,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            settings: RefCell::default(),
            state: RefCell::default(),
            news: watch::Sender::new(()),
            poked: Notify::new(),
            lists: Arc::default(),
            owned: RefCell::default(),
            listed: RefCell::default(),
            readers: Cell::default(),
            running: Cell::default(),
            acting: Cell::default(),
            acted: Cell::default(),
        }
    }
}

impl Watch {
    /// Says how to watch; from the next time on.
    pub fn equip(&self, settings: WatchSettings) {
        *self.settings.borrow_mut() = settings;
    }

    /// A client has changed a path, which has this version now.
    pub fn own(&self, origin: Option<String>, path: &str, version: Option<&str>) {
        if let Some(origin) = origin {
            self.owned.borrow_mut().note(origin, path, version, Instant::now());
        }
    }

    /// A list begins. What it sees and what is gone again is told as gone.
    pub fn list(self: &Rc<Self>) -> Listing {
        self.lists.begun.fetch_add(1, Ordering::AcqRel);
        Listing(Rc::clone(self))
    }

    /// An action of this source runs until what is returned is dropped.
    pub fn act(self: &Rc<Self>, source: Option<Source>) -> Option<Acting> {
        (source == Some(Source::Agent)).then(|| {
            self.acting.set(self.acting.get() + 1);
            Acting(Rc::clone(self))
        })
    }

    fn agent_acts(&self) -> bool {
        self.acting.get() > 0 || self.acted.get().is_some_and(|at| at.elapsed() < AFTERMATH)
    }

    fn is_wanted(&self) -> bool {
        self.readers.get() > 0
    }
}

/// A list under way.
pub struct Listing(Rc<Watch>);

impl Drop for Listing {
    fn drop(&mut self) {
        self.0.lists.ended.fetch_add(1, Ordering::AcqRel);
        self.0.poked.notify_one();
    }
}

/// An action of the agent under way.
pub struct Acting(Rc<Watch>);

impl Drop for Acting {
    fn drop(&mut self) {
        self.0.acting.set(self.0.acting.get() - 1);
        self.0.acted.set(Some(Instant::now()));
    }
}

/// Answers a request below `/watch`.
pub fn answer(app: &Rc<App>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::GET || request.uri().path() != "/watch" {
        return Err(nothing_at(request.uri().path()));
    }
    let since = query(&request, "since").map(|since| since.parse::<u64>()).transpose();
    let since = since.map_err(|_| bad("`since` is no number"))?;
    let cursor = query(&request, "epoch").zip(since);
    let app = Rc::clone(app);
    upgrade(request, move |upgraded| readers::serve(app, upgraded, cursor))
}
