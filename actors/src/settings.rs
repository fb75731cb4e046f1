//! What the actors are told by the configuration, by value.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use staithe_agent::{mcp::settings::McpSettings, settings::AgentSettings};
use staithe_protocol::{runner::Credential, services::Services};

use crate::{
    agent_session::chosen::Chosen, models::Models, record::SessionRecord, secrets::Secrets,
};

/// Everything the actors need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This installation's id: the label `staithe.owner`.
    pub owner: String,
    pub sandbox: SandboxSettings,
    pub limits: Limits,
    /// Masked in every event before it is stored.
    pub secrets: Secrets,
    /// How agents work where nobody chose otherwise.
    pub agent: AgentSettings,
    /// The models that there are.
    pub models: Arc<dyn Models>,
    pub git: GitSettings,
    /// Servers whose tools every session's agent has.
    pub mcp: McpSettings,
}

impl Settings {
    /// What a session's agent works with, as it is now.
    pub fn chosen(&self, record: &SessionRecord) -> Chosen {
        Chosen::of(self, &record.agent, &record.owner)
    }
}

/// How repositories are fetched.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// How long a clone may take.
    pub clone_timeout: Duration,
    /// By host in lower case, with the port where it is not the scheme's own.
    pub credentials: BTreeMap<String, Credential>,
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
    /// A found sandbox that was made with other settings is made anew.
    pub recreate_on_changed_settings: bool,
    /// A session that nobody uses for so long is put to sleep; none: never.
    pub idle_after: Option<Duration>,
    /// How it is put to sleep.
    pub suspend_by: SuspendBy,
    /// A sandbox that runs for so long is stopped; none: no limit.
    pub max_age: Option<Duration>,
    /// Whether a stopped session keeps its sandbox.
    pub keep_after_exit: bool,
    /// Between two reconcile passes.
    pub reconcile_every: Duration,
    /// Sandboxes that are started ahead.
    pub pool: Vec<PoolSize>,
    /// What runners serve beside commands.
    pub services: Services,
}

/// How an idle sandbox is put to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspendBy {
    Stop,
    Pause,
    None,
}

/// So many sandboxes of an image are kept started and unclaimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSize {
    pub image: String,
    pub size: usize,
}

/// What is admitted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions that are not stopped, failed or suspended.
    pub max_sessions: usize,
    /// The same, of one owner.
    pub max_sessions_per_user: usize,
    /// Sandboxes that may be starting at a time.
    pub max_starting: usize,
    /// Starts beyond `max_sessions` wait instead of being denied.
    pub queue: bool,
    /// Starts that may wait.
    pub max_waiting: usize,
    /// Actions that wait in one session.
    pub max_queued_actions: usize,
    /// Images that are built at a time.
    pub max_builds: usize,
}

impl Limits {
    /// Builds at a time, where nothing else is said: each of them keeps a disk and a line busy.
    pub const MAX_BUILDS: usize = 2;
}
