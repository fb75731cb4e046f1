//! The front of Staithe: the command line, HTTP and WebSocket in, pages and JSON out.
//!
//! [`boot`] puts everything together and is the only file that names concrete engines and stores.
//! [`routes`] is the REST interface, [`ws`] the WebSocket, [`guard`] what stands before both,
//! [`auth`] who may do what, [`error`] how a refusal looks. [`copy`] is `staithe cp`,
//! [`run`] is `staithe run`; `served` finds the server that such a command uses.

pub mod admin_cli;
pub mod assets;
pub mod auth;
pub mod boot;
mod caller;
pub mod cli;
pub mod config;
pub mod copy;
pub mod doctor;
pub mod error;
pub mod front;
pub mod guard;
pub mod images;
pub mod in_use;
pub mod keeping;
pub mod links;
pub mod models;
pub mod openapi;
pub mod overview;
pub mod presence;
pub mod proxy;
pub mod routes;
pub mod run;
mod served;
pub mod telemetry;
pub mod terminals;
pub mod views;
pub mod ws;
