//! Files through the whole server, on the local engine: parts, uploads that are cut, archives, `staithe cp`,
//! and 4 GiB both ways. `docker_files.rs` is the same on docker, without the last.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod common;
#[path = "transfer/large.rs"]
mod large;
#[path = "transfer/mod.rs"]
mod transfer;

use common::EngineKind;

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
