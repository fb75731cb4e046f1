//! The `args` of each action, with the reference's defaults (§5.1).
//!
//! Fields of later versions stand beside those of 0.16.1 and are kept, so that an action passes
//! through unchanged whichever version wrote it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AgentState, EventId, fields::fields};

/// Whether the user has agreed to an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationStatus {
    #[default]
    Confirmed,
    Rejected,
    AwaitingConfirmation,
}

/// How far a person's agreement goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationScope {
    /// For this action.
    #[default]
    Once,
    /// For all that is like it: the same tool, and of commands the same programs or rules of risk.
    Kind,
}

/// Beside `confirmation_state` where older versions had none: what needs no word is not written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_confirmed(state: &ConfirmationStatus) -> bool {
    *state == ConfirmationStatus::Confirmed
}

/// What is recalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecallType {
    #[default]
    WorkspaceContext,
    Knowledge,
}

fields! {
    /// Words to the agent or to the user.
    Message {
        content: String,
        image_urls: Option<Vec<String>> = None,
        file_urls: Option<Vec<String>> = None,
        wait_for_response: bool = false,
        /// −1 unknown, 0 low, 1 medium, 2 high; on every action that has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// The agent is to be in another state.
    ChangeAgentState {
        agent_state: AgentState,
        /// With `user_rejected`: why, for the agent.
        thought: String = String::new(),
        /// With `user_confirmed`: whether all of this kind is agreed to, for the rest of the session.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<ConfirmationScope> = None,
        /// With `user_confirmed` and `user_rejected`: the id of the action that the person was shown. If another is
        /// asked about by now, the decision is refused. Absent: whichever is asked about.
        #[serde(skip_serializing_if = "Option::is_none")]
        action_id: Option<EventId> = None,
        /// With `user_confirmed`: arguments that take the place of the action's own before it is carried out, by name:
        /// what it does (`command`, `code`, `path`, `content`, `file_text`, `old_str`, `new_str`, `insert_line`, `url`,
        /// `browser_actions`, `arguments`, `inputs`), as far as the action has it. Not beside `scope` `kind`.
        #[serde(skip_serializing_if = "Option::is_none")]
        edited: Option<Map<String, Value>> = None,
    }

    /// A command for the shell.
    Run {
        command: String,
        thought: String = String::new(),
        /// Waits for the end up to the hard limit, however long nothing is printed.
        blocking: bool = false,
        keep_prompt: bool = true,
        hidden: bool = false,
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        /// `command` is input for what runs in the foreground.
        is_input: bool = false,
        /// Runs in a shell of its own.
        is_static: bool = false,
        /// Where an `is_static` command runs.
        cwd: Option<String> = None,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// Python for the notebook's kernel.
    RunIpython {
        code: String,
        thought: String = String::new(),
        include_extra: bool = true,
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        kernel_init_code: String = String::new(),
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// The content of a file.
    Read {
        path: String,
        /// First line, 0-based.
        start: i64 = 0,
        /// Line after the last one; −1 is the file's end.
        end: i64 = -1,
        thought: String = String::new(),
        impl_source: String = "default".to_owned(),
        translated_ipython_code: String = String::new(),
        /// First and last line, 1-based; for `impl_source` `oh_aci`.
        view_range: Option<[i64; 2]> = None,
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// Lines of a file, or the whole of it, are replaced.
    Write {
        path: String,
        content: String,
        /// First line replaced, 0-based.
        start: i64 = 0,
        /// Line after the last one replaced; −1 is the file's end.
        end: i64 = -1,
        thought: String = String::new(),
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// A change to a file: lines `start` to `end`, or one of the editor's commands.
    Edit {
        path: String,
        content: String = String::new(),
        /// First line replaced, 1-based.
        start: i64 = 1,
        /// Last line replaced; −1 is the file's end.
        end: i64 = -1,
        thought: String = String::new(),
        /// `llm_based_edit` by lines, `oh_aci` by command. Taken from `command` where it is absent.
        impl_source: String = "llm_based_edit".to_owned(),
        translated_ipython_code: String = String::new(),
        /// `view`, `create`, `str_replace`, `insert`, `undo_edit`.
        command: String = String::new(),
        file_text: Option<String> = None,
        old_str: Option<String> = None,
        new_str: Option<String> = None,
        insert_line: Option<i64> = None,
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// A page is to be opened.
    Browse {
        url: String,
        thought: String = String::new(),
        return_axtree: bool = false,
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// The browser is to be operated.
    BrowseInteractive {
        browser_actions: String,
        thought: String = String::new(),
        browsergym_send_msg_to_user: String = String::new(),
        return_axtree: bool = false,
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// Another agent gets a task.
    Delegate {
        agent: String,
        inputs: Map<String, Value>,
        thought: String = String::new(),
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
    }

    /// The agent has finished.
    Finish {
        final_thought: String = String::new(),
        outputs: Map<String, Value> = Map::new(),
        thought: String = String::new(),
    }

    /// The agent refuses the task.
    Reject {
        outputs: Map<String, Value> = Map::new(),
        thought: String = String::new(),
    }

    /// A task below `parent`.
    AddTask {
        /// A dotted index; empty for the root.
        parent: String,
        goal: String,
        subtasks: Vec<Value> = Vec::new(),
        thought: String = String::new(),
    }

    /// A task gets another state.
    ModifyTask {
        task_id: String,
        /// `open`, `completed`, `abandoned`, `in_progress`, `verified`.
        state: String,
        thought: String = String::new(),
    }

    /// The agent notes a thought.
    Think {
        thought: String = String::new(),
    }

    /// Knowledge is looked up.
    Recall {
        recall_type: RecallType,
        query: String = String::new(),
        thought: String = String::new(),
    }

    /// Events leave the agent's view: a list of ids or a range, and a summary in their place.
    Condensation {
        forgotten_event_ids: Option<Vec<i64>> = None,
        forgotten_events_start_id: Option<i64> = None,
        forgotten_events_end_id: Option<i64> = None,
        summary: Option<String> = None,
        summary_offset: Option<i64> = None,
    }

    /// The agent's system prompt and tools.
    System {
        content: String,
        tools: Option<Vec<Value>> = None,
        openhands_version: Option<String> = None,
        agent_class: Option<String> = None,
    }

    /// A tool of an MCP server is called.
    CallToolMcp {
        name: String,
        arguments: Map<String, Value> = Map::new(),
        thought: String = String::new(),
        #[serde(skip_serializing_if = "is_confirmed")]
        confirmation_state: ConfirmationStatus = ConfirmationStatus::Confirmed,
        #[serde(skip_serializing_if = "Option::is_none")]
        security_risk: Option<i64> = None,
    }

    /// The agent's list of tasks is shown or set.
    TaskTracking {
        /// `view` or `plan`.
        command: String = "view".to_owned(),
        task_list: Vec<Value> = Vec::new(),
        thought: String = String::new(),
    }

    /// The way out of a loop that the user chose.
    LoopRecovery {
        option: i64 = 1,
    }
}
