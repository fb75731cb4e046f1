//! The agent: what it does with the events of a session, and what it asks of a model.
//!
//! Everything but the adapters behind [`model::Model`] is pure: events, answers and times come in as values, effects
//! go out.

pub mod mcp;
pub mod model;
pub mod settings;
