//! Words on the wire: ids, actions, observations, commands, frames and error codes.
//!
//! Nothing here knows of actors, engines, files or sockets. The vocabulary of events is that of the
//! system which Staithe re-implements, so that existing front ends and tools read it; what Staithe
//! adds is named in `docs/protocol.md`.
//!
//! | module | what |
//! |---|---|
//! | [`ids`] | newtypes for every id |
//! | [`event`], [`action`], [`observation`], [`agent_state`] | the durable event vocabulary |
//! | [`phase`] | what a session is doing, and why it failed |
//! | [`files`] | file operations, versions and their codes |
//! | [`frames`] | the WebSocket `staithe.v1` |
//! | [`terminal`], [`watch`] | the side streams of a session: terminals, changes of files |
//! | [`search`], [`git`] | what is asked about a workspace's content |
//! | [`plugin`], [`port`] | what runs in a sandbox beside commands, and what listens there |
//! | [`repository`] | where a repository may be cloned from |
//! | [`retry`] | a model that did not answer and is asked again |
//! | [`secret`] | a secret on its way |
//! | [`tunnel`], [`pipe`] | streams between the server and what listens or is started in a sandbox |
//! | [`services`] | what the server tells a runner of all these |
//! | [`api`] | bodies of the REST interface |
//! | [`runner`] | the line between server and runner |
//! | `schema` | JSON Schema of all that clients see; feature `schema` |

pub mod action;
pub mod agent_state;
pub mod api;
pub mod event;
mod fields;
pub mod files;
pub mod frames;
pub mod git;
pub mod ids;
pub mod observation;
pub mod phase;
pub mod pipe;
pub mod plugin;
pub mod port;
pub mod repository;
pub mod retry;
pub mod runner;
#[cfg(feature = "schema")]
pub mod schema;
pub mod search;
pub mod secret;
pub mod services;
pub mod terminal;
pub mod tunnel;
pub mod watch;

pub use action::Action;
pub use agent_state::AgentState;
pub use event::{Body, Event, Source};
pub use ids::{EventId, Generation, SandboxId, SessionId};
pub use observation::Observation;
pub use phase::{Fault, Phase, PhaseView, Progress, Reason, StartStep};

/// What stands in a secret's place, in every text of the protocol (the reference's word, §4.2).
pub const HIDDEN: &str = "<secret_hidden>";

/// The WebSocket subprotocol's name.
pub const SUBPROTOCOL: &str = "staithe.v1";
