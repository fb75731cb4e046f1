//! Why there is no answer: what providers say, in the port's words. Messages are for people; neither a key nor a
//! question is in them.

use std::{error::Error as StdError, time::Duration};

use ::genai::{Error, webc::StreamTimeout};
use serde_json::Value;

use crate::{
    model::{FailureKind, ModelFailed},
    settings::ModelSettings,
};

/// Characters of a provider's own words.
const MOST_WORDS: usize = 400;
/// What is asked to wait at most, in milliseconds: a day.
const MOST_WAIT: u64 = 86_400_000;
/// So many characters of a key give it away.
const TELLING: usize = 8;

pub(super) fn failed(kind: FailureKind, message: impl Into<String>) -> ModelFailed {
    ModelFailed { kind, message: message.into(), retry_after: None }
}

/// A key that nobody may read.
pub(super) struct Secret<'a>(pub(super) Option<&'a str>);

impl Secret<'_> {
    /// The text without the key or a telling part of it, as words go.
    pub(super) fn hide(&self, text: &str) -> String {
        let Some(key) = self.0.map(str::as_bytes).filter(|key| !key.is_empty()) else {
            return text.to_owned();
        };
        let size = key.len().min(TELLING);
        let tells = |word: &str| {
            word.as_bytes().windows(size).any(|part| key.windows(size).any(|secret| secret == part))
        };
        let is_edge = |c: char| {
            c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | ',')
        };
        text.split_inclusive(is_edge)
            .map(|word| {
                let bare = word.trim_end_matches(is_edge);
                if tells(bare) { format!("***{}", &word[bare.len()..]) } else { word.to_owned() }
            })
            .collect()
    }

    /// A provider's words: without the key, on one line, and not too many.
    fn words(&self, text: &str) -> String {
        let words = self.hide(text);
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.chars().count() <= MOST_WORDS {
            return line;
        }
        line.chars().take(MOST_WORDS).chain("…".chars()).collect()
    }
}

/// What `genai` could not do. Its own texts may hold the question, so none of them is told.
pub(super) fn of(error: &Error, settings: &ModelSettings, secret: &Secret<'_>) -> ModelFailed {
    match error {
        Error::WebStream { error, .. } => of_stream(error.as_ref(), settings.silence, secret),
        Error::HttpError { .. } => of_stream(error, settings.silence, secret),
        Error::ChatResponse { body, .. } => of_body(body, secret),
        Error::StreamParse { .. }
        | Error::JsonValueExt(_)
        | Error::SerdeJson(_)
        | Error::InvalidJsonResponseElement { .. }
        | Error::NoChatResponse { .. } => {
            failed(FailureKind::Unavailable, "the model's answer can't be understood")
        }
        _ => failed(FailureKind::BadQuestion, "the question can't be put in the provider's form"),
    }
}

/// A failure on the way.
fn of_stream(
    error: &(dyn StdError + 'static),
    silence: Duration,
    secret: &Secret<'_>,
) -> ModelFailed {
    if let Some(Error::HttpError { status, body, headers, .. }) = error.downcast_ref::<Error>() {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let now = jiff::Timestamp::now().as_millisecond();
        return of_http(status.as_u16(), body, &header, now, secret);
    }
    if let Some(timeout) = error.downcast_ref::<StreamTimeout>() {
        let seconds = silence.as_secs_f64();
        let what = match timeout {
            StreamTimeout::Headers => "the model did not begin to answer",
            StreamTimeout::Read => "the model fell silent in the middle of its answer",
        };
        return failed(FailureKind::Unavailable, format!("{what} within {seconds} s"));
    }
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let what = match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_builder() => {
            return failed(
                FailureKind::BadQuestion,
                "the question can't be sent: key or address is malformed",
            );
        }
        Some(error) if error.is_connect() => "no connection to the model's address",
        _ => "the connection to the model broke",
    };
    // reqwest's own text has the address in it, which may hold a secret; the root's has not.
    let why =
        if root.is::<reqwest::Error>() { String::new() } else { secret.words(&root.to_string()) };
    let message = if why.is_empty() { what.to_owned() } else { format!("{what}: {why}") };
    failed(FailureKind::Unavailable, message)
}

/// An error in the middle of an answer.
pub(super) fn of_body(body: &Value, secret: &Secret<'_>) -> ModelFailed {
    let told = Told::read(body);
    let kind = told.kind(None);
    let mut failed = failed(kind, message(kind, &secret.words(&told.message)));
    failed.retry_after = told.wait;
    failed
}

/// An answer that is none.
pub(super) fn of_http<'h>(
    status: u16,
    body: &str,
    header: &dyn Fn(&str) -> Option<&'h str>,
    now: i64,
    secret: &Secret<'_>,
) -> ModelFailed {
    let told = match serde_json::from_str::<Value>(body) {
        Ok(body) => Told::read(&body),
        Err(_) => Told { message: plain(body), ..Told::default() },
    };
    let kind = told.kind(Some(status));
    let words = secret.words(&told.message);
    let words = if words.is_empty() { format!("status {status}") } else { words };
    ModelFailed {
        kind,
        message: message(kind, &words),
        retry_after: wait(header, now).or(told.wait).map(|wait| wait.min(MOST_WAIT)),
    }
}

