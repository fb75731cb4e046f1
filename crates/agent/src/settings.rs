//! What operators and users decide of an agent. Values only: who reads a configuration makes them.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How an agent works.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSettings {
    pub limits: Limits,
    pub confirm: Confirm,
    pub retries: Retries,
    pub view: ViewSettings,
    /// Whether a turn that a crash of the server cut goes on by itself. Else it is paused.
    pub go_on_after_crash: bool,
    /// How deep agents may start agents; 0 is not at all.
    pub most_delegates: u32,
    pub delegates: DelegateLimits,
}

/// Where a delegate ends, beside the limits of the session; zero is none. Going on grants the same again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelegateLimits {
    /// Answers of the model to each.
    pub steps: u64,
}

/// Where a task stops to ask; zero is none. Going on grants the same again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Answers of the model.
    pub steps: u64,
    /// US dollars.
    pub cost: f64,
    /// In and out.
    pub tokens: u64,
    /// While the agent runs; what it waits for people does not count.
    pub time: Duration,
}

/// What a person has to agree to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    Never,
    /// What the model or the list of rules calls a high risk, and what neither knows.
    #[default]
    Risky,
    /// All that has an effect beyond the agent's own notes.
    Always,
}

/// When a model that fails in passing is asked again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retries {
    pub most: u32,
    pub first: Duration,
    pub longest: Duration,
    /// Each wait is so many times the one before.
    pub factor: f64,
}

/// What of the log the model sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ViewSettings {
    /// Condensed when so much of the window is full, 0 to 1.
    pub fill: f64,
    /// And when there are so many turns in it, whatever their size. Zero is no limit.
    pub most_turns: usize,
    /// So many turns of the beginning are kept.
    pub keep_first: usize,
    /// Of older results than so many only that they were there is told. Up to half as many more may still be whole,
    /// so that the beginning of a question stays the same for a while. Zero: all are told.
    pub whole_results: usize,
    /// Characters of one result that are told: half of them from its head, half from its tail.
    pub most_result: usize,
}

/// One model at one provider.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// As the provider knows it.
    pub model: String,
    pub provider: Provider,
    /// Empty: the provider's own.
    pub base_url: String,
    pub key: Option<SecretString>,
    /// Calls of tools in the provider's own form; else by prompt. None: as is known of the model.
    pub native_tools: Option<bool>,
    /// Whether it sees pictures. None: as is known of the model.
    pub vision: Option<bool>,
    /// Tokens that go in; 0: as is known of the model.
    pub window: u64,
    /// Tokens that come out at most; 0: as is known of the model.
    pub max_output: u64,
    pub temperature: Option<f64>,
    /// `low`, `medium`, `high`; none: the provider's own.
    pub reasoning: Option<String>,
    /// Whether the beginning of a question is marked to be cached where that is asked for.
    pub caching: bool,
    /// US dollars for a million tokens; none: as is known of the model.
    pub price: Option<Price>,
    /// Until the first word, and between words.
    pub silence: Duration,
}

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// And whoever speaks the same at another address.
    #[default]
    Openai,
    Anthropic,
    Gemini,
    Ollama,
}

/// US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub input: f64,
    pub output: f64,
    /// Zero: it costs nothing.
    #[serde(default)]
    pub cache_read: f64,
    #[serde(default)]
    pub cache_write: f64,
}
