//! Images that sessions wait for: one build for each, however many wait.

pub mod maker;
