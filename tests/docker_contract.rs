//! The contract on docker: the tests of `contract.rs`, with no change but the engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
mod common;
#[path = "contract/operators.rs"]
mod operators;
#[path = "contract/rest.rs"]
mod rest;
#[path = "contract/socket.rs"]
mod socket;
#[path = "contract/words.rs"]
mod words;
#[path = "contract/workspace.rs"]
mod workspace;

use common::EngineKind;
use words::{LIMIT, header, json, keys, problem};

/// What the sandboxes are made by.
const ENGINE: EngineKind = EngineKind::Docker;
