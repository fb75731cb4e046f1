//! The line to the runner in a sandbox.
