//! `staithe image ls`, `rm` and `prune`.

use std::collections::BTreeSet;

use serde_json::json;
use staithe_engine::images::ImageInfo;
use staithe_image::{labels, retention::Why};

use super::{CommandFailed, configured, inputs_of, say, size, workshop};
use crate::{
    cli::image::{ImageList, ImagePrune, ImageRemove},
    images::upkeep,
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
    for image in &wanted.images {
        let found = ours.iter().find(|it| {
            it.names.contains(image) || it.id == *image || it.id == format!("sha256:{image}")
        });
        let Some(found) = found else {
            return Err(CommandFailed::Usage(format!(
                "{image} is no image that this installation built: staithe image ls"
            )));
        };
        if found.names.contains(image) {
            names.push(image.clone());
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

pub(super) async fn prune(wanted: &ImagePrune) -> Result<(), CommandFailed> {
    let config = configured(&wanted.inputs)?;
    let workshop = workshop(&config).await?;
    let current = BTreeSet::from([workshop.names(&inputs_of(&config)?)?.source]);
    let removed = upkeep::prune(&workshop, &current, wanted.dry_run).await?;
    if wanted.json {
        let all: Vec<_> =
            removed.iter().map(|it| json!({ "name": it.name, "why": it.why })).collect();
        say(&serde_json::Value::from(all).to_string());
        return Ok(());
    }
    for removal in &removed {
        say(&format!("{}  ({})", removal.name, words(removal.why)));
    }
    let what = if wanted.dry_run { "would be removed" } else { "removed" };
    eprintln!("{} {what}", removed.len());
    Ok(())
}

fn words(why: Why) -> &'static str {
    match why {
        Why::Outnumbered => "enough newer ones of its base are there",
        Why::TooOld => "older than sandbox.image.keep_for",
        Why::CarriesNothing => "nothing that is kept is built on it",
        Why::Nameless => "a newer image has its name",
    }
}
