//! `GET /api/openapi.json`: the REST interface as `OpenAPI` 3.1, its schemas made from the wire types.
//!
//! The table below is checked by a test against the routes: each address answers, and none is missing.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::front::Front;

/// One operation: method, path, what it does, the schema of its body and of its answer, its status.
struct Operation(
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    u16,
);

/// Every operation of the interface.
const OPERATIONS: &[Operation] = &[
    Operation(
        "get",
        "/health",
        "Whether the server works, and what sandboxes are isolated from.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/metrics",
        "Figures in Prometheus' text format; for operators.",
        None,
        None,
        200,
    ),
    Operation("get", "/api/openapi.json", "This document.", None, None, 200),
    Operation(
        "get",
        "/api/sessions",
        "The caller's sessions, newest first. Query: limit, page.",
        None,
        Some("SessionList"),
        200,
    ),
    Operation(
        "post",
        "/api/sessions",
        "Make a session; answers at once. Header Idempotency-Key: a repetition answers the first session.",
        Some("CreateSession"),
        Some("SessionCreated"),
        201,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/ports",
        "The ports that are listened on in the sandbox, and their addresses.",
        None,
        Some("PortList"),
        200,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/ports/{port}/ticket",
        "Addresses that open a port in a browser without a sign-in there, once, within a minute.",
        None,
        Some("PortTicket"),
        200,
    ),
    Operation("get", "/api/sessions/{id}", "One session.", None, Some("SessionBody"), 200),
    Operation(
        "delete",
        "/api/sessions/{id}",
        "Delete a session: sandbox, workspace, events. Answers when that is done.",
        None,
        None,
        204,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/start",
        "Have the session running.",
        None,
        Some("SessionBody"),
        202,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/stop",
        "End the sandbox; workspace and events stay.",
        None,
        Some("SessionBody"),
        202,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/interrupt",
        "Interrupt what runs in the foreground.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/tokens",
        "A token for this session alone; body {\"role\": \"viewer\" or \"editor\"}.",
        None,
        None,
        201,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/actions",
        "Take an action. Header Idempotency-Key: the ref of the WebSocket.",
        Some("ClientAction"),
        Some("ActionAccepted"),
        202,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/events",
        "Events by range. Query: after (the last id that you have, or -1), limit.",
        None,
        Some("EventPage"),
        200,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/events/{event}/output",
        "All that a command printed, as bytes.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/ws",
        "The WebSocket staithe.v1. Query: after.",
        None,
        None,
        101,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/files",
        "The workspace's top folder. Query: depth.",
        None,
        Some("FileDone"),
        200,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/files",
        "A file operation.",
        Some("FileOp"),
        Some("FileDone"),
        200,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/files/{path}",
        "A file's bytes, or a folder's list. Query: stat, download, depth.",
        None,
        None,
        200,
    ),
    Operation(
        "put",
        "/api/sessions/{id}/files/{path}",
        "The body becomes the file. Headers If-Match, If-None-Match: *, X-Force: true; query create_parents.",
        None,
        Some("FileDone"),
        200,
    ),
    Operation(
        "delete",
        "/api/sessions/{id}/files/{path}",
        "Delete. Headers If-Match, X-Force: true; query recursive.",
        None,
        Some("FileDone"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/sessions",
        "All sessions. Query: phase, q, owner, sort, order, page, limit.",
        None,
        Some("SessionList"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/sessions/{id}",
        "One session whole.",
        None,
        Some("AdminSession"),
        200,
    ),
    Operation("delete", "/api/admin/sessions/{id}", "Delete a session.", None, None, 204),
    Operation(
        "post",
        "/api/admin/sessions/{id}/stop",
        "Stop a session.",
        None,
        Some("SessionBody"),
        202,
    ),
    Operation(
        "get",
        "/api/admin/sessions/{id}/log",
        "The sandbox's own last lines. Query: tail.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/plugins",
        "The plugins of the sandbox, as it last told of them: {\"plugins\": [{name, state, detail, port, base_path}]}.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/sessions/{id}/plugins/{name}/{word}",
        "Start, stop or restart a plugin (word). Query: wait_ms (0 to 60000), for which it is waited for. Answers its state.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/sessions/{id}/vscode-url",
        "Have VS Code running, and its address on the sandbox origin: {\"vscode_url\"}, null where the session has none.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/conversations/{id}/vscode-url",
        "The same under the reference's name of sessions.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/vscode-url",
        "The same. Query: session; without it, the session that the token opens.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/admin/drain",
        "Take no new sessions and let running ones sleep.",
        None,
        None,
        200,
    ),
    Operation(
        "post",
        "/api/admin/reconcile",
        "Compare sessions with sandboxes now, and mend.",
        None,
        None,
        200,
    ),
    Operation(
        "get",
        "/api/admin/engine",
        "What the engine is, what it can't do of the configuration, and how many starts wait.",
        None,
        Some("AdminEngine"),
        200,
    ),
    Operation(
        "get",
        "/api/admin/config",
        "The effective configuration, secrets masked.",
        None,
        None,
        200,
    ),
];

/// The document.
pub fn build() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for Operation(method, path, summary, body, answer, status) in OPERATIONS {
        let item = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        item[*method] = operation(path, summary, *body, *answer, *status);
    }
    let mut schemas = staithe_protocol::schema::document()["$defs"].clone();
    rewrite_references(&mut schemas);
    schemas["ClientAction"] = json!({
        "type": "object",
        "required": ["action"],
        "properties": {
            "action": { "type": "string", "enum": staithe_protocol::Action::NAMES },
            "args": { "type": "object" },
            "timeout": { "type": "integer", "minimum": 1, "maximum": 86400, "description": "Seconds." },
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Staithe",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "bearer": [] }, { "cookie": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": crate::auth::COOKIE },
            },
        },
    })
}

fn operation(
    path: &str,
    summary: &str,
    body: Option<&str>,
    answer: Option<&str>,
    status: u16,
) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let parameters: Vec<Value> = path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next())
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let mut answered = json!({ "description": "Done." });
    if let Some(answer) = answer {
        answered["content"] = json!({ "application/json": { "schema": reference(answer) } });
    }
    let problem = json!({
        "description": "Refused or failed, with a stable code.",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    });
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": { status.to_string(): answered, "default": problem },
    });
    if let Some(body) = body {
        operation["requestBody"] = json!({
            "content": { "application/json": { "schema": reference(body) } },
        });
    }
    operation
}

/// JSON Schema's `$defs` stand under `components/schemas` here.
fn rewrite_references(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                *reference = reference.replace("#/$defs/", "#/components/schemas/");
            }
            map.values_mut().for_each(rewrite_references);
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite_references),
        _ => {}
    }
}

/// `GET /api/openapi.json`
pub async fn document(_: web::Data<Front>) -> HttpResponse {
    HttpResponse::Ok().json(build())
}
