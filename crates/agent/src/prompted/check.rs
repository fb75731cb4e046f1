//! Whether arguments are what a tool takes; what is wrong is told to the model. Pure.

use serde_json::{Map, Value};

use crate::model::{ToolCall, ToolSpec};

/// The arguments of a call, native or by prompt, if the tool is offered and takes them.
///
/// # Errors
///
/// What is wrong, in words for the model: no such tool, no JSON object, a parameter that is missing, unknown or of
/// another kind, a value that is not allowed. All faults of the parameters are told at once.
pub fn check(call: &ToolCall, tools: &[ToolSpec]) -> Result<Map<String, Value>, String> {
    let Some(tool) = tools.iter().find(|tool| tool.name == call.name) else {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        return Err(format!(
            "There is no function `{}`. There are: {}.",
            call.name,
            names.join(", ")
        ));
    };
    let arguments = match serde_json::from_str::<Value>(&call.arguments) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(_) => return Err(format!("The arguments of `{}` are no JSON object.", call.name)),
        Err(error) => {
            return Err(format!("The arguments of `{}` are no JSON: {error}.", call.name));
        }
    };
    let schema = &tool.parameters;
    let mut faults: Vec<String> = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !arguments.contains_key(name) {
            faults.push(format!("The parameter `{name}` is missing."));
        }
    }
    let properties = schema["properties"].as_object();
    for (name, value) in &arguments {
        match properties.and_then(|properties| properties.get(name)) {
            Some(property) => faults.extend(fault(name, value, property)),
            None if schema["additionalProperties"] == Value::Bool(true) || properties.is_none() => {
            }
            None => faults.push(format!("There is no parameter `{name}`.{}", allowed(properties))),
        }
    }
    if faults.is_empty() {
        Ok(arguments)
    } else {
        Err(format!("`{}`: {}", call.name, faults.join(" ")))
    }
}

fn allowed(properties: Option<&Map<String, Value>>) -> String {
    let names: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    if names.is_empty() {
        " It takes none.".to_owned()
    } else {
        format!(" There are: {}.", names.join(", "))
    }
}

fn fault(name: &str, value: &Value, property: &Value) -> Option<String> {
    let kinds: Vec<&str> = match &property["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(value, kind)) {
        return Some(format!("The parameter `{name}` has to be of type {}.", kinds.join(" or ")));
    }
    let values = property["enum"].as_array()?;
    (!values.contains(value)).then(|| {
        format!("The parameter `{name}` has to be one of {}.", Value::from(values.clone()))
    })
}

/// Whether the value is of that kind of JSON Schema. An unknown kind holds anything.
pub(super) fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0)
        }
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}
