//! Every input is in the name, and nothing else is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    inputs::{Download, Mirrors, Plugin, SystemChoice},
    samples::RECIPE,
};

const REPOSITORY: &str = "ghcr.io/staithe/runtime";

fn plain() -> Inputs {
    let base_image = "nikolaik/python-nodejs:python3.12-nodejs22".into();
    Inputs { base_image, ..crate::samples::inputs() }
}

fn names(inputs: &Inputs) -> Names {
    Names::of(REPOSITORY, inputs, RECIPE).unwrap()
}

#[track_caller]
fn tag(name: &str) -> String {
    let image = ImageRef::parse(name).unwrap();
    assert_eq!(image.repository(), REPOSITORY);
    image.tag.unwrap()
}

type Change = fn(&mut Inputs);

/// One change of each single input, and the first stage that it counts for.
const CHANGES: [(&str, Stage, Change); 22] = [
    ("version", Stage::System, |i| i.version.push('1')),
    ("base_image", Stage::System, |i| i.base_image.push('1')),
    ("platform", Stage::System, |i| i.platform.push('1')),
    ("plugins", Stage::System, |i| toggle(&mut i.plugins, Plugin::Browser)),
    ("agent_skills", Stage::System, |i| toggle(&mut i.plugins, Plugin::AgentSkills)),
    ("user", Stage::System, |i| i.user.push('1')),
    ("tools_image", Stage::System, |i| i.tools_image.push('1')),
    ("apt", Stage::System, |i| i.mirrors.apt.push('1')),
    ("apk", Stage::System, |i| i.mirrors.apk.push('1')),
    ("system", Stage::System, |i| {
        i.system =
            if i.system == SystemChoice::Apk { SystemChoice::Apt } else { SystemChoice::Apk };
    }),
    ("a new argument", Stage::System, |i| {
        i.build_args.insert("NEW_ONE".into(), String::new());
    }),
    ("an argument's value", Stage::System, |i| {
        i.build_args.entry("A".into()).or_default().push('1');
    }),
    ("pypi", Stage::Deps, |i| i.mirrors.pypi.push('1')),
    ("npm", Stage::Deps, |i| i.mirrors.npm.push('1')),
    ("node.version", Stage::Deps, |i| i.node.version.push('1')),
    ("node.source", Stage::Deps, |i| i.node.source.push('1')),
    ("node.checksum", Stage::Deps, |i| i.node.checksum.push('1')),
    ("vscode.version", Stage::Deps, |i| i.vscode.version.push('1')),
    ("vscode.source", Stage::Deps, |i| i.vscode.source.push('1')),
    ("vscode.checksum", Stage::Deps, |i| i.vscode.checksum.push('1')),
    ("jupyter_requirements", Stage::Deps, |i| i.jupyter_requirements.push('1')),
    ("extra_deps", Stage::Final, |i| i.extra_deps.push('1')),
];

fn toggle(plugins: &mut BTreeSet<Plugin>, plugin: Plugin) {
    if !plugins.remove(&plugin) {
        plugins.insert(plugin);
    }
}

#[track_caller]
fn check(before: &Names, after: &Names, what: &str, stage: Stage) {
    assert_ne!(before.source, after.source, "{what} is not in the source tag");
    assert_eq!(before.lock != after.lock, stage <= Stage::Deps, "{what} and the lock tag");
    assert_eq!(
        before.versioned != after.versioned,
        stage == Stage::System,
        "{what} and the versioned tag"
    );
}

#[test]
fn names_have_the_forms_of_the_reference() {
    let names = names(&plain());
    let versioned = tag(&names.versioned);
    let head = "oh_v0.1.0_nikolaik_s_python-nodejs_t_python3.12-nodejs22_";
    assert_eq!(versioned.strip_prefix(head).unwrap().len(), HASH_DIGITS);
    let lock = tag(&names.lock);
    assert_eq!(lock.strip_prefix("oh_v0.1.0_").unwrap().len(), HASH_DIGITS);
    let source = tag(&names.source);
    assert_eq!(source.strip_prefix(&format!("{lock}_")).unwrap().len(), HASH_DIGITS);
    assert_eq!(names.of_stage(Stage::Deps), names.lock);
}

#[test]
fn a_hash_is_written_from_its_least_digit_on() {
    let mut hash = [0; 32];
    hash[15] = 36 + 11;
    hash[31] = 255;
    assert_eq!(h16(hash), "b100000000000000");
    // 2^128 - 1 is f5lxx1zz5pnorynqglhzmsp33.
    assert_eq!(h16([255; 32]), "33psmzhlgqnyronp");
}

#[test]
fn a_base_in_a_tag_is_cut_from_its_beginning_and_escaped() {
    let mut inputs = plain();
    inputs.base_image =
        format!("reg.example:5000/{}/End@sha256:{}", "a".repeat(90), "0".repeat(64)).to_lowercase();
    let versioned = tag(&names(&inputs).versioned);
    assert!(versioned.contains("_s_end_d_sha256_t_000"), "{versioned}");
    assert!(versioned.len() <= MOST_TAG);
    inputs.base_image = "[::1]:5000/a".into();
    let versioned = tag(&names(&inputs).versioned);
    assert!(versioned.contains("_x5b__t__t_1_x5d__t_5000_s_a_t_latest"), "{versioned}");
}

