//! An engine whose sandboxes are a [`Machine`]'s.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream::BoxStream};
use staithe_engine::{
    Capabilities, Engine, EngineFailed, Isolation, LABEL_POOL, LABEL_SESSION, Labels, Line,
    Sandbox, SandboxExited, SandboxSpec, SandboxState, Stats,
};
use staithe_protocol::{Progress, SandboxId};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::BroadcastStream;

use crate::{FakeRunner, Machine, machine::FakeBox};

/// How starting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// At once.
    Well,
    /// It takes so long.
    Slow(Duration),
    /// The sandbox runs, its runner never answers.
    Never,
    /// It fails.
    Bad,
    /// It fails, after so long.
    SlowThenBad(Duration),
}

/// Who says when a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It ends by itself.
    Auto,
    /// The test, by [`FakeEngine::finish`].
    Explicit,
}

/// One entry of the script of calls that change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// `ensure_image`, `create`, `start`, `pause`, `claim`, `stop`, `remove` or `remove_workspace`.
    pub operation: &'static str,
    /// The sandbox's id or name, or the image's name.
    pub name: String,
    pub at: Instant,
}

/// See the module.
pub struct FakeEngine {
    machine: Arc<Machine>,
    script: Mutex<Script>,
}

struct Script {
    mood: Mood,
    mode: Mode,
    calls: Vec<Called>,
    config: Option<String>,
    images: Option<BTreeSet<String>>,
    failing: BTreeSet<&'static str>,
    capabilities: Capabilities,
    permits: HashMap<&'static str, Arc<Semaphore>>,
}

impl FakeEngine {
    /// An engine in a good mood.
    pub fn on(machine: &Arc<Machine>) -> Arc<Self> {
        let script = Script {
            mood: Mood::Well,
            mode: Mode::Auto,
            calls: Vec::new(),
            config: None,
            images: None,
            failing: BTreeSet::new(),
            capabilities: Capabilities { pause: true, pool: true, ..Capabilities::default() },
            permits: HashMap::new(),
        };
        Arc::new(Self { machine: machine.clone(), script: Mutex::new(script) })
    }

    /// Changes how starting goes, from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.script().mood = mood;
    }

    /// Changes who says when a call ends, from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.script().mode = mode;
    }

    /// The settings that sandboxes are made with, from now on.
    pub fn set_config(&self, config: &str) {
        self.script().config = Some(config.to_owned());
    }

    /// The images that are there; until then all are.
    pub fn set_images(&self, images: &[&str]) {
        self.script().images = Some(images.iter().map(|&image| image.to_owned()).collect());
    }

    /// What it says that it can do.
    pub fn set_capabilities(&self, capabilities: Capabilities) {
        self.script().capabilities = capabilities;
    }

    /// From now on every call of this operation fails, or none does.
    pub fn fail(&self, operation: &'static str, fails: bool) {
        let mut script = self.script();
        if fails {
            script.failing.insert(operation);
        } else {
            script.failing.remove(operation);
        }
    }

    /// Lets one call of this operation end, one that waits or the next.
    pub fn finish(&self, operation: &'static str) {
        self.script().permit(operation).add_permits(1);
    }

    /// The script so far.
    pub fn calls(&self) -> Vec<Called> {
        self.script().calls.clone()
    }

    /// The operations of the script so far.
    pub fn operations(&self) -> Vec<&'static str> {
        self.calls().iter().map(|called| called.operation).collect()
    }

    /// How often an operation was called.
    pub fn count(&self, operation: &str) -> usize {
        self.calls().iter().filter(|called| called.operation == operation).count()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, operation: &'static str, name: &str) -> Result<(), EngineFailed> {
        let permit = {
            let mut script = self.script();
            script.calls.push(Called { operation, name: name.to_owned(), at: Instant::now() });
            (script.mode == Mode::Explicit).then(|| script.permit(operation))
        };
        if let Some(permit) = permit {
            permit.acquire().await.expect("it is never closed").forget();
        }
        if !self.script().failing.contains(operation) {
            return Ok(());
        }
        Err(EngineFailed::Operation {
            operation,
            name: name.to_owned(),
            source: io::Error::other("the test wants it to fail"),
            remedy: "Let it be.".into(),
        })
    }
}

impl Script {
    fn permit(&mut self, operation: &'static str) -> Arc<Semaphore> {
        self.permits.entry(operation).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }
}