/// A page is not shown, only that it is one.
fn plain(body: &str) -> String {
    let body = body.trim();
    if body.starts_with('<') { String::new() } else { body.to_owned() }
}

fn message(kind: FailureKind, words: &str) -> String {
    let what = match kind {
        FailureKind::BadKey => "the provider does not take the key",
        FailureKind::NoCredit => "the account at the provider has nothing left",
        FailureKind::RateLimited => "too many requests or tokens for the provider's limit",
        FailureKind::ContextTooLong => "the question is longer than the model reads",
        FailureKind::Refused => "the provider's policy forbids it",
        FailureKind::UnknownModel => "there is no such model at that address",
        FailureKind::BadQuestion => "the provider did not understand the question",
        FailureKind::Unavailable => "the provider can't answer now",
    };
    if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") }
}

/// What an error's body says, whoever wrote it.
#[derive(Debug, Default)]
struct Told {
    /// Codes, types, statuses and reasons, lower-case.
    codes: Vec<String>,
    message: String,
    wait: Option<u64>,
}

impl Told {
    fn read(body: &Value) -> Self {
        let body = body.get(0).unwrap_or(body); // Gemini's may come in a list
        let error = match body.get("error") {
            Some(error) if !error.is_null() => error,
            _ => body,
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let message = error.as_str().map(str::to_owned);
        let message = message
            .or_else(|| ["message", "detail", "msg"].iter().find_map(|name| text(&error[name])));
        let mut codes: Vec<String> = ["code", "type", "status"]
            .iter()
            .filter_map(|name| text(&error[name]))
            .map(|code| code.to_lowercase())
            .collect();
        // OpenRouter, vLLM and Google give a status as a number within the body.
        let number = error["code"].as_u64().filter(|code| (400..600).contains(code));
        codes.extend(number.map(|code| code.to_string()));
        let mut wait = None;
        for detail in error["details"].as_array().into_iter().flatten() {
            codes.extend(text(&detail["reason"]).map(|reason| reason.to_lowercase()));
            let delay = detail["retryDelay"].as_str().and_then(|delay| delay.strip_suffix('s'));
            wait = wait.or_else(|| delay.and_then(seconds));
        }
        Self { codes, message: message.unwrap_or_default(), wait }
    }

    fn kind(&self, status: Option<u16>) -> FailureKind {
        let inner = || self.codes.iter().find_map(|code| code.parse().ok());
        // Codes for whatever is wrong with a question; a status knows better.
        let vague = ["invalid_request_error", "invalid_argument", "failed_precondition"];
        let asked = || self.codes.iter().any(|code| vague.contains(&code.as_str())).then_some(400);
        self.by_code().unwrap_or_else(|| by_status(status.or_else(inner).or_else(asked)))
    }

    /// By the provider's own codes, and by words where it has none. The special before the general.
    fn by_code(&self) -> Option<FailureKind> {
        use FailureKind::{
            BadKey, ContextTooLong, NoCredit, RateLimited, Refused, Unavailable, UnknownModel,
        };
        let words = self.message.to_lowercase();
        let says = |what: &[&str]| what.iter().any(|it| words.contains(it));
        let is = |what: &[&str]| self.codes.iter().any(|code| what.contains(&code.as_str()));
        let credit = [
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "billing_error",
        ];
        let credit_words =
            ["credit balance is too low", "insufficient balance", "insufficient credits"];
        let long = ["context_length_exceeded", "request_too_large"];
        let long_words = [
            "prompt is too long",
            "maximum context length",
            "context window",
            "available context size",
            "exceeds the maximum number of tokens",
            "exceed context limit",
        ];
        let policy = ["content_filter", "content_policy_violation", "invalid_prompt", "moderation"];
        let country = "unsupported_country_region_territory";
        Some(match () {
            () if is(&credit) || says(&credit_words) => NoCredit,
            () if is(&[
                "invalid_api_key",
                "authentication_error",
                "api_key_invalid",
                "unauthenticated",
            ]) =>
            {
                BadKey
            }
            () if says(&["api key not valid", "invalid api key", "incorrect api key"]) => BadKey,
            () if is(&long) || says(&long_words) => ContextTooLong,
            () if is(&policy) || is(&[country]) => Refused,
            () if is(&["model_not_found", "not_found_error", "not_found"]) => UnknownModel,
            () if is(&["rate_limit_exceeded", "rate_limit_error", "resource_exhausted"]) => {
                RateLimited
            }
            () if is(&["overloaded_error", "api_error", "timeout_error", "server_error"]) => {
                Unavailable
            }
            () if is(&[
                "unavailable",
                "internal",
                "deadline_exceeded",
                "internal_server_error",
            ]) =>
            {
                Unavailable
            }
            () if is(&["permission_error", "permission_denied"]) => BadKey,
            () if says(&["model"]) && says(&["not found", "does not exist"]) => UnknownModel,
            () => return None,
        })
    }
}

fn by_status(status: Option<u16>) -> FailureKind {
    match status {
        Some(401 | 403) => FailureKind::BadKey,
        Some(402) => FailureKind::NoCredit,
        Some(413) => FailureKind::ContextTooLong,
        Some(429) => FailureKind::RateLimited,
        // Nobody is followed to another address.
        Some(300..=399 | 404 | 405 | 410) => FailureKind::UnknownModel,
        Some(408 | 409 | 425) => FailureKind::Unavailable,
        Some(400..=499) => FailureKind::BadQuestion,
        _ => FailureKind::Unavailable,
    }
}

/// What headers ask to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date.
fn wait<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: i64) -> Option<u64> {
    if let Some(ms) = header("retry-after-ms").and_then(|ms| ms.trim().parse::<f64>().ok()) {
        return seconds(&(ms / 1_000.0).to_string());
    }
    let after = header("retry-after")?.trim();
    seconds(after).or_else(|| {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(after).ok()?;
        let left = date.timestamp().as_millisecond().saturating_sub(now);
        Some(u64::try_from(left).unwrap_or(0))
    })
}

