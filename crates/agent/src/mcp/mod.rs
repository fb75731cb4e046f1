//! Servers of the Model Context Protocol: their tools are offered to the model beside our own.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | which servers there are |
//! | [`names`] (pure) | what their tools are called before the model |
//! | [`content`] (pure) | a result as an observation holds it, and as the model is told it |
//! | [`budget`] (pure) | how often one that fails is begun again |
//! | [`door`] | how a program in the sandbox is reached; feature `mcp` |
//! | [`hub`] | all servers of a session: their states, tools and calls; feature `mcp` |
//!
//! A server that is a program runs in the sandbox; one that is an address is called by the server itself. None
//! holds another up: each has a task of its own.

pub mod budget;
pub mod content;
pub mod names;
pub mod settings;

#[cfg(feature = "mcp")]
mod client;
#[cfg(feature = "mcp")]
pub mod door;
#[cfg(feature = "mcp")]
mod http;
#[cfg(feature = "mcp")]
pub mod hub;
#[cfg(feature = "mcp")]
mod keeper;
#[cfg(feature = "mcp")]
mod lines;
