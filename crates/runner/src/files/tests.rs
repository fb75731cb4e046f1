//! The operations on a real folder, without a line.

use proptest::prelude::*;
use staithe_protocol::files::{FileOp, LineEdit};

use super::*;

fn files() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("work")).unwrap();
    let files = Files::open(&dir.path().join("work")).unwrap();
    (dir, files)
}

fn list(path: &str, depth: Option<u32>) -> FileOp {
    FileOp::List { path: path.to_owned(), depth, ignore: vec![], versions: false }
}

#[test]
fn a_change_that_fails_leaves_nothing_behind() {
    let (dir, files) = files();
    let precondition = Precondition::Version("sha256:0".into());
    let mut upload = files.begin_upload("f", false).unwrap();
    upload.write(b"half").unwrap();
    drop(upload);
    let mut upload = files.begin_upload("f", false).unwrap();
    upload.write(b"whole").unwrap();
    let denied = files.finish_upload(&mut upload, &precondition, None).unwrap_err();
    assert_eq!(denied.code, FileCode::Conflict);
    drop(upload);
    assert_eq!(std::fs::read_dir(dir.path().join("work")).unwrap().count(), 0);
}

#[test]
fn temporary_files_are_in_no_list() {
    let (_dir, files) = files();
    let _upload = files.begin_upload("f", false).unwrap();
    let list = list("", None);
    assert_eq!(files.carry_out(list).unwrap().entries, Some(vec![]));
}

#[test]
fn content_that_came_meanwhile_is_never_lost_silently() {
    let (dir, files) = files();
    let mut upload = files.begin_upload("f", false).unwrap();
    upload.write(b"ours").unwrap();
    std::fs::write(dir.path().join("work/f"), "theirs").unwrap();
    let denied = files.finish_upload(&mut upload, &Precondition::None, None).unwrap_err();
    assert_eq!(denied.code, FileCode::PreconditionRequired);
    assert_eq!(std::fs::read_to_string(dir.path().join("work/f")).unwrap(), "theirs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_operation_touches_what_lies_outside(
        path in r"(/workspace/|\./|\.\./|link/|up/|a/|f){1,4}[a-c]?",
        to in r"(\.\./|link/|up/|a/){0,3}[a-c]",
        which in 0..8,
    ) {
        let (dir, files) = files();
        let work = dir.path().join("work");
        std::fs::create_dir_all(dir.path().join("outside/a")).unwrap();
        std::fs::write(dir.path().join("outside/a/b"), "outside").unwrap();
        std::fs::write(dir.path().join("outside/b"), "outside").unwrap();
        std::fs::create_dir_all(work.join("a/a")).unwrap();
        std::fs::write(work.join("a/f"), "inside").unwrap();
        std::os::unix::fs::symlink("../outside", work.join("link")).unwrap();
        std::os::unix::fs::symlink("..", work.join("a/up")).unwrap();
        std::os::unix::fs::symlink("..", work.join("up")).unwrap();
        let content = || "x".to_owned();
        let op = match which {
            0 => FileOp::Read { path, offset: None, length: None },
            1 => FileOp::Create { path, content: content(), encoding: Encoding::Utf8, mode: None, create_parents: true },
            2 => FileOp::Write { path, content: content(), encoding: Encoding::Utf8, if_match: None, force: true, mode: None, create_parents: true },
            3 => FileOp::Patch { path, if_match: content(), edits: Some(vec![LineEdit { start: 0, end: 0, text: content() }]), diff: None },
            4 => FileOp::Delete { path, if_match: None, recursive: true, force: true },
            5 => FileOp::Rename { path, to, if_match: None, overwrite: true },
            6 => FileOp::Mkdir { path, parents: true },
            _ => list(&path, Some(9)),
        };
        if let Ok(done) = files.carry_out(op) {
            prop_assert_ne!(done.content.as_deref(), Some("outside"));
        }
        let outside: Vec<_> = walk(&dir.path().join("outside"));
        prop_assert_eq!(outside, ["a", "a/b", "b"]);
        let beside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        prop_assert_eq!(beside.len(), 2);
    }
}

fn walk(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(walk(&path).into_iter().map(|inner| format!("{name}/{inner}")));
        }
        found.push(name);
    }
    found.sort();
    found
}
