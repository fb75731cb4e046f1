//! How a sandbox ends: frozen, stopped, removed, or with its workspace.

use std::time::Duration;

use staithe_engine::{Engine, EngineFailed, Sandbox, SandboxSpec, SandboxState};

use super::{bring_up::LOG_TAIL, messages::Ending, spec::mine};

/// Carries it out for every sandbox of a session; more than one is left only by a crash in the middle
/// of a start. Tells the last log lines of what is removed.
pub(super) async fn carry_out(
    engine: &dyn Engine,
    spec: &SandboxSpec,
    ending: Ending,
    grace: Duration,
) -> Result<Vec<String>, EngineFailed> {
    let mut log_tail = Vec::new();
    for sandbox in engine.find(&mine(spec)).await? {
        match ending {
            Ending::Pause => pause(engine, &sandbox, grace).await?,
            Ending::Stop => engine.stop(&sandbox.id, grace).await?,
            Ending::Remove | Ending::Clear => {
                log_tail = engine.logs(&sandbox.id, LOG_TAIL).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the log of a sandbox that ends can't be read");
                    Vec::new()
                });
                engine.stop(&sandbox.id, grace).await?;
                engine.remove(&sandbox.id, ending == Ending::Clear).await?;
            }
        }
    }
    if ending == Ending::Clear {
        engine.remove_workspace(spec.workspace.as_ref().unwrap_or(&spec.name)).await?;
    }
    Ok(log_tail)
}

/// What can't be frozen is stopped: it was to use nothing, and it is found again either way.
async fn pause(
    engine: &dyn Engine,
    sandbox: &Sandbox,
    grace: Duration,
) -> Result<(), EngineFailed> {
    if sandbox.state != SandboxState::Running {
        return Ok(());
    }
    match engine.pause(&sandbox.id).await {
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::warn!(sandbox = %sandbox.id, %error, "a sandbox can't be paused and is stopped");
            engine.stop(&sandbox.id, grace).await
        }
    }
}
