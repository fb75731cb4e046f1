//! Search, git and the editor on docker: the tests of `code.rs`, with no change but the engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "code/asked.rs"]
mod asked;
#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Docker;
