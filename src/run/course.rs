//! How a run stands, from its events, and what its end is worth. Pure.

use serde_json::{Value, json};

use super::lines::text;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Finished,
    /// A stable code, and why, for people.
    Failed {
        code: String,
        why: String,
    },
    /// `steps`, `cost`, `tokens` or `time`.
    Limit(String),
    /// Somebody has to be asked, and nobody was there.
    NeedsApproval,
    /// The agent asks something.
    Asks,
    /// The agent does not do it.
    Declined,
    /// By this command's person.
    Interrupted,
    /// By somebody else.
    Stopped,
}

impl Outcome {
    /// What the command exits with; listed in its `--help` and in `docs/run.md`.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::Failed { .. } => 1,
            Self::Limit(_) => 3,
            Self::NeedsApproval => 4,
            Self::Asks | Self::Declined => 5,
            Self::Interrupted | Self::Stopped => 130,
        }
    }

    /// Its word in JSON.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed { .. } => "failed",
            Self::Limit(_) => "limit",
            Self::NeedsApproval => "needs_approval",
            Self::Asks => "asks",
            Self::Declined => "declined",
            Self::Interrupted => "interrupted",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nothing is left to go on with: the sandbox may go.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self, Self::Limit(_) | Self::NeedsApproval | Self::Asks)
    }

    /// The last line of `--json`.
    pub(super) fn to_json(&self, session: &Value, used: &Value) -> Value {
        let mut line = json!({
            "type": "outcome",
            "outcome": self.word(),
            "exit_code": self.exit_code(),
            "session": session,
            "used": used,
        });
        match self {
            Self::Failed { code, why } => {
                line["code"] = code.as_str().into();
                line["reason"] = why.as_str().into();
            }
            Self::Limit(limit) => line["code"] = format!("limit.{limit}").into(),
            _ => {}
        }
        line
    }
}

/// How it stands now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    Works,
    /// On this action.
    WaitsForApproval(Value),
    Ended(Outcome),
}

/// What is known of a run: a fold over its events.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The event with which it began: what is older says nothing about it.
    begun: Option<u64>,
    /// The newest state, with its event and its reason.
    state: (u64, String, String),
    /// The newest error that no action caused, with its event.
    error: Option<(u64, String, String)>,
    /// The newest action that somebody is asked about.
    asked: Option<Value>,
    /// What the agent said last.
    last_words: String,
    /// A session that has no sandbox.
    fault: Option<(u64, Outcome)>,
    /// How the cloning of its repository stands, and if it failed, with what.
    repository: Option<String>,
    not_cloned: Option<Outcome>,
    /// Whether this command asked it to stop.
    stopping: bool,
}

impl Course {
    /// It begins with this event; or with the state that is, when only that is gone on with.
    pub(super) fn begin(&mut self, event: u64) {
        self.begun = Some(event);
    }

    /// This command asks the agent to stop.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// The state that a joined session is in; its event tells it better.
    pub(super) fn hello(&mut self, state: &str) {
        if self.state.1.is_empty() {
            state.clone_into(&mut self.state.1);
        }
    }

    /// Takes an event.
    pub(super) fn event(&mut self, event: &Value) {
        let id = event["id"].as_u64().unwrap_or(0);
        if event["source"] == "agent" {
            let words = match text(event, "/action") {
                "finish" => text(event, "/args/final_thought"),
                "message" => text(event, "/args/content"),
                "reject" => text(event, "/args/outputs/reason"),
                _ => "",
            };
            if !words.is_empty() {
                words.clone_into(&mut self.last_words);
            }
        }
        if event["args"]["confirmation_state"] == "awaiting_confirmation" {
            self.asked = Some(event.clone());
        }
        match text(event, "/observation") {
            "agent_state_changed" => {
                let state = text(event, "/extras/agent_state").to_owned();
                self.state = (id, state, text(event, "/extras/reason").to_owned());
            }
            "error" if event["source"] == "environment" => {
                let id_of_error = text(event, "/extras/error_id").to_owned();
                self.error = Some((id, id_of_error, text(event, "/content").to_owned()));
            }
            "phase_changed" => self.phase(id, event),
            "repository" => {
                let state = text(event, "/extras/state");
                self.repository = Some(state.to_owned());
                self.not_cloned = (state == "failed").then(|| Outcome::Failed {
                    code: text(event, "/extras/code").to_owned(),
                    why: text(event, "/content").to_owned(),
                });
            }
            _ => {}
        }
    }

