//! Observations: what came of an action, or happened by itself (§5.2).

mod extras;
mod words;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::{Map, Value};

pub use self::extras::{
    AgentStateChanged, BrowseObservation, DelegateObservation, DownloadObservation,
    EditObservation, ErrorObservation, McpObservation, MicroagentKnowledge, ReadObservation,
    RecallObservation, RepositoryObservation, RunIpythonObservation, RunMetadata, RunObservation,
    TaskTrackingObservation, WriteObservation,
};
use crate::{
    Phase, PhaseView, StartStep,
    action::RecallType,
    fields::{decode, short},
    plugin::PluginState,
    port::Ports,
    retry::ModelRetry,
};

/// Extras of Staithe's own, which have no older form.
fn read<T: serde::de::DeserializeOwned>(extras: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(extras).map_err(|error| short(&error.to_string()))
}

macro_rules! observations {
    (
        plain { $( $(#[$plain_meta:meta])* $plain:ident = $plain_name:literal ),* $(,)? }
        held { $( $(#[$meta:meta])* $variant:ident($type:ident) = $name:literal ),* $(,)? }
    ) => {
        /// An observation. On the wire `{"observation":…,"content":…,"extras":{…}}`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Observation {
            $( $(#[$plain_meta])* $plain { content: String }, )*
            $( $(#[$meta])* $variant($type), )*
            /// The agent is in another state. Its content is empty.
            AgentStateChanged(AgentStateChanged),
            /// The session is in another phase. Staithe's own; its content is made of the phase.
            PhaseChanged(PhaseView),
            /// A plugin is in another state. Staithe's own.
            PluginChanged(PluginState),
            /// Other ports are listened on in the sandbox. Staithe's own.
            PortsChanged(Ports),
            /// The model did not answer and is asked again. Staithe's own.
            ModelRetry(ModelRetry),
        }

        impl Observation {
            /// Every name on the wire.
            pub const NAMES: &'static [&'static str] =
                &[$($plain_name,)* $($name,)* "agent_state_changed", "phase_changed", "plugin_changed", "ports_changed", "model_retry"];

            /// Its name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$plain { .. } => $plain_name, )*
                    $( Self::$variant(_) => $name, )*
                    Self::AgentStateChanged(_) => "agent_state_changed",
                    Self::PhaseChanged(_) => "phase_changed",
                    Self::PluginChanged(_) => "plugin_changed",
                    Self::PortsChanged(_) => "ports_changed",
                    Self::ModelRetry(_) => "model_retry",
                }
            }

            /// What it says, as text.
            pub fn content(&self) -> Cow<'_, str> {
                match self {
                    $( Self::$plain { content } => content.into(), )*
                    $( Self::$variant(held) => held.content.as_str().into(), )*
                    Self::AgentStateChanged(_) => "".into(),
                    Self::PhaseChanged(view) => sentence(view).into(),
                    Self::PluginChanged(plugin) => words::plugin(plugin).into(),
                    Self::PortsChanged(Ports { ports }) => words::ports(ports).into(),
                    Self::ModelRetry(retry) => words::retry(retry).into(),
                }
            }

            /// `extras` are in the form of today; see [`folded`].
            fn from_parts(
                name: &str,
                content: String,
                extras: &Map<String, Value>,
            ) -> Result<Self, String> {
                Ok(match name {
                    $( $plain_name => Self::$plain { content }, )*
                    $( $name => Self::$variant($type { content, ..decode(extras)? }), )*
                    "agent_state_changed" => Self::AgentStateChanged(decode(extras)?),
                    "phase_changed" => Self::PhaseChanged(read(extras)?),
                    "plugin_changed" => Self::PluginChanged(read(extras)?),
                    "ports_changed" => Self::PortsChanged(read(extras)?),
                    "model_retry" => Self::ModelRetry(read(extras)?),
                    _ => return Err(format!("unknown observation `{}`", short(name))),
                })
            }

            #[cfg(feature = "schema")]
            fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![
                    $( ($plain_name, schemars::json_schema!({ "type": "object" })), )*
                    $( ($name, crate::fields::schema_of::<$type>(generator)), )*
                    (
                        "agent_state_changed",
                        crate::fields::schema_of::<AgentStateChanged>(generator),
                    ),
                    ("phase_changed", generator.subschema_for::<PhaseView>()),
                    ("plugin_changed", generator.subschema_for::<PluginState>()),
                    ("ports_changed", generator.subschema_for::<Ports>()),
                    ("model_retry", generator.subschema_for::<ModelRetry>()),
                ]
            }
        }

        impl Serialize for Extras<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $( Observation::$plain { .. } )|* => serializer.serialize_map(Some(0))?.end(),
                    $( Observation::$variant(held) => held.serialize(serializer), )*
                    Observation::AgentStateChanged(held) => held.serialize(serializer),
                    Observation::PhaseChanged(view) => view.serialize(serializer),
                    Observation::PluginChanged(plugin) => plugin.serialize(serializer),
                    Observation::PortsChanged(ports) => ports.serialize(serializer),
                    Observation::ModelRetry(retry) => retry.serialize(serializer),
                }
            }
        }
    };
}

observations! {
    plain {
        /// Nothing; stands where an action has no observation.
        Null = "null",
        /// It went well.
        Success = "success",
        /// The user did not agree to the action.
        UserRejected = "user_rejected",
        /// A thought was noted.
        Think = "think",
        /// The history was condensed.
        Condense = "condense",
        /// The agent runs in a loop.
        LoopDetection = "loop_detection",
    }
    held {
        /// What a command printed and how it ended.
        Run(RunObservation) = "run",
        /// What a cell printed.
        RunIpython(RunIpythonObservation) = "run_ipython",
        /// A page.
        Browse(BrowseObservation) = "browse",
        /// The lines of a file.
        Read(ReadObservation) = "read",
        /// A file was written.
        Write(WriteObservation) = "write",
        /// A file was changed.
        Edit(EditObservation) = "edit",
        /// What another agent brought back.
        Delegate(DelegateObservation) = "delegate",
        /// Something went wrong.
        Error(ErrorObservation) = "error",
        /// What was recalled.
        Recall(RecallObservation) = "recall",
        /// A tool's answer.
        Mcp(McpObservation) = "mcp",
        /// A file came from the browser.
        Download(DownloadObservation) = "download",
        /// A repository is being cloned, or was. Staithe's own.
        Repository(RepositoryObservation) = "repository",
        /// The agent's list of tasks.
        TaskTracking(TaskTrackingObservation) = "task_tracking",
    }
}

impl Observation {
    /// An error. `error_id` is empty or one of the reference's (§5.3).
    pub fn error(content: impl Into<String>, error_id: impl Into<String>) -> Self {
        Self::Error(ErrorObservation { content: content.into(), error_id: error_id.into() })
    }

    /// What the event log shows for it.
    pub fn message(&self) -> String {
        match self {
            Self::Null { .. } => "No observation".to_owned(),
            Self::Run(o) => {
                format!("Command `{}` executed with exit code {}.", o.command, o.exit_code)
            }
            Self::RunIpython(_) => "Code executed in IPython cell.".to_owned(),
            Self::Browse(o) => format!("Visited {}", o.url),
            Self::Read(o) => format!("I read the file {}.", o.path),
            Self::Write(o) => format!("I wrote to the file {}.", o.path),
            Self::Edit(o) => format!("I edited the file {}.", o.path),
            Self::Delegate(_) | Self::AgentStateChanged(_) => String::new(),
            Self::Recall(o) => match o.recall_type {
                RecallType::WorkspaceContext => "Added workspace context".to_owned(),
                RecallType::Knowledge => "Added microagent knowledge".to_owned(),
            },
            Self::Download(o) => format!("Downloaded the file at location: {}", o.file_path),
            Self::Success { .. }
            | Self::UserRejected { .. }
            | Self::Think { .. }
            | Self::Condense { .. }
            | Self::LoopDetection { .. }
            | Self::Error(_)
            | Self::Mcp(_)
            | Self::Repository(_)
            | Self::TaskTracking(_)
            | Self::PhaseChanged(_)
            | Self::PluginChanged(_)
            | Self::PortsChanged(_)
            | Self::ModelRetry(_) => self.content().into_owned(),
        }
    }

    /// Whether it went well, for those that tell.
    pub fn success(&self) -> Option<bool> {
        match self {
            Self::Run(o) => Some(o.exit_code == 0),
            Self::RunIpython(_) => Some(true),
            _ => None,
        }
    }

    /// Its `extras` alone: an event has other keys between `observation` and `extras`.
    pub(crate) fn extras(&self) -> Extras<'_> {
        Extras(self)
    }

    /// Reads what was stored or sent by our own, in the form of any version.
    pub(crate) fn read(
        name: &str,
        content: String,
        extras: &Map<String, Value>,
    ) -> Result<Self, String> {
        let extras = if name == "run" { folded(extras) } else { Cow::Borrowed(extras) };
        Self::from_parts(name, content, &extras)
            .map_err(|reason| format!("observation `{}`: {reason}", short(name)))
    }
}

