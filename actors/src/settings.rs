//! What the actors are told by the configuration, by value.

use std::{collections::BTreeMap, time::Duration};

/// Everything the actors need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This installation's id: the label `staithe.owner`.
    pub owner: String,
    pub sandbox: SandboxSettings,
    pub limits: Limits,
    /// Masked in every event before it is stored.
    pub secrets: Vec<String>,
}

/// How sandboxes are made and used.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Before the session's id in a sandbox's name.
    pub name_prefix: String,
    /// The image when the session asks for none.
    pub image: Option<String>,
    /// Environment of the commands.
    pub env: BTreeMap<String, String>,
    /// Hard limit of an action that names none.
    pub timeout: Duration,
    /// A command that isn't blocking answers after so long without new output.
    pub no_change_timeout: Duration,
    /// Most bytes of output in an observation.
    pub max_output: u64,
    /// From the start of the sandbox to its runner's first word.
    pub start_timeout: Duration,
    /// Between asking a sandbox to end and killing it.
    pub stop_grace: Duration,
    /// Whether sandboxes go on when the server is drained.
    pub keep_alive: bool,
}

/// What is admitted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions that are not stopped, failed or suspended.
    pub max_sessions: usize,
    /// Actions that wait in one session.
    pub max_queued_actions: usize,
}
