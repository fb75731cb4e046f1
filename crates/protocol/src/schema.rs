//! One JSON Schema of every type on the wire: `docs/protocol.schema.json`.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    Action, Event, Observation, SUBPROTOCOL, api,
    files::{FileDenied, FileDone, FileOp},
    frames::{ClientFrame, ServerFrame},
    git,
    runner::ServerInfo,
    search,
    terminal::{NewTerminal, TerminalList},
};

/// The document, draft 2020-12; each type is one of its `$defs`.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let add: [fn(&mut SchemaGenerator); 39] = [
        define::<Event>,
        define::<Action>,
        define::<Observation>,
        define::<ClientFrame>,
        define::<ServerFrame>,
        define::<FileOp>,
        define::<FileDone>,
        define::<FileDenied>,
        define::<ServerInfo>,
        define::<NewTerminal>,
        define::<TerminalList>,
        define::<search::Search>,
        define::<search::Found>,
        define::<search::SearchDenied>,
        define::<git::GitStatus>,
        define::<git::GitChanges>,
        define::<git::GitDiff>,
        define::<git::GitFile>,
        define::<git::GitBranches>,
        define::<git::GitLog>,
        define::<git::GitRepositories>,
        define::<git::GitDenied>,
        define::<api::CreateSession>,
        define::<api::SessionBody>,
        define::<api::SessionCreated>,
        define::<api::SessionList>,
        define::<api::ActionAccepted>,
        define::<api::EventPage>,
        define::<api::PortList>,
        define::<api::PortTicket>,
        define::<api::Problem>,
        define::<api::ClientView>,
        define::<api::AdminSession>,
        define::<api::AdminEngine>,
        define::<api::AdminOverview>,
        define::<api::NewTitle>,
        define::<api::NewLink>,
        define::<api::ShareLinkList>,
        define::<api::ShareLinkMade>,
    ];
    for define in add {
        define(&mut generator);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "Every type on the wire between Staithe and its clients; see protocol.md.",
        "$defs": generator.take_definitions(true),
    })
}

fn define<T: JsonSchema>(generator: &mut SchemaGenerator) {
    // Only the definition that this leaves behind is wanted, not the reference to it.
    drop(generator.subschema_for::<T>());
}
