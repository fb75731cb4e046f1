//! Requests taken apart: which route, which thing, which version, which query.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request as it came, before any fault.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    /// As it was sent, with the version and without the query.
    pub path: String,
    /// Its name in scripts of faults, such as `POST /containers/{id}/start`.
    pub route: String,
    /// What stands for `{id}` or `{name}` in the route; empty when nothing does.
    pub id: String,
    /// `1.41` of `/v1.41/…`.
    pub version: Option<String>,
    pub query: BTreeMap<String, String>,
    /// The same in its order, for names that come more than once.
    pub pairs: Vec<(String, String)>,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body's length in bytes.
    pub length: usize,
}

/// Words that end the path of an image, whose name may have slashes of its own.
const OF_IMAGES: [&str; 5] = ["json", "tag", "push", "history", "get"];
/// Words that stand where an id would.
const LITERAL: [&str; 6] = ["create", "json", "prune", "load", "get", "search"];

impl Recorded {
    pub(super) fn new(method: &str, path: &str, query: &str, body: &[u8]) -> Self {
        let (version, rest) = split_version(path);
        let (pattern, id) = pattern(rest);
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            route: format!("{method} {pattern}"),
            id: decoded(&id, false),
            version,
            query: pairs_of(query).into_iter().collect(),
            pairs: pairs_of(query),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
            length: body.len(),
        }
    }

    /// A query's value; empty when it is missing.
    pub fn word(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A query's truth, as the daemon reads it.
    pub fn flag(&self, name: &str) -> bool {
        !matches!(self.word(name).to_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The values of one filter: the daemon takes lists and the older maps.
    pub fn filter(&self, name: &str) -> Vec<String> {
        let filters: Value = serde_json::from_str(self.word("filters")).unwrap_or_default();
        match &filters[name] {
            Value::Array(values) => {
                values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Value::Object(values) => values.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

fn split_version(path: &str) -> (Option<String>, &str) {
    let version = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
    match version {
        Some((version, _)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            (Some(version.to_owned()), &path[version.len() + 2..])
        }
        _ => (None, path),
    }
}

fn pattern(path: &str) -> (String, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (kind, rest) = (parts[0], &parts[1..]);
    let literal = rest.len() == 1 && LITERAL.contains(&rest[0]);
    if rest.is_empty()
        || literal
        || !["containers", "exec", "networks", "volumes", "images"].contains(&kind)
    {
        return (format!("/{}", parts.join("/")), String::new());
    }
    if kind == "images" {
        return match rest.split_last() {
            Some((last, name)) if !name.is_empty() && OF_IMAGES.contains(last) => {
                (format!("/images/{{name}}/{last}"), name.join("/"))
            }
            _ => ("/images/{name}".to_owned(), rest.join("/")),
        };
    }
    let slot = if kind == "volumes" { "{name}" } else { "{id}" };
    let verb = rest[1..].join("/");
    let pattern = format!("/{kind}/{slot}/{verb}");
    (pattern.trim_end_matches('/').to_owned(), rest[0].to_owned())
}

fn pairs_of(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name, true), decoded(value, true))).collect()
}

/// Without percent signs; in a form a plus is a space.
fn decoded(text: &str, form: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) if form => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_one_name_whatever_they_are_about() {
        for (method, path, route, id) in [
            ("GET", "/_ping", "GET /_ping", ""),
            ("POST", "/v1.41/containers/create", "POST /containers/create", ""),
            ("GET", "/containers/json", "GET /containers/json", ""),
            ("GET", "/containers/json/json", "GET /containers/{id}/json", "json"),
            ("POST", "/v1.53/containers/a%2Fb/start", "POST /containers/{id}/start", "a/b"),
            ("DELETE", "/containers/abc", "DELETE /containers/{id}", "abc"),
            ("GET", "/images/a/b:1/json", "GET /images/{name}/json", "a/b:1"),
            ("DELETE", "/images/a/b", "DELETE /images/{name}", "a/b"),
            ("POST", "/images/create", "POST /images/create", ""),
            ("GET", "/volumes", "GET /volumes", ""),
            ("DELETE", "/volumes/v", "DELETE /volumes/{name}", "v"),
            ("POST", "/networks/n/connect", "POST /networks/{id}/connect", "n"),
            ("POST", "/exec/e/start", "POST /exec/{id}/start", "e"),
        ] {
            let asked = Recorded::new(method, path, "", b"");
            assert_eq!((asked.route.as_str(), asked.id.as_str()), (route, id), "{path}");
        }
    }

    #[test]
    fn queries_and_filters_are_decoded() {
        let query = "force=1&v=false&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%2C%22name%22%3A%7B%22x%22%3Atrue%7D%7D";
        let asked = Recorded::new("GET", "/v1.41/containers/json", query, b"");
        assert!(asked.flag("force") && !asked.flag("v") && !asked.flag("link"));
        assert_eq!(asked.filter("label"), ["a=b"]);
        assert_eq!(asked.filter("name"), ["x"]);
        assert_eq!(asked.version.as_deref(), Some("1.41"));
    }
}
