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

fn openai(message: &str, kind: &str, code: Value) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn anthropic(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
}

fn gemini(code: u16, status: &str, message: &str, reason: &str) -> Value {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}

/// As the providers have them: who, status, body, what it is.
fn table() -> Vec<(Provider, u16, Value, FailureKind)> {
    let invalid = "invalid_request_error";
    vec![
        (
            Openai,
            401,
            openai("Incorrect API key provided", invalid, json!("invalid_api_key")),
            BadKey,
        ),
        (
            Openai,
            401,
            openai("You must be a member of an organization", invalid, Value::Null),
            BadKey,
        ),
        (
            Openai,
            429,
            openai(
                "You exceeded your current quota",
                "insufficient_quota",
                json!("insufficient_quota"),
            ),
            NoCredit,
        ),
        (
            Openai,
            429,
            openai("Rate limit reached", "requests", json!("rate_limit_exceeded")),
            RateLimited,
        ),
        (Openai, 429, openai("Slow down", "tokens", Value::Null), RateLimited),
        (
            Openai,
            400,
            openai(
                "This model's maximum context length is 8192 tokens",
                invalid,
                json!("context_length_exceeded"),
            ),
            ContextTooLong,
        ),
        (
            Openai,
            400,
            openai("the request exceeds the available context size", invalid, Value::Null),
            ContextTooLong,
        ),
        (
            Openai,
            400,
            openai("The response was filtered", invalid, json!("content_filter")),
            Refused,
        ),
        (Openai, 400, openai("Invalid prompt: flagged", invalid, json!("invalid_prompt")), Refused),
        (
            Openai,
            403,
            openai(
                "Country not supported",
                "request_forbidden",
                json!("unsupported_country_region_territory"),
            ),
            Refused,
        ),
        (
            Openai,
            404,
            openai("The model `x` does not exist", invalid, json!("model_not_found")),
            UnknownModel,
        ),
        (
            Openai,
            403,
            openai("Project does not have access to model", invalid, json!("model_not_found")),
            UnknownModel,
        ),
        (
            Openai,
            400,
            openai("Unsupported value: 'temperature'", invalid, json!("unsupported_value")),
            BadQuestion,
        ),
        (Openai, 500, openai("The server had an error", "server_error", Value::Null), Unavailable),
        (Openai, 503, openai("Overloaded", "server_error", Value::Null), Unavailable),
        (Openai, 402, openai("Insufficient Balance", "unknown_error", json!(invalid)), NoCredit),
        (Openai, 422, json!({"detail": "Input should be a valid list"}), BadQuestion),
        (Openai, 502, json!("<html>Bad Gateway</html>"), Unavailable),
        (Openai, 404, json!("404 page not found"), UnknownModel),
        (Anthropic, 401, anthropic("authentication_error", "invalid x-api-key"), BadKey),
        (Anthropic, 403, anthropic("permission_error", "no permission"), BadKey),
        (
            Anthropic,
            400,
            anthropic(invalid, "Your credit balance is too low to access the API"),
            NoCredit,
        ),
        (Anthropic, 402, anthropic("billing_error", "Payment required"), NoCredit),
        (
            Anthropic,
            400,
            anthropic(invalid, "prompt is too long: 201000 tokens > 200000 maximum"),
            ContextTooLong,
        ),
        (
            Anthropic,
            413,
            anthropic("request_too_large", "Request exceeds the maximum size"),
            ContextTooLong,
        ),
        (
            Anthropic,
            400,
            anthropic(invalid, "messages: at least one message is required"),
            BadQuestion,
        ),
        (Anthropic, 404, anthropic("not_found_error", "model: claude-x"), UnknownModel),
        (
            Anthropic,
            429,
            anthropic("rate_limit_error", "This request would exceed your rate limit"),
            RateLimited,
        ),
        (Anthropic, 500, anthropic("api_error", "Internal server error"), Unavailable),
        (Anthropic, 529, anthropic("overloaded_error", "Overloaded"), Unavailable),
        (
            Gemini,
            400,
            gemini(400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"),
            BadKey,
        ),
        (Gemini, 403, gemini(403, "PERMISSION_DENIED", "no access", "ACCESS"), BadKey),
        (
            Gemini,
            400,
            gemini(
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                "",
            ),
            ContextTooLong,
        ),
        (
            Gemini,
            400,
            gemini(400, "INVALID_ARGUMENT", "Invalid JSON payload received.", ""),
            BadQuestion,
        ),
        (Gemini, 404, gemini(404, "NOT_FOUND", "models/x is not found", ""), UnknownModel),
        (
            Gemini,
            429,
            gemini(
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota",
                "RATE_LIMIT_EXCEEDED",
            ),
            RateLimited,
        ),
        (Gemini, 503, gemini(503, "UNAVAILABLE", "The model is overloaded.", ""), Unavailable),
        (
            Gemini,
            500,
            json!([{"error": {"code": 500, "message": "Internal", "status": "INTERNAL"}}]),
            Unavailable,
        ),
        (Ollama, 404, json!({"error": "model 'x' not found"}), UnknownModel),
        (Ollama, 400, json!({"error": "registry.example/x does not support tools"}), BadQuestion),
        (Ollama, 500, json!({"error": "llama runner process has terminated"}), Unavailable),
        (Ollama, 401, json!({"error": "unauthorized"}), BadKey),
    ]
}

#[tokio::test]
async fn every_error_is_told_as_what_it_is() {
    let table = table();
    assert!(table.len() >= 25);
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
