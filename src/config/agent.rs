//! How agents work, in the words of the agent's crate.

use serde::Deserialize;
use staithe_agent::settings::{
    AgentSettings, Confirm, DelegateLimits, Limits, Retries, ViewSettings,
};

use super::{Config, units::Span};

/// See `config.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    pub model: String,
    pub condense_model: String,
    pub confirm: Confirm,
    pub go_on_after_crash: bool,
    pub most_delegates: u32,
    pub limits: AgentLimits,
    pub delegates: AgentDelegates,
    pub retries: AgentRetries,
    pub view: AgentView,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentLimits {
    pub steps: u64,
    pub cost: f64,
    pub tokens: u64,
    pub time: Span,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentDelegates {
    pub steps: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRetries {
    pub most: u32,
    pub first: Span,
    pub longest: Span,
    pub factor: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentView {
    pub fill: f64,
    pub most_turns: usize,
    pub keep_first: usize,
    pub whole_results: usize,
    pub most_result: usize,
}

impl Agent {
    /// What agents are told.
    pub fn settings(&self) -> AgentSettings {
        let Self { limits, retries, view, .. } = self;
        AgentSettings {
            limits: Limits {
                steps: limits.steps,
                cost: limits.cost,
                tokens: limits.tokens,
                time: limits.time.0,
            },
            confirm: self.confirm,
            retries: Retries {
                most: retries.most,
                first: retries.first.0,
                longest: retries.longest.0,
                factor: retries.factor,
            },
            view: ViewSettings {
                fill: view.fill,
                most_turns: view.most_turns,
                keep_first: view.keep_first,
                whole_results: view.whole_results,
                most_result: view.most_result,
            },
            go_on_after_crash: self.go_on_after_crash,
            most_delegates: self.most_delegates,
            delegates: DelegateLimits { steps: self.delegates.steps },
        }
    }
}

impl Config {
    /// What is wrong in the agents' part.
    pub(super) fn agent_faults(&self) -> Vec<String> {
        let Agent { limits, retries, view, .. } = &self.agent;
        let mut faults = Vec::new();
        let mut check = |good: bool, fault: String| {
            if !good {
                faults.push(fault);
            }
        };
        for (key, name) in [
            ("agent.model", &self.agent.model),
            ("agent.condense_model", &self.agent.condense_model),
        ] {
            let known = name.is_empty() || self.models.contains_key(name);
            check(known, format!("{key}: there is no [models.{name}]"));
        }
        let amount = limits.cost.is_finite() && limits.cost >= 0.0;
        check(amount, "agent.limits.cost: 0 or more US dollars".to_owned());
        check(retries.most <= 100, "agent.retries.most: at most 100".to_owned());
        let factor = (1.0..=10.0).contains(&retries.factor);
        check(factor, "agent.retries.factor: from 1 to 10".to_owned());
        let waits = retries.first.0 <= retries.longest.0;
        check(waits, "agent.retries.longest: at least agent.retries.first".to_owned());
        let fill = (0.1..=0.95).contains(&view.fill);
        check(fill, "agent.view.fill: from 0.1 to 0.95".to_owned());
        let result = view.most_result >= 1000;
        check(result, "agent.view.most_result: at least 1000".to_owned());
        let turns = view.most_turns == 0 || view.most_turns > view.keep_first + 1;
        check(turns, "agent.view.most_turns: 0, or above agent.view.keep_first + 1".to_owned());
        check(self.agent.most_delegates <= 8, "agent.most_delegates: at most 8".to_owned());
        faults
    }
}
