//! A client's path becomes one relative to the workspace, without `..`. Pure.

use staithe_protocol::files::{FileCode, FileDenied, MAX_NAME, MAX_PATH};

/// The name that clients may use for the workspace, wherever it is.
const USUAL: &str = "/workspace";

/// The path as components joined by `/`; the workspace itself is empty.
pub fn normalise(path: &str, workspace: &str) -> Result<String, FileDenied> {
    let bad = |what: &str| Err(FileDenied::new(FileCode::BadMessage, what));
    if path.contains('\0') {
        return bad("A path can't contain a NUL character.");
    }
    if path.len() > MAX_PATH {
        return bad("The path has more than 4096 bytes.");
    }
    let relative = match path.strip_prefix('/') {
        None => path,
        Some(_) => match below(path, workspace).or_else(|| below(path, USUAL)) {
            Some(relative) => relative,
            None => return Err(outside(path)),
        },
    };
    let mut names: Vec<&str> = Vec::new();
    for name in relative.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                // The root's parent is the root.
                if names.pop().is_none() && workspace != "/" {
                    return Err(outside(path));
                }
            }
            name if name.len() > MAX_NAME => return bad("A name has more than 255 bytes."),
            name => names.push(name),
        }
    }
    Ok(names.join("/"))
}

/// The rest of an absolute path below a folder.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The refusal of a path that leaves the workspace.
pub fn outside(path: &str) -> FileDenied {
    FileDenied::new(FileCode::OutsideWorkspace, format!("{path:?} is outside the workspace."))
}

/// The folder and the name in it.
pub fn split(relative: &str) -> (&str, &str) {
    relative.rsplit_once('/').unwrap_or(("", relative))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(path: &str) -> Result<String, FileCode> {
        normalise(path, "/home/me/work").map_err(|denied| denied.code)
    }

    #[test]
    fn paths_are_taken_in_every_usual_spelling() {
        for path in
            ["a/b", "./a//b/", "/workspace/a/b", "/home/me/work/a/b", "a/x/../b", "x/../a/b"]
        {
            assert_eq!(check(path), Ok("a/b".into()), "{path}");
        }
        for path in ["", ".", "/workspace", "/workspace/", "/home/me/work", "a/.."] {
            assert_eq!(check(path), Ok(String::new()), "{path}");
        }
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let inside = "/workspace/../etc/passwd";
        for path in ["/etc/passwd", "..", "../x", "a/../../x", inside, "/workspaces/x", "/"] {
            assert_eq!(check(path), Err(FileCode::OutsideWorkspace), "{path}");
        }
    }

    #[test]
    fn what_no_file_can_be_called_is_refused() {
        let long = format!("a/{}", "x".repeat(256));
        let deep = "x/".repeat(2049);
        for path in ["a\0b", &long, &deep] {
            assert_eq!(check(path), Err(FileCode::BadMessage));
        }
    }

    proptest! {
        #[test]
        fn no_path_ever_leaves(path in r"(/workspace|/home/me/work)?(/|\.|\.\.|a|[^a]){0,40}") {
            if let Ok(relative) = check(&path) {
                prop_assert!(!relative.starts_with('/'));
                prop_assert!(relative.is_empty() || relative.split('/').all(|n| !matches!(n, "" | "." | "..")));
                prop_assert_eq!(check(&relative), Ok(relative));
            }
        }
    }
}
