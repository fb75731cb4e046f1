//! The actors as a tree, over a store in memory and a machine of fakes.
#![expect(clippy::unwrap_used, reason = "what a test does not expect ends it")]

mod beginning;
mod breakable;
mod endings;
mod images;
mod images_waits;
mod lifecycle;
mod maker;
mod manager;
mod mending;
mod pool;
mod queue;
mod resting;
mod stage;
mod stream;
