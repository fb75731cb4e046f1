//! Files through the whole server, on docker: the tests of `files.rs`, with no change but the engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod common;
#[path = "transfer/mod.rs"]
mod transfer;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Docker;
