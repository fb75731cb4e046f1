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
    api::Api,
    editor::{self, Editor},
    files::Files,
    git,
    info::Meter,
    lines::Lines,
    long::Long,
    pipes::Pipes,
    plugins::{Plugins, browser, jupyter},
    ports::{self, Ports},
    search,
    shell::{Shells, running::Ask},
    terminals::Terminals,
    tunnel::Tunnels,
    uploads::Uploads,
    watch::Watch,
};

/// Content of so many bytes takes long to reach the disk.
const MUCH: u64 = 16 * 1024 * 1024;

/// Everything; one per process.
pub struct App {
    /// Of the key, so that comparing takes the same time for every wrong one.
    key: [u8; 32],
    pub epoch: String,
    pub shells: Shells,
    pub files: Arc<Files>,
    /// What the sandbox API and its actions may reach: the workspace, or more where this program is
    /// the sandbox.
    pub reach: Arc<Files>,
    pub api: Api,
    /// No key is asked for.
    pub is_open: bool,
    pub editor: Arc<Editor>,
    pub git: git::Turns,
    pub search: search::Turns,
    pub lines: Rc<Lines>,
    pub long: Long,
    pub terminals: Terminals,
    pub watch: Rc<Watch>,
    pub plugins: Plugins,
    pub ports: Ports,
    pub pipes: Pipes,
    pub tunnels: Tunnels,
    pub uploads: Uploads,
    acts: RefCell<Acts>,
    meter: RefCell<Meter>,
    /// For actions that came without a key.
    unkeyed: Cell<u64>,
}

impl App {
    pub fn new(
        key: &str,
        epoch: String,
        shells: Shells,
        files: Files,
        lines: Rc<Lines>,
        api: Api,
    ) -> Self {
        let files = Arc::new(files);
        Self {
            key: Sha256::digest(key.as_bytes()).into(),
            epoch,
            shells,
            reach: Arc::clone(&files),
            files,
            api,
            is_open: false,
            editor: Arc::default(),
            git: git::Turns::default(),
            search: search::Turns::default(),
            lines,
            long: Long::default(),
            terminals: Terminals::default(),
            watch: Rc::default(),
            plugins: Plugins::default(),
            ports: Ports::default(),
            pipes: Pipes::default(),
            tunnels: Tunnels::default(),
            uploads: Uploads::default(),
            acts: RefCell::default(),
            meter: RefCell::default(),
            unkeyed: Cell::new(0),
        }
    }

    /// Whether this is the session's key.
    pub fn knows(&self, key: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(key).into();
        let differing = self.key.iter().zip(given).fold(0, |all, (one, other)| all | (one ^ other));
        differing == 0 || self.is_open
    }

    /// A secret of this run of the runner, for one purpose.
    fn secret(&self, purpose: &str) -> String {
        let made_of = Sha256::new().chain_update(self.key).chain_update(&self.epoch);
        data_encoding::HEXLOWER.encode(&made_of.chain_update(purpose).finalize()[..16])
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
            Action::Read(read) if read.impl_source == editor::IMPL_SOURCE => {
                let editor = Arc::clone(&self.editor);
                self.on_reach(move |files| editor.view(files, &read, &cwd))
                    .await
                    .unwrap_or_else(lost)
            }
            Action::Edit(edit) => {
                let editor = Arc::clone(&self.editor);
                self.on_reach(move |files| editor.edit(files, &edit, &cwd))
                    .await
                    .unwrap_or_else(lost)
            }
            Action::Read(read) => self
                .on_reach(move |files| files.read_action(&read, &cwd))
                .await
                .unwrap_or_else(lost),
            Action::Write(write) => self
                .on_reach(move |files| files.write_action(&write, &cwd))
                .await
                .unwrap_or_else(lost),
            Action::Browse(action) => browser::browse(self, action).await,
            Action::BrowseInteractive(action) => browser::interact(self, action).await,
            Action::RunIpython(cell) => jupyter::run(self, key, cell, limits).await,
            other => Observation::error(
                format!("ERROR: The sandbox can't carry out the action `{}`.", other.name()),
                "AGENT_ERROR$BAD_ACTION",
            ),
        }
    }

    /// Takes what the server says of services. Done again, it does nothing more.
    pub fn equip(self: &Rc<Self>, services: Services) {
        let Services { terminals, watch, plugins, ports } = services;
        self.terminals.configure(terminals);
        self.watch.equip(watch);
        ports::equip(self, ports);
        let secret = |what: &str| self.secret(what);
        self.plugins.equip(&plugins, self.shells.ground(), &secret);
    }

    /// A file operation, asked for by `origin`.
    pub async fn file(&self, op: FileOp, origin: Option<String>) -> Result<FileDone, FileDenied> {
        let from = match &op {
            FileOp::Rename { path, .. } => self.files.relative(path).ok(),
            _ => None,
        };
        let (mutates, lists) = (op.mutates(), matches!(op, FileOp::List { .. }));
        let _listing = (!mutates).then(|| self.watch.list());
        let done = self.on_files(move |files| files.carry_out(op)).await.unwrap_or_else(|| {
            Err(FileDenied::new(FileCode::Internal, "The operation was lost to a fault."))
        })?;
        if mutates && done.already_absent.is_none() {
            if let Some(from) = from {
                self.watch.own(origin.clone(), &from, Some("absent"));
            }
            self.watch.own(origin, &done.path, done.version.as_deref());
        } else if lists {
            self.watch.listed(&done);
        }
        Ok(done)
    }

    /// Does something with the files on a thread where it may block. None: it panicked.
    pub async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Option<T> {
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || work(&files)).await.ok()
    }

    /// The same with all that may be reached.
    pub async fn on_reach<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Option<T> {
        let files = Arc::clone(&self.reach);
        tokio::task::spawn_blocking(move || work(&files)).await.ok()
    }

    /// Puts content of so many bytes in place, in `files` of this app.
    pub async fn place<T: Send + 'static>(
        &self,
        files: &Arc<Files>,
        size: u64,
        work: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Option<T> {
        let files = Arc::clone(files);
        if size >= MUCH {
            return self.long.work(move || work(&files)).await;
        }
        tokio::task::spawn_blocking(move || work(&files)).await.ok()
    }

    /// A path as seen from the workspace.
    pub fn from_workspace(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        format!("{}/{path}", self.files.workspace())
    }

    /// The token that VS Code asks for, while it is served.
    pub fn vscode_token(&self) -> Option<String> {
        Some(self.plugins.vscode()?.door()?.token)
    }

    /// How the sandbox is.
    pub fn info(&self) -> ServerInfo {
        ServerInfo {
            uptime: self.shells.uptime().as_secs_f64(),
            idle_time: self.shells.view.active.get().elapsed().as_secs_f64(),
            resources: self.meter.borrow_mut().measure(self.files.workspace()),
            busy: self.shells.view.busy.get()
                || self.plugins.are_busy()
                || self.terminals.are_busy(),
            cwd: self.shells.view.cwd.borrow().clone(),
        }
    }
}

fn lost() -> Observation {
    Observation::error("ERROR: The action was lost to a fault in the sandbox's runner.", "")
}
