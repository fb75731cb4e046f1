//! What is pinned in `docs/protocol.md` and the design's §5: clients and tests outside this repository
//! rely on it, word for word. `docker_contract.rs` is the same on docker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "contract/operators.rs"]
mod operators;
#[path = "contract/program.rs"]
mod program;
#[path = "contract/rest.rs"]
mod rest;
#[path = "contract/sharing.rs"]
mod sharing;
#[path = "contract/socket.rs"]
mod socket;
#[path = "contract/words.rs"]
mod words;
#[path = "contract/workspace.rs"]
mod workspace;

use common::EngineKind;
use words::{LIMIT, header, json, keys, problem};

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Local;
