//! What the server says to people in a page: every such sentence has one in each language.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{LANGUAGES, check, scan::read};

/// Where sentences are that the pages' forms and dialogs show.
const SOURCES: [&str; 6] = [
    "src/auth/mod.rs",
    "src/routes/agent.rs",
    "src/routes/models.rs",
    "src/routes/sessions.rs",
    "actors/src/models.rs",
    "actors/src/agent_session/messages.rs",
];
/// What such a sentence stands after, from the first quotation mark on.
const BEFORE: [&str; 5] = ["detail =", "invalid(", "forbidden(", "denied(", "#[error("];
/// Of programs, not of people: no page asks so.
const NOT_SHOWN: [&str; 6] = [
    "1 to 200 visible ASCII characters are expected",
    "Authorization: Bearer <token> is expected",
    "limit: 1 to {}",
    "role: viewer or editor",
    "sign in, or send Authorization: Bearer <token>",
    "{} is an action of the agent, not of its clients",
];

/// Names of what is filled in are the translator's.
fn shape(text: &str) -> String {
    let parts = text.split('{').enumerate().map(|(number, part)| match part.split_once('}') {
        Some((_, rest)) if number > 0 => format!("{{}}{rest}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

/// The sentences of a source: a code has no space.
fn sentences(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for before in BEFORE {
        for (at, _) in code.match_indices(before) {
            let rest = &code[at + before.len()..];
            let end = rest.find(&[';', '}'][..]).unwrap_or(rest.len());
            // A sentence may hold such a sign: it ends where its quotation marks do.
            let quoted = rest.split('"').enumerate().filter(|(number, _)| number % 2 == 1);
            let near = quoted.take(2).filter(|(_, text)| {
                text.as_ptr().addr() - rest.as_ptr().addr() <= end && text.contains(' ')
            });
            found.extend(near.map(|(_, text)| shape(text)));
        }
    }
    found
}

#[test]
fn what_the_server_says_to_people_is_said_in_every_language() {
    let mut faults = Vec::new();
    let mut all = 0;
    for lang in LANGUAGES {
        let catalogue: Value =
            serde_json::from_str(&read(&format!("static/i18n/{lang}.json"))).expect("JSON");
        let known: BTreeSet<_> =
            catalogue["said"].as_object().expect("sentences").keys().map(|it| shape(it)).collect();
        for source in SOURCES {
            let sentences = sentences(&read(source));
            assert!(!sentences.is_empty(), "{source} has none: what stands before them changed");
            all += sentences.len();
            for sentence in sentences {
                if !known.contains(&sentence) && !NOT_SHOWN.contains(&&*sentence) {
                    faults.push(format!("{source}: {sentence:?} is not in `said` of {lang}"));
                }
            }
        }
    }
    assert!(all > 40, "only {all} are found");
    check("every sentence is translated", &faults);
}
