//! Actions: what the agent, the user or the server wants done (§5.1).

mod args;
mod client;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::{Map, Value};

pub use self::{
    args::{
        AddTask, Browse, BrowseInteractive, CallToolMcp, ChangeAgentState, Condensation,
        ConfirmationScope, ConfirmationStatus, Delegate, Edit, Finish, LoopRecovery, Message,
        ModifyTask, Read, Recall, RecallType, Reject, Run, RunIpython, System, TaskTracking, Think,
        Write,
    },
    client::{ActionRejected, ClientAction},
};
use crate::fields::{Field, Fields, decode};

macro_rules! actions {
    ($( $(#[$meta:meta])* $variant:ident = $name:literal ),* $(,)?) => {
        /// An action. On the wire `{"action":…,"args":{…}}`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Action {
            /// None; stands where an observation has no action.
            Null,
            /// The agent's history is to be condensed.
            CondensationRequest,
            $( $(#[$meta])* $variant($variant), )*
        }

        impl Action {
            /// Every name on the wire.
            pub const NAMES: &'static [&'static str] =
                &["null", "condensation_request", $($name),*];

            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    Self::Null => "null",
                    Self::CondensationRequest => "condensation_request",
                    $( Self::$variant(_) => $name, )*
                }
            }

            /// The fields of the action so named; none if there is no such action.
            fn fields(name: &str) -> Option<&'static [Field]> {
                Some(match name {
                    "null" | "condensation_request" => &[],
                    $( $name => $variant::FIELDS, )*
                    _ => return None,
                })
            }

            /// Reads `args` in the spelling of today; see [`upgraded`].
            fn from_args(name: &str, args: &Map<String, Value>) -> Result<Self, String> {
                Ok(match name {
                    "null" => Self::Null,
                    "condensation_request" => Self::CondensationRequest,
                    $( $name => Self::$variant(decode(args)?), )*
                    _ => return Err(format!("unknown action `{}`", crate::fields::short(name))),
                })
            }

            #[cfg(feature = "schema")]
            fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<schemars::Schema> {
                let nothing = schemars::json_schema!({ "type": "object" });
                let variants = [
                    ("null", nothing.clone()),
                    ("condensation_request", nothing),
                    $( ($name, crate::fields::schema_of::<$variant>(generator)), )*
                ];
                variants
                    .into_iter()
                    .map(|(name, args)| schemars::json_schema!({
                        "type": "object",
                        "properties": { "action": { "const": name }, "args": args },
                        "required": ["action", "args"],
                    }))
                    .collect()
            }
        }

        impl Serialize for Args<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    Action::Null | Action::CondensationRequest => {
                        serializer.serialize_map(Some(0))?.end()
                    }
                    $( Action::$variant(args) => args.serialize(serializer), )*
                }
            }
        }
    };
}

actions! {
    /// Words to the agent or to the user.
    Message = "message",
    /// The agent is to be in another state.
    ChangeAgentState = "change_agent_state",
    /// A command for the shell.
    Run = "run",
    /// Python for the notebook's kernel.
    RunIpython = "run_ipython",
    /// The content of a file.
    Read = "read",
    /// Lines of a file, or the whole of it, are replaced.
    Write = "write",
    /// A change to a file.
    Edit = "edit",
    /// A page is to be opened.
    Browse = "browse",
    /// The browser is to be operated.
    BrowseInteractive = "browse_interactive",
    /// Another agent gets a task.
    Delegate = "delegate",
    /// The agent has finished.
    Finish = "finish",
    /// The agent refuses the task.
    Reject = "reject",
    /// A new task.
    AddTask = "add_task",
    /// A task gets another state.
    ModifyTask = "modify_task",
    /// The agent notes a thought.
    Think = "think",
    /// Knowledge is looked up.
    Recall = "recall",
    /// Events leave the agent's view.
    Condensation = "condensation",
    /// The agent's system prompt and tools.
    System = "system",
    /// A tool of an MCP server is called.
    CallToolMcp = "call_tool_mcp",
    /// The agent's list of tasks is shown or set.
    TaskTracking = "task_tracking",
    /// The way out of a loop that the user chose.
    LoopRecovery = "loop_recovery",
}

