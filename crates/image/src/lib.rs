//! Runtime images: what one is made from, what it is called, when it is built, and by which Dockerfile.
//!
//! Nothing here talks to an engine: facts about a base image come in as values, and a Dockerfile with its
//! context goes out. Read [`inputs`] first, then [`base`].

pub mod base;
pub mod context;
pub mod inputs;
pub mod render;
pub mod stages;
