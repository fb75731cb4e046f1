//! The agent: what it does with the events of a session, and what it asks of a model.
//!
//! Everything but the adapters behind [`model::Model`] is pure: events, answers and times come in as values, effects
//! go out.

pub mod condense;
pub mod controller;
#[cfg(feature = "genai")]
pub mod genai;
pub mod instructions;
pub mod known;
pub mod mcp;
pub mod model;
pub mod origin;
pub mod prompt;
pub mod prompted;
pub mod risk;
pub mod settings;
pub mod stuck;
pub mod tools;
pub mod view;

#[cfg(test)]
mod logs;

#[cfg(test)]
mod testing {
    //! Values that tests start from.

    use std::time::Duration;

    use crate::settings::{ModelSettings, Provider};

    pub(crate) fn model_settings(provider: Provider) -> ModelSettings {
        ModelSettings {
            model: "a-model".to_owned(),
            provider,
            base_url: String::new(),
            key: None,
            native_tools: None,
            vision: None,
            window: 0,
            max_output: 0,
            temperature: None,
            reasoning: None,
            caching: true,
            price: None,
            silence: Duration::from_mins(1),
        }
    }
}
