//! The tools with their schemas. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{McpTool, Offer, words};
use crate::model::ToolSpec;

/// The most characters of a tool's name that every provider takes.
const LONGEST_NAME: usize = 64;
/// The most tasks in the list.
pub(super) const MOST_TASKS: usize = 100;
/// The longest limit of a command, in seconds, as the server takes it.
pub(super) const LONGEST_TIMEOUT: u64 = 86_400;

/// A tool of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Bash,
    Python,
    Editor,
    Browser,
    WebRead,
    Think,
    Tasks,
    Finish,
    Delegate,
    Condense,
}

impl Tool {
    const ALL: [Self; 10] = [
        Self::Bash,
        Self::Python,
        Self::Editor,
        Self::Browser,
        Self::WebRead,
        Self::Think,
        Self::Tasks,
        Self::Delegate,
        Self::Condense,
        Self::Finish,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bash => "execute_bash",
            Self::Python => "execute_ipython_cell",
            Self::Editor => "str_replace_editor",
            Self::Browser => "browser",
            Self::WebRead => "web_read",
            Self::Think => "think",
            Self::Tasks => "task_tracker",
            Self::Finish => "finish",
            Self::Delegate => "delegate",
            Self::Condense => "request_condensation",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Bash => words::BASH,
            Self::Python => words::PYTHON,
            Self::Editor => words::EDITOR,
            Self::Browser => words::BROWSER,
            Self::WebRead => words::WEB_READ,
            Self::Think => words::THINK,
            Self::Tasks => words::TASKS,
            Self::Finish => words::FINISH,
            Self::Delegate => words::DELEGATE,
            Self::Condense => words::CONDENSE,
        }
    }

    /// The names of its arguments.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["command", "is_input", "timeout", "security_risk"],
            Self::Python => &["code", "security_risk"],
            Self::Editor => &[
                "command",
                "path",
                "file_text",
                "old_str",
                "new_str",
                "insert_line",
                "view_range",
                "security_risk",
            ],
            Self::Browser => &["code"],
            Self::WebRead => &["url"],
            Self::Think => &["thought"],
            Self::Tasks => &["command", "task_list"],
            Self::Finish => &["message"],
            Self::Delegate => &["task"],
            Self::Condense => &[],
        }
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Bash => &["command", "security_risk"],
            Self::Editor => &["command", "path", "security_risk"],
            Self::Tasks => &["command"],
            other => other.arguments(),
        }
    }

    /// The schema of one argument.
    fn schema(self, argument: &str) -> Value {
        let text = |words: &str| json!({ "type": "string", "description": words });
        match (self, argument) {
            (Self::Bash, "command") => {
                text("The command; an empty text to wait on; input or a key like `C-c`.")
            }
            (Self::Bash, "is_input") => json!({
                "type": "string",
                "enum": ["true", "false"],
                "description": "Whether `command` is typed into the command that runs. Else it is a new one.",
            }),
            (Self::Bash, "timeout") => json!({
                "type": "number",
                "description": "Seconds to wait for the end, 1 to 86400.",
            }),
            (Self::Python, "code") => text("The code of the cell."),
            (Self::Editor, "command") => json!({
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "undo_edit"],
                "description": "What to do.",
            }),
            (Self::Editor, "path") => text("The absolute path of the file or folder."),
            (Self::Editor, "file_text") => text("For `create`: the whole file."),
            (Self::Editor, "old_str") => text("For `str_replace`: what is replaced."),
            (Self::Editor, "new_str") => text("For `str_replace` and `insert`: the new text."),
            (Self::Editor, "insert_line") => json!({
                "type": "integer",
                "description": "For `insert`: the line behind which the text is put.",
            }),
            (Self::Editor, "view_range") => json!({
                "type": "array",
                "items": { "type": "integer" },
                "description": "For `view` of a file: the first and the last line, from 1.",
            }),
            (Self::Browser, "code") => text("The calls, one a line."),
            (Self::WebRead, "url") => text("The address, with `https://`."),
            (Self::Think, "thought") => text("The thought."),
            (Self::Tasks, "command") => json!({
                "type": "string",
                "enum": ["view", "plan"],
                "description": "Whether to show the list or to set it.",
            }),
            (Self::Tasks, "task_list") => tasks(),
            (Self::Finish, "message") => text("What the user reads."),
            (Self::Delegate, "task") => text("All that the other agent has to know."),
            _ => json!({
                "type": "string",
                "enum": ["LOW", "MEDIUM", "HIGH"],
                "description": words::RISK,
            }),
        }
    }

    fn spec(self) -> ToolSpec {
        let properties =
            self.arguments().iter().map(|name| ((*name).to_owned(), self.schema(name)));
        ToolSpec {
            name: self.name().to_owned(),
            description: self.description().to_owned(),
            parameters: json!({
                "type": "object",
                "properties": properties.collect::<serde_json::Map<_, _>>(),
                "required": self.required(),
            }),
        }
    }

    fn is_offered(self, offer: &Offer) -> bool {
        match self {
            Self::Python => offer.python,
            Self::Browser | Self::WebRead => offer.browser,
            Self::Delegate => offer.delegate,
            _ => true,
        }
    }
}

