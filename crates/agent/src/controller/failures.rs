//! What is told of a model that does not answer: the reference's `error_id` (§3.7), a stable code, and what to do. Pure.

use std::time::Duration;

use crate::{
    model::{FailureKind, ModelFailed},
    settings::Retries,
};

/// No model is configured.
pub(super) const NOT_CONFIGURED: &str = "STATUS$ERROR_LLM_NOT_CONFIGURED";
/// The agent goes round in circles.
pub(super) const STUCK: &str = "STATUS$ERROR_AGENT_STUCK";
/// The model answered nothing, again and again.
pub(super) const EMPTY: &str = "STATUS$ERROR_LLM_EMPTY_ANSWER";
/// A delegate took more steps than it may.
pub(super) const DELEGATE_LIMIT: &str = "STATUS$ERROR_DELEGATE_LIMIT";
/// A call that was not carried out.
pub(super) const NOT_EXECUTED: &str = "AGENT_ERROR$ERROR_ACTION_NOT_EXECUTED_STOPPED";

/// What leaves the agent's memory leaves it without a summary; the work goes on.
pub(super) const NO_SUMMARY: &str = "STATUS$ERROR_LLM_NO_SUMMARY";

/// Each with its code, which is the reason of the state `error`.
const IDS: [(&str, &str); 12] = [
    ("STATUS$ERROR_LLM_AUTHENTICATION", "model.bad_key"),
    ("STATUS$ERROR_LLM_OUT_OF_CREDITS", "model.no_credit"),
    ("CHAT_INTERFACE$AGENT_RATE_LIMITED_STOPPED_MESSAGE", "model.rate_limited"),
    ("STATUS$ERROR_LLM_CONTEXT_TOO_LONG", "model.context_too_long"),
    ("STATUS$ERROR_LLM_CONTENT_POLICY_VIOLATION", "model.refused"),
    ("STATUS$ERROR_LLM_UNKNOWN_MODEL", "model.unknown"),
    ("STATUS$ERROR_LLM_BAD_REQUEST", "model.bad_question"),
    ("STATUS$ERROR_LLM_SERVICE_UNAVAILABLE", "model.unavailable"),
    (NOT_CONFIGURED, "model.not_configured"),
    (STUCK, "stuck"),
    (EMPTY, "model.empty_answer"),
    (DELEGATE_LIMIT, "limit.steps"),
];

/// The code of an error that ends the work; none for another error.
pub(super) fn code_of(error_id: &str) -> Option<&'static str> {
    IDS.iter().find(|(id, _)| *id == error_id).map(|(_, code)| *code)
}

/// The `error_id` of a failure.
pub(super) fn id_of(kind: FailureKind) -> &'static str {
    let found = IDS.iter().find(|(_, code)| *code == kind.code());
    found.map_or("STATUS$ERROR_LLM_SERVICE_UNAVAILABLE", |(id, _)| id)
}

/// A failure in words: what it is, what the provider says, what to do.
pub(super) fn words(failed: &ModelFailed) -> String {
    let (what, remedy) = match failed.kind {
        FailureKind::BadKey => (
            "The provider does not take the key of the language model.",
            "Set a valid key in the settings or in the section [llm] of config.toml, then go on.",
        ),
        FailureKind::NoCredit => (
            "The account at the provider of the language model has nothing left.",
            "Add credit there or choose another model, then go on.",
        ),
        FailureKind::RateLimited => (
            "The provider still takes no more requests after several tries.",
            "Wait a while or choose another model, then go on.",
        ),
        FailureKind::ContextTooLong => (
            "The conversation is longer than the model reads, even condensed.",
            "Choose a model with a larger window, or begin a new session.",
        ),
        FailureKind::Refused => (
            "The provider's policy forbids this question or its answer.",
            "Say it in other words, or choose another model.",
        ),
        FailureKind::UnknownModel => (
            "There is no such model at the configured address.",
            "Check the model's name and the address in the settings, then go on.",
        ),
        FailureKind::BadQuestion => (
            "The provider did not understand the question.",
            "Choose another model or other settings for it (its tools may have to go by prompt), then go on.",
        ),
        FailureKind::Unavailable => (
            "The language model did not answer after several tries.",
            "Check the provider's status and the address in the settings, then go on.",
        ),
    };
    format!("{what} {remedy}\n{}", failed.message)
}

/// How long to wait before this try, counted from 1. What the provider asks for counts, up to an hour.
pub(super) fn wait(retries: &Retries, attempt: u32, asked: Option<u64>) -> Duration {
    const LONGEST_ASKED: Duration = Duration::from_hours(1);
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = retries.first.as_secs_f64() * retries.factor.powi(exponent);
    let own = Duration::try_from_secs_f64(seconds).unwrap_or(retries.longest).min(retries.longest);
    let asked = Duration::from_millis(asked.unwrap_or(0)).min(LONGEST_ASKED);
    own.max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [FailureKind; 8] = [
        FailureKind::BadKey,
        FailureKind::NoCredit,
        FailureKind::RateLimited,
        FailureKind::ContextTooLong,
        FailureKind::Refused,
        FailureKind::UnknownModel,
        FailureKind::BadQuestion,
        FailureKind::Unavailable,
    ];

    #[test]
    fn every_failure_has_an_id_of_its_own_and_is_known_by_it() {
        for kind in KINDS {
            assert_eq!(code_of(id_of(kind)), Some(kind.code()));
            let message = "the provider's words".to_owned();
            let failed = ModelFailed { kind, message, retry_after: None };
            assert!(words(&failed).ends_with("\nthe provider's words"));
        }
        assert_eq!(code_of("AGENT_ERROR$BAD_ACTION"), None);
    }

    #[test]
    fn waits_grow_to_the_longest_and_the_provider_is_heard() {
        let second = Duration::from_secs(1);
        let retries = Retries { most: 8, first: second, longest: 10 * second, factor: 2.0 };
        let waits: Vec<_> = (1..=6).map(|n| wait(&retries, n, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(wait(&retries, 1, Some(60_000)).as_secs(), 60);
        assert_eq!(wait(&retries, 1, Some(u64::MAX)).as_secs(), 3600);
        assert_eq!(wait(&retries, u32::MAX, None).as_secs(), 10);
    }
}
