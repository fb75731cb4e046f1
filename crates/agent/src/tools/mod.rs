//! The tools that a model is offered, its calls of them, and how their results are told to it.
//!
//! | file | what |
//! |---|---|
//! | `words` | what is said of each tool |
//! | `specs` | the tools with their schemas, by what there is |
//! | `arguments` | a call's arguments, one by one |
//! | `call` | a call as an action |
//! | `cut` | a call that was cut |
//! | `result` | an observation as text |
//! | `pictures` | pictures taken out of text |

mod arguments;
mod call;
mod cut;
mod pictures;
mod result;
mod specs;
mod words;

use serde_json::Value;
use staithe_protocol::{
    Action,
    plugin::{PluginPhase, PluginState},
};

pub use self::{
    call::read_call,
    cut::mark_cut,
    result::{ToolText, clip, result_of},
    specs::own_names,
};
pub(crate) use self::{result::recall_text, specs::plain};
use crate::model::ToolSpec;

/// What there is to be offered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// The plugin `jupyter` can be had.
    pub python: bool,
    /// The plugin `browser` can be had.
    pub browser: bool,
    /// Other agents may be started.
    pub delegate: bool,
    /// Tools of MCP servers, in order.
    pub mcp: Vec<McpTool>,
}

/// A tool of an MCP server.
#[derive(Clone, Debug, PartialEq)]
pub struct McpTool {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub schema: Value,
}

/// A call that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// Its `thought` is empty, but for `think`.
    pub action: Action,
    /// Seconds, where the model asked for a limit.
    pub timeout: Option<u64>,
    /// What the model says of the risk: 0 low, 1 medium, 2 high. Also in the action, where it has a place for it.
    pub risk: Option<i64>,
}

/// A call that was not understood, in words for the model. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    #[error("There is no tool `{name}`.{} The tools are: {}.", nearest_words(.nearest.as_deref()), .names.join(", "))]
    UnknownTool { name: String, nearest: Option<String>, names: Vec<String> },
    #[error(
        "The arguments of `{tool}` are not a JSON object ({why}). Nothing was done; call it again with valid JSON."
    )]
    NotJson { tool: String, why: String },
    #[error(
        "Your answer was cut at its limit of tokens within this call of `{tool}`. Nothing was done. Say less in one \
         answer: think less, and write what is long in several calls (a file by `create` and then `insert`)."
    )]
    Cut { tool: String },
    #[error("`{tool}` needs the argument `{argument}`{}. Nothing was done.", when_words(.when.as_deref()))]
    Missing { tool: String, argument: String, when: Option<String> },
    #[error("`{tool}` has no argument `{argument}`. Its arguments are: {}. Nothing was done.", .known.join(", "))]
    UnknownArgument { tool: String, argument: String, known: Vec<String> },
    #[error("The argument `{argument}` of `{tool}` must be {wanted}. Nothing was done.")]
    Wrong { tool: String, argument: String, wanted: String },
}

fn nearest_words(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default()
}

fn when_words(when: Option<&str>) -> String {
    when.map(|when| format!(" {when}")).unwrap_or_default()
}

impl Misread {
    /// The `error_id` of the observation that tells it.
    pub const ERROR_ID: &'static str = "AGENT_ERROR$BAD_TOOL_CALL";
}

impl Offer {
    /// Takes notice of a plugin's state. One that failed is not offered; one that is stopped begins when it is used.
    pub fn plugin_changed(&mut self, plugin: &PluginState) {
        let can_be_had = plugin.state != PluginPhase::Failed;
        match plugin.name.as_str() {
            "jupyter" => self.python = can_be_had,
            "browser" => self.browser = can_be_had,
            _ => {}
        }
    }

    /// The tools in the order in which they are told.
    pub fn specs(&self) -> Vec<ToolSpec> {
        specs::all(self)
    }
}
