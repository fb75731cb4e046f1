//! An engine whose calls are timed: `staithe_engine_call_seconds{op,outcome}`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use staithe_engine::{
    Capabilities, Engine, EngineFailed, Isolation, Labels, Line, Sandbox, SandboxExited,
    SandboxSpec, Stats, images::Images,
};
use staithe_protocol::{Progress, SandboxId};
use tokio::time::Instant;

/// See the module.
pub struct Metered(pub Arc<dyn Engine>);

async fn timed<T>(
    op: &'static str,
    call: impl Future<Output = Result<T, EngineFailed>>,
) -> Result<T, EngineFailed> {
    let began = Instant::now();
    let outcome = call.await;
    let word = match &outcome {
        Ok(_) => "ok",
        Err(EngineFailed::Unavailable { .. }) => "unavailable",
        Err(EngineFailed::NotFound(_)) => "not_found",
        Err(
            EngineFailed::NameTaken(_)
            | EngineFailed::Foreign { .. }
            | EngineFailed::Image { .. }
            | EngineFailed::Unsupported { .. },
        ) => "denied",
        Err(EngineFailed::Operation { .. }) => "failed",
    };
    metrics::histogram!("staithe_engine_call_seconds", "op" => op, "outcome" => word)
        .record(began.elapsed().as_secs_f64());
    outcome
}

#[async_trait]
impl Engine for Metered {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn isolation(&self) -> Isolation {
        self.0.isolation()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn images(&self) -> Option<Arc<dyn Images>> {
        self.0.images()
    }

    fn config_of(&self, spec: &SandboxSpec) -> Option<String> {
        self.0.config_of(spec)
    }

    async fn ensure_image(
        &self,
        image: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), EngineFailed> {
        timed("ensure_image", self.0.ensure_image(image, progress)).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineFailed> {
        timed("has_image", self.0.has_image(image)).await
    }

    async fn pause(&self, id: &SandboxId) -> Result<(), EngineFailed> {
        timed("pause", self.0.pause(id)).await
    }

    async fn claim(&self, id: &SandboxId, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        timed("claim", self.0.claim(id, spec)).await
    }

    async fn find(&self, labels: &Labels) -> Result<Vec<Sandbox>, EngineFailed> {
        timed("find", self.0.find(labels)).await
    }

    async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, EngineFailed> {
        timed("create", self.0.create(spec)).await
    }

    async fn start(&self, id: &SandboxId, key: &str) -> Result<(), EngineFailed> {
        timed("start", self.0.start(id, key)).await
    }

    async fn stop(&self, id: &SandboxId, grace: Duration) -> Result<(), EngineFailed> {
        timed("stop", self.0.stop(id, grace)).await
    }

    async fn remove(&self, id: &SandboxId, with_workspace: bool) -> Result<(), EngineFailed> {
        timed("remove", self.0.remove(id, with_workspace)).await
    }

    async fn logs(&self, id: &SandboxId, tail: usize) -> Result<Vec<String>, EngineFailed> {
        timed("logs", self.0.logs(id, tail)).await
    }

    async fn stats(&self, id: &SandboxId) -> Result<Stats, EngineFailed> {
        timed("stats", self.0.stats(id)).await
    }

    fn exits(&self) -> BoxStream<'static, SandboxExited> {
        self.0.exits()
    }

    async fn line(&self, id: &SandboxId) -> Result<Line, EngineFailed> {
        timed("line", self.0.line(id)).await
    }

    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed> {
        timed("remove_workspace", self.0.remove_workspace(name)).await
    }

    async fn sweep(
        &self,
        owner: &str,
        kept: &BTreeSet<String>,
    ) -> Result<Vec<String>, EngineFailed> {
        timed("sweep", self.0.sweep(owner, kept)).await
    }
}
