//! What a repository tells the agent: its instructions, and knowledge that words call up. Pure; who reads the files
//! gives them in.
//!
//! | file | when it is told |
//! |---|---|
//! | `AGENTS.md`, `.openhands_instructions` | always |
//! | `.openhands/microagents/*.md` without `triggers`, or with `type: repo` | always |
//! | `.openhands/microagents/*.md` with `triggers` | once, with the first message that has one of them as a word |
//!
//! The reference takes a trigger inside another word, too (`git` in `digit`); that told agents of what nobody had
//! meant, so a trigger has to stand by itself here, whatever its case. A trigger in a script without spaces may stand
//! anywhere, and an empty one is in every message.

mod front;

use std::collections::{BTreeMap, BTreeSet};

use staithe_protocol::{
    Observation,
    action::RecallType,
    observation::{MicroagentKnowledge, RecallObservation},
};

use self::front::Value;
use crate::{prompt::Facts, tools::clip};

/// The most of one file that is read, in bytes.
pub const MOST_FILE: usize = 64 * 1024;
/// Files that are read of one folder.
pub const MOST_FILES: usize = 64;
/// Characters of one file that are told, and of all that is always told.
const MOST_TOLD: usize = 16_000;
const MOST_ALWAYS: usize = 40_000;
/// Triggers of one file, and characters of one.
const MOST_TRIGGERS: usize = 50;
const LONGEST_TRIGGER: usize = 100;
/// Characters of a message that are looked through.
const MOST_LOOKED_AT: usize = 100_000;

/// Where instructions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(String),
    /// The files in it whose names end with `.md`.
    Folder(String),
}

/// The places in a workspace and in the repository in it, the most special first.
pub fn places(workspace: &str, repository: Option<&str>) -> Vec<Place> {
    let mut folders: Vec<&str> = Vec::new();
    for folder in repository.into_iter().chain([workspace]).map(|f| f.trim_end_matches('/')) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let of = |folder: &str| {
        [
            Place::File(format!("{folder}/AGENTS.md")),
            Place::File(format!("{folder}/.openhands_instructions")),
            Place::Folder(format!("{folder}/.openhands/microagents")),
        ]
    };
    folders.into_iter().flat_map(of).collect()
}

/// A file that was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub path: String,
    pub text: String,
    /// It is longer than [`MOST_FILE`].
    pub cut: bool,
}

/// A file that is not used, or not in whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {why}")]
pub struct Fault {
    pub path: String,
    /// From 1.
    pub line: usize,
    pub why: String,
}

/// All that a workspace tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// Told always.
    repository: String,
    knowledge: Vec<Knowledge>,
    faults: Vec<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Knowledge {
    name: String,
    /// As they are written, and in lower case.
    triggers: Vec<(String, String)>,
    content: String,
}

/// Knowledge that was told already, by what the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(BTreeSet<String>);

impl Told {
    /// Takes notice of an observation of the log.
    pub fn take(&mut self, observation: &Observation) {
        if let Observation::Recall(recall) = observation {
            self.0.extend(recall.microagent_knowledge.iter().map(|told| told.name.clone()));
        }
    }
}

impl Instructions {
    /// Reads files in the order of [`places`].
    pub fn read(files: &[Found]) -> Self {
        let mut all = Self::default();
        let mut always = Vec::new();
        for file in files {
            match all.file(file) {
                Ok(Some(text)) => always.push(format!("# {}\n{text}", file.path)),
                Ok(None) => {}
                Err((line, why)) => all.fault(file, line, why),
            }
        }
        all.repository =
            clip(&always.join("\n\n"), MOST_ALWAYS, Some("read the files for the rest"));
        all
    }

