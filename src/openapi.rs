//! `GET /api/openapi.json`: the REST interface as `OpenAPI` 3.1, its schemas made from the wire types.
//!
//! `table` is checked by a test against the routes: each address answers, and none is missing.

mod operators;
mod table;

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use self::{
    operators::OPERATORS,
    table::{OPERATIONS, Operation},
};
use crate::front::Front;

/// The document.
pub fn build() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for Operation(method, path, summary, body, answer, status) in OPERATIONS.iter().chain(OPERATORS)
    {
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
