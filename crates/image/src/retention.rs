//! Which runtime images are no longer needed. Pure.
//!
//! Of source images, those of each base that are the newest, and young enough, are kept; of the images that
//! others are built on, those that something kept is built on, and new ones. What a container is made of, or what
//! the configuration would take now, is kept whatever its age.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{labels::Made, names::TAG_HEAD, refs::ImageRef, stages::Stage};

/// Seconds in which an image that carries nothing stays: a build may be about to stand on it, or begin there
/// once more after it failed.
const NEW: i64 = 3600;

/// One of our images as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The engine's id of its content.
    pub id: String,
    /// Every `repository:tag` that names it; empty for one that another image took the name from.
    pub names: Vec<String>,
    /// What its labels say.
    pub made: Made,
    /// Seconds since 1970.
    pub created: i64,
    /// Bytes.
    pub size: u64,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Source images per base image.
    pub keep: usize,
    /// Since they were made; zero: however old.
    pub keep_for: Duration,
}

/// One name to be taken away; an image goes with its last one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Removal {
    /// `repository:tag`, or the id of an image without name.
    pub name: String,
    pub why: Why,
    /// Bytes of the whole image. Layers that it shares with others stay.
    pub size: u64,
}

/// Why an image is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Enough newer ones of its base are there.
    Outnumbered,
    /// It was made too long ago.
    TooOld,
    /// Nothing that is kept is built on it.
    CarriesNothing,
    /// A newer image has its name, so nobody finds it.
    Nameless,
}

/// What can go, the images that are built on others first, so that none is in the way of another. `in_use`:
/// ids of images that containers are made of. `current`: names that the configuration leads to now, and those of
/// builds that are under way.
pub fn plan(
    images: &[Stored],
    policy: &Policy,
    now: i64,
    in_use: &BTreeSet<String>,
    current: &BTreeSet<String>,
) -> Vec<Removal> {
    let needed = |image: &Stored| {
        in_use.contains(&image.id) || image.names.iter().any(|name| current.contains(name))
    };
    let mut going: BTreeMap<&str, Why> = sources(images, policy, now, current)
        .into_iter()
        .filter(|(image, _)| !needed(image))
        .map(|(image, why)| (image.id.as_str(), why))
        .collect();
    // From the top down: a lock image that goes keeps no versioned image.
    for stage in [Stage::Deps, Stage::System] {
        let carries = |image: &Stored| {
            let mut kept = images.iter().filter(|other| !going.contains_key(other.id.as_str()));
            kept.any(|other| image.made.carries(&other.made))
        };
        let idle = images
            .iter()
            .filter(|image| image.made.stage == stage && !needed(image) && !carries(image))
            .filter_map(|image| {
                let nameless = image.names.is_empty();
                let new = now.saturating_sub(image.created) < NEW;
                let why = if nameless { Why::Nameless } else { Why::CarriesNothing };
                (nameless || !new).then_some((image.id.as_str(), why))
            });
        let idle: Vec<_> = idle.collect();
        going.extend(idle);
    }
    let mut images: Vec<&Stored> = images.iter().collect();
    images.sort_by_key(|image| (Reverse(image.made.stage), image.created));
    let removals = |image: &&Stored| {
        let (size, why) = (image.size, going.get(image.id.as_str()).copied());
        let names = removable(image);
        why.into_iter()
            .flat_map(move |why| {
                names.clone().into_iter().map(move |name| Removal { name, why, size })
            })
            .collect::<Vec<_>>()
    };
    images.iter().flat_map(removals).collect()
}

/// The source images that the policy does not keep.
fn sources<'a>(
    images: &'a [Stored],
    policy: &Policy,
    now: i64,
    current: &BTreeSet<String>,
) -> Vec<(&'a Stored, Why)> {
    let mut by_base: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    let mut going = Vec::new();
    for image in images.iter().filter(|image| image.made.stage == Stage::Final) {
        if image.names.is_empty() {
            going.push((image, Why::Nameless));
        } else if !removable(image).is_empty() {
            by_base.entry(&image.made.base).or_default().push(image);
        }
    }
    let limit = i64::try_from(policy.keep_for.as_secs()).unwrap_or(i64::MAX);
    let too_old = |image: &Stored| limit > 0 && now.saturating_sub(image.created) > limit;
    // Of those made in one second, what the configuration leads to is the newer.
    let newness = |image: &'a Stored| {
        let current = image.names.iter().any(|name| current.contains(name));
        (image.created, current, &image.id)
    };
    for mut images in by_base.into_values() {
        images.sort_by_key(|image| Reverse(newness(image)));
        for (place, image) in images.into_iter().enumerate() {
            if place >= policy.keep {
                going.push((image, Why::Outnumbered));
            } else if too_old(image) {
                going.push((image, Why::TooOld));
            }
        }
    }
    going
}

/// Those of its names that we gave; its id when it has none. A name that somebody else gave is theirs.
fn removable(image: &Stored) -> Vec<String> {
    if image.names.is_empty() {
        return vec![image.id.clone()];
    }
    let ours = |name: &&String| {
        let tag = ImageRef::parse(name).ok().and_then(|name| name.tag);
        tag.is_some_and(|tag| tag.starts_with(TAG_HEAD))
    };
    image.names.iter().filter(ours).cloned().collect()
}

#[cfg(test)]
mod tests;
