//! What a client says of an upload in `Upload-Metadata`. Pure.

use serde::{Deserialize, Serialize};
use staithe_protocol::files::{FileCode, FileDenied};

use crate::files::Precondition;

/// The longest header that is read, in bytes.
const MOST: usize = 16 * 1024;

/// What the file is to be. Names of the header: `path` (or `filename`), `if_match`, `force`, `mode`
/// (octal), `create_parents`; others mean nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub path: String,
    pub if_match: Option<String>,
    pub force: bool,
    pub mode: Option<u32>,
    pub create_parents: bool,
}

impl Wanted {
    /// What must be there.
    pub(super) fn precondition(&self) -> Precondition {
        Precondition::new(self.if_match.clone(), self.force)
    }

    /// Of pairs `name base64`, with commas between them; a name alone stands for `true`.
    pub(super) fn parse(header: &str) -> Result<Self, FileDenied> {
        if header.len() > MOST {
            return Err(bad("it has more than 16 KiB"));
        }
        let mut wanted = Self::default();
        let mut filename = None;
        for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let value = data_encoding::BASE64
                .decode(value.trim().as_bytes())
                .ok()
                .and_then(|value| String::from_utf8(value).ok())
                .ok_or_else(|| bad(&format!("{name:?} has no base64 of UTF-8")))?;
            let is_set = || matches!(value.as_str(), "" | "true" | "1");
            match name {
                "path" => wanted.path = value,
                "filename" => filename = Some(value),
                "if_match" => wanted.if_match = Some(value.trim_matches('"').to_owned()),
                "force" => wanted.force = is_set(),
                "create_parents" => wanted.create_parents = is_set(),
                "mode" => {
                    let mode = u32::from_str_radix(&value, 8).ok().filter(|mode| *mode <= 0o7777);
                    wanted.mode = Some(mode.ok_or_else(|| bad("`mode` is no octal mode"))?);
                }
                _ => {}
            }
        }
        if wanted.path.is_empty() {
            wanted.path = filename.ok_or_else(|| bad("`path` is missing"))?;
        }
        Ok(wanted)
    }
}

fn bad(what: &str) -> FileDenied {
    FileDenied::new(FileCode::BadMessage, format!("`Upload-Metadata` can't be used: {what}."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(name: &str, value: &str) -> String {
        format!("{name} {}", data_encoding::BASE64.encode(value.as_bytes()))
    }

    #[test]
    fn all_that_can_be_said_is_read() {
        let header = [
            pair("path", "a/ä b"),
            pair("filename", "b"),
            pair("if_match", "\"sha256:0\""),
            pair("mode", "755"),
            "create_parents".to_owned(),
            pair("force", "false"),
            pair("filetype", "text/plain"),
        ]
        .join(", ");
        let wanted = Wanted::parse(&header).unwrap();
        assert_eq!(
            wanted,
            Wanted {
                path: "a/ä b".into(),
                if_match: Some("sha256:0".into()),
                force: false,
                mode: Some(0o755),
                create_parents: true
            }
        );
        assert_eq!(Wanted::parse(&pair("filename", "b")).unwrap().path, "b");
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        let long = pair("path", &"x".repeat(MOST));
        for header in ["", "path !", "path /w==", &pair("mode", "9"), &long, "create_parents"] {
            assert!(Wanted::parse(header).is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "[a-z=,! ]{0,40}") {
            drop(Wanted::parse(&header));
        }
    }
}