    /// The action that it waits on, where that is not among the events that came.
    pub(super) fn waits_on(&mut self, action: Value) {
        self.asked = Some(action);
    }

    fn phase(&mut self, id: u64, event: &Value) {
        let outcome = match text(event, "/extras/phase") {
            "failed" => {
                let fault = &event["extras"]["fault"];
                let why = format!("{} {}", text(fault, "/cause"), text(fault, "/remedy"));
                Outcome::Failed { code: text(fault, "/code").to_owned(), why }
            }
            "stopped" | "stopping" => Outcome::Stopped,
            _ => {
                self.fault = None;
                return;
            }
        };
        self.fault = Some((id, outcome));
    }

    /// The agent's state as it was told last.
    pub(super) fn state(&self) -> &str {
        &self.state.1
    }

    /// The event of that.
    pub(super) fn state_event(&self) -> u64 {
        self.state.0
    }

    /// What the agent said last.
    pub(super) fn last_words(&self) -> &str {
        &self.last_words
    }

    /// Whether a repository is there.
    pub(super) fn has_repository(&self) -> bool {
        matches!(self.repository.as_deref(), Some("cloned" | "kept"))
    }

    /// Why there is none that was asked for.
    pub(super) fn lacks_repository(&self) -> Option<&Outcome> {
        self.not_cloned.as_ref()
    }

    /// Whether the session has no sandbox.
    pub(super) fn fault(&self) -> Option<&Outcome> {
        self.fault.as_ref().map(|(_, outcome)| outcome)
    }

