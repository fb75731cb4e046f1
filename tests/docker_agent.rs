//! The agent's whole task on docker: the log is the same as on the local engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

#[path = "agent/notes.rs"]
mod notes;
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
