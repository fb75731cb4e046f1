//! The first of many paths, in order. Pure.

use std::collections::BTreeSet;

/// As many of the first paths as are shown; no more are kept, however many there are.
pub(super) struct First {
    /// Each with whether it is a folder.
    paths: BTreeSet<(String, bool)>,
    /// Characters of all their lines.
    characters: usize,
    most: usize,
}

/// Characters of a line, with its end.
fn length((path, is_folder): &(String, bool)) -> usize {
    path.chars().count() + usize::from(*is_folder) + 1
}

impl First {
    /// For a text of which so many characters are shown.
    pub(super) fn new(most: usize) -> Self {
        Self { paths: BTreeSet::new(), characters: 0, most }
    }

    /// Whether the text is longer than what is shown, by its last line at most.
    fn is_full(&self) -> bool {
        self.characters > self.most.saturating_add(1)
    }

    /// Whether neither this path nor any below it would be shown.
    pub(super) fn is_past(&self, path: &str) -> bool {
        self.is_full() && self.paths.last().is_some_and(|(last, _)| path > last.as_str())
    }

    /// Adds one, if it would be shown.
    pub(super) fn add(&mut self, path: String, is_folder: bool) {
        if self.is_past(&path) {
            return;
        }
        let line = (path, is_folder);
        self.characters += length(&line);
        self.paths.insert(line);
        while let Some(last) = self.paths.last().map(length)
            && self.characters - last > self.most.saturating_add(1)
        {
            self.characters -= last;
            self.paths.pop_last();
        }
    }

    /// A line for each: folders have a slash at the end.
    pub(super) fn lines(self) -> Vec<String> {
        let line = |(path, is_folder)| if is_folder { path + "/" } else { path };
        self.paths.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_what_all_of_them_would_show(
            mut paths in prop::collection::btree_map("[a-cé/-]{1,6}", any::<bool>(), 0..60)
                .prop_map(|paths| paths.into_iter().collect::<Vec<_>>())
                .prop_shuffle(),
            most in 0_usize..60,
        ) {
            let mut first = First::new(most);
            for (path, is_folder) in paths.clone() {
                first.add(path, is_folder);
                prop_assert!(first.paths.len() <= most + 2);
            }
            paths.sort();
            let all: Vec<String> =
                paths.into_iter().map(|(path, folder)| if folder { path + "/" } else { path }).collect();
            let (shown, all) = (first.lines().join("\n"), all.join("\n"));
            let start = |text: &str| text.chars().take(most + 1).collect::<String>();
            prop_assert_eq!(start(&shown), start(&all));
        }
    }
}
