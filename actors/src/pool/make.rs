//! How a sandbox of the pool is made: started, and its runner heard, before anyone can have it.

use std::{sync::Arc, time::Duration};

use staithe_engine::{Engine, LABEL_CONFIG, Sandbox, SandboxSpec};
use staithe_link::{Link, LinkEvent};
use staithe_protocol::{Fault, Progress, SandboxId, StartStep};
use tokio::sync::{mpsc, watch};

use super::{messages::Claimed, state::Pooled};
use crate::runtime::connect::{Connected, connect, fault_of};

/// What making one needs.
pub(super) struct Make {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) spec: SandboxSpec,
    pub(super) start_timeout: Duration,
    /// Becomes true when none is wanted any more.
    pub(super) cancelled: watch::Receiver<bool>,
}

/// One that may be claimed, and the line that shows that it lives.
pub(super) struct Made {
    pub(super) pooled: Pooled,
    pub(super) link: Link,
    pub(super) events: mpsc::Receiver<LinkEvent>,
}

impl Make {
    /// Makes it. What fails leaves nothing.
    pub(super) async fn run(self) -> Result<Made, Fault> {
        self.have_image().await?;
        let sandbox = self.engine.create(&self.spec).await;
        let sandbox = sandbox.map_err(|error| fault_of(StartStep::Create, &error))?;
        match self.start(&sandbox.id).await {
            Ok(Connected { link, events, .. }) => {
                Ok(Made { pooled: self.pooled(sandbox), link, events })
            }
            Err(fault) => {
                if let Err(error) = self.engine.remove(&sandbox.id, true).await {
                    tracing::warn!(sandbox = %sandbox.id, %error, "a sandbox of the pool could not be removed");
                }
                Err(fault)
            }
        }
    }

    async fn have_image(&self) -> Result<(), Fault> {
        let Some(image) = &self.spec.image else { return Ok(()) };
        let fault = |error| fault_of(StartStep::Image, &error);
        if self.engine.has_image(image).await.map_err(fault)? {
            return Ok(());
        }
        let progress =
            |far: Progress| tracing::debug!(image, words = far.text, "the image is being fetched");
        tokio::select! {
            fetched = self.engine.ensure_image(image, &progress) => fetched.map_err(fault),
            () = self.unwanted() => Err(unwanted(StartStep::Image)),
        }
    }

    async fn start(&self, sandbox: &SandboxId) -> Result<Connected, Fault> {
        let start = self.engine.start(sandbox, &self.spec.key).await;
        start.map_err(|error| fault_of(StartStep::Start, &error))?;
        tokio::select! {
            connected = connect(&*self.engine, sandbox, &self.spec.key, self.start_timeout) => connected,
            () = self.unwanted() => Err(unwanted(StartStep::Connect)),
        }
    }

    async fn unwanted(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await; // nobody can cancel it any more
        }
    }

    fn pooled(self, sandbox: Sandbox) -> Pooled {
        let claimed =
            Claimed { sandbox: sandbox.id, key: self.spec.key, workspace: sandbox.workspace };
        Pooled { claimed, config: self.spec.labels.get(LABEL_CONFIG).cloned() }
    }
}

fn unwanted(step: StartStep) -> Fault {
    Fault {
        code: "sandbox.no_answer".into(),
        step: Some(step),
        cause: "the server is draining".into(),
        remedy: String::new(),
        log_tail: Vec::new(),
    }
}
