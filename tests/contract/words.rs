//! What the contract's tests ask of an answer.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::common::http::Answer;

/// How long something on this machine may take at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A body as JSON.
pub(crate) fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.2).unwrap_or_else(|error| {
        panic!("{}: {error}: {}", answer.0, String::from_utf8_lossy(&answer.2))
    })
}

/// An object's keys.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.1.get(name)?.to_str().ok()
}

/// Checks that an answer is a problem by RFC 9457 with this status and code; its body.
#[track_caller]
pub(crate) fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    let body = json(answer);
    assert_eq!(answer.0, status, "{body}");
    assert_eq!(header(answer, "content-type"), Some("application/problem+json"));
    assert_eq!(body["type"], "about:blank");
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], code);
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    body
}
