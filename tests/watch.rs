//! Watching files through the server, with the local engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "watching/mod.rs"]
mod watching;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
