//! Why an image has its name, and what is different from another one. Pure.

use serde::Serialize;

use crate::{
    fields::{Field, fields, normalised},
    inputs::Inputs,
    labels::{Described, Shown},
    refs::RefDenied,
    stages::{BuildFrom, Stage},
};

/// Most comparisons of lines; texts that would need more are shown whole.
const MOST_COMPARED: usize = 1 << 20;

/// One input that is in a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// As in the configuration: `mirrors.apt`.
    pub field: String,
    #[serde(flatten)]
    pub shown: Shown,
}

/// One input that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub field: String,
    /// Empty: it was not there. Of several lines only those that are gone.
    pub before: String,
    /// Empty: it is gone. Of several lines only those that are new.
    pub after: String,
    /// The first stage that it counts for.
    pub stage: Stage,
}

/// Every input that is in the names, in the order of the stages.
pub fn why(inputs: &Inputs, recipe: &str) -> Result<Vec<Part>, RefDenied> {
    let fields = fields(&normalised(inputs)?, recipe);
    let part = |field: &Field| Part { field: field.name.clone(), shown: Shown::from(field) };
    Ok(fields.iter().map(part).collect())
}

/// What is different now, by stage and then by name; nothing when nothing is, or only credentials in addresses.
pub fn changes(now: &Described, then: &Described) -> Vec<Change> {
    let names =
        now.inputs.keys().chain(then.inputs.keys().filter(|name| !now.inputs.contains_key(*name)));
    let mut changes: Vec<Change> = names
        .filter_map(|name| change(name, now.inputs.get(name), then.inputs.get(name)))
        .collect();
    changes.sort_by(|a, b| (a.stage, &a.field).cmp(&(b.stage, &b.field)));
    changes
}

/// From where an image has to be built after these changes; none when it needs not.
pub fn rebuilds_from(changes: &[Change]) -> Option<BuildFrom> {
    changes.iter().map(|change| change.stage).min().map(|stage| match stage {
        Stage::System => BuildFrom::Scratch,
        Stage::Deps => BuildFrom::Versioned,
        Stage::Final => BuildFrom::Lock,
    })
}

fn change(name: &str, now: Option<&Shown>, then: Option<&Shown>) -> Option<Change> {
    let digest = |shown: Option<&Shown>| shown.map(|shown| shown.digest.clone());
    if digest(now) == digest(then) {
        return None;
    }
    let value = |shown: Option<&Shown>| shown.map(|shown| shown.value.clone()).unwrap_or_default();
    let (before, after) = differing(&value(then), &value(now));
    let stage = now.into_iter().chain(then).map(|shown| shown.stage).min()?;
    Some(Change { field: name.to_owned(), before, after, stage })
}

/// The lines of each text that the other one hasn't at that place. Where these are none, as when the difference
/// lies behind what is shown, both texts whole.
fn differing(before: &str, after: &str) -> (String, String) {
    let whole = || (before.to_owned(), after.to_owned());
    let (mut old, mut new): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    old.drain(..head);
    new.drain(..head);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    old.truncate(old.len() - tail);
    new.truncate(new.len() - tail);
    if old.is_empty() && new.is_empty() || old.len().saturating_mul(new.len()) > MOST_COMPARED {
        return whole();
    }
    let (gone, came) = unshared(&old, &new);
    (gone.join("\n"), came.join("\n"))
}

