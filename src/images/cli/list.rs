//! `staithe image ls`, `rm` and `prune`.

use std::collections::BTreeSet;

use serde_json::json;
use staithe_engine::images::ImageInfo;
use staithe_image::{labels, retention::Why};

use super::{CommandFailed, configured, configured_names, inputs_of, say, size, workshop};
use crate::{
    cli::image::{ImageList, ImagePrune, ImageRemove},
    images::upkeep::{self, Pruned},
};

pub(super) async fn ls(wanted: &ImageList) -> Result<(), CommandFailed> {
    let config = configured(&wanted.inputs)?;
    let workshop = workshop(&config).await?;
    let images = upkeep::ours(&workshop).await?;
    let used: BTreeSet<String> = workshop.images().used().await?.into_iter().collect();
    let current = workshop.names(&inputs_of(&config)?)?.source;
    if wanted.json {
        let all: Vec<_> = images.iter().map(|image| view(image, &used, &current)).collect();
        say(&serde_json::Value::from(all).to_string());
        return Ok(());
    }
    if images.is_empty() {
        eprintln!("no image was built here yet: staithe image build");
        return Ok(());
    }
    say(&format!("{:<9} {:<16} {:>10}  {:<7} {}", "STAGE", "CREATED", "SIZE", "", "NAME, BASE"));
    for image in &images {
        let Some(made) = labels::read(&image.labels) else { continue };
        let mark = match (used.contains(&image.id), image.names.contains(&current)) {
            (_, true) => "current",
            (true, false) => "in use",
            (false, false) => "",
        };
        let created = jiff::Timestamp::from_second(image.created).unwrap_or_default();
        say(&format!(
            "{:<9} {:<16} {:>10}  {mark:<7} {}, {}",
            labels::image_word(made.stage),
            created.strftime("%Y-%m-%d %H:%M").to_string(),
            size(image.size),
            image.names.first().map_or(&*image.id, String::as_str),
            made.base,
        ));
    }
    Ok(())
}

fn view(image: &ImageInfo, used: &BTreeSet<String>, current: &str) -> serde_json::Value {
    let made = labels::read(&image.labels);
    json!({
        "id": image.id,
        "names": image.names,
        "stage": made.as_ref().map(|made| labels::image_word(made.stage)),
        "base": made.as_ref().map(|made| &made.base),
        "size": image.size,
        "created": jiff::Timestamp::from_second(image.created).unwrap_or_default().to_string(),
        "in_use": used.contains(&image.id),
        "current": image.names.iter().any(|name| name == current),
    })
}

pub(super) async fn rm(wanted: &ImageRemove) -> Result<(), CommandFailed> {
    let workshop = workshop(&configured(&wanted.inputs)?).await?;
    let ours = upkeep::ours(&workshop).await?;
    let mut names = Vec::new();
    for wanted in &wanted.images {
        let found = one_of(&ours, wanted).map_err(CommandFailed::Usage)?;
        if found.names.contains(wanted) {
            names.push(wanted.clone());
        } else if found.names.is_empty() {
            names.push(found.id.clone());
        } else {
            names.extend(found.names.clone());
        }
    }
    for name in names {
        workshop.images().remove(&name).await?;
        say(&name);
    }
    Ok(())
}

/// The image of a name or id, or of the beginning of an id that no other has.
fn one_of<'a>(ours: &'a [ImageInfo], wanted: &str) -> Result<&'a ImageInfo, String> {
    let id = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let named = |it: &&ImageInfo| {
        let digits = it.id.strip_prefix("sha256:").unwrap_or(&it.id);
        it.names.iter().any(|name| name == wanted) || (id.len() >= 6 && digits.starts_with(id))
    };
    let found: Vec<&ImageInfo> = ours.iter().filter(named).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(format!("{wanted} is no image that this installation built: staithe image ls")),
        _ => Err(format!("{wanted} is the beginning of several ids")),
    }
}

pub(super) async fn prune(wanted: &ImagePrune) -> Result<(), CommandFailed> {
    let config = configured(&wanted.inputs)?;
    let workshop = workshop(&config).await?;
    let mut current = configured_names(&workshop, &wanted.inputs)?;
    current.insert(workshop.names(&inputs_of(&config)?)?.source);
    let Pruned { gone, stuck } = upkeep::prune(&workshop, current, wanted.dry_run).await?;
    if wanted.json {
        let all: Vec<_> = gone.iter().map(|it| json!({ "name": it.name, "why": it.why })).collect();
        say(&serde_json::Value::from(all).to_string());
    } else {
        for removal in &gone {
            say(&format!("{}  ({})", removal.name, words(removal.why)));
        }
        let what = if wanted.dry_run { "would be removed" } else { "removed" };
        eprintln!("{} {what}", gone.len());
    }
    if stuck.is_empty() {
        return Ok(());
    }
    let stuck: Vec<String> = stuck.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    Err(CommandFailed::Failed(format!("could not be removed: {}", stuck.join("; "))))
}

fn words(why: Why) -> &'static str {
    match why {
        Why::Outnumbered => "enough newer ones of its base are there",
        Why::TooOld => "older than sandbox.image.keep_for",
        Why::CarriesNothing => "nothing that is kept is built on it",
        Why::Nameless => "a newer image has its name",
    }
}