impl Action {
    /// What the event log shows for it.
    pub fn message(&self) -> String {
        match self {
            Self::Null => "No action".to_owned(),
            Self::Message(Message { content, .. }) | Self::System(System { content, .. }) => {
                content.clone()
            }
            Self::ChangeAgentState(a) => {
                format!("Agent state changed to {}", a.agent_state.as_str())
            }
            Self::Run(a) => format!("Running command: {}", a.command),
            Self::RunIpython(a) => format!("Running Python code interactively: {}", a.code),
            Self::Read(a) => format!("Reading file: {}", a.path),
            Self::Write(a) => format!("Writing file: {}", a.path),
            Self::Edit(_) | Self::LoopRecovery(_) => String::new(),
            Self::Browse(a) => format!("I am browsing the URL: {}", a.url),
            Self::BrowseInteractive(a) => {
                format!("I am interacting with the browser:\n```\n{}\n```", a.browser_actions)
            }
            Self::Delegate(a) => format!("I'm asking {} for help with this task.", a.agent),
            Self::Finish(a) if a.thought.is_empty() => {
                "All done! What's next on the agenda?".to_owned()
            }
            Self::Finish(a) => a.thought.clone(),
            Self::Reject(a) => rejection(&a.outputs),
            Self::AddTask(a) => format!("Added task: {}", a.goal),
            Self::ModifyTask(a) => format!("Set task {} to {}", a.task_id, a.state),
            Self::Think(a) => format!("I am thinking...: {}", a.thought),
            Self::Recall(a) => {
                format!("Retrieving content for: {}", a.query.chars().take(50).collect::<String>())
            }
            Self::Condensation(a) => condensation(a),
            Self::CondensationRequest => {
                "Requesting a condensation of the conversation history.".to_owned()
            }
            Self::CallToolMcp(a) => format!(
                "I am interacting with the MCP server with name:\n```\n{}\n```\nand arguments:\n```\n{}\n```",
                a.name,
                Value::Object(a.arguments.clone())
            ),
            Self::TaskTracking(a) => match a.task_list.len() {
                0 => "Clearing the task list.".to_owned(),
                1 => "Managing 1 task item.".to_owned(),
                n => format!("Managing {n} task items."),
            },
        }
    }

    /// Whether it goes to the sandbox.
    pub fn is_runnable(&self) -> bool {
        matches!(
            self,
            Self::Run(_)
                | Self::RunIpython(_)
                | Self::Read(_)
                | Self::Write(_)
                | Self::Edit(_)
                | Self::Browse(_)
                | Self::BrowseInteractive(_)
                | Self::CallToolMcp(_)
        )
    }

    /// Its `args` alone: an event has other keys between `action` and `args`.
    pub(crate) fn args(&self) -> Args<'_> {
        Args(self)
    }

    /// Reads what was stored or sent by our own: old spellings count, unknown fields are passed over.
    pub(crate) fn read(name: &str, args: &Map<String, Value>) -> Result<Self, String> {
        Self::from_args(name, &upgraded(name, args))
            .map_err(|reason| format!("action `{}`: {reason}", crate::fields::short(name)))
    }
}

fn rejection(outputs: &Map<String, Value>) -> String {
    let reason = match outputs.get("reason") {
        None => return "Task is rejected by the agent.".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    format!("Task is rejected by the agent. Reason: {reason}")
}

fn condensation(a: &Condensation) -> String {
    if let Some(summary) = a.summary.as_ref().filter(|s| !s.is_empty()) {
        return format!("Summary: {summary}");
    }
    let forgotten = match (&a.forgotten_event_ids, a.forgotten_events_start_id) {
        (Some(ids), _) => format!("{ids:?}"),
        (None, Some(first)) => {
            format!("{first} to {}", a.forgotten_events_end_id.unwrap_or(first))
        }
        (None, None) => "[]".to_owned(),
    };
    format!("Condenser is dropping the events: {forgotten}.")
}

/// `args` in the spelling of today (§4.3). Copied only where something changes: a file's content
/// may be large.
fn upgraded<'a>(name: &str, args: &'a Map<String, Value>) -> Cow<'a, Map<String, Value>> {
    const RENAMED: [(&str, &str); 2] =
        [("is_confirmed", "confirmation_state"), ("images_urls", "image_urls")];
    // `timestamp` belongs to the event, which has taken it; `task_completed` means nothing now.
    const DROPPED: [&str; 2] = ["timestamp", "task_completed"];

    let by_command = name == "edit"
        && !args.contains_key("impl_source")
        && args.get("command").and_then(Value::as_str).is_some_and(|command| !command.is_empty());
    let old = RENAMED.iter().map(|(old, _)| old).chain(&DROPPED).any(|key| args.contains_key(*key));
    if !by_command && !old {
        return Cow::Borrowed(args);
    }
    let mut args = args.clone();
    for (old, new) in RENAMED {
        if let Some(value) = args.remove(old) {
            args.entry(new).or_insert(value);
        }
    }
    for key in DROPPED {
        args.remove(key);
    }
    if by_command {
        args.insert("impl_source".to_owned(), "oh_aci".into());
    }
    Cow::Owned(args)
}

/// The `args` of an action.
pub(crate) struct Args<'a>(&'a Action);

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("action", self.name())?;
        map.serialize_entry("args", &self.args())?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            action: String,
            #[serde(default)]
            args: Map<String, Value>,
        }
        let wire = Wire::deserialize(deserializer)?;
        Self::read(&wire.action, &wire.args).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Action {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let variants = Self::schemas(generator);
        schemars::json_schema!({
            "description": "An action: what the agent, the user or the server wants done.",
            "oneOf": variants,
        })
    }
}
