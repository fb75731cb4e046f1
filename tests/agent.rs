//! The agent at work, through the real server with scripted models, on the local engine: what happens at each moment,
//! event by event. `docker_agent.rs` has the whole task on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

#[path = "agent/asked.rs"]
mod asked;
#[path = "agent/confirming.rs"]
mod confirming;
#[path = "agent/failures.rs"]
mod failures;
#[path = "../crates/runner/tests/common/kernel.rs"]
mod kernel;
#[path = "agent/killed.rs"]
mod killed;
#[path = "agent/limits.rs"]
mod limits;
#[path = "agent/many.rs"]
mod many;
#[path = "agent/mcp.rs"]
mod mcp;
#[path = "agent/notes.rs"]
mod notes;
#[path = "agent/plugged.rs"]
mod plugged;
#[path = "agent/plugins.rs"]
mod plugins;
#[path = "agent/scene.rs"]
mod scene;
#[path = "agent/secrets.rs"]
mod secrets;
#[path = "agent/stage.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod stage;
#[path = "agent/states.rs"]
mod states;
#[path = "agent/stopping.rs"]
mod stopping;
#[path = "agent/task.rs"]
mod task;
#[path = "agent/tools.rs"]
mod tools;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
