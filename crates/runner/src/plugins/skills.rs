//! `agent_skills`: the tools for files that the runner itself has. There is nothing to begin.

use super::{Later, Plugin, Serving, Trouble};

/// Always there.
pub struct Skills;

impl Plugin for Skills {
    fn name(&self) -> &'static str {
        "agent_skills"
    }

    fn begin(&self) -> Later<'_, Result<Serving, Trouble>> {
        Box::pin(std::future::ready(Ok(Serving::default())))
    }

    fn health(&self) -> Later<'_, Trouble> {
        Box::pin(std::future::pending())
    }

    fn stop(&self) -> Later<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
