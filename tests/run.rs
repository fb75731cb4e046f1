//! `staithe run`, `session export` and `replay`: the real binary against a real server with the local engine and a fake
//! model, and as a server of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod common;

#[path = "run/bench.rs"]
mod bench;
#[path = "run/ends.rs"]
mod ends;
#[path = "run/place.rs"]
mod place;
#[path = "run/terminal.rs"]
mod terminal;
#[path = "run/work.rs"]
mod work;