fn tasks() -> Value {
    json!({
        "type": "array",
        "maxItems": MOST_TASKS,
        "description": "For `plan`: all tasks, in order.",
        "items": {
            "type": "object",
            "properties": {
                "id": { "type": "string", "description": "A short name of it, such as a number." },
                "title": { "type": "string", "description": "What is to be done." },
                "status": { "type": "string", "enum": ["todo", "in_progress", "done"] },
                "notes": { "type": "string", "description": "What else is to be known." },
            },
            "required": ["id", "title", "status"],
        },
    })
}

/// The tools of our own that are offered.
pub(super) fn own(offer: &Offer) -> impl Iterator<Item = Tool> {
    Tool::ALL.into_iter().filter(|tool| tool.is_offered(offer))
}

/// The names of all tools of our own, offered or not.
pub fn own_names() -> impl Iterator<Item = &'static str> {
    Tool::ALL.into_iter().map(Tool::name)
}

/// The tools of MCP servers, by the names under which they are offered. A name that one of ours has gets a prefix,
/// and so does one that is taken when made plain; of two that are called the same the first is offered.
pub(super) fn mcp(offer: &Offer) -> Vec<(String, &McpTool)> {
    let mut taken: BTreeSet<String> = own_names().map(str::to_owned).collect();
    let mut known = BTreeSet::new();
    let mut named = Vec::new();
    for tool in offer.mcp.iter().filter(|tool| known.insert(tool.name.as_str())) {
        let plain = plain(&tool.name);
        let numbered = (2_usize..).map(|number| with_prefix(&format!("mcp{number}_"), &plain));
        let wanted = [plain.clone(), with_prefix("mcp_", &plain)].into_iter().chain(numbered);
        // There are more numbers than tools.
        if let Some(name) = wanted.into_iter().find(|name| !taken.contains(name)) {
            taken.insert(name.clone());
            named.push((name, tool));
        }
    }
    named
}

fn with_prefix(prefix: &str, name: &str) -> String {
    let rest: String = name.chars().take(LONGEST_NAME - prefix.len().min(LONGEST_NAME)).collect();
    format!("{prefix}{rest}")
}

/// A name of the characters that every provider takes.
pub(crate) fn plain(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().map(|c| if is_taken(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        with_prefix("", &name)
    } else {
        with_prefix("mcp_", &name)
    }
}

/// All tools in the order in which they are told.
pub(super) fn all(offer: &Offer) -> Vec<ToolSpec> {
    let foreign = mcp(offer).into_iter().map(|(name, tool)| ToolSpec {
        name,
        description: tool.description.clone(),
        parameters: if tool.schema.is_object() {
            tool.schema.clone()
        } else {
            json!({ "type": "object", "properties": {} })
        },
    });
    own(offer).map(Tool::spec).chain(foreign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(offer: &Offer) -> Vec<String> {
        all(offer).into_iter().map(|spec| spec.name).collect()
    }

    fn mcp_tool(name: &str) -> McpTool {
        McpTool { name: name.to_owned(), description: "d".to_owned(), schema: Value::Null }
    }

    #[test]
    fn only_what_there_is_is_offered() {
        let few = [
            "execute_bash",
            "str_replace_editor",
            "think",
            "task_tracker",
            "request_condensation",
            "finish",
        ];
        assert_eq!(names(&Offer::default()), few);
        let all = Offer { python: true, browser: true, delegate: true, mcp: Vec::new() };
        assert_eq!(names(&all).len(), Tool::ALL.len());
    }

    #[test]
    fn every_schema_names_what_it_requires_and_speaks_of_all_it_has() {
        for tool in Tool::ALL {
            let spec = tool.spec();
            let properties = spec.parameters["properties"].as_object().unwrap();
            assert_eq!(spec.parameters["type"], "object");
            for required in tool.required() {
                assert!(properties.contains_key(*required), "{tool:?} {required}");
            }
            for (name, schema) in properties {
                assert!(schema["description"].is_string(), "{tool:?} {name}");
                assert_eq!(
                    schema["enum"].as_array().is_some_and(|e| e[0] == "LOW"),
                    name == "security_risk"
                );
            }
            assert!(!spec.description.is_empty());
        }
    }

    #[test]
    fn foreign_tools_get_names_that_clash_with_nothing() {
        let mcp = ["fetch", "think", "mcp_think", "a b", "a.b", "fetch", "日", &"x".repeat(90)];
        let offer = Offer { mcp: mcp.map(mcp_tool).to_vec(), ..Offer::default() };
        let named: Vec<(String, &str)> =
            super::mcp(&offer).into_iter().map(|(name, tool)| (name, tool.name.as_str())).collect();
        let long = "x".repeat(90);
        let expected: [(&str, &str); 7] = [
            ("fetch", "fetch"),
            ("mcp_think", "think"),
            ("mcp_mcp_think", "mcp_think"),
            ("a_b", "a b"),
            ("mcp_a_b", "a.b"),
            ("_", "日"),
            (&long[..64], &long),
        ];
        assert_eq!(named, expected.map(|(name, tool)| (name.to_owned(), tool)));
        assert_eq!(all(&offer).last().unwrap().parameters["type"], "object");
    }
}
