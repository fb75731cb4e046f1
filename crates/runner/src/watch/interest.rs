//! Which changes a client wants to hear of. Pure.

use staithe_protocol::{
    files::EntryType,
    watch::{Change, ChangeOp, Interest},
};

use super::glob;

/// Whether a change is told. Folders that go or move take with them what may be wanted.
pub fn wants(interest: &Interest, change: &Change) -> bool {
    let Some(paths) = &interest.paths else { return true };
    let moves = matches!(change.op, ChangeOp::Rename | ChangeOp::Delete);
    if moves && change.kind.is_none_or(|kind| kind == EntryType::Dir) {
        return true;
    }
    let named = [Some(&change.path), change.from.as_ref()];
    named.into_iter().flatten().any(|path| {
        paths.iter().any(|pattern| glob::matches(pattern.trim_start_matches('/'), path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(op: ChangeOp, path: &str, kind: EntryType) -> Change {
        let json = serde_json::json!({ "op": op, "path": path, "type": kind, "origin": "shell" });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn patterns_choose_and_folders_that_go_are_told_anyway() {
        let interest = Interest { paths: Some(vec!["src/**".into()]), ..Interest::default() };
        let told = |op, path, kind| wants(&interest, &change(op, path, kind));
        assert!(told(ChangeOp::Modify, "src/a/b", EntryType::File));
        assert!(!told(ChangeOp::Modify, "doc/a", EntryType::File));
        assert!(!told(ChangeOp::Delete, "doc/a", EntryType::File));
        assert!(told(ChangeOp::Delete, "src", EntryType::Dir));
        assert!(told(ChangeOp::Rename, "sources", EntryType::Dir));
        assert!(wants(&Interest::default(), &change(ChangeOp::Create, "x", EntryType::File)));
    }
}
