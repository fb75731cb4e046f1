//! Runtime images: what one is made from, what it is called, when it is built, and by which Dockerfile.
//!
//! Nothing here talks to an engine: facts about a base image come in as values, and a Dockerfile with its
//! context goes out. Read in this order:
//!
//! 1. [`inputs`]: what decides what is in an image; [`fields`]: the same one by one
//! 2. [`stages`]: its three parts; [`refs`] and [`names`]: what their images are called
//! 3. [`decision`]: whether to build, and from where
//! 4. [`base`]: what the base image has already; [`places`]: where that is seen
//! 5. [`labels`]: what an image says of itself; [`explain`]: why it has its name, and what changed
//! 6. [`render`]: the Dockerfile; [`context`]: the files that go with it
//! 7. [`sbom`]: what was installed; [`retention`]: which images are no longer needed

pub mod base;
pub mod context;
pub mod decision;
pub mod explain;
pub mod fields;
pub mod inputs;
pub mod labels;
pub mod names;
pub mod places;
pub mod refs;
pub mod render;
pub mod retention;
#[cfg(test)]
mod samples;
pub mod sbom;
pub mod stages;