/// Seconds, maybe with a fraction, as milliseconds.
fn seconds(text: &str) -> Option<u64> {
    let seconds = text.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0)?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    Some(u64::try_from(wait.as_millis()).unwrap_or(MOST_WAIT).min(MOST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-proj-0123456789abcdefghij";

    fn http(status: u16, body: &str, headers: &[(&str, &'static str)]) -> ModelFailed {
        let header =
            |name: &str| headers.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
        of_http(status, body, &header, 1_700_000_000_000, &Secret(Some(KEY)))
    }

    #[test]
    fn no_key_and_no_telling_part_of_it_is_told() {
        let secret = Secret(Some(KEY));
        for told in [
            format!("Incorrect API key provided: {KEY}."),
            format!("no such key \"{KEY}\", sorry"),
            format!("https://host/path?key={KEY}&x=1"),
            "cut: sk-proj-0123456789ab".to_owned(),
            format!("{}{}", "x".repeat(MOST_WORDS - 10), KEY),
        ] {
            let hidden = secret.words(&told);
            for part in KEY.as_bytes().windows(TELLING) {
                let part = std::str::from_utf8(part).unwrap();
                assert!(!hidden.contains(part), "{hidden}");
            }
        }
        assert_eq!(secret.words("all is well (sk-…)"), "all is well (sk-…)");
        assert_eq!(Secret(Some("abc")).hide("a key abc, and more"), "a key ***, and more");
        assert_eq!(Secret(None).hide("x"), "x");
    }

    #[test]
    fn waits_come_in_seconds_milliseconds_and_dates() {
        let waits = |headers: &[(&str, &'static str)]| http(429, "", headers).retry_after;
        assert_eq!(waits(&[("retry-after", "20")]), Some(20_000));
        assert_eq!(waits(&[("retry-after", "1.5")]), Some(1_500));
        assert_eq!(waits(&[("retry-after-ms", "250"), ("retry-after", "20")]), Some(250));
        assert_eq!(waits(&[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")]), Some(10_000));
        assert_eq!(waits(&[("retry-after", "Tue, 14 Nov 2000 22:13:30 GMT")]), Some(0));
        assert_eq!(waits(&[("retry-after", "999999999999")]), Some(MOST_WAIT));
        assert_eq!(waits(&[("retry-after", "soon")]), None);
        assert_eq!(waits(&[("retry-after", "-1")]), None);
        let google = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m",
            "details":[{"@type":"x/google.rpc.RetryInfo","retryDelay":"12.5s"}]}}"#;
        assert_eq!(http(429, google, &[]).retry_after, Some(12_500));
    }

    #[test]
    fn pages_are_not_shown() {
        let failed = http(502, "<html><body>Bad Gateway</body></html>", &[]);
        assert_eq!(failed.message, "the provider can't answer now: status 502");
        assert_eq!(failed.kind, FailureKind::Unavailable);
    }

    #[test]
    fn errors_in_the_middle_have_no_status() {
        let kind = |body: &str| of_body(&serde_json::from_str(body).unwrap(), &Secret(None)).kind;
        assert_eq!(
            kind(r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
            FailureKind::Unavailable
        );
        assert_eq!(
            kind(r#"{"error":{"code":429,"message":"slow down"}}"#),
            FailureKind::RateLimited
        );
        assert_eq!(kind(r#"{"error":"an error was encountered"}"#), FailureKind::Unavailable);
        assert_eq!(kind(r#"{"message":"m","type":"rate_limit_error"}"#), FailureKind::RateLimited);
    }
}
