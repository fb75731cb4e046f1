//! Fakes and probes, only ever a dev-dependency.
//!
//! | what | for |
//! |---|---|
//! | [`Machine`] | what outlives a server: sandboxes, workspaces, their runners |
//! | [`FakeEngine`] | an engine on such a machine, with moods, a script of its calls and a mode in which the test says when a call ends |
//! | [`FakeRunner`] | a runner on a real unix socket that does what the test says |
//! | [`docker::FakeDockerd`] | the Docker Engine API on a real unix socket, recorded, kept and spoilt by script |
//! | [`GitServer`] | a git repository over HTTP, opened by a token |
//! | [`FakeModel`] | models of four providers on a real socket, by script: what they were asked, what they say, what goes wrong |
//! | [`FakeMcp`] | a server of the Model Context Protocol at an address |
//! | [`eventually`] | the one wait on something that tells nobody |

pub mod docker;
mod engine;
mod git;
mod machine;
mod mcp;
pub mod model;
mod runner;
mod wait;

pub use docker::FakeDockerd;
pub use engine::{Called, FakeEngine, Mode, Mood};
pub use git::GitServer;
pub use machine::Machine;
pub use mcp::FakeMcp;
pub use model::FakeModel;
pub use runner::FakeRunner;
pub use wait::{eventually, eventually_some};
