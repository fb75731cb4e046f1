//! What people choose of a session's agent over the configuration's defaults, and what they see of it. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use staithe_agent::settings::{AgentSettings, Confirm, Limits};
use staithe_protocol::AgentState;

/// A choice; what is left out is as the configuration has it. Kept in the session's record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentChoice {
    /// The name of a group of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    pub limits: LimitsChoice,
}

/// Limits of a task; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsChoice {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

impl AgentChoice {
    /// Takes over what a later choice says.
    pub fn take(&mut self, later: Self) {
        let Self { model, confirm, limits } = later;
        self.model = model.or(self.model.take());
        self.confirm = confirm.or(self.confirm);
        self.limits.steps = limits.steps.or(self.limits.steps);
        self.limits.cost = limits.cost.or(self.limits.cost);
        self.limits.tokens = limits.tokens.or(self.limits.tokens);
        self.limits.time = limits.time.or(self.limits.time);
    }

    /// The settings that hold.
    pub fn over(&self, defaults: &AgentSettings) -> AgentSettings {
        let (chosen, usual) = (self.limits, defaults.limits);
        AgentSettings {
            confirm: self.confirm.unwrap_or(defaults.confirm),
            limits: Limits {
                steps: chosen.steps.unwrap_or(usual.steps),
                cost: chosen.cost.unwrap_or(usual.cost),
                tokens: chosen.tokens.unwrap_or(usual.tokens),
                time: chosen.time.map_or(usual.time, Duration::from_secs),
            },
            ..defaults.clone()
        }
    }
}

/// What holds where nobody chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    pub settings: AgentSettings,
    /// The name of a group of models; none: nothing can be used.
    pub model: Option<String>,
}

/// An agent as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentView {
    pub state: AgentState,
    /// The name of its group of models; null: none can be used.
    pub model: Option<String>,
    /// Whether somebody chose it for this session.
    pub model_chosen: bool,
    pub confirm: Confirm,
    pub limits: LimitsView,
    pub used: Used,
}

/// The limits that hold; zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LimitsView {
    pub steps: u64,
    /// US dollars.
    pub cost: f64,
    pub tokens: u64,
    /// Seconds.
    pub time: u64,
}

/// What the session has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Used {
    /// Answers of models.
    pub steps: u64,
    /// US dollars, as far as prices are known.
    pub cost: f64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl AgentView {
    /// An agent that has used nothing yet.
    pub fn of(state: AgentState, defaults: &Defaults, choice: &AgentChoice) -> Self {
        let AgentSettings { limits, confirm, .. } = choice.over(&defaults.settings);
        let Limits { steps, cost, tokens, time } = limits;
        Self {
            state,
            model: choice.model.clone().or_else(|| defaults.model.clone()),
            model_chosen: choice.model.is_some(),
            confirm,
            limits: LimitsView { steps, cost, tokens, time: time.as_secs() },
            used: Used::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_choice_adds_to_an_earlier_one() {
        let limits = |steps, time| LimitsChoice { steps, time, ..LimitsChoice::default() };
        let mut choice = AgentChoice { limits: limits(Some(3), None), ..AgentChoice::default() };
        choice.take(AgentChoice {
            model: Some("mine".into()),
            confirm: Some(Confirm::Always),
            limits: limits(None, Some(60)),
        });
        choice.take(AgentChoice { limits: limits(Some(0), None), ..AgentChoice::default() });
        let expected = AgentChoice {
            model: Some("mine".into()),
            confirm: Some(Confirm::Always),
            limits: limits(Some(0), Some(60)),
        };
        assert_eq!(choice, expected);
        let kept = serde_json::to_string(&choice).unwrap();
        assert_eq!(serde_json::from_str::<AgentChoice>(&kept).unwrap(), choice);
    }
}
