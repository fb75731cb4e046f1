//! What each observation holds: its `content`, and its `extras` with the reference's defaults (§5.2).
//!
//! `content` stands beside `extras` on the wire, so serde passes it over here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AgentState, action::RecallType, fields::fields};

/// One piece of recalled knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MicroagentKnowledge {
    pub name: String,
    /// The word that called it up.
    pub trigger: String,
    pub content: String,
}

fields! {
    /// What a command printed and how it ended.
    RunObservation {
        #[serde(skip)]
        content: String = String::new(),
        command: String,
        /// The process, where it is known; else −1.
        command_id: i64 = -1,
        /// −1 while the command goes on.
        exit_code: i64 = 0,
        hidden: bool = false,
        interpreter_details: String = String::new(),
        /// The same in the later form, with more.
        metadata: RunMetadata = RunMetadata { exit_code: 0, ..RunMetadata::default() },
        /// Bytes that the command printed in all; `content` may be a part of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64> = None,
        /// Lines of input that the command had not read when it ended, at least; absent: none that is known of.
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_lines: Option<u64> = None,
    }

    /// The shell after a command.
    RunMetadata {
        exit_code: i64 = -1,
        pid: i64 = -1,
        username: Option<String> = None,
        hostname: Option<String> = None,
        working_dir: Option<String> = None,
        py_interpreter_path: Option<String> = None,
        /// Stands before `content` for the agent.
        prefix: String = String::new(),
        /// Stands after `content` for the agent.
        suffix: String = String::new(),
    }

    /// What a cell printed.
    RunIpythonObservation {
        #[serde(skip)]
        content: String = String::new(),
        code: String,
        image_urls: Option<Vec<String>> = None,
        /// Bytes of text that the cell printed in all; `content` may be a part of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64> = None,
    }

    /// A page, as text in `content` and as the browser sees it.
    BrowseObservation {
        #[serde(skip)]
        content: String = String::new(),
        url: String,
        trigger_by_action: String = String::new(),
        /// A PNG, in base64.
        screenshot: String = String::new(),
        screenshot_path: Option<String> = None,
        set_of_marks: String = String::new(),
        error: bool = false,
        goal_image_urls: Vec<String> = Vec::new(),
        open_pages_urls: Vec<String> = Vec::new(),
        active_page_index: i64 = -1,
        dom_object: Map<String, Value> = Map::new(),
        axtree_object: Map<String, Value> = Map::new(),
        extra_element_properties: Map<String, Value> = Map::new(),
        last_browser_action: String = String::new(),
        last_browser_action_error: String = String::new(),
        focused_element_bid: String = String::new(),
    }

    /// The lines of a file.
    ReadObservation {
        #[serde(skip)]
        content: String = String::new(),
        path: String,
        impl_source: String = "default".to_owned(),
    }

    /// A file was written.
    WriteObservation {
        #[serde(skip)]
        content: String = String::new(),
        path: String,
    }

    /// A file was changed; `content` is the difference, or what the agent is shown.
    EditObservation {
        #[serde(skip)]
        content: String = String::new(),
        path: String,
        prev_exist: bool = false,
        old_content: Option<String> = None,
        new_content: Option<String> = None,
        impl_source: String = "llm_based_edit".to_owned(),
        formatted_output_and_error: String = String::new(),
        diff: Option<String> = None,
    }

    /// What another agent brought back.
    DelegateObservation {
        #[serde(skip)]
        content: String = String::new(),
        outputs: Map<String, Value>,
    }

    /// Something went wrong; the agent may try otherwise.
    ErrorObservation {
        #[serde(skip)]
        content: String = String::new(),
        error_id: String = String::new(),
    }

    /// The agent is in another state.
    AgentStateChanged {
        agent_state: AgentState,
        reason: String = String::new(),
    }

    /// What was recalled.
    RecallObservation {
        #[serde(skip)]
        content: String = String::new(),
        recall_type: RecallType,
        repo_name: String = String::new(),
        repo_directory: String = String::new(),
        repo_branch: String = String::new(),
        repo_instructions: String = String::new(),
        runtime_hosts: Map<String, Value> = Map::new(),
        additional_agent_instructions: String = String::new(),
        date: String = String::new(),
        custom_secrets_descriptions: Map<String, Value> = Map::new(),
        conversation_instructions: String = String::new(),
        working_dir: String = String::new(),
        microagent_knowledge: Vec<MicroagentKnowledge> = Vec::new(),
    }

    /// A tool's answer.
    McpObservation {
        #[serde(skip)]
        content: String = String::new(),
        name: String = String::new(),
        arguments: Map<String, Value> = Map::new(),
    }

    /// A file came from the browser.
    DownloadObservation {
        #[serde(skip)]
        content: String = String::new(),
        file_path: String,
    }

    /// A repository that a session begins with. Staithe's own.
    RepositoryObservation {
        #[serde(skip)]
        content: String = String::new(),
        url: String,
        branch: Option<String> = None,
        /// `cloning`, `cloned`, `kept` (it was there already) or `failed` (the session goes on without).
        state: String = "cloning".to_owned(),
        /// Its folder in the workspace.
        folder: String = String::new(),
        /// What is checked out.
        commit: String = String::new(),
        /// For `failed`: stable, listed in `docs/errors.md`.
        code: String = String::new(),
    }

    /// The agent's list of tasks.
    TaskTrackingObservation {
        #[serde(skip)]
        content: String = String::new(),
        command: String,
        task_list: Vec<Value>,
    }
}
