//! Streams between the server and what listens in a sandbox: `GET /tunnel/{port}` with
//! `Upgrade: staithe-tunnel`.
//!
//! After the runner's `101` both sides send frames: two bytes of length, big endian, then so many bytes. A
//! frame of length [`END`] ends that direction and no other, so that half of a stream may be closed over
//! any line, also one that can't half-close. A tunnel that ends without it was broken off: what came over
//! it is not the whole.
//!
//! | status | meaning |
//! |---|---|
//! | 101 | the port took the connection |
//! | 400 | the address names no port, or the request is no upgrade |
//! | 403 | the port is not given out |
//! | 502 | nothing listens |
//! | 503 | too many tunnels |
//! | 504 | what listens took no connection in time |

/// What is asked for in `Upgrade`.
pub const PROTOCOL: &str = "staithe-tunnel";
/// The length that ends a direction.
pub const END: u16 = 0;
/// The largest frame that is sent, in bytes. Larger ones are taken.
pub const MOST_FRAME: usize = 16 * 1024;
