//! One attempt to have a sandbox: look, attach or wake or claim or make, connect. What fails leaves nothing but
//! the workspace.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use staithe_engine::{
    Engine, EngineFailed, LABEL_CONFIG, LABEL_POOL, Sandbox, SandboxSpec, SandboxState,
};
use staithe_protocol::{Fault, Reason, SandboxId, StartStep};
use tokio::{sync::watch, time::Instant};
use tracing::Instrument;

use crate::images::supply::Supply;

use super::{
    claiming::Door,
    connect::{Connected, ENGINE_CUT, ENGINE_UNAVAILABLE, connect, fault_of, no_answer},
    messages::Told,
    spec::mine,
};

/// Lines of the sandbox's log that a fault carries.
pub(super) const LOG_TAIL: usize = 50;
/// Between two tries while the engine is away; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// How often a build that the engine cut is begun again.
const CUTS: u32 = 2;
/// How often a lost race for the name is run again.
const RACES: u32 = 3;

/// What an attempt needs.
pub(super) struct Attempt {
    pub engine: Arc<dyn Engine>,
    pub spec: SandboxSpec,
    /// Of images that are built.
    pub supply: Option<Supply>,
    /// The image that was asked for; the specification has what it comes to.
    pub asked: Option<String>,
    pub start_timeout: Duration,
    /// A found sandbox that was made with other settings is made anew.
    pub recreate: bool,
    /// Becomes true when nobody wants the sandbox any more.
    pub cancelled: watch::Receiver<bool>,
    /// Told as the attempt goes on.
    pub tell: Box<dyn Fn(Told) + Send + Sync>,
    /// Other settings have been spoken of already.
    pub noted: AtomicBool,
    /// Where started sandboxes may be had.
    pub door: Option<Door>,
    /// The pool was asked.
    pub claimed: bool,
    /// It let others start while it waits for an image that is built, and has no turn yet to go on.
    pub away: AtomicBool,
    /// How long the image was waited for: no engine was waited for meanwhile.
    pub for_image: Duration,
}

/// A sandbox that can't be had.
struct Lost {
    fault: Fault,
    origin: Whence,
    /// What is left of it.
    sandbox: Option<SandboxId>,
}

/// Where a sandbox comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whence {
    /// It was there before this attempt: another one may do better.
    Found,
    /// So may one instead of the pool's.
    Claimed,
    Made,
}

impl Lost {
    fn nothing(fault: Fault) -> Self {
        Self { fault, origin: Whence::Made, sandbox: None }
    }
}

