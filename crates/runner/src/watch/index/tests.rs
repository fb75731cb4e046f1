//! Against a simpler model: paths and what is there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A path and whether it is a folder.
type Model = BTreeMap<String, bool>;

fn known(is_folder: bool) -> Known {
    let kind = if is_folder { EntryType::Dir } else { EntryType::File };
    Known { kind, inode: 0, mark: 0, fresh: false, folder: None }
}

/// The folder and the name of a path, if the folder is there.
fn slot(index: &Index, path: &str) -> Option<(FolderId, String)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at = ROOT;
    for name in folder.split('/').filter(|name| !name.is_empty()) {
        at = index.known(at, name)?.folder?;
    }
    Some((at, name.to_owned()))
}

fn beneath(model: &Model, path: &str) -> Vec<String> {
    let inner = format!("{path}/");
    model.keys().filter(|other| *other == path || other.starts_with(&inner)).cloned().collect()
}

fn paths(index: &Index) -> Model {
    let mut all = Model::new();
    for id in index.beneath(ROOT) {
        let folder = index.folder(id).expect("it is there");
        for (name, known) in &folder.entries {
            all.insert(index.path_of(id, name), known.kind == EntryType::Dir);
        }
    }
    all
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abc]", 1..4).prop_map(|names| names.join("/"))
}

proptest! {
    #[test]
    fn it_is_a_tree_of_paths_whatever_comes_goes_and_moves(
        steps in proptest::collection::vec((0..4_u8, path(), path()), 1..60),
    ) {
        let mut index = Index::new((0, 0));
        let mut model = Model::new();
        let mut watch = 0;
        for (step, path, other) in steps {
            let Some((folder, name)) = slot(&index, &path) else { continue };
            match step {
                0 | 1 => {
                    if model.contains_key(&path) {
                        continue; // the tree takes the old thing out first
                    }
                    let made = index.put(folder, &name, known(step == 0), 0);
                    prop_assert_eq!(made.is_some(), step == 0);
                    if let Some(made) = made {
                        watch += 1;
                        prop_assert_eq!(index.set_watch(made, watch), None);
                    }
                    model.insert(path, step == 0);
                }
                2 => {
                    let gone = beneath(&model, &path);
                    let folders = gone.iter().filter(|path| model[*path]).count();
                    prop_assert_eq!(index.take(folder, &name).len(), folders);
                    model.retain(|path, _| !gone.contains(path));
                }
                _ => {
                    let Some((to, new)) = slot(&index, &other) else { continue };
                    let moved = beneath(&model, &path);
                    let inside = other == path || other.starts_with(&format!("{path}/"));
                    if moved.is_empty() || inside || model.contains_key(&other) {
                        continue;
                    }
                    index.shift((folder, &name), (to, &new));
                    for old in moved {
                        let kind = model.remove(&old).expect("it is there");
                        model.insert(format!("{other}{}", &old[path.len()..]), kind);
                    }
                }
            }
            prop_assert_eq!(paths(&index), model.clone());
            prop_assert_eq!(index.entries(), model.len());
            let folders = model.values().filter(|is_folder| **is_folder).count();
            prop_assert_eq!(index.watches(), folders);
        }
    }
}
