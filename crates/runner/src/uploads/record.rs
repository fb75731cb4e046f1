//! What is known of an upload. Pure.

use serde::{Deserialize, Serialize};

use super::metadata::Wanted;

/// One upload, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What the client wants.
    pub wanted: Wanted,
    /// Where the file will be, relative to the workspace; symlinks were followed.
    pub path: String,
    /// What came lies under this name beside it.
    pub temporary: String,
    /// All of it, in bytes.
    pub length: u64,
    pub origin: Option<String>,
}

/// The name of a record's file.
pub(super) fn name_of(id: &str) -> String {
    format!("upload-{id}.json")
}

/// The upload that a record's file is of.
pub(super) fn id_of(name: &str) -> Option<&str> {
    let id = name.strip_prefix("upload-")?.strip_suffix(".json")?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_are_taken_for_records() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(id_of(&name_of(id)), Some(id));
        for name in ["upload-.json", "upload-../../x.json", "out-1", "upload-0123.json"] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}
