//! What providers answer instead, and what a person is told of it.

use serde_json::{Value, json};
use staithe_agent::{
    model::FailureKind::{
        self, BadKey, BadQuestion, ContextTooLong, NoCredit, RateLimited, Refused, Unavailable,
        UnknownModel,
    },
    settings::Provider::{self, Anthropic, Gemini, Ollama, Openai},
};
use staithe_testkit::{FakeModel, model::Step};

use super::common::{KEY, failure, settings};

const INVALID: &str = "invalid_request_error";

/// Status, message, type, code (empty: null); as OpenAI and those who speak its protocol have them.
const OPENAI: &[(u16, &str, &str, &str, FailureKind)] = &[
    (401, "Incorrect API key provided", INVALID, "invalid_api_key", BadKey),
    (401, "You must be a member of an organization", INVALID, "", BadKey),
    (429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota", NoCredit),
    (429, "Rate limit reached", "requests", "rate_limit_exceeded", RateLimited),
    (429, "Slow down", "tokens", "", RateLimited),
    (400, "Too long", INVALID, "context_length_exceeded", ContextTooLong),
    (400, "This model's maximum context length is 8192 tokens", INVALID, "", ContextTooLong),
    (400, "the request exceeds the available context size", INVALID, "", ContextTooLong),
    (400, "The response was filtered", INVALID, "content_filter", Refused),
    (400, "Invalid prompt: flagged", INVALID, "invalid_prompt", Refused),
    (403, "Country", "request_forbidden", "unsupported_country_region_territory", Refused),
    (404, "The model `x` does not exist", INVALID, "model_not_found", UnknownModel),
    (403, "Project has no access to model", INVALID, "model_not_found", UnknownModel),
    (400, "Unsupported value: 'temperature'", INVALID, "unsupported_value", BadQuestion),
    (500, "The server had an error", "server_error", "", Unavailable),
    (503, "Overloaded", "server_error", "", Unavailable),
    (402, "Insufficient Balance", "unknown_error", INVALID, NoCredit),
];

/// Status, type, message; as Anthropic has them.
const ANTHROPIC: &[(u16, &str, &str, FailureKind)] = &[
    (401, "authentication_error", "invalid x-api-key", BadKey),
    (403, "permission_error", "no permission", BadKey),
    (400, INVALID, "Your credit balance is too low to access the API", NoCredit),
    (402, "billing_error", "Payment required", NoCredit),
    (400, INVALID, "prompt is too long: 201000 tokens > 200000 maximum", ContextTooLong),
    (413, "request_too_large", "Request exceeds the maximum size", ContextTooLong),
    (400, INVALID, "messages: at least one message is required", BadQuestion),
    (404, "not_found_error", "model: claude-x", UnknownModel),
    (429, "rate_limit_error", "This request would exceed your rate limit", RateLimited),
    (500, "api_error", "Internal server error", Unavailable),
    (529, "overloaded_error", "Overloaded", Unavailable),
];

/// Status, Google's status, message, reason; as Gemini has them.
const GEMINI: &[(u16, &str, &str, &str, FailureKind)] = &[
    (400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID", BadKey),
    (403, "PERMISSION_DENIED", "no access", "ACCESS", BadKey),
    (400, "INVALID_ARGUMENT", "It exceeds the maximum number of tokens.", "", ContextTooLong),
    (400, "INVALID_ARGUMENT", "Invalid JSON payload received.", "", BadQuestion),
    (404, "NOT_FOUND", "models/x is not found", "", UnknownModel),
    (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", "RATE_LIMIT", RateLimited),
    (503, "UNAVAILABLE", "The model is overloaded.", "", Unavailable),
];

/// Who, status, body, what it is.
fn table() -> Vec<(Provider, u16, Value, FailureKind)> {
    let mut table = vec![
        (Openai, 422, json!({"detail": "Input should be a valid list"}), BadQuestion),
        (Openai, 502, json!("<html>Bad Gateway</html>"), Unavailable),
        (Openai, 404, json!("404 page not found"), UnknownModel),
        (Gemini, 500, json!([{"error": {"code": 500, "status": "INTERNAL"}}]), Unavailable),
        (Ollama, 404, json!({"error": "model 'x' not found"}), UnknownModel),
        (Ollama, 400, json!({"error": "registry.example/x does not support tools"}), BadQuestion),
        (Ollama, 500, json!({"error": "llama runner process has terminated"}), Unavailable),
        (Ollama, 401, json!({"error": "unauthorized"}), BadKey),
    ];
    for (status, message, name, code, kind) in OPENAI {
        let code = if code.is_empty() { Value::Null } else { json!(code) };
        let error = json!({"message": message, "type": name, "param": null, "code": code});
        table.push((Openai, *status, json!({ "error": error }), *kind));
    }
    for (status, name, message, kind) in ANTHROPIC {
        let error = json!({"type": name, "message": message});
        table.push((Anthropic, *status, json!({"type": "error", "error": error}), *kind));
    }
    for (status, name, message, reason, kind) in GEMINI {
        let details = json!([{"@type": "google.rpc.ErrorInfo", "reason": reason}]);
        let error = json!({"code": status, "message": message, "status": name, "details": details});
        table.push((Gemini, *status, json!({ "error": error }), *kind));
    }
    table
}

#[tokio::test]
async fn every_error_is_told_as_what_it_is() {
    let table = table();
    assert_eq!(table.len(), 43);
    for (provider, status, body, kind) in table {
        let server = FakeModel::start().await;
        server.script([Step::error(status, body.clone())]);
        let failed = failure(&settings(&server, provider)).await;
        assert_eq!(failed.kind, kind, "{provider:?} {status} {body}: {failed}");
        let told = body.pointer("/error/message").or(body.get("error")).and_then(Value::as_str);
        if let Some(told) = told {
            assert!(failed.message.contains(told), "the provider's own words are in it: {failed}");
        }
        assert!(!failed.message.contains("You help."), "and the question is not: {failed}");
        assert!(!failed.message.contains('<'), "{failed}");
        assert_eq!(server.asked().len(), 1, "nothing is tried again here");
    }
}

#[tokio::test]
async fn what_a_provider_asks_to_wait_is_told() {
    let headers = [
        ("retry-after", "7", 7_000),
        ("retry-after", "0.5", 500),
        ("retry-after-ms", "1500", 1_500),
    ];
    for (provider, _) in super::common::ALL {
        for (name, value, wait) in headers {
            let server = FakeModel::start().await;
            let mut step = Step::error(429, json!({"error": {"message": "slow"}}));
            step.headers.insert(name.to_owned(), value.to_owned());
            server.script([step]);
            let failed = failure(&settings(&server, provider)).await;
            assert_eq!(
                (failed.kind, failed.retry_after),
                (RateLimited, Some(wait)),
                "{provider:?} {name}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_that_a_provider_tells_again_is_in_no_message() {
    for (provider, _) in super::common::ALL {
        let server = FakeModel::start().await;
        let told = format!("Incorrect API key provided: {KEY}. See https://host/?key={KEY}.");
        let in_the_middle =
            json!({"type": "error", "error": {"type": "api_error", "message": told}});
        server.script([
            Step::error(401, json!({"error": {"message": told}})),
            Step::error(500, json!(format!("broken: {KEY}"))),
            Step { insert: Some((1, in_the_middle)), chunk: 1, ..Step::text("xyz") },
        ]);
        let settings = settings(&server, provider);
        for _ in 0..3 {
            let failed = failure(&settings).await;
            assert!(!format!("{failed:?}").contains("0123456789"), "{provider:?}: {failed}");
            assert!(failed.message.contains("***"), "{provider:?}: {failed}");
        }
    }
}

#[tokio::test]
async fn nobody_is_followed_to_another_address() {
    let (server, other) = (FakeModel::start().await, FakeModel::start().await);
    for status in [301, 302, 307, 308] {
        let mut step = Step::error(status, Value::Null);
        step.headers.insert("location".to_owned(), format!("{}/v1/messages", other.url()));
        server.script([step]);
        let failed = failure(&settings(&server, Anthropic)).await;
        assert_eq!(failed.kind, UnknownModel, "{status}");
    }
    assert_eq!(other.asked().len(), 0, "no key goes where nobody sent it");
}
