//! Where an archive's entries may lie. Pure.

use staithe_protocol::files::{FileCode, FileDenied, MAX_NAME, MAX_PATH};

/// The most folders above an entry.
const DEEPEST: usize = 200;

/// An entry's path, relative to the folder that is unpacked into; empty for that folder itself.
pub(super) fn inside(raw: &[u8]) -> Result<String, FileDenied> {
    let bad = |path: &str, what: &str| {
        Err(FileDenied::new(FileCode::BadMessage, format!("The entry {path:?} {what}.")))
    };
    let Ok(path) = std::str::from_utf8(raw) else {
        return bad(&String::from_utf8_lossy(raw), "has a name that is no UTF-8");
    };
    if path.contains('\0') {
        return bad(path, "has a NUL character in its name");
    }
    if path.len() > MAX_PATH {
        return bad(&path[..path.floor_char_boundary(64)], "has a path of more than 4096 bytes");
    }
    if path.starts_with('/') {
        return Err(leaves(path));
    }
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err(leaves(path));
    }
    if names.iter().any(|name| name.len() > MAX_NAME) {
        return bad(path, "has a name of more than 255 bytes");
    }
    if names.len() > DEEPEST {
        return bad(path, "lies in too many folders");
    }
    Ok(names.join("/"))
}

/// Whether a symlink at `path` stays inside. `..` may only begin its target: what lies behind another
/// link would not be above what it seems to be.
pub(super) fn stays(path: &str, target: &str) -> Result<(), FileDenied> {
    if target.starts_with('/') || target.is_empty() || target.contains('\0') {
        return Err(leaves(path));
    }
    let mut above = path.split('/').count() - 1;
    let mut descends = false;
    for name in target.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name != ".." {
            descends = true;
        } else if descends || above == 0 {
            return Err(leaves(path));
        } else {
            above -= 1;
        }
    }
    Ok(())
}

fn leaves(path: &str) -> FileDenied {
    let text = format!("The entry {path:?} leads outside the folder.");
    FileDenied::new(FileCode::OutsideWorkspace, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_lies_inside_or_is_refused() {
        for (raw, path) in [("a/b", "a/b"), ("./a//b/", "a/b"), ("./", ""), ("..a", "..a")] {
            assert_eq!(inside(raw.as_bytes()), Ok(path.to_owned()));
        }
        for raw in ["/etc/passwd", "../x", "a/../../x", "a/..", "//x"] {
            let code = inside(raw.as_bytes()).map_err(|denied| denied.code);
            assert_eq!(code, Err(FileCode::OutsideWorkspace), "{raw}");
        }
        let long = "x".repeat(256);
        let deep = "x/".repeat(300);
        for raw in
            [&b"a\0b"[..], b"\xff", long.as_bytes(), deep.as_bytes(), "ä".repeat(5000).as_bytes()]
        {
            assert_eq!(inside(raw).map_err(|denied| denied.code), Err(FileCode::BadMessage));
        }
    }

    #[test]
    fn a_link_stays_inside_or_is_refused() {
        for (path, target) in [("a", "b"), ("a/b/c", "../../d"), ("a/b", "../b/c"), ("a", "./b/")] {
            assert!(stays(path, target).is_ok(), "{path} {target}");
        }
        for (path, target) in [
            ("a", ".."),
            ("a", "/b"),
            ("a/b", "../.."),
            ("a/b", "c/../../.."),
            ("a/b", "c/../d"),
            ("a", ""),
        ] {
            assert!(stays(path, target).is_err(), "{path} {target}");
        }
    }

    proptest! {
        #[test]
        fn no_entry_lies_outside(raw in r"(/|\.|\.\.|a|[^a]){0,40}") {
            if let Ok(path) = inside(raw.as_bytes()) {
                prop_assert!(!path.starts_with('/'));
                prop_assert!(path.is_empty() || path.split('/').all(|name| !matches!(name, "" | "." | "..")));
            }
        }
    }
}
