//! Runtime images put together: what the image crate decides is carried out by the engine.
//!
//! [`workshop`] finds or builds an image and is used by both the server ([`maker`]) and the command line
//! ([`cli`]). `look` tells what a base has, `spool` keeps what a build printed, `faults` says what went
//! wrong in words that a person can act on, [`upkeep`] removes what is not needed any more.

pub mod cli;
mod course;
mod faults;
mod lock;
mod look;
pub mod maker;
mod making;
mod mask;
mod spool;
pub mod upkeep;
pub mod ways;
pub mod workshop;
