//! The program inside the sandbox.
