//! What the session has cost: counted, written into an event's `llm_metrics`, and read from it again.
//!
//! The form is the reference's of 0.62 with `steps`, `worked_ms` and `estimated_tokens` of our own. All but `costs`
//! are sums over the whole session; `costs` has the newest alone, since each event has its own.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{ModelFacts, Spent};
use crate::{model::Usage, settings::Limits};

impl Spent {
    /// Both together.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        let (a, b) = (self.usage, other.usage);
        Self {
            steps: self.steps.saturating_add(other.steps),
            cost: self.cost + other.cost,
            usage: Usage {
                input: a.input.saturating_add(b.input),
                output: a.output.saturating_add(b.output),
                cache_read: a.cache_read.saturating_add(b.cache_read),
                cache_write: a.cache_write.saturating_add(b.cache_write),
                reasoning: a.reasoning.saturating_add(b.reasoning),
            },
            worked: self.worked.saturating_add(other.worked),
        }
    }

    fn tokens(&self) -> u64 {
        self.usage.input.saturating_add(self.usage.output)
    }

    /// What an event carries; `last` is the newest price, `estimated` the tokens that its question was thought to have.
    pub(super) fn to_metrics(self, facts: Option<&ModelFacts>, last: &Last) -> Value {
        let name = facts.map(|facts| facts.name.as_str()).unwrap_or_default();
        let Usage { input, output, cache_read, cache_write, reasoning } = self.usage;
        json!({
            "accumulated_cost": self.cost,
            "accumulated_token_usage": {
                "model": name,
                "prompt_tokens": input,
                "completion_tokens": output,
                "cache_read_tokens": cache_read,
                "cache_write_tokens": cache_write,
                "reasoning_tokens": reasoning,
                "context_window": facts.map_or(0, |facts| facts.window),
                "per_turn_token": last.usage.input.saturating_add(last.usage.output),
            },
            "costs": [{ "model": last.model.as_deref().unwrap_or(name), "cost": last.cost, "prompt_tokens": last.usage.input }],
            "steps": self.steps,
            "worked_ms": u64::try_from(self.worked.as_millis()).unwrap_or(u64::MAX),
            "estimated_tokens": last.estimated,
        })
    }

    /// Reads what an event carries; what is missing counts as nothing.
    pub(super) fn from_metrics(value: &Value) -> Self {
        let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let used = |name: &str| count(&format!("/accumulated_token_usage/{name}"));
        Self {
            steps: count("/steps"),
            cost: value.pointer("/accumulated_cost").and_then(Value::as_f64).unwrap_or(0.0),
            usage: Usage {
                input: used("prompt_tokens"),
                output: used("completion_tokens"),
                cache_read: used("cache_read_tokens"),
                cache_write: used("cache_write_tokens"),
                reasoning: used("reasoning_tokens"),
            },
            worked: Duration::from_millis(count("/worked_ms")),
        }
    }
}

/// The newest answer's price, told beside the sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Last {
    /// Who was asked; none: nobody.
    pub(super) model: Option<String>,
    pub(super) cost: f64,
    pub(super) usage: Usage,
    pub(super) estimated: u64,
}

impl Last {
    /// What was estimated and what was counted, of an event that tells both.
    pub(super) fn learnt(value: &Value) -> Option<(u64, u64)> {
        let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
        let (estimated, counted) = (count("/estimated_tokens")?, count("/costs/0/prompt_tokens")?);
        (estimated > 0 && counted > 0).then_some((estimated, counted))
    }

    /// Who was asked, and how many tokens the question was thought to have.
    pub(super) fn asked(value: &Value) -> Option<(String, u64)> {
        let model = value.pointer("/costs/0/model").and_then(Value::as_str)?;
        let estimated = value.pointer("/estimated_tokens").and_then(Value::as_u64)?;
        (estimated > 0).then(|| (model.to_owned(), estimated))
    }
}

/// The reason of a pause before a model is asked whose cost can't be limited; the event's `llm_metrics` name such models
/// in `unpriced`.
pub(super) const NO_PRICE: &str = "limit.no_price";

