//! The ports that programs in the sandbox listen on.

/// All of it; one per process.
#[derive(Default)]
pub struct Ports {}
