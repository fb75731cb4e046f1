//! A tool's result as an observation holds it, and as the model is told it. Pure.
//!
//! An observation's `content` is JSON in the protocol's own form, as in the system that we re-implement:
//! `{"content":[{"type":"text","text":…},{"type":"image","data":…,"mimeType":…},…],"structuredContent":…,"isError":…}`,
//! with what is too large left out and said so.

use serde_json::{Map, Value, json};

use crate::model::Image;

/// Most bytes of text in one result.
pub const MOST_TEXT: usize = 64 * 1024;
/// Most bytes of pictures in one result, as base64.
pub const MOST_PICTURES: usize = 2 * 1024 * 1024;
/// Most parts of one result.
pub const MOST_PARTS: usize = 64;
/// Most bytes of an address or a name.
const MOST_NAME: usize = 2048;

/// What a model is told of a result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub text: String,
    pub images: Vec<Image>,
    /// The tool itself calls it an error.
    pub is_error: bool,
}

/// The content of an observation, made of a result as its server said it.
pub fn content(result: &Value) -> String {
    let mut room = Room { text: MOST_TEXT, pictures: MOST_PICTURES };
    let given = result["content"].as_array().map_or(&[][..], Vec::as_slice);
    let mut parts: Vec<Value> = given.iter().take(MOST_PARTS).map(|part| room.part(part)).collect();
    if given.len() > MOST_PARTS {
        parts.push(note(&format!("{} more parts", given.len() - MOST_PARTS)));
    }
    let mut whole = Map::new();
    if let Some(structured) = result.get("structuredContent").filter(|it| !it.is_null()) {
        // Most servers say the same as a text, too.
        let says = |part: &Value| {
            let text = part["text"].as_str().unwrap_or_default();
            serde_json::from_str::<Value>(text).is_ok_and(|value| value == *structured)
        };
        let length = structured.to_string().len();
        if length > room.text {
            parts.push(note(&format!("a structured result of {length} bytes")));
        } else if !given.iter().any(says) {
            whole.insert("structuredContent".to_owned(), structured.clone());
        }
    }
    whole.insert("content".to_owned(), Value::Array(parts));
    whole.insert("isError".to_owned(), json!(result["isError"] == json!(true)));
    Value::Object(whole).to_string()
}

/// What is left of the bounds.
struct Room {
    text: usize,
    pictures: usize,
}

impl Room {
    fn part(&mut self, part: &Value) -> Value {
        let text = |name: &str| part[name].as_str().unwrap_or_default();
        match text("type") {
            "text" => json!({ "type": "text", "text": self.text(text("text")) }),
            "image" => self.picture(text("data"), text("mimeType")),
            "resource" => self.resource(&part["resource"]),
            "resource_link" => {
                let (uri, name) = (cut(text("uri"), MOST_NAME), cut(text("name"), MOST_NAME));
                self.text = self.text.saturating_sub(uri.len() + name.len());
                json!({ "type": "resource_link", "uri": uri, "name": name })
            }
            "audio" => note(&format!("a sound of {} bytes", text("data").len())),
            _ => note("a part of a kind that is not known"),
        }
    }

    fn resource(&mut self, resource: &Value) -> Value {
        let text = |name: &str| resource[name].as_str().unwrap_or_default();
        let (uri, kind) = (cut(text("uri"), MOST_NAME), cut(text("mimeType"), MOST_NAME));
        if let Some(blob) = resource["blob"].as_str() {
            if kind.starts_with("image/") {
                return self.picture(blob, &kind);
            }
            return note(&format!("{uri}, {} bytes that are no text", blob.len()));
        }
        let text = self.text(text("text"));
        json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } })
    }

    fn picture(&mut self, data: &str, kind: &str) -> Value {
        let is_known = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind);
        let is_base64 = data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if !is_known || !is_base64 || data.len() > self.pictures {
            return note(&format!("a picture of {} bytes", data.len()));
        }
        self.pictures -= data.len();
        json!({ "type": "image", "data": data, "mimeType": kind })
    }

    /// Head and tail of a text that is too long.
    fn text(&mut self, text: &str) -> String {
        if text.len() <= self.text {
            self.text -= text.len();
            return text.to_owned();
        }
        let half = std::mem::take(&mut self.text) / 2;
        let (head, tail) =
            (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
        let left_out = tail - head;
        format!("{}\n[… {left_out} bytes left out …]\n{}", &text[..head], &text[tail..])
    }
}

