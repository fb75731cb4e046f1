//! What is said at the end of how to go on: commands that can be typed as they stand. Pure.

use staithe_protocol::SessionId;

use super::course::Outcome;
use crate::cli::run::Place;

/// The options that lead to the same server again. What the environment says is left to it; a token is never printed.
pub(super) fn options(place: &Place, env: impl Fn(&str) -> Option<String>) -> String {
    let is_told = |name: &str, value: &str| env(name).as_deref() == Some(value);
    let mut words = String::new();
    let mut option = |name: &str, value: &str| words.extend([" ", name, " ", value]);
    if let Some(url) = &place.url {
        if !is_told("STAITHE_URL", url) {
            option("--url", &quoted(url));
        }
        if place.token.as_deref().is_some_and(|token| !is_told("STAITHE_TOKEN", token)) {
            option("--token", "…");
        }
        return words;
    }
    if let Some(config) = place.config.as_deref().map(|path| path.display().to_string())
        && !is_told("STAITHE_CONFIG", &config)
    {
        option("--config", &quoted(&config));
    }
    if let Some(dir) = &place.data_dir {
        option("--data-dir", &quoted(&dir.display().to_string()));
    }
    if let Some(engine) = place.engine {
        option("--engine", &format!("{engine:?}").to_lowercase());
    }
    words
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How to go on after an outcome; none: the server was lost or refused. `goes_on` is whether the session has something
/// to go on with without a further task.
pub(super) fn next(
    options: &str,
    id: SessionId,
    outcome: Option<&Outcome>,
    goes_on: bool,
) -> Vec<String> {
    let task = if goes_on { "" } else { " \"…\"" };
    let mut next = match outcome {
        Some(Outcome::Limit(limit)) if limit == "no_price" => vec![
            "set the price of its model, or --limit-cost 0, or go on all the same:".to_owned(),
            format!("        staithe run{options} --session {id}"),
        ],
        Some(Outcome::Limit(limit)) => vec![
            format!("go on with as much again, or another --limit-{limit}:"),
            format!("        staithe run{options} --session {id}"),
        ],
        Some(Outcome::NeedsApproval) => vec![
            "it waits for your word; on a terminal, or with --yes:".to_owned(),
            format!("        staithe run{options} --session {id}"),
        ],
        _ => vec![format!("go on:  staithe run{options} --session {id}{task}")],
    };
    next.push(format!("files:  staithe cp{options} {id}:. ./workspace"));
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineChoice;

    #[test]
    fn the_way_back_is_the_way_it_came() {
        let place = Place {
            url: None,
            token: None,
            config: Some("/etc/my models.toml".into()),
            data_dir: Some("/tmp/it's".into()),
            engine: Some(EngineChoice::Local),
        };
        let nothing = |_: &str| None;
        assert_eq!(
            options(&place, nothing),
            " --config '/etc/my models.toml' --data-dir '/tmp/it'\\''s' --engine local"
        );
        let told =
            |name: &str| (name == "STAITHE_CONFIG").then(|| "/etc/my models.toml".to_owned());
        assert_eq!(options(&place, told), " --data-dir '/tmp/it'\\''s' --engine local");
        let remote = Place {
            url: Some("http://box:3000".to_owned()),
            token: Some("secret".to_owned()),
            ..place
        };
        assert_eq!(options(&remote, nothing), " --url http://box:3000 --token …");
        let told = |name: &str| match name {
            "STAITHE_URL" => Some("http://box:3000".to_owned()),
            "STAITHE_TOKEN" => Some("secret".to_owned()),
            _ => None,
        };
        assert_eq!(options(&remote, told), "");
    }

    #[test]
    fn a_task_is_asked_for_where_there_is_nothing_to_go_on_with() {
        let id = SessionId::generate();
        let failed = Outcome::Failed { code: "git.failed".to_owned(), why: String::new() };
        let of = |outcome: &Outcome, goes_on| next(" --x", id, Some(outcome), goes_on)[0].clone();
        assert_eq!(of(&failed, true), format!("go on:  staithe run --x --session {id}"));
        assert_eq!(of(&failed, false), format!("go on:  staithe run --x --session {id} \"…\""));
        assert_eq!(
            of(&Outcome::Asks, false),
            format!("go on:  staithe run --x --session {id} \"…\"")
        );
        let files = format!("files:  staithe cp --x {id}:. ./workspace");
        assert_eq!(next(" --x", id, None, true).last(), Some(&files));
    }
}
