//! What goes, and what never does.

use proptest::prelude::*;

use super::*;
use crate::{
    inputs::Inputs,
    labels::{labels, read},
    names::Names,
    samples::{RECIPE, inputs},
};

const DAY: i64 = 86_400;
const NOW: i64 = 1_000 * DAY;
const MONTH: Policy = Policy { keep: 2, keep_for: Duration::from_hours(30 * 24) };

/// An image of a stage, made from the sample with this base and these extra lines, so many days ago.
fn image(stage: Stage, base: &str, extra: &str, age: i64) -> Stored {
    let inputs = Inputs { base_image: base.into(), extra_deps: extra.into(), ..inputs() };
    let names = Names::of("staithe/runtime", &inputs, RECIPE).unwrap();
    let name = names.of_stage(stage).to_owned();
    let made = read(&labels(stage, &inputs, RECIPE, base).unwrap()).unwrap();
    let id = format!("{name}, {age} days old");
    Stored { id, names: vec![name], made, created: NOW - age * DAY, size: 7 }
}

fn source(base: &str, extra: &str, age: i64) -> Stored {
    image(Stage::Final, base, extra, age)
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[track_caller]
fn check(images: &[Stored], in_use: &[&str], current: &[&str], expected: &[(&str, Why)]) {
    let planned = plan(images, &MONTH, NOW, &set(in_use), &set(current));
    let told: Vec<(&str, Why)> =
        planned.iter().map(|gone| (gone.name.as_str(), gone.why)).collect();
    assert_eq!(told, expected);
}

#[test]
fn the_newest_of_each_base_are_kept() {
    let images = [
        source("a", "1", 1),
        source("a", "2", 2),
        source("a", "3", 3),
        source("b", "1", 4),
        source("b", "2", 5),
    ];
    check(&images, &[], &[], &[(&images[2].names[0], Why::Outnumbered)]);
}

#[test]
fn what_is_too_old_goes_however_few_there_are() {
    let images = [source("a", "1", 31), source("a", "2", 29)];
    check(&images, &[], &[], &[(&images[0].names[0], Why::TooOld)]);
    let ageless = Policy { keep_for: Duration::ZERO, ..MONTH };
    assert_eq!(plan(&images, &ageless, NOW, &set(&[]), &set(&[])), []);
}

#[test]
fn what_is_used_or_current_stays_with_what_it_is_built_on() {
    let images = [
        source("a", "1", 90),
        image(Stage::Deps, "a", "1", 90),
        image(Stage::System, "a", "1", 90),
    ];
    let name = |at: usize| images[at].names[0].as_str();
    check(&images, &[&images[0].id], &[], &[]);
    check(&images, &[], &[name(0)], &[]);
    check(
        &images,
        &[],
        &[],
        &[(name(0), Why::TooOld), (name(1), Why::CarriesNothing), (name(2), Why::CarriesNothing)],
    );
    // A build that is between two stages.
    check(&images, &[], &[name(1)], &[(name(0), Why::TooOld)]);
}

#[test]
fn a_lock_image_stays_as_long_as_one_that_is_built_on_it() {
    let images = [source("a", "1", 1), source("a", "2", 50), image(Stage::Deps, "a", "", 90), {
        let mut of_older_base = image(Stage::Deps, "a", "", 91);
        of_older_base.made.base_id = "older".into();
        of_older_base.names.clear();
        of_older_base
    }];
    check(&images, &[], &[], &[(&images[1].names[0], Why::TooOld), (&images[3].id, Why::Nameless)]);
}

#[test]
fn an_image_without_name_goes_by_its_id_unless_it_is_used() {
    let mut image = source("a", "1", 1);
    image.names.clear();
    let images = [image];
    check(&images, &[], &[], &[(&images[0].id, Why::Nameless)]);
    check(&images, &[&images[0].id], &[], &[]);
}

#[test]
fn a_name_that_somebody_else_gave_is_theirs() {
    let mut images = [source("a", "1", 90)];
    let ours = images[0].names[0].clone();
    images[0].names.push("theirs/keep:1".into());
    check(&images, &[], &[], &[(&ours, Why::TooOld)]);
    images[0].names.remove(0);
    check(&images, &[], &[], &[]);
}

#[test]
fn images_whose_inputs_cannot_be_read_carry_nothing() {
    let mut images = [source("a", "1", 1), image(Stage::Deps, "a", "1", 1)];
    images[1].made.described = None;
    check(&images, &[], &[], &[(&images[1].names[0], Why::CarriesNothing)]);
}

#[test]
fn of_images_made_in_one_second_the_current_one_is_the_newer() {
    let images = [source("a", "1", 5), source("a", "2", 5), source("a", "3", 5)];
    for (at, current) in images.iter().enumerate() {
        let name = current.names[0].as_str();
        let planned = plan(&images, &Policy { keep: 1, ..MONTH }, NOW, &set(&[]), &set(&[name]));
        let gone: Vec<&str> = planned.iter().map(|gone| gone.name.as_str()).collect();
        let others: Vec<&Stored> = images.iter().filter(|image| image.id != current.id).collect();
        assert_eq!(gone.len(), 2, "{at}: {gone:?}");
        assert!(others.iter().all(|other| gone.contains(&other.names[0].as_str())), "{gone:?}");
        // It takes one of the places; else a further image would stay beside it.
        let two = plan(&images, &MONTH, NOW, &set(&[]), &set(&[name]));
        assert_eq!(two.len(), 1, "{at}: {two:?}");
    }
}

#[test]
fn what_carries_nothing_stays_for_an_hour() {
    for stage in [Stage::System, Stage::Deps] {
        for (age, goes) in [(-60, false), (0, false), (3599, false), (3600, true), (3601, true)] {
            let mut stored = image(stage, "a", "1", 0);
            stored.created = NOW - age;
            let name = stored.names[0].clone();
            let expected = [(name.as_str(), Why::CarriesNothing)];
            check(&[stored.clone()], &[], &[], if goes { &expected } else { &[] });
            // Nobody can find it to stand on it.
            stored.names.clear();
            check(&[stored.clone()], &[], &[], &[(&stored.id, Why::Nameless)]);
        }
    }
}

#[test]
fn what_a_new_image_is_built_on_stays_with_it() {
    let mut images = [image(Stage::Deps, "a", "1", 0), image(Stage::System, "a", "1", 9)];
    check(&images, &[], &[], &[]);
    images[0].created -= NEW;
    let [lock, versioned] = &images;
    let expected =
        [(&*lock.names[0], Why::CarriesNothing), (&*versioned.names[0], Why::CarriesNothing)];
    check(&images, &[], &[], &expected);
}

fn images() -> impl Strategy<Value = Vec<Stored>> {
    let one = (
        proptest::sample::select(vec![Stage::System, Stage::Deps, Stage::Final]),
        proptest::sample::select(vec!["a", "b"]),
        "[xyz]",
        0..60_i64,
        0..4_u8,
    );
    let stored = |(stage, base, extra, age, names): (Stage, &str, String, i64, u8)| {
        let mut stored = image(stage, base, &extra, age);
        match names {
            0 => stored.names.clear(),
            1 => stored.names.push(format!("theirs/x:{age}")),
            _ => {}
        }
        stored
    };
    proptest::collection::vec(one.prop_map(stored), 0..12).prop_map(|mut images| {
        images.sort_by(|a, b| a.id.cmp(&b.id));
        images.dedup_by(|a, b| a.id == b.id);
        // A name stands for one image: the newest.
        images.sort_by_key(|image| image.created);
        for at in 0..images.len() {
            let (older, newer) = images.split_at_mut(at + 1);
            let taken = |name: &String| newer.iter().any(|image| image.names.contains(name));
            older[at].names.retain(|name| !taken(name));
        }
        images
    })
}

proptest! {
    #[test]
    fn what_is_needed_stays_and_a_second_plan_is_empty(
        images in images(),
        keep in 0..4_usize,
        days in 0..60_u64,
        used in any::<u16>(),
        wanted in any::<u16>(),
    ) {
        let policy = Policy { keep, keep_for: Duration::from_hours(days * 24) };
        let chosen = |bits: u16| {
            images.iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, image)| image)
        };
        // About one in four of each.
        let in_use: BTreeSet<String> =
            chosen(used & used.rotate_left(5)).map(|image| image.id.clone()).collect();
        let current: BTreeSet<String> =
            chosen(wanted & wanted.rotate_left(5)).flat_map(|image| image.names.clone()).collect();

        let removals = plan(&images, &policy, NOW, &in_use, &current);
        let gone: BTreeSet<&str> = removals.iter().map(|removal| removal.name.as_str()).collect();
        prop_assert_eq!(gone.len(), removals.len(), "nothing is removed twice");
        for image in &images {
            let named = image.names.iter().any(|name| gone.contains(name.as_str()));
            let needed = in_use.contains(&image.id)
                || image.names.iter().any(|name| current.contains(name));
            prop_assert!(!(needed && (named || gone.contains(image.id.as_str()))));
        }
        for removal in removals.iter().filter(|removal| removal.why == Why::CarriesNothing) {
            let image = images.iter().find(|image| image.names.contains(&removal.name)).unwrap();
            prop_assert!(NOW - image.created >= NEW && image.made.stage != Stage::Final);
        }

        let mut left = images.clone();
        left.retain(|image| !gone.contains(image.id.as_str()));
        for image in &mut left {
            image.names.retain(|name| !gone.contains(name.as_str()));
        }
        // The engine removes an image with its last name.
        let nameless: BTreeSet<_> =
            images.iter().filter(|image| image.names.is_empty()).map(|image| &image.id).collect();
        left.retain(|image| !image.names.is_empty() || nameless.contains(&image.id));
        prop_assert_eq!(plan(&left, &policy, NOW, &in_use, &current), []);
    }
}
