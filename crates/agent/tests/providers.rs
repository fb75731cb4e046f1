//! The adapter against the fake server, in all four protocols.