/// Adds to what an event carries the models without a known price that the pause is about.
pub(super) fn with_unpriced(mut metrics: Value, names: Vec<String>) -> Value {
    metrics["unpriced"] = names.into();
    metrics
}

/// Reads them.
pub(super) fn unpriced(metrics: &Value) -> BTreeSet<String> {
    let names = metrics.get("unpriced").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The limit that is reached, as the reason of the pause: `limit.steps`, `limit.cost`, `limit.tokens`. That of time is
/// [`left`]'s.
pub(super) fn reached(limits: &Limits, spent: &Spent, base: &Spent) -> Option<&'static str> {
    let steps = spent.steps.saturating_sub(base.steps);
    let tokens = spent.tokens().saturating_sub(base.tokens());
    if limits.steps > 0 && steps >= limits.steps {
        Some("limit.steps")
    } else if limits.cost > 0.0 && spent.cost - base.cost >= limits.cost {
        Some("limit.cost")
    } else if limits.tokens > 0 && tokens >= limits.tokens {
        Some("limit.tokens")
    } else {
        None
    }
}

/// How long the agent may work yet; none without a limit.
pub(super) fn left(limits: &Limits, spent: &Spent, base: &Spent) -> Option<Duration> {
    let worked = spent.worked.saturating_sub(base.worked);
    (!limits.time.is_zero()).then(|| limits.time.saturating_sub(worked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent() -> Spent {
        Spent {
            steps: 7,
            cost: 1.25,
            usage: Usage {
                input: 900,
                output: 100,
                cache_read: 300,
                cache_write: 100,
                reasoning: 5,
            },
            worked: Duration::from_secs(61),
        }
    }

    #[test]
    fn what_was_spent_survives_its_form_on_the_wire() {
        let model = Some("m".to_owned());
        let last = Last { model, cost: 0.5, usage: spent().usage, estimated: 850 };
        let metrics = spent().to_metrics(None, &last);
        assert_eq!(Spent::from_metrics(&metrics), spent());
        assert_eq!(Last::learnt(&metrics), Some((850, 900)));
        assert_eq!(Last::asked(&metrics), Some(("m".to_owned(), 850)));
        assert_eq!(Spent::from_metrics(&json!({})), Spent::default());
        assert_eq!(Spent::from_metrics(&json!("x")), Spent::default());
    }

    #[test]
    fn sums_stay_at_the_largest_number() {
        let most = u64::MAX;
        let usage = Usage {
            input: most,
            output: most,
            cache_read: most,
            cache_write: most,
            reasoning: most,
        };
        let all = Spent { steps: most, usage, ..spent() };
        let sum = all.plus(all);
        assert_eq!((sum.usage, sum.steps, sum.tokens()), (usage, most, most));
        let metrics = sum.to_metrics(None, &Last { usage, ..Last::default() });
        assert_eq!(Spent::from_metrics(&metrics), sum);
        assert_eq!(
            reached(&Limits { tokens: 9, ..Limits::default() }, &sum, &spent()),
            Some("limit.tokens")
        );
    }

    #[test]
    fn each_limit_is_reached_by_what_was_spent_since_it_was_granted() {
        let limits = |steps, cost, tokens| Limits { steps, cost, tokens, ..Limits::default() };
        let (now, none) = (spent(), Spent::default());
        assert_eq!(reached(&limits(0, 0.0, 0), &now, &none), None, "zero is no limit");
        assert_eq!(reached(&limits(7, 0.0, 0), &now, &none), Some("limit.steps"));
        assert_eq!(reached(&limits(8, 1.25, 0), &now, &none), Some("limit.cost"));
        assert_eq!(reached(&limits(8, 1.3, 1000), &now, &none), Some("limit.tokens"));
        assert_eq!(reached(&limits(7, 1.25, 1000), &now, &now), None, "granted again");
        let time = Limits { time: Duration::from_mins(1), ..Limits::default() };
        assert_eq!(left(&time, &now, &none), Some(Duration::ZERO));
        assert_eq!(left(&time, &now, &now), Some(Duration::from_mins(1)));
        assert_eq!(left(&limits(0, 0.0, 0), &now, &none), None);
    }
}