#[async_trait]
impl Engine for FakeEngine {
    fn kind(&self) -> &'static str {
        "fake"
    }

    fn isolation(&self) -> Isolation {
        Isolation { tier: "none".into(), protects: Vec::new(), exposes: vec!["all".into()] }
    }

    fn capabilities(&self) -> Capabilities {
        self.script().capabilities.clone()
    }

    fn config_of(&self, _: &SandboxSpec) -> Option<String> {
        self.script().config.clone()
    }

    async fn ensure_image(
        &self,
        image: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        self.begin("ensure_image", image).await?;
        progress(Progress {
            image: image.to_owned(),
            number: 1,
            of: 2,
            text: "half of it is there".into(),
            ..Progress::default()
        });
        if let Some(images) = &mut self.script().images {
            images.insert(image.to_owned());
        }
        Ok(())
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineFailed> {
        Ok(self.script().images.as_ref().is_none_or(|images| images.contains(image)))
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineFailed> {
        self.begin("pause", &id.0).await?;
        if !self.capabilities().pause {
            let remedy = "Use another engine.".into();
            return Err(EngineFailed::Unsupported { cause: "it can't freeze".into(), remedy });
        }
        let mut kept = self.machine.kept();
        kept.get(id)?.sandbox.state = SandboxState::Paused;
        Ok(())
    }

    async fn claim(&self, id: &SandboxId, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        self.begin("claim", &spec.name).await?;
        let mut kept = self.machine.kept();
        if kept.of_name(&spec.name).is_some() {
            return Err(EngineFailed::NameTaken(spec.name.clone()));
        }
        let session = spec.session.ok_or_else(|| EngineFailed::NotFound(id.clone()))?;
        let sandbox = &mut kept.get(id)?.sandbox;
        if !sandbox.labels.contains_key(LABEL_POOL) || sandbox.labels.contains_key(LABEL_SESSION) {
            return Err(EngineFailed::NotFound(id.clone()));
        }
        // A real engine reads this from the name.
        sandbox.labels.insert(LABEL_SESSION.to_owned(), session.to_string());
        sandbox.name.clone_from(&spec.name);
        Ok(sandbox.clone())
    }

    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed> {
        let carries = |sandbox: &Sandbox| {
            labels.iter().all(|(label, value)| sandbox.labels.get(label) == Some(value))
        };
        let kept = self.machine.kept();
        Ok(kept.boxes.values().map(|it| it.sandbox.clone()).filter(carries).collect())
    }

    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        self.begin("create", &spec.name).await?;
        let mut kept = self.machine.kept();
        if kept.of_name(&spec.name).is_some() {
            return Err(EngineFailed::NameTaken(spec.name.clone()));
        }
        let workspace = spec.workspace.clone().unwrap_or_else(|| spec.name.clone());
        let sandbox = Sandbox {
            id: SandboxId(spec.name.clone()),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            state: SandboxState::Stopped,
            workspace: workspace.clone(),
        };
        kept.workspaces.insert(workspace);
        let made = FakeBox { sandbox: sandbox.clone(), runner: None, log: Vec::new() };
        kept.boxes.insert(sandbox.id.0.clone(), made);
        Ok(sandbox)
    }

    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed> {
        self.begin("start", &id.0).await?;
        let mood = self.script().mood;
        if let Mood::Slow(time) | Mood::SlowThenBad(time) = mood {
            sleep(time).await;
        }
        let socket = self.machine.socket(&id.0);
        let mut kept = self.machine.kept();
        let it = kept.get(id)?;
        match it.sandbox.state {
            SandboxState::Running => return Ok(()),
            SandboxState::Paused => {
                it.sandbox.state = SandboxState::Running;
                return Ok(());
            }
            SandboxState::Stopped => {}
        }
        it.log.push(format!("starting {id} in mood {mood:?}"));
        match mood {
            Mood::Bad | Mood::SlowThenBad(_) => Err(EngineFailed::Operation {
                operation: "start",
                name: id.0.clone(),
                source: io::Error::other("the fake engine is in a bad mood"),
                remedy: "Cheer it up.".into(),
            }),
            Mood::Well | Mood::Slow(_) | Mood::Never => {
                it.sandbox.state = SandboxState::Running;
                it.runner = (mood != Mood::Never).then(|| FakeRunner::listen(&socket, key));
                Ok(())
            }
        }
    }

    async fn stop(&self, id: &SandboxId, _: Duration) -> Result<(), EngineFailed> {
        self.begin("stop", &id.0).await?;
        self.machine.end(id).map(|_| ()).ok_or_else(|| EngineFailed::NotFound(id.clone()))
    }

    async fn remove(&self, id: &SandboxId, with_workspace: bool) -> Result<(), EngineFailed> {
        self.begin("remove", &id.0).await?;
        self.machine.end(id);
        let mut kept = self.machine.kept();
        if let Some(removed) = kept.boxes.remove(&id.0)
            && with_workspace
        {
            kept.workspaces.remove(&removed.sandbox.workspace);
        }
        Ok(())
    }

    async fn logs(&self, id: &SandboxId, tail: usize) -> Result<Vec<String>, EngineFailed> {
        let mut kept = self.machine.kept();
        let it = kept.get(id)?;
        Ok(it.log[it.log.len().saturating_sub(tail)..].to_vec())
    }

    async fn stats(&self, _: &SandboxId) -> Result<Stats, EngineFailed> {
        Ok(Stats::default())
    }

    fn exits(&self) -> BoxStream<'static, SandboxExited> {
        // A listener that was too slow has lost hints, no more.
        let exits = BroadcastStream::new(self.machine.exits.subscribe());
        exits.filter_map(|exit| std::future::ready(exit.ok())).boxed()
    }

    async fn line(&self, id: &SandboxId) -> Result<Line, EngineFailed> {
        Ok(Line::Unix(self.machine.socket(&id.0)))
    }

    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed> {
        self.begin("remove_workspace", name).await?;
        self.machine.kept().workspaces.remove(name);
        Ok(())
    }

    async fn sweep(&self, _: &str, kept: &BTreeSet<String>) -> Result<Vec<String>, EngineFailed> {
        let mut machine = self.machine.kept();
        let used: BTreeSet<_> =
            machine.boxes.values().map(|it| it.sandbox.workspace.clone()).collect();
        let stray = |name: &&String| !kept.contains(*name) && !used.contains(*name);
        let strays: Vec<_> = machine.workspaces.iter().filter(stray).cloned().collect();
        for name in &strays {
            machine.workspaces.remove(name);
        }
        Ok(strays)
    }
}
