//! What requests and lines share: the key, the shell, the files and the actions that are known.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use staithe_protocol::{
    Action, Observation, Source,
    files::{FileCode, FileDenied, FileDone, FileOp},
    runner::{Hello, Limits, ServerInfo},
    services::Services,
};
use tokio::{sync::oneshot, task::spawn_local};

use crate::{
    acts::{Acts, Known},
    files::Files,
    info::Meter,
    lines::Lines,
    plugins::Plugins,
    ports::Ports,
    shell::{Shells, running::Ask},
    terminals::Terminals,
    watch::Watch,
};

/// Everything; one per process.
pub struct App {
    /// Of the key, so that comparing takes the same time for every wrong one.
    key: [u8; 32],
    pub epoch: String,
    pub shells: Shells,
    pub files: Arc<Files>,
    pub lines: Rc<Lines>,
    pub terminals: Terminals,
    pub watch: Rc<Watch>,
    pub plugins: Plugins,
    pub ports: Ports,
    acts: RefCell<Acts>,
    meter: RefCell<Meter>,
    /// For actions that came without a key.
    unkeyed: Cell<u64>,
}

impl App {
    pub fn new(key: &str, epoch: String, shells: Shells, files: Files, lines: Rc<Lines>) -> Self {
        Self {
            key: Sha256::digest(key.as_bytes()).into(),
            epoch,
            shells,
            files: Arc::new(files),
            lines,
            terminals: Terminals::default(),
            watch: Rc::default(),
            plugins: Plugins::default(),
            ports: Ports::default(),
            acts: RefCell::default(),
            meter: RefCell::default(),
            unkeyed: Cell::new(0),
        }
    }

    /// Whether this is the session's key.
    pub fn knows(&self, key: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(key).into();
        let differing = self.key.iter().zip(given).fold(0, |all, (one, other)| all | (one ^ other));
        differing == 0
    }

    /// The first word on a line.
    pub fn hello(&self) -> Hello {
        Hello {
            epoch: self.epoch.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workspace: self.files.workspace().to_owned(),
            known_keys: self.acts.borrow().keys(),
        }
    }

    /// A key for an action that came without one.
    pub fn new_key(&self) -> String {
        let number = self.unkeyed.replace(self.unkeyed.get() + 1);
        format!("http-{number}")
    }

    /// Runs an action unless its key is known; its result either way. The action goes on when nobody
    /// waits any more.
    pub async fn act(self: &Rc<Self>, key: String, action: Action, limits: Limits) -> Observation {
        self.act_for(None, key, action, limits).await
    }

    /// The same, and says whose action it is.
    pub async fn act_for(
        self: &Rc<Self>,
        source: Option<Source>,
        key: String,
        action: Action,
        limits: Limits,
    ) -> Observation {
        let known = self.acts.borrow_mut().want(&key);
        let told = match known {
            Known::Done(result) => return Observation::clone(&result),
            Known::Running(told) => told,
            Known::New(told) => {
                let app = Rc::clone(self);
                spawn_local(async move {
                    let _acting = app.watch.act(source);
                    let result = app.carry_out(&key, action, limits).await;
                    app.acts.borrow_mut().finish(&key, result);
                });
                told
            }
        };
        match told.await {
            Ok(result) => Observation::clone(&result),
            Err(_) => lost(),
        }
    }

    async fn carry_out(&self, key: &str, action: Action, limits: Limits) -> Observation {
        let cwd = self.shells.view.cwd.borrow().clone();
        match action {
            Action::Run(run) => {
                let (reply, told) = oneshot::channel();
                self.shells.run(Ask { key: key.to_owned(), run, limits, reply }).await;
                told.await.unwrap_or_else(|_| lost())
            }
            Action::Read(read) => self
                .on_files(move |files| files.read_action(&read, &cwd))
                .await
                .unwrap_or_else(lost),
            Action::Write(write) => self
                .on_files(move |files| files.write_action(&write, &cwd))
                .await
                .unwrap_or_else(lost),
            other => Observation::error(
                format!("ERROR: The sandbox can't carry out the action `{}`.", other.name()),
                "AGENT_ERROR$BAD_ACTION",
            ),
        }
    }

    /// Takes what the server says of services. Done again, it does nothing more.
    pub fn equip(self: &Rc<Self>, services: Services) {
        let Services { terminals: _, watch, plugins: _, ports: _ } = services;
        self.watch.equip(watch);
    }

    /// A file operation, asked for by `origin`.
    pub async fn file(&self, op: FileOp, origin: Option<String>) -> Result<FileDone, FileDenied> {
        let (mutates, lists) = (op.mutates(), matches!(op, FileOp::List { .. }));
        let _listing = (!mutates).then(|| self.watch.list());
        let done = self.on_files(move |files| files.carry_out(op)).await.unwrap_or_else(|| {
            Err(FileDenied::new(FileCode::Internal, "The operation was lost to a fault."))
        });
        match &done {
            Ok(done) if mutates => {
                self.watch.own(origin, &done.path, done.version.as_deref());
            }
            Ok(done) if lists => self.watch.listed(done),
            _ => {}
        }
        done
    }

    /// Does something with the files on a thread where it may block. None: it panicked.
    pub async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Option<T> {
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || work(&files)).await.ok()
    }

    /// How the sandbox is.
    pub fn info(&self) -> ServerInfo {
        ServerInfo {
            uptime: self.shells.uptime().as_secs_f64(),
            idle_time: self.shells.view.active.get().elapsed().as_secs_f64(),
            resources: self.meter.borrow_mut().measure(self.files.workspace()),
            busy: self.shells.view.busy.get(),
            cwd: self.shells.view.cwd.borrow().clone(),
        }
    }
}

fn lost() -> Observation {
    Observation::error("ERROR: The action was lost to a fault in the sandbox's runner.", "")
}
