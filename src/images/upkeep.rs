//! Which images are ours, and which of them are not needed any more.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use staithe_engine::{EngineFailed, LABEL_OWNER, Labels, images::ImageInfo};
use staithe_image::{
    labels,
    retention::{self, Removal, Stored},
};

use super::{faults::chain, workshop::Workshop};

/// How many images are kept, and for how long; zero: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub keep: usize,
    pub keep_for: Duration,
}

/// Every image that this installation built, newest first.
pub async fn ours(workshop: &Workshop) -> Result<Vec<ImageInfo>, EngineFailed> {
    let owner = Labels::from([(LABEL_OWNER.to_owned(), workshop.ways().owner.clone())]);
    let mut found = workshop.images().list(&owner).await?;
    found.retain(|image| labels::read(&image.labels).is_some());
    Ok(found)
}

/// What a prune did.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    pub gone: Vec<Removal>,
    /// Names that could not be removed, and why: somebody may have begun to use them.
    pub stuck: Vec<(String, String)>,
}

/// Removes what the policy lets go, unless it is only to be told. Images in use, those that are being made here, and
/// those of `current` stay.
pub async fn prune(
    workshop: &Workshop,
    mut current: BTreeSet<String>,
    only_tell: bool,
) -> Result<Pruned, EngineFailed> {
    let stored: Vec<Stored> = ours(workshop).await?.into_iter().filter_map(stored).collect();
    let used: BTreeSet<String> = workshop.images().used().await?.into_iter().collect();
    let Policy { keep, keep_for } = workshop.ways().keep;
    let policy = retention::Policy { keep: if keep == 0 { usize::MAX } else { keep }, keep_for };
    current.extend(workshop.under_way());
    let mut pruned = Pruned::default();
    for removal in retention::plan(&stored, &policy, now(), &used, &current) {
        let removed =
            if only_tell { Ok(()) } else { workshop.images().remove(&removal.name).await };
        match removed {
            Ok(()) => pruned.gone.push(removal),
            Err(error) => pruned.stuck.push((removal.name, chain(&error))),
        }
    }
    Ok(pruned)
}

fn stored(image: ImageInfo) -> Option<Stored> {
    Some(Stored {
        made: labels::read(&image.labels)?,
        id: image.id,
        names: image.names,
        created: image.created,
        size: image.size,
    })
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
