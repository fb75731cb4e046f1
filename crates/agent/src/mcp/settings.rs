//! Which servers a session has. Values only: who reads a configuration makes them.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of them, in the order in which their tools are offered.
#[derive(Clone, Debug, Default)]
pub struct McpSettings {
    pub servers: Vec<McpServer>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct McpServer {
    pub name: String,
    pub kind: McpKind,
    pub filter: ToolFilter,
    /// The longest call.
    pub timeout: Duration,
    /// From the start to the list of its tools.
    pub start_timeout: Duration,
    /// How often one that fails is begun again before it is given up; 0 is never.
    pub restarts: u32,
    /// The wait before the first of them; each further one is twice as long.
    pub restart_wait: Duration,
}

/// How it is reached.
#[derive(Clone, Debug)]
pub enum McpKind {
    /// A program in the sandbox. Whatever runs there can read the values of its environment, secret or not.
    Stdio { command: String, args: Vec<String>, env: BTreeMap<String, McpValue> },
    /// An address that the server itself calls, so that these headers never enter a sandbox.
    Http { url: String, headers: BTreeMap<String, SecretString> },
}

/// A value of a program's environment.
#[derive(Clone, Debug)]
pub enum McpValue {
    Plain(String),
    /// Never told to anybody but the program.
    Secret(SecretString),
}

/// Which of its tools are offered, by their own names; `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolFilter {
    /// Empty: all.
    pub allow: Vec<String>,
    /// Stronger than `allow`.
    pub deny: Vec<String>,
}

/// What a server does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpState {
    pub name: String,
    pub state: McpPhase,
    /// Why it is not up, or what is wrong with its tools; for people, without any secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its tools, as the model knows them.
    pub tools: Vec<String>,
}

/// The same in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum McpPhase {
    /// It begins, perhaps again.
    Starting,
    Up,
    /// It is given up until somebody asks for it again.
    Failed,
}

impl McpValue {
    /// What the program gets.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(value) => value,
            Self::Secret(value) => value.expose_secret(),
        }
    }
}

impl McpKind {
    /// What must not be told to anybody, the longest first.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        match self {
            Self::Stdio { env, .. } => {
                let secret = env.values().filter(|value| matches!(value, McpValue::Secret(_)));
                secrets.extend(secret.map(|value| value.expose().to_owned()));
            }
            Self::Http { url, headers } => {
                // Errors name addresses.
                secrets.extend(url.split_once('?').map(|(_, query)| query.to_owned()));
                for value in headers.values().map(SecretString::expose_secret) {
                    secrets.push(value.to_owned());
                    // `Bearer …`, of which the rest is the secret.
                    secrets.extend(value.split_once(' ').map(|(_, rest)| rest.trim().to_owned()));
                }
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    /// A text without them.
    pub fn masked(&self, text: &str) -> String {
        without(&self.secrets(), text)
    }

    /// Takes them out of every text in a value.
    pub fn mask(&self, value: &mut Value) {
        let secrets = self.secrets();
        if !secrets.is_empty() {
            mask(&secrets, value);
        }
    }
}

fn without(secrets: &[String], text: &str) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

fn mask(secrets: &[String], value: &mut Value) {
    match value {
        Value::String(text) => *text = without(secrets, text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask(secrets, item)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask(secrets, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl ToolFilter {
    /// Whether a tool is offered.
    pub fn lets(&self, tool: &str) -> bool {
        let is_in = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, tool));
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(first) else { return false };
    (0..=name.len()).any(|skip| name.is_char_boundary(skip) && fits(rest, &name[skip..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_not_offered_though_it_is_allowed() {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let filter = ToolFilter { allow: list(&["read_*", "ls"]), deny: list(&["*secret*"]) };
        let of = |name| filter.lets(name);
        assert_eq!(
            [of("read_file"), of("ls"), of("lsof"), of("write"), of("read_secrets")],
            [true, true, false, false, false]
        );
        assert!(ToolFilter::default().lets("any"));
    }

    #[test]
    fn no_secret_is_left_in_a_text() {
        let headers = [("Authorization".to_owned(), SecretString::from("Bearer t0ken"))].into();
        let http = McpKind::Http { url: String::new(), headers };
        assert_eq!(http.masked("a Bearer t0ken, t0ken"), "a ***, ***");
        let env = [
            ("KEY".to_owned(), McpValue::Secret("abc".into())),
            ("MODE".to_owned(), McpValue::Plain("fast".into())),
            ("NONE".to_owned(), McpValue::Secret("".into())),
        ];
        let stdio = McpKind::Stdio { command: "x".into(), args: vec![], env: env.into() };
        assert_eq!(stdio.masked("fast abcabc"), "fast ******");
        assert!(!format!("{stdio:?}{http:?}").contains("t0ken"));
        let mut result = serde_json::json!({ "abc": ["xabcx", { "text": "abc" }, 1] });
        stdio.mask(&mut result);
        assert_eq!(result, serde_json::json!({ "abc": ["x***x", { "text": "***" }, 1] }));
        let url = "https://h/mcp?key=k3y".to_owned();
        let http = McpKind::Http { url, headers: [].into() };
        assert_eq!(http.masked("error for https://h/mcp?key=k3y"), "error for https://h/mcp?***");
    }
}
