//! Terminals through the whole server, with the local engine. `docker_terminals.rs` is the same on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "../crates/runner/tests/emulator/mod.rs"]
mod emulator;
#[path = "terminals/mod.rs"]
mod terminals;

use common::{EngineKind, Server};

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;

#[tokio::test]
async fn vim_and_htop_look_the_same_to_a_socket_that_joins_midway() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_on(ENGINE, dir.path(), &[]).await;
    let (id, token) = server.session().await;
    server.phase(&id, "ready", std::time::Duration::from_secs(30)).await;
    let vim = serde_json::json!(["vim", "-u", "NONE", "-N", "--cmd", "set title mouse=a ruler"]);
    let steps = [
        ("ione line\rand another \u{6f22}\x1b", "and another"),
        (":set hlsearch number\r/an\r", "1 one line"),
        (":vsplit\r", "[No Name] [+]"),
    ];
    terminals::joined_midway(&server, (&id, &token), vim, &steps).await;
    let htop = serde_json::json!(["htop", "-d", "2"]);
    terminals::joined_midway(
        &server,
        (&id, &token),
        htop,
        &[("", "PID"), ("h", "Space:"), ("q", "PID")],
    )
    .await;
}