fn note(what: &str) -> Value {
    json!({ "type": "text", "text": format!("[left out: {what}]") })
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// What the model is told of an observation's content.
pub fn told(content: &str) -> Told {
    let Some(result) =
        serde_json::from_str::<Value>(content).ok().filter(|it| it["content"].is_array())
    else {
        return Told { text: content.to_owned(), ..Told::default() };
    };
    let mut told = Told { is_error: result["isError"] == json!(true), ..Told::default() };
    let mut texts = Vec::new();
    for part in result["content"].as_array().into_iter().flatten() {
        let text = |name: &str| part[name].as_str().unwrap_or_default();
        match text("type") {
            "image" => {
                let url = format!("data:{};base64,{}", text("mimeType"), text("data"));
                told.images.push(Image(url));
            }
            "resource" => {
                let of = |name: &str| part["resource"][name].as_str().unwrap_or_default();
                texts.push(format!("[{}]\n{}", of("uri"), of("text")));
            }
            "resource_link" => texts.push(format!("[{}: {}]", text("name"), text("uri"))),
            _ => texts.push(text("text").to_owned()),
        }
    }
    if let Some(structured) = result.get("structuredContent") {
        texts.push(structured.to_string());
    }
    told.text = texts.join("\n");
    told
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(result: &Value) -> Value {
        serde_json::from_str(&content(result)).expect("JSON")
    }

    #[test]
    fn each_kind_of_part_is_kept_or_said_to_be_left_out() {
        let result = json!({ "content": [
            { "type": "text", "text": "hello", "annotations": { "priority": 1 } },
            { "type": "image", "data": "iVBORw0=", "mimeType": "image/png" },
            { "type": "image", "data": "<svg>", "mimeType": "image/svg+xml" },
            { "type": "audio", "data": "AAAA", "mimeType": "audio/wav" },
            { "type": "resource", "resource": { "uri": "file:///a", "mimeType": "text/plain", "text": "A" } },
            { "type": "resource", "resource": { "uri": "file:///b", "blob": "AAAA" } },
            { "type": "resource", "resource": { "uri": "file:///c", "mimeType": "image/png", "blob": "AAAA" } },
            { "type": "resource_link", "uri": "file:///d", "name": "d" },
            { "type": "hologram" },
        ], "structuredContent": { "n": 1 }, "_meta": { "x": 1 } });
        let told = told(&content(&result));
        assert_eq!(
            told.text,
            "hello\n[left out: a picture of 5 bytes]\n[left out: a sound of 4 bytes]\n[file:///a]\nA\n\
             [left out: file:///b, 4 bytes that are no text]\n[d: file:///d]\n\
             [left out: a part of a kind that is not known]\n{\"n\":1}"
        );
        let urls = ["data:image/png;base64,iVBORw0=", "data:image/png;base64,AAAA"];
        assert_eq!(told.images, urls.map(|url| Image(url.to_owned())));
        assert!(!told.is_error);
    }

    #[test]
    fn what_is_said_twice_is_kept_once_and_an_error_is_one() {
        let result = json!({ "content": [{ "type": "text", "text": "{\"n\": 1}" }],
                             "structuredContent": { "n": 1 }, "isError": true });
        assert_eq!(
            kept(&result),
            json!({ "content": [{ "type": "text", "text": "{\"n\": 1}" }], "isError": true })
        );
        assert!(told(&content(&result)).is_error);
        assert_eq!(told("no JSON of ours").text, "no JSON of ours");
    }

    #[test]
    fn a_flood_is_bounded_and_says_so() {
        let long = "ä".repeat(MOST_TEXT);
        let picture = "A".repeat(MOST_PICTURES / 2 + 1);
        let mut parts = vec![
            json!({ "type": "text", "text": long }),
            json!({ "type": "text", "text": long }),
            json!({ "type": "image", "data": picture, "mimeType": "image/png" }),
            json!({ "type": "image", "data": picture, "mimeType": "image/png" }),
        ];
        parts.extend((0..1000).map(|_| json!({ "type": "text", "text": "x" })));
        let content = content(&json!({ "content": parts, "structuredContent": long }));
        assert!(content.len() < MOST_TEXT + MOST_PICTURES + 16 * 1024, "{}", content.len());
        let told = told(&content);
        assert!(told.text.contains("bytes left out …]") && told.text.contains("940 more parts"));
        assert!(told.text.contains("a structured result of"));
        assert_eq!(told.images.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_says_is_too_odd(kind in "text|image|resource|audio|.{0,5}", text in ".{0,80}") {
            for result in [
                json!({ "content": [{ "type": kind, "text": text, "data": text, "mimeType": text,
                                      "resource": { "uri": text, "blob": text } }] }),
                json!({ "content": text }),
                json!(text),
            ] {
                prop_assert!(kept(&result)["content"].is_array());
                told(&text);
            }
        }
    }
}