    /// How it stands.
    pub(super) fn standing(&self) -> Standing {
        let Some(begun) = self.begun else { return Standing::Works };
        if let Some((id, outcome)) = &self.fault
            && *id >= begun
        {
            return Standing::Ended(outcome.clone());
        }
        let (at, state, reason) = &self.state;
        if let Some((id, error_id, why)) = &self.error
            && error_id == "STATUS$ERROR_LLM_NOT_CONFIGURED"
            && *id > begun
            && id > at
        {
            let code = "model.not_configured".to_owned();
            return Standing::Ended(Outcome::Failed { code, why: why.clone() });
        }
        if *at < begun {
            return Standing::Works;
        }
        match (state.as_str(), reason.as_str()) {
            ("finished", _) => Standing::Ended(Outcome::Finished),
            ("rejected", _) => Standing::Ended(Outcome::Declined),
            ("error", reason) => {
                let why = self.error.as_ref().map_or(String::new(), |(_, _, why)| why.clone());
                let code = if reason.is_empty() { "agent.failed" } else { reason }.to_owned();
                Standing::Ended(Outcome::Failed { code, why })
            }
            ("stopped", _) if self.stopping => Standing::Ended(Outcome::Interrupted),
            ("stopped", _) => Standing::Ended(Outcome::Stopped),
            ("paused", "crash") => {
                let why = "the server was started anew amid the work".to_owned();
                Standing::Ended(Outcome::Failed { code: "agent.paused".to_owned(), why })
            }
            ("paused", reason) => match reason.strip_prefix("limit.") {
                Some(limit) => Standing::Ended(Outcome::Limit(limit.to_owned())),
                // By a person, who may let it go on.
                None => Standing::Works,
            },
            ("awaiting_user_input", _) => Standing::Ended(Outcome::Asks),
            ("awaiting_user_confirmation", _) => {
                Standing::WaitsForApproval(self.asked.clone().unwrap_or_default())
            }
            _ => Standing::Works,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(id: u64, state: &str, reason: &str) -> Value {
        json!({ "id": id, "source": "environment", "observation": "agent_state_changed", "content": "",
                "extras": { "agent_state": state, "reason": reason } })
    }

    fn after(events: &[Value]) -> Standing {
        let mut course = Course::default();
        course.begin(10);
        for event in events {
            course.event(event);
        }
        course.standing()
    }

    #[test]
    fn every_end_has_its_exit_code() {
        let failed = |code: &str| Outcome::Failed { code: code.to_owned(), why: String::new() };
        for (named, reason, outcome, exit_code) in [
            ("finished", "", Outcome::Finished, 0),
            ("error", "model.bad_key", failed("model.bad_key"), 1),
            ("error", "", failed("agent.failed"), 1),
            ("paused", "limit.steps", Outcome::Limit("steps".to_owned()), 3),
            ("awaiting_user_input", "", Outcome::Asks, 5),
            ("rejected", "", Outcome::Declined, 5),
            ("stopped", "", Outcome::Stopped, 130),
        ] {
            let standing = after(&[state(11, "running", ""), state(12, named, reason)]);
            assert_eq!(standing, Standing::Ended(outcome.clone()), "{named} {reason}");
            assert_eq!(outcome.exit_code(), exit_code, "{named} {reason}");
        }
        assert_eq!(Outcome::NeedsApproval.exit_code(), 4);
        assert_eq!(Outcome::Interrupted.exit_code(), 130);
    }

    #[test]
    fn what_was_before_says_nothing_and_a_pause_by_a_person_is_no_end() {
        assert_eq!(after(&[state(9, "finished", "")]), Standing::Works);
        assert_eq!(after(&[state(11, "paused", "")]), Standing::Works);
        let mut course = Course::default();
        course.event(&state(12, "finished", ""));
        assert_eq!(course.standing(), Standing::Works, "not begun");
    }

    #[test]
    fn without_a_model_the_message_itself_is_answered_by_an_error() {
        let error = json!({ "id": 11, "source": "environment", "observation": "error", "cause": 10,
                            "content": "no model", "extras": { "error_id": "STATUS$ERROR_LLM_NOT_CONFIGURED" } });
        let ended = after(std::slice::from_ref(&error));
        let Standing::Ended(Outcome::Failed { code, why }) = ended else { panic!("{ended:?}") };
        assert_eq!((code.as_str(), why.as_str()), ("model.not_configured", "no model"));
        assert_eq!(
            after(&[error, state(12, "running", "")]),
            Standing::Works,
            "a later state counts"
        );
    }

    #[test]
    fn the_action_that_is_asked_about_is_known_and_a_stop_is_whose_it_is() {
        let asked = json!({ "id": 11, "source": "agent", "action": "run",
                            "args": { "command": "rm x", "confirmation_state": "awaiting_confirmation" } });
        let waiting = [asked.clone(), state(12, "awaiting_user_confirmation", "")];
        assert_eq!(after(&waiting), Standing::WaitsForApproval(asked));
        let mut course = Course::default();
        course.begin(1);
        course.stop();
        course.event(&state(2, "stopped", ""));
        assert_eq!(course.standing(), Standing::Ended(Outcome::Interrupted));
    }

    #[test]
    fn a_clone_that_failed_has_the_code_and_the_words_of_its_event() {
        let failed = json!({ "id": 3, "source": "environment", "observation": "repository",
                             "content": "u was not cloned: c",
                             "extras": { "state": "failed", "code": "git.timed_out" } });
        let mut course = Course::default();
        assert_eq!(course.lacks_repository(), None);
        course.event(&failed);
        let outcome = Outcome::Failed {
            code: "git.timed_out".to_owned(),
            why: "u was not cloned: c".to_owned(),
        };
        assert_eq!(course.lacks_repository(), Some(&outcome));
    }

    #[test]
    fn a_session_without_a_sandbox_is_told_with_its_code() {
        let failed = json!({ "id": 12, "source": "environment", "observation": "phase_changed",
                             "extras": { "phase": "failed", "fault": {
                                 "code": "sandbox.start_failed", "cause": "c", "remedy": "r" } } });
        let outcome =
            Outcome::Failed { code: "sandbox.start_failed".to_owned(), why: "c r".to_owned() };
        assert_eq!(after(&[failed]), Standing::Ended(outcome.clone()));
        let line = outcome.to_json(&Value::Null, &Value::Null);
        assert_eq!(
            (&line["exit_code"], &line["code"]),
            (&json!(1), &json!("sandbox.start_failed"))
        );
    }
}