/// A phase in a sentence.
fn sentence(view: &PhaseView) -> String {
    let words = match (view.phase, view.step) {
        (Phase::Starting, None) => "The session is starting.",
        (Phase::Starting, Some(StartStep::Queue)) => match view.position {
            Some(place) => return format!("Waiting for a place: number {place} in the queue."),
            None => "Waiting for a place.",
        },
        (Phase::Starting, Some(StartStep::Find)) => "Looking for the sandbox.",
        (Phase::Starting, Some(StartStep::Image)) => "Fetching the image.",
        (Phase::Starting, Some(StartStep::Build)) => "Building the image.",
        (Phase::Starting, Some(StartStep::Create)) => "Making a sandbox.",
        (Phase::Starting, Some(StartStep::Start)) => "Starting the sandbox.",
        (Phase::Starting, Some(StartStep::Wake)) => "Waking the sandbox.",
        (Phase::Starting, Some(StartStep::Connect)) => "Connecting to the sandbox.",
        (Phase::Starting, Some(StartStep::Init)) => "Setting the sandbox up.",
        (Phase::Ready, _) => "The session is ready.",
        (Phase::Suspended, _) => "The session is suspended.",
        (Phase::Stopping, _) => "The session is stopping.",
        (Phase::Stopped, _) => "The session has stopped.",
        (Phase::Failed, _) => match &view.fault {
            Some(fault) => return format!("The session has failed: {}", fault.cause),
            None => "The session has failed.",
        },
    };
    words.to_owned()
}

