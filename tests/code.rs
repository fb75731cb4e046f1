//! Search, git and the editor through the whole server. `docker_code.rs` is the same on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "code/asked.rs"]
mod asked;
#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
