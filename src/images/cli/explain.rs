//! `staithe image explain`: why a name, what was changed, what is in it.

use std::{fs, path::Path};

use serde_json::{Value, json};
use staithe_engine::images::ImageInfo;
use staithe_image::{
    explain::{self, Change, Part},
    labels::{self, Described, Made},
    names::Names,
    render,
    sbom::{self, LayerView, Package, Record},
};

use super::{CommandFailed, configured, inputs_of, say, size, workshop};
use crate::{
    cli::image::ImageExplain,
    images::{faults::MakeFailed, upkeep, workshop::Workshop},
};

/// Packages of a layer that are named in the terminal; `--json` and `--sbom` have all.
const NAMED: usize = 12;

/// All that is told.
struct Told {
    names: Names,
    parts: Vec<Part>,
    /// The image, when it is there.
    image: Option<ImageInfo>,
    /// What is different from the newest other image on the same base.
    since: Option<(String, Vec<Change>)>,
    /// The base has other content than it was built on.
    base_changed: bool,
    layers: Vec<LayerView>,
    records: Vec<Record>,
}

pub(super) async fn run(wanted: &ImageExplain) -> Result<(), CommandFailed> {
    let config = configured(&wanted.inputs)?;
    let workshop = workshop(&config).await?;
    let inputs = inputs_of(&config)?;
    let recipe = render::recipe_digest();
    let names = workshop.names(&inputs)?;
    let described = Described::of(&inputs, &recipe).map_err(MakeFailed::from)?;
    let parts = explain::why(&inputs, &recipe).map_err(MakeFailed::from)?;
    let name = wanted.image.clone().unwrap_or_else(|| names.source.clone());
    let image = workshop.images().inspect(&name).await?;
    if wanted.image.is_some() && image.is_none() {
        return Err(CommandFailed::Usage(format!("{name} is not there: staithe image ls")));
    }
    let made = image.as_ref().and_then(|image| labels::read(&image.labels));
    if wanted.image.is_some() && made.is_none() {
        return Err(CommandFailed::Usage(format!("{name} was not built by staithe")));
    }
    let records = match &image {
        Some(image) => records(&workshop, image).await?,
        None => Vec::new(),
    };
    if let Some(file) = &wanted.sbom {
        return bill(file, &name, image.as_ref(), &records);
    }
    let told = Told {
        since: since(&workshop, &described, made.as_ref(), &name, wanted.image.is_some()).await?,
        base_changed: base_changed(&workshop, made.as_ref()).await?,
        layers: match &image {
            Some(image) => layers(&workshop, image, &records).await?,
            None => Vec::new(),
        },
        names,
        parts,
        image,
        records,
    };
    if wanted.json {
        say(&in_json(&told).to_string());
    } else {
        in_words(&told);
    }
    Ok(())
}

async fn records(workshop: &Workshop, image: &ImageInfo) -> Result<Vec<Record>, CommandFailed> {
    let files = workshop.images().read_folder(&image.id, sbom::FOLDER).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(files.into_iter().map(|(name, bytes)| sbom::parse(&name, &text(bytes))).collect())
}

async fn layers(
    workshop: &Workshop,
    image: &ImageInfo,
    records: &[Record],
) -> Result<Vec<LayerView>, CommandFailed> {
    let layers = workshop.images().layers(&image.id).await?;
    let layers: Vec<_> = layers.into_iter().map(|layer| (layer.created_by, layer.size)).collect();
    Ok(sbom::by_layer(records, &layers))
}

/// What the configuration asks now against a named image, or against the newest other one of this base.
async fn since(
    workshop: &Workshop,
    now: &Described,
    made: Option<&Made>,
    name: &str,
    named: bool,
) -> Result<Option<(String, Vec<Change>)>, CommandFailed> {
    let then = |made: &Made, stage| {
        let then = made.described.clone()?;
        Some(explain::changes(&now.clone().up_to(stage), &then))
    };
    if named {
        let changes = made.and_then(|made| then(made, made.stage));
        return Ok(changes.map(|changes| (name.to_owned(), changes)));
    }
    let base = now.inputs.get("base_image").map(|shown| shown.value.clone()).unwrap_or_default();
    let others = upkeep::ours(workshop).await?.into_iter().filter_map(|image| {
        let made = labels::read(&image.labels)?;
        let other = image.names.first().filter(|other| *other != name)?.clone();
        let fits = labels::image_word(made.stage) == "source" && made.base == base;
        fits.then_some((other, made))
    });
    let newest = others.into_iter().next();
    Ok(newest.and_then(|(other, made)| Some((other, then(&made, made.stage)?))))
}