/// What is left of two lists without their longest common subsequence.
fn unshared<'a>(old: &[&'a str], new: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    // longest[i][j]: of old[i..] and new[j..].
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut gone, mut came) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            gone.push(old[i]);
            i += 1;
        } else {
            came.push(new[j]);
            j += 1;
        }
    }
    gone.extend(&old[i..]);
    came.extend(&new[j..]);
    (gone, came)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{RECIPE, inputs};

    fn described(inputs: &Inputs) -> Described {
        Described::of(inputs, RECIPE).unwrap()
    }

    /// What is different after a change of the sample, as `field: before -> after`.
    #[track_caller]
    fn check(change: fn(&mut Inputs), expected: &[&str], from: Option<BuildFrom>) {
        let mut now = inputs();
        change(&mut now);
        let changes = changes(&described(&now), &described(&inputs()));
        let told: Vec<String> =
            changes.iter().map(|c| format!("{}: {} -> {}", c.field, c.before, c.after)).collect();
        assert_eq!(told, expected);
        assert_eq!(rebuilds_from(&changes), from);
    }

    #[test]
    fn every_input_is_explained_with_the_stage_that_it_counts_for() {
        let parts = why(&inputs(), RECIPE).unwrap();
        let told: Vec<String> = parts
            .iter()
            .filter(|part| !part.field.starts_with("build_args."))
            .map(|part| {
                format!("{} {} {}", part.shown.stage.as_str(), part.field, part.shown.value)
            })
            .collect();
        let expected = [
            "system version 0.1.0",
            "system recipe sha256:recipe",
            "system base_image debian:12",
            "system plugins jupyter, vscode",
            "deps mirrors.pypi https://pypi.example/simple",
            "deps node.version 22.1.0",
            "deps vscode.version 4.112.0",
            "final extra_deps apt-get install -y jq\necho done",
        ];
        assert_eq!(told, expected);
        let argument = parts.iter().find(|part| part.field == "build_args.LEVEL").unwrap();
        assert!(argument.shown.value.starts_with("<sha256:"));
    }

    #[test]
    fn nothing_changed_when_nothing_did() {
        check(|_| {}, &[], None);
        check(|now| now.extra_deps.push_str("\r\n"), &[], None);
    }

    #[test]
    fn a_change_says_what_it_was_and_from_where_it_builds() {
        check(
            |now| now.base_image = "debian:13".into(),
            &["base_image: debian:12 -> debian:13"],
            Some(BuildFrom::Scratch),
        );
        check(
            |now| now.mirrors.pypi.clear(),
            &["mirrors.pypi: https://pypi.example/simple -> "],
            Some(BuildFrom::Versioned),
        );
        check(
            |now| {
                now.extra_deps = "apt-get install -y yq\necho done".into();
                now.node.version = "24.0.0".into();
                now.user = "ann:1000".into();
                now.platform = "linux/arm64".into();
            },
            &[
                "platform:  -> linux/arm64",
                "user:  -> ann:1000",
                "node.version: 22.1.0 -> 24.0.0",
                "extra_deps: apt-get install -y jq -> apt-get install -y yq",
            ],
            Some(BuildFrom::Scratch),
        );
    }

    #[test]
    fn of_extra_lines_those_that_differ_are_told() {
        check(
            |now| now.extra_deps = "echo first\napt-get install -y jq\necho done\necho last".into(),
            &["extra_deps:  -> echo first\necho last"],
            Some(BuildFrom::Lock),
        );
        check(
            |now| now.extra_deps = "echo done".into(),
            &["extra_deps: apt-get install -y jq -> "],
            Some(BuildFrom::Lock),
        );
    }

    #[test]
    fn a_masked_argument_shows_that_it_changed() {
        let mut now = inputs();
        now.build_args.insert("LEVEL".into(), "4".into());
        let changes = changes(&described(&now), &described(&inputs()));
        assert_eq!(changes.len(), 1);
        assert_ne!(changes[0].before, changes[0].after);
    }

    #[test]
    fn a_difference_behind_what_is_shown_is_one_nevertheless() {
        let long = |end: &str| Inputs { extra_deps: "a".repeat(1 << 15) + end, ..inputs() };
        let changes = changes(&described(&long("1")), &described(&long("2")));
        assert!(changes.len() == 1 && !changes[0].before.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_told_of_lines_is_in_the_texts(
            before in proptest::collection::vec("[abc]", 0..12),
            after in proptest::collection::vec("[abc]", 0..12),
        ) {
            let (before, after): (Vec<_>, Vec<_>) =
                (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
            let (gone, came) = unshared(&before, &after);
            // What both share is equally long in each.
            prop_assert_eq!(before.len() - gone.len(), after.len() - came.len());
            prop_assert_eq!(gone.is_empty() && came.is_empty(), before == after);
            let mut rest = before.iter();
            prop_assert!(gone.iter().all(|line| rest.any(|other| other == line)));
        }
    }
}
