//! Where an agent's model comes from. Whoever composes the server implements it; nothing here knows a provider.

use std::sync::Arc;

use staithe_agent::{controller::ModelFacts, model::Model, settings::AgentSettings};

/// The models that sessions may use.
pub trait Models: Send + Sync + 'static {
    /// What a session of this owner works with. `model`: the name of a group; none: the default one.
    fn choose(&self, model: Option<&str>, owner: &str) -> Chosen;
}

/// What a session's agent works with.
#[derive(Clone)]
pub struct Chosen {
    pub settings: AgentSettings,
    /// `Err`: nobody answers, and why, for people.
    pub model: Result<Answering, String>,
}

/// A model that answers.
#[derive(Clone)]
pub struct Answering {
    pub facts: ModelFacts,
    pub model: Arc<dyn Model>,
    /// For summaries; the same where no other is chosen.
    pub condense: Arc<dyn Model>,
}

impl Chosen {
    /// As the controller is told.
    pub fn configured(&self) -> staithe_agent::controller::Configured {
        staithe_agent::controller::Configured {
            settings: self.settings.clone(),
            model: self.model.as_ref().map(|it| it.facts.clone()).map_err(Clone::clone),
        }
    }
}
