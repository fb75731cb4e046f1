//! Addresses in a program's answers, as they are from outside. Pure.

use hyper::http::uri::Uri;

use super::address::without_port;

/// Where an answer's program is, as seen from outside.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The host that the browser asked.
    pub host: &'a str,
    /// What a proxy before us cut off the path.
    pub outer: &'a str,
    /// What we cut off, or left; empty in the host form.
    pub prefix: &'a str,
    pub port: u16,
    /// The program knows its base path, so its paths are right as they are.
    pub whole: bool,
}

impl Place<'_> {
    /// `Location` and `Content-Location`. None: it is right as it is.
    pub fn location(&self, value: &str) -> Option<String> {
        if let Some(path) = value.strip_prefix('/').filter(|rest| !rest.starts_with(['/', '\\'])) {
            return self.below(&format!("/{path}"));
        }
        // `//host/path` is an address with a host, too.
        let full = match value.strip_prefix("//") {
            Some(rest) => format!("http://{rest}"),
            None => value.to_owned(),
        };
        let uri: Uri = full.parse().ok()?;
        uri.scheme()?;
        let authority = uri.authority()?.as_str();
        let here = authority == self.host || self.is_inside(authority);
        if !here {
            return None;
        }
        let path = uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
        let fragment = full.split_once('#').map(|(_, fragment)| format!("#{fragment}"));
        let path = format!("{path}{}", fragment.unwrap_or_default());
        match self.below(&path) {
            Some(below) => Some(below),
            // Known to be below already, but told with a host that only the sandbox knows.
            None if authority != self.host => Some(path),
            None => None,
        }
    }

    /// `Refresh`: `5; url=/path`. None: it is right as it is.
    pub fn refresh(&self, value: &str) -> Option<String> {
        let at = value.to_ascii_lowercase().find("url=")? + 4;
        let (before, url) = value.split_at(at);
        let bare = url.trim_ascii().trim_matches(['"', '\'']);
        Some(format!("{before}{}", self.location(bare)?))
    }

    /// A path from the top as it is from outside; none when it is below the prefix already.
    fn below(&self, path: &str) -> Option<String> {
        let prefix = format!("{}{}", self.outer, self.prefix);
        let is_below = path
            .strip_prefix(&prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        if is_below || prefix.is_empty() {
            return None;
        }
        if self.whole {
            return (!self.outer.is_empty()).then(|| format!("{}{path}", self.outer));
        }
        Some(format!("{prefix}{path}"))
    }

    /// Whether this is the program's own address in the sandbox.
    fn is_inside(&self, authority: &str) -> bool {
        let name = without_port(authority);
        let port = authority[name.len()..].strip_prefix(':').unwrap_or("80");
        ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"].contains(&name)
            && port == self.port.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: &'static str, outer: &'static str, whole: bool) -> Place<'static> {
        Place { host: "box:3001", outer, prefix, port: 8080, whole }
    }

    #[test]
    fn a_redirect_leads_to_the_same_program() {
        let place = place("/s/x/p/8080", "", false);
        for (given, expected) in [
            ("/", Some("/s/x/p/8080/")),
            ("/login?next=/a#b", Some("/s/x/p/8080/login?next=/a#b")),
            ("http://box:3001/login", Some("/s/x/p/8080/login")),
            ("http://localhost:8080/a?b#c", Some("/s/x/p/8080/a?b#c")),
            ("http://127.0.0.1:8080", Some("/s/x/p/8080/")),
            ("//box:3001/a", Some("/s/x/p/8080/a")),
            ("/s/x/p/8080/a", None),
            ("http://box:3001/s/x/p/8080/a", None),
            ("/s/x/p/80801", Some("/s/x/p/8080/s/x/p/80801")),
            ("a/b", None),
            ("../b", None),
            ("?q", None),
            ("", None),
            ("https://example.org/a", None),
            ("http://localhost:9/a", None),
            ("mailto:a@b", None),
        ] {
            assert_eq!(place.location(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_program_that_knows_its_place_is_left_alone() {
        let whole = place("/s/x/a/8080", "", true);
        assert_eq!(whole.location("/s/x/a/8080/b"), None);
        assert_eq!(whole.location("/other"), None);
        assert_eq!(
            whole.location("http://localhost:8080/s/x/a/8080/b").as_deref(),
            Some("/s/x/a/8080/b")
        );
        let host = place("", "", false);
        assert_eq!(host.location("/a"), None);
        assert_eq!(host.location("http://localhost:8080/a").as_deref(), Some("/a"));
        let behind = place("/s/x/p/8080", "/below", false);
        assert_eq!(behind.location("/a").as_deref(), Some("/below/s/x/p/8080/a"));
        assert_eq!(behind.location("/below/s/x/p/8080/a"), None);
    }

    #[test]
    fn a_refresh_is_a_redirect() {
        let place = place("/s/x/p/8080", "", false);
        assert_eq!(place.refresh("5; url=/a").as_deref(), Some("5; url=/s/x/p/8080/a"));
        assert_eq!(place.refresh("0;URL='/a'").as_deref(), Some("0;URL=/s/x/p/8080/a"));
        assert_eq!(place.refresh("5"), None);
        assert_eq!(place.refresh("5; url=https://example.org/"), None);
    }
}
