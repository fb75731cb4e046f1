//! The accessibility tree: marked with the numbers of elements, and as lines of text. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// The most nodes that are kept, and bytes of text made of them.
pub(super) const MOST_NODES: usize = 2_000;
const MOST_TEXT: usize = 30_000;
/// Levels that are told.
const DEEPEST: usize = 64;
/// The most bytes of a name or value.
const MOST_NAME: usize = 300;

/// Properties that a line tells.
const TOLD: [&str; 9] = [
    "focused", "disabled", "checked", "selected", "expanded", "pressed", "required", "readonly",
    "level",
];
/// Roles of what is only there to hold others.
const SILENT: [&str; 5] = ["generic", "none", "InlineTextBox", "LineBreak", "ListMarker"];

/// Adds the numbers of elements (`bid`) by the browser's own, from what `DOM.getDocument` tells. Returned are the
/// elements that hold more than was told.
pub(super) fn numbers(document: &Value, found: &mut HashMap<i64, String>) -> Vec<i64> {
    let mut deeper = Vec::new();
    let mut open = vec![document];
    while let Some(node) = open.pop() {
        let id = node.get("backendNodeId").and_then(Value::as_i64);
        let attributes = node.get("attributes").and_then(Value::as_array).map(Vec::as_slice);
        let pairs = attributes.unwrap_or_default().chunks_exact(2);
        let bid = pairs.filter(|pair| pair[0] == "bid").find_map(|pair| pair[1].as_str());
        if let (Some(bid), Some(id)) = (bid, id) {
            found.insert(id, bid.to_owned());
        }
        let holds = node.get("childNodeCount").and_then(Value::as_u64).unwrap_or(0);
        if holds > 0 && node.get("children").is_none() {
            deeper.extend(id);
        }
        for name in ["children", "shadowRoots"] {
            open.extend(node.get(name).and_then(Value::as_array).into_iter().flatten());
        }
        open.extend(node.get("contentDocument"));
    }
    deeper
}

/// The nodes with their `browsergym_id`, at most [`MOST_NODES`].
pub(super) fn marked(nodes: &[Value], numbers: &HashMap<i64, String>) -> Map<String, Value> {
    let kept: Vec<Value> = nodes
        .iter()
        .take(MOST_NODES)
        .map(|node| {
            let mut kept = Map::new();
            for name in [
                "nodeId",
                "ignored",
                "role",
                "name",
                "value",
                "properties",
                "parentId",
                "childIds",
                "backendDOMNodeId",
            ] {
                if let Some(value) = node.get(name) {
                    kept.insert(name.to_owned(), value.clone());
                }
            }
            if let Some(bid) = bid_of(node, numbers) {
                kept.insert("browsergym_id".to_owned(), bid.into());
            }
            Value::Object(kept)
        })
        .collect();
    let whole = json!({ "nodes": kept, "truncated": nodes.len() > MOST_NODES });
    whole.as_object().cloned().unwrap_or_default()
}

fn bid_of<'a>(node: &Value, numbers: &'a HashMap<i64, String>) -> Option<&'a str> {
    let id = node.get("backendDOMNodeId").and_then(Value::as_i64)?;
    numbers.get(&id).map(String::as_str)
}

/// Lines like `[12] button 'Save', focused`, indented by their depth.
pub(super) fn text(nodes: &[Value], numbers: &HashMap<i64, String>) -> String {
    let by_id: HashMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node.get("nodeId")?.as_str()?, node))).collect();
    let roots = nodes.iter().filter(|node| {
        node.get("parentId").and_then(Value::as_str).is_none_or(|id| !by_id.contains_key(id))
    });
    let mut lines = String::new();
    let mut open: Vec<(&Value, usize)> = roots.map(|root| (root, 0)).collect();
    open.reverse();
    let mut told = 0;
    while let Some((node, depth)) = open.pop() {
        told += 1;
        if told > MOST_NODES || lines.len() > MOST_TEXT {
            lines.push_str("[… more of the tree is left out]\n");
            break;
        }
        let line = line(node, numbers);
        let inner = depth + usize::from(line.is_some());
        if let Some(line) = line {
            lines.push_str(&"\t".repeat(depth));
            lines.push_str(&line);
            lines.push('\n');
        }
        if inner > DEEPEST {
            continue;
        }
        let children = node.get("childIds").and_then(Value::as_array).into_iter().flatten();
        let children: Vec<_> = children
            .filter_map(|id| by_id.get(id.as_str()?))
            .map(|child| (*child, inner))
            .collect();
        open.extend(children.into_iter().rev());
    }
    lines
}