    /// What is not used, for people.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub fn is_empty(&self) -> bool {
        self.repository.is_empty() && self.knowledge.is_empty() && self.faults.is_empty()
    }

    /// What is always told, and about which place; for the beginning of a session.
    pub fn workspace(&self, facts: &Facts) -> RecallObservation {
        let repository = facts.repository.clone().unwrap_or_default();
        let hosts = facts.hosts.iter().map(|(port, host)| (host.clone(), (*port).into()));
        let faults = self.faults.iter().map(|fault| format!("\nNot used: {fault}"));
        let content = format!("Added workspace context{}", faults.collect::<String>());
        RecallObservation {
            content,
            recall_type: RecallType::WorkspaceContext,
            repo_name: repository.name,
            repo_directory: repository.directory,
            repo_branch: repository.branch.unwrap_or_default(),
            repo_instructions: self.repository.clone(),
            runtime_hosts: hosts.collect(),
            date: facts.date.clone().unwrap_or_default(),
            working_dir: facts.working_dir.clone(),
            ..RecallObservation::default()
        }
    }

    /// What a user's message calls up and was not told yet; none where it is nothing.
    pub fn called_by(&self, message: &str, told: &Told) -> Option<RecallObservation> {
        let message: String =
            message.chars().take(MOST_LOOKED_AT).collect::<String>().to_lowercase();
        let untold = self.knowledge.iter().filter(|knowledge| !told.0.contains(&knowledge.name));
        let called = untold.filter_map(|knowledge| {
            let of = |(_, trigger): &&(String, String)| stands_in(trigger, &message);
            let (trigger, _) = knowledge.triggers.iter().find(of)?;
            Some(MicroagentKnowledge {
                name: knowledge.name.clone(),
                trigger: trigger.clone(),
                content: knowledge.content.clone(),
            })
        });
        let microagent_knowledge: Vec<_> = called.collect();
        (!microagent_knowledge.is_empty()).then(|| RecallObservation {
            content: "Added microagent knowledge".to_owned(),
            recall_type: RecallType::Knowledge,
            microagent_knowledge,
            ..RecallObservation::default()
        })
    }

    fn fault(&mut self, file: &Found, line: usize, why: String) {
        self.faults.push(Fault { path: file.path.clone(), line, why });
    }

    /// Reads a file. Returned is what is always told; knowledge is kept. The error is a line and what is wrong in it.
    fn file(&mut self, file: &Found) -> Result<Option<String>, (usize, String)> {
        let is_microagent = file.path.contains("/.openhands/microagents/");
        let (mut keys, body) = if is_microagent {
            front::split(&file.text).map_err(|wrong| (wrong.line, wrong.why))?
        } else {
            (BTreeMap::new(), file.text.as_str())
        };
        if file.cut {
            let why = format!("only its first {} KiB are read", MOST_FILE / 1024);
            self.fault(file, body.lines().count().max(1), why);
        }
        let content =
            clip(body.trim(), MOST_TOLD, Some(&format!("read {} for the rest", file.path)));
        let triggers = match keys.remove("triggers") {
            None => Vec::new(),
            Some(Value::List(triggers)) => triggers,
            Some(Value::Words(trigger)) if trigger.is_empty() => Vec::new(),
            Some(Value::Words(_)) => return Err((1, "`triggers` has to be a list".to_owned())),
        };
        let kind = match keys.remove("type") {
            None => String::new(),
            Some(Value::Words(kind)) => kind,
            Some(Value::List(_)) => return Err((1, "`type` has to be a word".to_owned())),
        };
        let name = match keys.remove("name") {
            Some(Value::Words(name)) if !name.is_empty() => name,
            None | Some(Value::Words(_)) => stem(&file.path).to_owned(),
            Some(Value::List(_)) => return Err((1, "`name` has to be a word".to_owned())),
        };
        let is_always = match kind.as_str() {
            "repo" => true,
            "" => triggers.is_empty(),
            "knowledge" | "task" if triggers.is_empty() => {
                return Err((1, format!("`type: {kind}` needs `triggers`")));
            }
            "knowledge" | "task" => false,
            _ => return Err((1, "`type` has to be `repo`, `knowledge` or `task`".to_owned())),
        };
        if is_always {
            return Ok((!content.is_empty()).then_some(content));
        }
        self.keep(name, triggers, content)?;
        Ok(None)
    }

    fn keep(
        &mut self,
        name: String,
        triggers: Vec<String>,
        content: String,
    ) -> Result<(), (usize, String)> {
        if triggers.len() > MOST_TRIGGERS {
            return Err((1, format!("there are more than {MOST_TRIGGERS} triggers")));
        }
        if triggers.iter().any(|trigger| trigger.chars().count() > LONGEST_TRIGGER) {
            return Err((1, format!("a trigger has more than {LONGEST_TRIGGER} characters")));
        }
        if self.knowledge.iter().any(|known| known.name == name) {
            return Err((
                1,
                format!("there is other knowledge called `{name}`, which goes before"),
            ));
        }
        let lower = |trigger: String| {
            let lower = trigger.trim().to_lowercase();
            (trigger, lower)
        };
        let triggers = triggers.into_iter().map(lower).collect();
        self.knowledge.push(Knowledge { name, triggers, content });
        Ok(())
    }
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".md").unwrap_or(name)
}

/// Whether a trigger stands in a text by itself; both in lower case.
fn stands_in(trigger: &str, text: &str) -> bool {
    let (Some(first), Some(last)) = (trigger.chars().next(), trigger.chars().next_back()) else {
        return true;
    };
    text.match_indices(trigger).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + trigger.len()..].chars().next();
        let goes_on = |edge: char, beside: Option<char>| joins(edge) && beside.is_some_and(joins);
        !goes_on(first, before) && !goes_on(last, after)
    })
}

/// Whether it makes one word with a letter beside it.
fn joins(c: char) -> bool {
    let has_no_spaces = matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    (c.is_alphanumeric() || c == '_') && !has_no_spaces
}

#[cfg(test)]
mod tests;
