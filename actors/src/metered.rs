//! An engine whose calls are timed: `staithe_engine_call_seconds{op,outcome}`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use staithe_engine::{
    Engine, EngineFailed, Isolation, Labels, Line, Sandbox, SandboxExited, SandboxSpec, Stats,
};
use staithe_protocol::SandboxId;
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
        Err(EngineFailed::NameTaken(_) | EngineFailed::Unsupported { .. }) => "denied",
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

    fn line(&self, id: &SandboxId) -> Line {
        self.0.line(id)
    }

    async fn remove_workspace(&self, name: &str) -> Result<(), EngineFailed> {
        timed("remove_workspace", self.0.remove_workspace(name)).await
    }
}
