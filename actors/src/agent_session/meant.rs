//! What the agent means, where the log hides a secret in it. Pure.
//!
//! An event comes back from the log with secrets masked. Carried out like that, a command would be another one; so
//! the agent's own action is taken as it was given to the log. After a restart only the log is left: what it hides
//! can't be known, and is not run.

use std::collections::VecDeque;

use serde_json::Value;
use staithe_agent::controller::{Append, Effect};
use staithe_protocol::{Body, Event, Source};

use super::state::{Pending, is_blurred};

/// Answers of models that are remembered; more than agents can be nested.
const MOST_HEARD: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Meant {
    /// The agent's action on its way to the log; it gives one at a time.
    on_its_way: Option<Append>,
    /// The ids of answers that were heard in this life.
    heard: VecDeque<String>,
}

impl Meant {
    /// A model answered, and this came of it.
    pub(super) fn heard(&mut self, effects: &[Effect]) {
        let appended = effects.iter().find_map(|effect| match effect {
            Effect::Append(append) => answer_of(append.tool_call_metadata.as_ref()),
            _ => None,
        });
        if let Some(answer) = appended {
            self.heard.push_back(answer.to_owned());
            if self.heard.len() > MOST_HEARD {
                self.heard.pop_front();
            }
        }
    }

    /// The agent gives this to the log.
    pub(super) fn goes(&mut self, append: &Append) {
        if append.source == Source::Agent && matches!(append.body, Body::Action(_)) {
            self.on_its_way = Some(append.clone());
        }
    }

    /// The event as it was meant, if it is the agent's and was another one.
    pub(super) fn take(&mut self, event: &Event) -> Option<Event> {
        let (Body::Action(action), Source::Agent) = (&event.body, event.source) else {
            return None;
        };
        let append = self.on_its_way.take()?;
        let Body::Action(meant) = &append.body else { return None };
        let is_it = meant.name() == action.name() && append.cause == event.cause;
        let differs =
            append.body != event.body || append.tool_call_metadata != event.tool_call_metadata;
        (is_it && differs).then(|| Event {
            body: append.body,
            tool_call_metadata: append.tool_call_metadata,
            ..event.clone()
        })
    }

    /// Whether an action is what was meant.
    pub(super) fn is_known(&self, pending: &Pending) -> bool {
        let answer = answer_of(pending.tool_call_metadata.as_ref());
        answer.is_some_and(|id| self.heard.iter().any(|heard| heard == id))
            || !is_blurred(&pending.action)
    }
}

/// The id of the answer that an action comes of.
fn answer_of(metadata: Option<&Value>) -> Option<&str> {
    metadata?["model_response"]["id"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use staithe_protocol::{Action, EventId, action::Run};

    use super::*;
    use crate::mask::HIDDEN;

    fn run(command: &str) -> Body {
        Body::Action(Action::Run(Run { command: command.to_owned(), ..Run::default() }))
    }

    fn append(command: &str) -> Append {
        Append {
            source: Source::Agent,
            cause: None,
            body: run(command),
            timeout: None,
            tool_call_metadata: Some(json!({ "model_response": { "id": "a1" } })),
            llm_metrics: None,
        }
    }

    fn event(command: &str, source: Source) -> Event {
        Event {
            id: EventId(7),
            timestamp: String::new(),
            source,
            cause: None,
            body: run(command),
            tool_call_metadata: Some(json!({ "model_response": { "id": "a1" } })),
            llm_metrics: None,
            timeout: None,
        }
    }

    #[test]
    fn a_command_is_run_as_it_was_meant_and_not_as_the_log_shows_it() {
        let mut meant = Meant::default();
        meant.goes(&append("psql -U postgres"));
        let shown = format!("psql -U {HIDDEN}");
        assert_eq!(meant.take(&event(&shown, Source::User)), None, "another one's");
        let taken = meant.take(&event(&shown, Source::Agent)).map(|event| event.body);
        assert_eq!(taken, Some(run("psql -U postgres")));
        assert_eq!(meant.take(&event(&shown, Source::Agent)), None, "it is taken once");
        meant.goes(&append("ls"));
        assert_eq!(meant.take(&event("ls", Source::Agent)), None, "nothing is hidden");
    }

    #[test]
    fn what_an_earlier_life_hid_is_not_known_and_what_the_model_writes_itself_is() {
        let mut meant = Meant::default();
        let pending = |command: &str| {
            let event = event(command, Source::Agent);
            let Body::Action(action) = &event.body else { panic!("an action") };
            Pending::of(&event, action.clone())
        };
        assert!(meant.is_known(&pending("ls")));
        assert!(!meant.is_known(&pending(&format!("echo {HIDDEN}"))));
        meant.heard(&[Effect::Append(Box::new(append("ls")))]);
        assert!(meant.is_known(&pending(&format!("echo {HIDDEN}"))), "it wrote what it had read");
    }
}