/// A run's `extras` with both forms of the exit code, each filled in from the other.
fn folded(extras: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    let mut extras = Cow::Borrowed(extras);
    match extras.get("metadata").and_then(Value::as_object) {
        None => {
            let mut metadata = Map::new();
            for (old, new) in [("exit_code", "exit_code"), ("command_id", "pid")] {
                if let Some(value) = extras.get(old) {
                    metadata.insert(new.to_owned(), value.clone());
                }
            }
            metadata.entry("exit_code").or_insert_with(|| 0.into());
            extras.to_mut().insert("metadata".to_owned(), metadata.into());
        }
        Some(metadata) if !extras.contains_key("exit_code") => {
            let code = metadata.get("exit_code").cloned().unwrap_or_else(|| (-1).into());
            extras.to_mut().insert("exit_code".to_owned(), code);
        }
        Some(_) => {}
    }
    extras
}

/// The `extras` of an observation.
pub(crate) struct Extras<'a>(&'a Observation);

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("observation", self.name())?;
        map.serialize_entry("content", &self.content())?;
        map.serialize_entry("extras", &self.extras())?;
        if let Some(success) = self.success() {
            map.serialize_entry("success", &success)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            observation: String,
            #[serde(default)]
            content: String,
            #[serde(default)]
            extras: Map<String, Value>,
        }
        let wire = Wire::deserialize(deserializer)?;
        Self::read(&wire.observation, wire.content, &wire.extras).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Observation {
    fn schema_name() -> Cow<'static, str> {
        "Observation".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let variants: Vec<_> = Self::schemas(generator)
            .into_iter()
            .map(|(name, extras)| {
                schemars::json_schema!({
                    "type": "object",
                    "properties": {
                        "observation": { "const": name },
                        "content": { "type": "string" },
                        "extras": extras,
                        "success": { "type": "boolean" },
                    },
                    "required": ["observation", "content", "extras"],
                })
            })
            .collect();
        schemars::json_schema!({
            "description": "An observation: what came of an action, or happened by itself.",
            "oneOf": variants,
        })
    }
}