impl Attempt {
    /// Carries it out. While the engine is away, because it is being restarted, it is waited for, as
    /// long as a runner is waited for.
    pub(super) async fn run(mut self) -> Result<Connected, Fault> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut cuts = 0;
        loop {
            let fault = match self.twice().await {
                Ok(connected) => return Ok(connected),
                Err(fault) => fault,
            };
            let late = began.elapsed() + pause > self.start_timeout + self.for_image;
            // A build may be cut and begun again, but not for ever: it may be what ends the engine.
            let cut = fault.step == Some(StartStep::Build) && fault.code == ENGINE_CUT;
            cuts += u32::from(cut);
            let again = if cut { cuts <= CUTS } else { self.engine_is_away(&fault).await };
            if late || *self.cancelled.borrow() || !again {
                return Err(fault);
            }
            tracing::warn!(cause = %fault.cause, ?pause, "the engine is away and is tried again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.unwanted() => return Err(fault),
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Whether this fault comes of an engine that can't be reached: before the call, or since it was
    /// ended in the middle of one.
    async fn engine_is_away(&self, fault: &Fault) -> bool {
        match fault.code.as_str() {
            ENGINE_UNAVAILABLE => true,
            ENGINE_CUT => {
                let look = self.engine.find(&mine(&self.spec)).await;
                matches!(look, Err(EngineFailed::Unavailable { .. }))
            }
            _ => false,
        }
    }

    /// A sandbox that was there and is of no use is made anew, once.
    async fn twice(&mut self) -> Result<Connected, Fault> {
        let lost = match self.once().await {
            Ok(connected) => return Ok(connected),
            Err(lost) => lost,
        };
        let wanted = !*self.cancelled.borrow();
        match (lost.origin, &lost.sandbox) {
            (Whence::Found, Some(sandbox)) if wanted => {
                tracing::warn!(%sandbox, cause = %lost.fault.cause, "a found sandbox is of no use and is made anew");
                let removed = self.engine.remove(sandbox, false).await;
                removed.map_err(|error| fault_of(StartStep::Find, &error))?;
            }
            (Whence::Claimed, Some(sandbox)) if wanted => {
                tracing::warn!(%sandbox, cause = %lost.fault.cause, "a claimed sandbox is of no use and one is made instead");
                self.give_up_claim(sandbox).await;
            }
            _ => return Err(self.release(lost).await),
        }
        match self.once().await {
            Ok(connected) => Ok(connected),
            Err(lost) => Err(self.release(lost).await),
        }
    }

    async fn once(&mut self) -> Result<Connected, Lost> {
        let (sandbox, origin) = self.have().await?;
        let id = sandbox.id.clone();
        let lost = |fault| Lost { fault, origin, sandbox: Some(id.clone()) };
        let connected = self.connect(&sandbox.id).await.map_err(lost)?;
        if sandbox.labels.contains_key(LABEL_POOL) {
            (self.tell)(Told::Step { step: StartStep::Init, at: Instant::now() });
            let init = self.init(&connected.link).instrument(span_of(StartStep::Init)).await;
            // Another one would fail alike.
            init.map_err(|fault| Lost { origin: Whence::Made, ..lost(fault) })?;
        }
        Ok(connected)
    }

    /// Tells of a step and carries it out, in a span of its own.
    async fn step<T>(
        &self,
        step: StartStep,
        work: impl Future<Output = Result<T, EngineFailed>>,
    ) -> Result<T, EngineFailed> {
        (self.tell)(Told::Step { step, at: Instant::now() });
        work.instrument(span_of(step)).await
    }

    /// A running sandbox, and where it comes from.
    async fn have(&mut self) -> Result<(Sandbox, Whence), Lost> {
        for _ in 0..RACES {
            let found = self.step(StartStep::Find, self.find()).await;
            let found = found.map_err(|e| Lost::nothing(fault_of(StartStep::Find, &e)))?;
            let found = self.suitable(found).await.map_err(Lost::nothing)?;
            let (sandbox, origin) = if let Some(sandbox) = found {
                (sandbox, Whence::Found)
            } else if let Some(sandbox) = self.claim().await {
                (sandbox, Whence::Claimed)
            } else if let Some(sandbox) = self.make().await.map_err(Lost::nothing)? {
                (sandbox, Whence::Made)
            } else {
                continue; // somebody was faster: look again
            };
            (self.tell)(Told::Workspace(sandbox.workspace.clone()));
            if sandbox.state != SandboxState::Running {
                self.start(&sandbox, origin).await?;
            }
            return Ok((sandbox, origin));
        }
        Err(Lost::nothing(Fault {
            code: "sandbox.name_taken".into(),
            step: Some(StartStep::Create),
            cause: format!("a sandbox named {} is there and is not this session's", self.spec.name),
            remedy: "Remove it, or set another sandbox.name_prefix.".into(),
            log_tail: Vec::new(),
        }))
    }

    async fn start(&self, sandbox: &Sandbox, origin: Whence) -> Result<(), Lost> {
        let step = if origin == Whence::Made { StartStep::Start } else { StartStep::Wake };
        let start = self.engine.start(&sandbox.id, &self.spec.key);
        self.step(step, start).await.map_err(|error| {
            let down = matches!(error, EngineFailed::Unavailable { .. });
            let origin = if down { Whence::Made } else { origin };
            Lost { fault: fault_of(step, &error), origin, sandbox: Some(sandbox.id.clone()) }
        })
    }

    /// Makes a sandbox, stopped; none when another of its name was made meanwhile.
    async fn make(&mut self) -> Result<Option<Sandbox>, Fault> {
        self.have_image().await?;
        match self.step(StartStep::Create, self.engine.create(&self.spec)).await {
            Ok(sandbox) => Ok(Some(sandbox)),
            Err(EngineFailed::NameTaken(_)) => Ok(None),
            Err(error) => Err(fault_of(StartStep::Create, &error)),
        }
    }

    /// What was found, unless it was made with other settings and these are to count.
    async fn suitable(&self, found: Option<Sandbox>) -> Result<Option<Sandbox>, Fault> {
        let Some(sandbox) = found else { return Ok(None) };
        let (theirs, ours) = (sandbox.labels.get(LABEL_CONFIG), self.spec.labels.get(LABEL_CONFIG));
        let same = theirs.is_none() || ours.is_none() || theirs == ours;
        if same {
            return Ok(Some(sandbox));
        }
        let reason = if self.recreate { Reason::SettingsChanged } else { Reason::SettingsKept };
        if !self.noted.swap(true, Ordering::Relaxed) {
            (self.tell)(Told::Noted(reason));
        }
        if !self.recreate {
            return Ok(Some(sandbox));
        }
        let removed = self.engine.remove(&sandbox.id, false).await;
        removed.map_err(|error| fault_of(StartStep::Find, &error))?;
        Ok(None)
    }

    /// This session's sandbox. Of several, which only a crash in the middle of a start can leave, the
    /// running one stays.
    async fn find(&self) -> Result<Option<Sandbox>, EngineFailed> {
        let mut found = self.engine.find(&mine(&self.spec)).await?;
        found.sort_by_key(|sandbox| match sandbox.state {
            SandboxState::Stopped => 0,
            SandboxState::Paused => 1,
            SandboxState::Running => 2,
        });
        let kept = found.pop();
        for surplus in found {
            self.engine.remove(&surplus.id, false).await?;
        }
        Ok(kept)
    }

    async fn connect(&self, sandbox: &SandboxId) -> Result<Connected, Fault> {
        (self.tell)(Told::Step { step: StartStep::Connect, at: Instant::now() });
        let connect = connect(&*self.engine, sandbox, &self.spec.key, self.start_timeout);
        tokio::select! {
            connected = connect.instrument(span_of(StartStep::Connect)) => connected,
            () = self.ended(sandbox) => {
                Err(no_answer("the sandbox ended before its runner answered".into()))
            }
            () = self.unwanted() => Err(no_answer("the session was stopped meanwhile".into())),
        }
    }

    pub(super) async fn unwanted(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await; // nobody can cancel it any more
        }
    }

    /// Returns once the sandbox no longer runs.
    async fn ended(&self, sandbox: &SandboxId) {
        let mut look = tokio::time::interval(Duration::from_millis(250));
        look.tick().await;
        loop {
            look.tick().await;
            // An engine that can't tell now may tell the next time.
            let Ok(found) = self.find().await else { continue };
            let runs = |it: &Sandbox| it.id == *sandbox && it.state == SandboxState::Running;
            if !found.as_ref().is_some_and(runs) {
                return;
            }
        }
    }

    /// Takes the log's last lines, then leaves nothing of the sandbox but its workspace. A start that
    /// was stopped leaves it to the stop, which knows what is to become of it.
    async fn release(&self, lost: Lost) -> Fault {
        let Lost { mut fault, sandbox, .. } = lost;
        let Some(sandbox) = sandbox else { return fault };
        match self.engine.logs(&sandbox, LOG_TAIL).await {
            Ok(lines) => fault.log_tail = lines,
            Err(error) => tracing::warn!(%error, "the log of a failed sandbox can't be read"),
        }
        if *self.cancelled.borrow() {
            return fault;
        }
        if let Err(error) = self.engine.remove(&sandbox, false).await {
            tracing::error!(%sandbox, %error, "a failed sandbox could not be removed");
            fault
                .remedy
                .push_str(" The sandbox could not be removed; a reconcile pass tries again.");
        }
        fault
    }
}

fn span_of(step: StartStep) -> tracing::Span {
    tracing::info_span!("step", step = step.as_str())
}
