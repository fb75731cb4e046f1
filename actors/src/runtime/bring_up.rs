//! One attempt to have a sandbox: look, attach or start or make, connect. What fails leaves nothing.

use std::{sync::Arc, time::Duration};

use staithe_engine::{Engine, EngineFailed, Labels, Line, Sandbox, SandboxSpec, SandboxState};
use staithe_engine::{LABEL_OWNER, LABEL_SESSION};
use staithe_link::{Address, Link, LinkEvent, Stream};
use staithe_protocol::{Fault, SandboxId, StartStep, runner::Hello};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// Lines of the sandbox's log that a fault carries.
const LOG_TAIL: usize = 50;
/// How often a lost race for the name is run again.
const RACES: u32 = 3;

/// What an attempt needs.
pub(super) struct Attempt {
    pub engine: Arc<dyn Engine>,
    pub spec: SandboxSpec,
    pub start_timeout: Duration,
    /// Becomes true when nobody wants the sandbox any more.
    pub cancelled: watch::Receiver<bool>,
    /// Told as each step begins.
    pub step: Box<dyn Fn(StartStep) + Send + Sync>,
}

/// A sandbox whose runner answers.
pub(super) struct Connected {
    pub sandbox: SandboxId,
    pub link: Link,
    pub events: mpsc::Receiver<LinkEvent>,
    pub hello: Hello,
}

impl Attempt {
    /// Carries it out.
    pub(super) async fn run(self) -> Result<Connected, Fault> {
        let (sandbox, found) = self.have().await?;
        match self.connect(&sandbox).await {
            Ok(connected) => Ok(connected),
            Err(fault) if found && !*self.cancelled.borrow() => {
                tracing::warn!(sandbox = %sandbox, cause = %fault.cause, "a found sandbox does not answer and is made anew");
                self.engine
                    .remove(&sandbox, false)
                    .await
                    .map_err(|e| fault_of(StartStep::Find, &e))?;
                let (sandbox, _) = self.have().await?;
                self.connect_or_release(&sandbox).await
            }
            Err(fault) => Err(self.release(&sandbox, fault).await),
        }
    }

    async fn connect_or_release(&self, sandbox: &SandboxId) -> Result<Connected, Fault> {
        match self.connect(sandbox).await {
            Ok(connected) => Ok(connected),
            Err(fault) => Err(self.release(sandbox, fault).await),
        }
    }

    /// A running sandbox, and whether it was there before.
    async fn have(&self) -> Result<(SandboxId, bool), Fault> {
        for _ in 0..RACES {
            (self.step)(StartStep::Find);
            let found = self.find().await.map_err(|error| fault_of(StartStep::Find, &error))?;
            let (sandbox, was_there) = if let Some(sandbox) = found {
                (sandbox, true)
            } else {
                (self.step)(StartStep::Create);
                match self.engine.create(&self.spec).await {
                    Ok(sandbox) => (sandbox, false),
                    Err(EngineFailed::NameTaken(_)) => continue, // somebody was faster: look again
                    Err(error) => return Err(fault_of(StartStep::Create, &error)),
                }
            };
            if sandbox.state == SandboxState::Stopped {
                (self.step)(StartStep::Start);
                if let Err(error) = self.engine.start(&sandbox.id, &self.spec.key).await {
                    let fault = fault_of(StartStep::Start, &error);
                    return Err(self.release(&sandbox.id, fault).await);
                }
            }
            return Ok((sandbox.id, was_there && sandbox.state == SandboxState::Running));
        }
        Err(Fault {
            code: "sandbox.name_taken".into(),
            step: Some(StartStep::Create),
            cause: format!("a sandbox named {} is there and is not this session's", self.spec.name),
            remedy: "Remove it, or set another sandbox.name_prefix.".into(),
            log_tail: Vec::new(),
        })
    }

