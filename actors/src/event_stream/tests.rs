//! Masking of secrets.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mask::Words;

fn masked(value: &Value, secret: &str) -> Value {
    let words: Words = [secret].into_iter().collect();
    let json = words.hide_in_json(serde_json::to_vec(value).unwrap());
    serde_json::from_slice(&json).expect("what is masked is still JSON")
}

#[test]
fn a_secret_is_masked_in_strings_at_every_depth() {
    let event =
        json!({"content": "a hunter22 b", "extras": {"list": ["hunter22", {"x": "hunter22!"}]}});
    let hidden = json!({
        "content": "a <secret_hidden> b",
        "extras": {"list": ["<secret_hidden>", {"x": "<secret_hidden>!"}]},
    });
    assert_eq!(masked(&event, "hunter22"), hidden);
}

#[test]
fn a_secret_that_looks_like_a_number_or_a_key_breaks_no_event() {
    let event = json!({"content": "123456", "total_bytes": 123_456, "n": 91_234_567});
    let hidden = json!({"content": "<secret_hidden>", "total_bytes": 123_456, "n": 91_234_567});
    assert_eq!(masked(&event, "123456"), hidden);
    let event = json!({"content": "my content"});
    assert_eq!(masked(&event, "content"), json!({"content": "my <secret_hidden>"}));
}

proptest! {
    #[test]
    fn no_string_keeps_a_secret(before in ".{0,8}", secret in "[a-z\"\\\\\n]{6,12}", after in ".{0,8}") {
        let event = json!({"a": [format!("{before}{secret}{after}")], "b": 1});
        let hidden = masked(&event, &secret);
        prop_assert!(!hidden["a"][0].as_str().unwrap().contains(&secret));
        prop_assert_eq!(&hidden["b"], 1);
    }
}
