//! What outlives a server: the sandboxes of a machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use staithe_engine::{EngineFailed, Sandbox, SandboxExited, SandboxState};
use staithe_protocol::SandboxId;
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::FakeRunner;

/// Exits that a slow listener may be behind.
const EXITS: usize = 64;

/// A machine with sandboxes on it. Any number of engines, one after the other or at once, use it.
pub struct Machine {
    dir: TempDir,
    kept: Mutex<Kept>,
    pub(crate) exits: broadcast::Sender<SandboxExited>,
}

#[derive(Default)]
pub(crate) struct Kept {
    /// By id, which is the first name: a claim gives another name.
    pub(crate) boxes: BTreeMap<String, FakeBox>,
    pub(crate) workspaces: BTreeSet<String>,
}

impl Kept {
    pub(crate) fn get(&mut self, id: &SandboxId) -> Result<&mut FakeBox, EngineFailed> {
        self.boxes.get_mut(&id.0).ok_or_else(|| EngineFailed::NotFound(id.clone()))
    }

    pub(crate) fn of_name(&self, name: &str) -> Option<&FakeBox> {
        self.boxes.values().find(|it| it.sandbox.name == name)
    }
}

pub(crate) struct FakeBox {
    pub(crate) sandbox: Sandbox,
    pub(crate) runner: Option<FakeRunner>,
    pub(crate) log: Vec<String>,
}

impl Machine {
    /// A machine with nothing on it.
    ///
    /// # Panics
    ///
    /// When there is no room for a directory.
    pub fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a directory for sockets");
        let (exits, _) = broadcast::channel(EXITS);
        Arc::new(Self { dir, kept: Mutex::default(), exits })
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.sock"))
    }

    /// The sandboxes' names.
    pub fn sandboxes(&self) -> Vec<String> {
        self.kept().boxes.values().map(|it| it.sandbox.name.clone()).collect()
    }

    /// The names of those that run.
    pub fn running(&self) -> Vec<String> {
        let running = |it: &&FakeBox| it.sandbox.state == SandboxState::Running;
        self.kept().boxes.values().filter(running).map(|it| it.sandbox.name.clone()).collect()
    }

    /// The workspaces' names.
    pub fn workspaces(&self) -> Vec<String> {
        self.kept().workspaces.iter().cloned().collect()
    }

    /// The runner in the one running sandbox.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    #[track_caller]
    pub fn runner(&self) -> FakeRunner {
        let kept = self.kept();
        let mut runners = kept.boxes.values().filter_map(|it| it.runner.clone());
        match (runners.next(), runners.next()) {
            (Some(runner), None) => runner,
            (first, _) => panic!("one runner is expected; there is one: {}", first.is_some()),
        }
    }

    /// The runner in a running sandbox.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn runner_of(&self, name: &str) -> FakeRunner {
        let kept = self.kept();
        kept.of_name(name).and_then(|it| it.runner.clone()).expect("a runner in this sandbox")
    }

    /// The state of a sandbox, when it is there.
    pub fn state(&self, name: &str) -> Option<SandboxState> {
        Some(self.kept().of_name(name)?.sandbox.state)
    }

    /// A sandbox ends by itself.
    pub fn exit(&self, name: &str, code: i32) {
        let id = self.kept().of_name(name).map(|it| it.sandbox.id.clone());
        let Some(id) = id.and_then(|id| self.end(&id)) else { return };
        // Nobody may be listening.
        self.exits
            .send(SandboxExited {
                id,
                name: name.to_owned(),
                code: Some(code),
                out_of_memory: false,
            })
            .ok();
    }

    /// Somebody changes a sandbox by hand, and nobody tells.
    pub fn set_state(&self, name: &str, state: SandboxState) {
        let mut kept = self.kept();
        for it in kept.boxes.values_mut().filter(|it| it.sandbox.name == name) {
            it.sandbox.state = state;
        }
    }

    /// Somebody leaves a workspace that no sandbox uses.
    pub fn leave_workspace(&self, name: &str) {
        self.kept().workspaces.insert(name.to_owned());
    }

    /// Somebody removes a sandbox by hand, and nobody tells.
    pub fn vanish(&self, name: &str) {
        let id = self.kept().of_name(name).map(|it| it.sandbox.id.clone());
        if let Some(id) = id.and_then(|id| self.end(&id)) {
            self.kept().boxes.remove(&id.0);
        }
    }

    /// Ends a sandbox's processes; its name stays.
    pub(crate) fn end(&self, id: &SandboxId) -> Option<SandboxId> {
        let mut kept = self.kept();
        let it = kept.get(id).ok()?;
        if let Some(runner) = it.runner.take() {
            runner.end();
        }
        it.sandbox.state = SandboxState::Stopped;
        Some(it.sandbox.id.clone())
    }
}