    /// This session's sandbox. Of several, which only a crash in the middle of a start can leave, the
    /// running one stays.
    async fn find(&self) -> Result<Option<Sandbox>, EngineFailed> {
        let mine: Labels = [LABEL_SESSION, LABEL_OWNER]
            .into_iter()
            .filter_map(|label| Some((label.to_owned(), self.spec.labels.get(label)?.clone())))
            .collect();
        let mut found = self.engine.find(&mine).await?;
        found.sort_by_key(|sandbox| sandbox.state == SandboxState::Running);
        let kept = found.pop();
        for surplus in found {
            self.engine.remove(&surplus.id, false).await?;
        }
        Ok(kept)
    }

    async fn connect(&self, sandbox: &SandboxId) -> Result<Connected, Fault> {
        (self.step)(StartStep::Connect);
        let line = self.engine.line(sandbox).await;
        let line = line.map_err(|error| fault_of(StartStep::Connect, &error))?;
        let (link, mut events) = Link::open(address_of(line), &self.spec.key);
        let first_word = async {
            loop {
                match events.recv().await {
                    Some(LinkEvent::Up(hello)) => return Some(hello),
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        let ended = self.ended(sandbox);
        let cause = tokio::select! {
            answer = timeout(self.start_timeout, first_word) => match answer {
                Ok(Some(hello)) => {
                    return Ok(Connected { sandbox: sandbox.clone(), link, events, hello });
                }
                _ => format!("the runner did not answer within {} s", self.start_timeout.as_secs()),
            },
            () = ended => "the sandbox ended before its runner answered".to_owned(),
            () = self.unwanted() => "the session was stopped meanwhile".to_owned(),
        };
        Err(Fault {
            code: "sandbox.no_answer".into(),
            step: Some(StartStep::Connect),
            cause,
            remedy:
                "See the sandbox's last log lines; raise sandbox.start_timeout on a slow machine."
                    .into(),
            log_tail: Vec::new(),
        })
    }

    async fn unwanted(&self) {
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

    /// Takes the log's last lines, then leaves nothing of the sandbox but its workspace.
    async fn release(&self, sandbox: &SandboxId, mut fault: Fault) -> Fault {
        match self.engine.logs(sandbox, LOG_TAIL).await {
            Ok(lines) => fault.log_tail = lines,
            Err(error) => tracing::warn!(%error, "the log of a failed sandbox can't be read"),
        }
        if let Err(error) = self.engine.remove(sandbox, false).await {
            tracing::error!(sandbox = %sandbox, %error, "a failed sandbox could not be removed");
            fault.remedy.push_str(
                " The sandbox could not be removed; an operator's reconcile will try again.",
            );
        }
        fault
    }
}

/// Where the engine says that the runner listens, in the words of the line.
fn address_of(line: Line) -> Address {
    match line {
        Line::Unix(path) => Address::Unix(path),
        Line::Tcp(address) => Address::Tcp(address),
        Line::Dialed(dial) => Address::Dialed(Arc::new(move || {
            let dial = Arc::clone(&dial);
            Box::pin(async move { Ok(Box::new(dial.dial().await?) as Box<dyn Stream>) })
        })),
    }
}

/// An engine's error as a fault.
pub(super) fn fault_of(step: StartStep, error: &EngineFailed) -> Fault {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause = format!("{cause}: {inner}");
        source = inner.source();
    }
    let (code, remedy) = match error {
        EngineFailed::Unavailable { remedy, .. } => ("sandbox.engine_unavailable", remedy.clone()),
        EngineFailed::Unsupported { remedy, .. } => ("sandbox.unsupported", remedy.clone()),
        EngineFailed::Image { remedy, .. } => ("sandbox.image_unavailable", remedy.clone()),
        EngineFailed::Foreign { .. } => (
            "sandbox.not_ours",
            "Remove it or rename it, or set another sandbox.name_prefix.".to_owned(),
        ),
        EngineFailed::Operation { remedy, .. } => ("sandbox.start_failed", remedy.clone()),
        EngineFailed::NotFound(_) | EngineFailed::NameTaken(_) => {
            ("sandbox.start_failed", "Start the session again.".to_owned())
        }
    };
    Fault { code: code.into(), step: Some(step), cause, remedy, log_tail: Vec::new() }
}