async fn base_changed(workshop: &Workshop, made: Option<&Made>) -> Result<bool, CommandFailed> {
    let Some(made) = made.filter(|made| !made.base_id.is_empty()) else { return Ok(false) };
    let base = workshop.images().inspect(&made.base).await?;
    Ok(base.is_some_and(|base| base.id != made.base_id))
}

fn bill(
    file: &Path,
    name: &str,
    image: Option<&ImageInfo>,
    records: &[Record],
) -> Result<(), CommandFailed> {
    let image = image.ok_or_else(|| {
        CommandFailed::Usage(format!("{name} is not built yet: staithe image build"))
    })?;
    let created = jiff::Timestamp::from_second(image.created).unwrap_or_default().to_string();
    let bill = sbom::cyclonedx(name, &image.id, &created, records);
    let text = serde_json::to_string_pretty(&bill).unwrap_or_default();
    if file == Path::new("-") {
        say(&text);
        return Ok(());
    }
    fs::write(file, text + "\n")
        .map_err(|error| CommandFailed::Failed(format!("{}: {error}", file.display())))
}

fn in_json(told: &Told) -> Value {
    json!({
        "source": told.names.source,
        "lock": told.names.lock,
        "versioned": told.names.versioned,
        "there": told.image.is_some(),
        "id": told.image.as_ref().map(|image| &image.id),
        "size": told.image.as_ref().map(|image| image.size),
        "base_changed": told.base_changed,
        "inputs": told.parts,
        "compared_with": told.since.as_ref().map(|(name, _)| name),
        "changes": told.since.as_ref().map(|(_, changes)| changes),
        "rebuilds_from": told.since.as_ref().and_then(|(_, changes)| explain::rebuilds_from(changes)),
        "layers": told.layers,
        "packages": told.records.iter().map(|record| record.packages.len()).sum::<usize>(),
    })
}

fn in_words(told: &Told) {
    say(&format!("{}\n", told.names.source));
    match &told.image {
        Some(image) => say(&format!("It is there: {}, {}", image.id, size(image.size))),
        None => say("It is not built yet: staithe image build"),
    }
    if told.base_changed {
        say(
            "Its base image has other content now than it was built on (see sandbox.image.rebuild).",
        );
    }
    say("\nWhat is in its name, by the stage that it counts from:");
    for part in &told.parts {
        let value = part.shown.value.replace('\n', "\n                               ");
        say(&format!("  {:<7} {:<22} {value}", part.shown.stage.as_str(), part.field));
    }
    if let Some((other, changes)) = &told.since {
        say(&format!("\nCompared with {other}:"));
        changes_in_words(changes);
    }
    if told.layers.is_empty() {
        return;
    }
    say("\nWhat is in it, from the base on:");
    told.layers.iter().for_each(layer_in_words);
}

fn changes_in_words(changes: &[Change]) {
    if changes.is_empty() {
        say("  nothing is different, unless credentials in addresses are");
    }
    for Change { field, before, after, stage } in changes {
        say(&format!("  {:<7} {field}", stage.as_str()));
        before.lines().for_each(|line| say(&format!("          - {line}")));
        after.lines().for_each(|line| say(&format!("          + {line}")));
    }
    if let Some(from) = explain::rebuilds_from(changes) {
        say(&format!("  a build begins from: {}", serde_json::to_value(from).unwrap_or_default()));
    }
}

fn layer_in_words(layer: &LayerView) {
    let step: String = layer.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = step.chars().take(100).collect();
    let packages: Vec<&Package> =
        layer.records.iter().flat_map(|record| &record.packages).collect();
    if layer.size == 0 && packages.is_empty() {
        return;
    }
    say(&format!("  {:>10}  {short}", size(layer.size)));
    let some: Vec<String> = packages
        .iter()
        .take(NAMED)
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    if !some.is_empty() {
        let more = packages.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        say(&format!("              {}{more}", some.join(", ")));
    }
}
