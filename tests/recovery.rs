//! Recovery after kills, with the local engine. `docker_recovery.rs` is the same on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "recovery/mod.rs"]
mod recovery;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
