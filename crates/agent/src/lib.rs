//! The agent: what it does with the events of a session, and what it asks of a model.
//!
//! Everything but the adapters behind [`model::Model`] is pure: events, answers and times come in as values, effects
//! go out.

pub mod condense;
pub mod controller;
pub mod instructions;
pub mod model;
pub mod origin;
pub mod prompt;
pub mod risk;
pub mod settings;
pub mod stuck;
pub mod tools;
pub mod view;

#[cfg(test)]
mod logs;