#[test]
fn a_version_is_escaped_and_cut() {
    let mut inputs = plain();
    inputs.version = "0.1.0+dirty/x".into();
    assert!(tag(&names(&inputs).lock).starts_with("oh_v0.1.0_x2b_dirty_s_x_"));
    inputs.version = "ä".repeat(100);
    let first = names(&inputs);
    inputs.version.push('b');
    check(&first, &names(&inputs), "the cut end of a version", Stage::System);
}

#[test]
fn what_makes_no_difference_to_the_image_makes_none_to_its_names() {
    let mut plain = plain();
    plain.base_image = "debian".into();
    plain.extra_deps = "one\ntwo".into();
    let same: [Change; 6] = [
        |i| i.base_image = "debian:latest".into(),
        |i| i.base_image = " debian\n".into(),
        |i| i.extra_deps = "one\r\ntwo\r\n\n  ".into(),
        |i| i.platform = "  ".into(),
        |i| i.tools_image = " ".into(),
        |i| i.mirrors.npm = "\n".into(),
    ];
    for (at, change) in same.into_iter().enumerate() {
        let mut changed = plain.clone();
        change(&mut changed);
        assert_eq!(names(&plain), names(&changed), "change {at}");
    }
}

#[test]
fn values_do_not_run_into_each_other() {
    let with = |args: &[(&str, &str)]| {
        let args = args.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        names(&Inputs { build_args: args.collect(), ..plain() })
    };
    let different =
        [with(&[]), with(&[("A", "1B2")]), with(&[("A", "1"), ("B", "2")]), with(&[("A1", "B2")])];
    let sources: BTreeSet<_> = different.iter().map(|names| &names.source).collect();
    assert_eq!(sources.len(), different.len());
}

#[test]
fn the_recipe_counts_from_the_first_stage_on() {
    let other = Names::of(REPOSITORY, &plain(), "sha256:other").unwrap();
    check(&names(&plain()), &other, "the recipe", Stage::System);
}

#[test]
fn a_base_or_a_repository_that_is_no_reference_is_refused() {
    let mut inputs = plain();
    inputs.base_image = "A B".into();
    assert!(Names::of(REPOSITORY, &inputs, RECIPE).is_err());
    assert!(Names::of("", &plain(), RECIPE).is_err());
}

fn download() -> impl Strategy<Value = Download> {
    ("[0-9.]{0,6}", "(https://[a-z]{1,5}/x)?", "[a-f0-9]{0,8}")
        .prop_map(|(version, source, checksum)| Download { version, source, checksum })
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let image = || "([a-z]{1,5}\\.[a-z]{1,3}(:[0-9]{2,4})?/)?[a-z]{1,20}(/[a-z]{1,60}){0,2}(:[a-zA-Z0-9]{1,9})?";
    let plugins = proptest::sample::subsequence(Plugin::ALL.to_vec(), 0..=4);
    let mirrors = ["[a-z:/]{0,6}", "[a-z:/]{0,6}", "[a-z:/]{0,6}", "[a-z:/]{0,6}"]
        .prop_map(|[apt, apk, pypi, npm]| Mirrors { apt, apk, pypi, npm });
    let first = (".{0,50}", image(), "(linux/[a-z]{3,5})?", plugins, "(.|\n){0,40}");
    let args = proptest::collection::btree_map("[A-Z]{1,3}", ".{0,6}", 0..4);
    let second = (args, "[a-z0-9:]{0,9}", mirrors, download(), download(), "(.|\n){0,40}");
    let system = proptest::sample::select(vec![SystemChoice::Auto, SystemChoice::Apt]);
    (first, second, system, image()).prop_map(|(first, second, system, tools_image)| {
        let (version, base_image, platform, plugins, extra_deps) = first;
        let (build_args, user, mirrors, node, vscode, jupyter_requirements) = second;
        let plugins = plugins.into_iter().collect();
        Inputs {
            version,
            base_image,
            platform,
            plugins,
            extra_deps,
            build_args,
            system,
            user,
            tools_image,
            mirrors,
            node,
            vscode,
            jupyter_requirements,
        }
    })
}

proptest! {
    #[test]
    fn every_single_input_changes_the_source_and_no_stage_before_its_own(inputs in inputs()) {
        let before = names(&inputs);
        for (what, stage, change) in CHANGES {
            let mut changed = inputs.clone();
            change(&mut changed);
            check(&before, &names(&changed), what, stage);
        }
    }

    #[test]
    fn changing_nothing_changes_nothing(inputs in inputs()) {
        let normal = normalised(&inputs).unwrap();
        prop_assert_eq!(names(&inputs), names(&inputs.clone()));
        prop_assert_eq!(names(&inputs), names(&normal));
        prop_assert_eq!(normalised(&normal).unwrap(), normal);
    }

    #[test]
    fn every_name_is_a_reference_to_the_repository(inputs in inputs()) {
        let Names { source, lock, versioned } = names(&inputs);
        for name in [source, lock, versioned] {
            prop_assert!(tag(&name).starts_with(TAG_HEAD));
        }
    }

    #[test]
    fn two_inputs_have_one_name_only_when_they_are_the_same(a in inputs(), b in inputs()) {
        let same = normalised(&a).unwrap() == normalised(&b).unwrap();
        prop_assert_eq!(names(&a).source == names(&b).source, same);
    }
}
