//! A folder whose writing broke off. What is in a whole one is seen in `tests/context.rs`.

use tempfile::{TempDir, tempdir};

use super::*;

fn context(files: &[(&str, &str)]) -> Context {
    let mut context = Context { entries: BTreeMap::new() };
    for (name, text) in files {
        context.add(name, text.as_bytes().to_vec());
    }
    context
}

fn old() -> Context {
    context(&[("Dockerfile", "old"), ("bin/one", "1"), ("ca/000.crt", "A")])
}

fn new() -> Context {
    context(&[("Dockerfile", "new"), ("bin/two", "2"), ("lib.sh", "3")])
}

/// A folder with the old files, in which the new ones were written for so many steps; none: there are no more.
fn broken_off(after: usize) -> Option<TempDir> {
    let dir = tempdir().unwrap();
    old().write_folder(dir.path()).unwrap();
    let new = new();
    let steps = new.steps(dir.path()).unwrap();
    if after > steps.len() {
        return None;
    }
    steps[..after].iter().for_each(|step| step.take(dir.path()).unwrap());
    Some(dir)
}

fn content(folder: &Path) -> BTreeMap<String, String> {
    let mut names = Vec::new();
    files_in(folder, folder, &mut names).unwrap();
    let text = |name: String| (name.clone(), fs::read_to_string(folder.join(&name)).unwrap());
    names.into_iter().map(text).collect()
}

#[test]
fn a_folder_can_be_written_again_wherever_the_last_writing_ended() {
    for next in [old(), new()] {
        let whole = tempdir().unwrap();
        next.write_folder(whole.path()).unwrap();
        let mut states = 0;
        while let Some(dir) = broken_off(states) {
            next.write_folder(dir.path()).unwrap_or_else(|error| panic!("{states}: {error}"));
            assert_eq!(content(dir.path()), content(whole.path()), "{states}");
            states += 1;
        }
        // Two lists, three files each to remove and to write, and the state before.
        assert_eq!(states, 9);
    }
}

#[test]
fn half_a_list_is_no_hindrance_and_is_not_believed() {
    for dir in [tempdir().unwrap(), broken_off(4).unwrap()] {
        fs::write(dir.path().join(NEW_MANIFEST), "mine\nDock").unwrap();
        new().write_folder(dir.path()).unwrap();
        assert!(!dir.path().join(NEW_MANIFEST).exists());

        fs::write(dir.path().join(NEW_MANIFEST), "mine\n").unwrap();
        fs::write(dir.path().join("mine"), "mine").unwrap();
        assert!(new().write_folder(dir.path()).is_err());
    }
}

#[test]
fn files_of_others_stay_where_a_writing_ended_too() {
    for after in 0..9 {
        let dir = broken_off(after).unwrap();
        fs::write(dir.path().join("mine"), "mine").unwrap();
        let before = content(dir.path());
        let error = new().write_folder(dir.path()).unwrap_err();
        assert!(matches!(error, FolderFailed::Others { ref file, .. } if file == "mine"));
        assert_eq!(content(dir.path()), before);
    }
}
