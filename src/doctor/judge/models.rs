//! Whether agents have a model to ask. Pure.

use crate::doctor::finding::Finding;

const CHECK: &str = "model";

/// The default model, and what was wrong with the keys that are kept.
pub(crate) fn model(default: Result<Option<String>, String>) -> Finding {
    match default {
        Ok(Some(name)) => {
            Finding::ok(CHECK, format!("sessions that ask for none use [models.{name}]"))
        }
        Ok(None) => Finding::warn(
            CHECK,
            "no model has a key: sessions work, and their agents answer nothing",
            "Set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY for the server, a key in the page, or agent.model",
        ),
        Err(cause) => Finding::fail(
            CHECK,
            cause,
            "Bring the file back from a copy, or move it away: then keys have to be set again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Status;

    #[test]
    fn no_model_is_told_and_does_not_fail() {
        assert_eq!(model(Ok(Some("openai".into()))).status, Status::Ok);
        let none = model(Ok(None));
        assert!(none.status == Status::Warn && none.remedy.is_some());
        assert_eq!(model(Err("broken".into())).status, Status::Fail);
    }
}