/// One node's line; none if it says nothing.
fn line(node: &Value, numbers: &HashMap<i64, String>) -> Option<String> {
    if node.get("ignored").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let of = |name: &str| node.get(name).and_then(|held| held.get("value"));
    let role = of("role").and_then(Value::as_str).unwrap_or_default();
    let name = of("name").and_then(Value::as_str).unwrap_or_default().trim();
    if SILENT.contains(&role) || (role == "StaticText" && name.is_empty()) {
        return None;
    }
    let mut parts = Vec::new();
    if let Some(bid) = bid_of(node, numbers) {
        parts.push(format!("[{bid}] "));
    }
    parts.push(format!("{role} '{}'", short(name)));
    if let Some(value) = of("value").filter(|value| !value.is_null()) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        parts.push(format!(" value='{}'", short(&value)));
    }
    for property in node.get("properties").and_then(Value::as_array).into_iter().flatten() {
        let name = property.get("name").and_then(Value::as_str).unwrap_or_default();
        if !TOLD.contains(&name) {
            continue;
        }
        match property.get("value").and_then(|held| held.get("value")) {
            Some(Value::Bool(true)) => parts.push(format!(", {name}")),
            Some(Value::Bool(false)) | None => {}
            Some(Value::String(value)) => parts.push(format!(", {name}={value}")),
            Some(value) => parts.push(format!(", {name}={value}")),
        }
    }
    Some(parts.concat())
}

fn short(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    if text.len() <= MOST_NAME {
        return text;
    }
    format!("{}…", &text[..text.floor_char_boundary(MOST_NAME)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_lines_with_the_numbers_of_elements() {
        let document = json!({ "backendNodeId": 1, "children": [
            { "backendNodeId": 2, "attributes": ["bid", "7", "id", "x"] },
            { "backendNodeId": 3, "contentDocument": { "children": [{ "backendNodeId": 4, "attributes": ["bid", "a1"] }] } },
            { "backendNodeId": 5, "childNodeCount": 2 },
            { "backendNodeId": 6, "childNodeCount": 0 },
        ] });
        let mut found = HashMap::new();
        let deeper = numbers(&document, &mut found);
        assert_eq!(deeper, [5]);
        let numbers = found;
        assert_eq!((numbers[&2].as_str(), numbers[&4].as_str()), ("7", "a1"));
        let role = |role: &str, name: &str| json!([{ "value": role }, { "value": name }]);
        let node = |id: &str, kind: &Value, dom: i64, children: &[&str]| json!({ "nodeId": id, "role": kind[0], "name": kind[1], "backendDOMNodeId": dom, "childIds": children });
        let mut button = node("3", &role("button", "Save\nit"), 2, &[]);
        button["parentId"] = "2".into();
        button["properties"] = json!([
            { "name": "focused", "value": { "value": true } },
            { "name": "disabled", "value": { "value": false } },
            { "name": "checked", "value": { "value": "mixed" } },
        ]);
        let mut group = node("2", &role("generic", ""), 9, &["3"]);
        group["parentId"] = "1".into();
        let nodes = [node("1", &role("RootWebArea", "Page"), 1, &["2"]), group, button];
        let lines = text(&nodes, &numbers);
        assert_eq!(lines, "RootWebArea 'Page'\n\t[7] button 'Save it', focused, checked=mixed\n");
        let marked = marked(&nodes, &numbers);
        assert_eq!(marked["nodes"][2]["browsergym_id"], "7");
    }

    #[test]
    fn a_tree_without_end_is_cut() {
        let children: Vec<String> = (1..5000).map(|n| n.to_string()).collect();
        let mut nodes =
            vec![json!({ "nodeId": "0", "role": { "value": "x" }, "childIds": children })];
        nodes.extend(children.iter().map(|id| json!({ "nodeId": id, "parentId": "0", "role": { "value": "link" }, "name": { "value": "y".repeat(100) } })));
        let lines = text(&nodes, &HashMap::new());
        assert!(lines.len() < MOST_TEXT + 1000 && lines.ends_with("left out]\n"));
        // One that holds itself.
        let looped = [json!({ "nodeId": "a", "role": { "value": "x" }, "childIds": ["a"] })];
        assert!(text(&looped, &HashMap::new()).len() < MOST_TEXT);
        assert_eq!(marked(&nodes, &HashMap::new())["truncated"], true);
    }
}
