//! Which side of a copy a path is on. Pure.

use staithe_protocol::SessionId;

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// stdin or stdout.
    Stdio,
    Here(String),
    There(SessionId, String),
}

impl Place {
    /// `-`, `SESSION:path`, `:path` (of the session that was named beside), or a path here. A path here
    /// with a colon in it is written `./a:b`.
    pub(super) fn parse(text: &str, session: Option<&str>) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdio);
        }
        let Some((before, path)) = text.split_once(':') else {
            return Ok(Self::Here(text.to_owned()));
        };
        if before.is_empty() {
            let session = session.ok_or_else(|| format!("{text}: name a session by --session"))?;
            let id = session.parse().map_err(|_| format!("{session:?} is no session's id"))?;
            return Ok(Self::There(id, path.to_owned()));
        }
        if before.contains('/') || before.starts_with('.') {
            return Ok(Self::Here(text.to_owned()));
        }
        match before.parse() {
            Ok(id) => Ok(Self::There(id, path.to_owned())),
            Err(_) => Err(format!(
                "{before:?} is no session's id; a file here with a colon in its name is ./{text}"
            )),
        }
    }
}

/// The last name of a path; none of `.`, `..`, `/` and nothing.
pub(super) fn name_of(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    (!matches!(name, "" | "." | "..")).then_some(name)
}

/// A path below a folder; nothing and `/` at its end are the same.
pub(super) fn below(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.starts_with('/') => format!("/{name}"),
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_known_by_its_form() {
        let id = SessionId::generate();
        let there = |path: &str| Ok(Place::There(id, path.to_owned()));
        assert_eq!(Place::parse(&format!("{id}:a/b:c"), None), there("a/b:c"));
        assert_eq!(Place::parse(":", Some(&id.to_string())), there(""));
        for here in ["a", "./x:y", "/a/b:c", "../x:y"] {
            assert_eq!(Place::parse(here, None), Ok(Place::Here(here.to_owned())));
        }
        assert_eq!(Place::parse("-", None), Ok(Place::Stdio));
        for wrong in [":a", "x:y"] {
            assert!(Place::parse(wrong, None).is_err(), "{wrong}");
        }
        assert!(Place::parse(":a", Some("x")).is_err());
    }

    #[test]
    fn names_are_put_below_folders() {
        for (path, name) in
            [("a/b/", Some("b")), ("a", Some("a")), (".", None), ("a/..", None), ("/", None)]
        {
            assert_eq!(name_of(path), name, "{path}");
        }
        for (folder, path) in [("", "n"), ("a", "a/n"), ("a/", "a/n"), ("/", "/n")] {
            assert_eq!(below(folder, "n"), path, "{folder}");
        }
    }
}
