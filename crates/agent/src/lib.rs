//! The agent: what it does with the events of a session, and what it asks of a model.
//!
//! Everything but the adapters behind [`model::Model`] is pure: events, answers and times come in as values, effects
//! go out.


            base_url: String::new(),
            caching: true,
            key: None,
            max_output: 0,
            model: "a-model".to_owned(),
            native_tools: None,
            price: None,
            provider,
            reasoning: None,
            silence: Duration::from_secs(60),
            temperature: None,
            vision: None,
            window: 0,
        ModelSettings {
        }
    //! Values that tests start from.
    pub(crate) fn model_settings(provider: Provider) -> ModelSettings {
    use crate::settings::{ModelSettings, Provider};
    use std::time::Duration;
    }
#[cfg(feature = "genai")]
#[cfg(test)]
mod logs;
mod testing {
pub mod condense;
pub mod controller;
pub mod genai;
pub mod instructions;
pub mod known;
pub mod model;
pub mod origin;
pub mod prompt;
pub mod prompted;
pub mod risk;
pub mod settings;
pub mod stuck;
pub mod tools;
pub mod view;
}
