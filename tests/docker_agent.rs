//! The agent's whole task on docker: the log is the same as on the local engine; and its tools that need a plugin, in an
//! image that is made for them.
//!
//! Needs the registries of Debian and Python, as `docker_recipes.rs` does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

#[path = "agent/notes.rs"]
mod notes;
#[path = "recipes/plugged.rs"]
mod plugged;
#[path = "agent/plugins.rs"]
mod plugins;
#[path = "recipes/mod.rs"]
mod recipes;
#[path = "agent/scene.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod scene;
#[path = "agent/stage.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod stage;
#[path = "agent/task.rs"]
mod task;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Docker;
