//! What a session's agent works with: the configuration, what people chose over it, and the models that there are.

use std::sync::Arc;

use staithe_agent::{
    controller::{Configured, ModelFacts},
    known,
    model::Model,
};

use super::choice::AgentChoice;
use crate::{models::NoModel, settings::Settings};

/// What was chosen, as it is now.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub configured: Configured,
    /// The name of the group of models; none: there is none that can be used.
    pub name: Option<String>,
}

impl Chosen {
    /// For a session of this owner.
    pub fn of(settings: &Settings, choice: &AgentChoice, owner: &str) -> Self {
        let name = choice.model.clone().or_else(|| settings.models.default_for(owner));
        let model = match &name {
            None => Err("No model can be used: give one a key, in the page under \"Models\", in the \
                         environment (OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY) or in the \
                         section [models] of config.toml."
                .to_owned()),
            Some(name) => facts(settings, owner, name).map_err(|error| sentence(&error)),
        };
        let condenser = name.as_deref().and_then(|name| condenser(settings, owner, name));
        let settings = choice.over(&settings.agent);
        Self { configured: Configured { settings, model, condenser }, name }
    }
}

fn facts(settings: &Settings, owner: &str, name: &str) -> Result<ModelFacts, NoModel> {
    let model = settings.models.settings(owner, name)?;
    let known = known::settle(&model);
    Ok(ModelFacts {
        name: model.model,
        window: known.window,
        price: known.price,
        vision: known.vision,
    })
}

/// What writes summaries beside this model, where that is another.
fn condenser(settings: &Settings, owner: &str, name: &str) -> Option<Result<ModelFacts, String>> {
    let other = settings.models.condenser_of(name);
    (other != name).then(|| facts(settings, owner, &other).map_err(|_| other))
}

/// The model that answers a step, or the one that writes summaries beside it, with its key of now.
pub(super) fn model(
    settings: &Settings,
    owner: &str,
    name: &str,
    summary: bool,
) -> Result<Arc<dyn Model>, NoModel> {
    let models = &settings.models;
    if summary {
        let other = models.condenser_of(name);
        return models.model(owner, &other);
    }
    models.model(owner, name)
}

fn sentence(error: &NoModel) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
