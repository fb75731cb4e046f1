//! `staithe image build`.

use std::path::Path;

use serde_json::json;
use staithe_engine::images::BuildFailed;
use staithe_image::{
    base, context, fields,
    inputs::Inputs,
    names::Names,
    refs::ImageRef,
    render::{self, Request},
    stages::BuildFrom,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CommandFailed, bar::Bar, configured, configured_names, inputs_of, say, workshop};
use crate::{
    cli::image::ImageBuild,
    config::{BuilderChoice, Config},
    images::{
        faults::{MakeFailed, chain},
        making::Teller,
        upkeep,
        ways::authorities,
        workshop::{Failed, Made, Wish, Workshop},
    },
};

pub(super) async fn run(wanted: &ImageBuild) -> Result<(), CommandFailed> {
    let mut config = configured(&wanted.inputs)?;
    config.sandbox.image.builder = match wanted.builder.as_deref() {
        None => config.sandbox.image.builder,
        Some("auto") => BuilderChoice::Auto,
        Some("buildkit") => BuilderChoice::Buildkit,
        Some("classic") => BuilderChoice::Classic,
        Some(other) => {
            return Err(CommandFailed::Usage(format!(
                "--builder: {other}: auto, buildkit or classic"
            )));
        }
    };
    let inputs = inputs_of(&config)?;
    if !config.sandbox.builds_images() {
        eprintln!(
            "note: with this configuration sessions use an image as it is; they get a built one where \
             sandbox.plugins or sandbox.runtime_extra_deps asks for it and runtime_container_image is empty"
        );
    }
    if let Some(folder) = &wanted.build_folder {
        let names = write(&config, &inputs, folder)?;
        say_names(wanted.json, &names, &json!({ "folder": folder }));
        return Ok(());
    }
    let workshop = workshop(&config).await?;
    let cancel = asked_to_end();
    // What a build left whose engine or process was killed: where there is no server, nobody else does it.
    for left in workshop.images().sweep().await? {
        eprintln!("left by a build of before, removed: {left}");
    }
    let made = make(&workshop, &inputs, wanted.force_rebuild, &cancel).await?;
    let after = async {
        if let Err(error) = workshop.keep(&made).await {
            let words = chain(&error);
            eprintln!("staithe: the image is built, and can't be kept in the folder: {words}");
        }
        if wanted.push { push(&workshop, &made.names).await } else { Ok(()) }
    };
    tokio::select! {
        outcome = after => outcome?,
        () = cancel.cancelled() => return Err(CommandFailed::Interrupted),
    }
    if made.from.is_some() {
        let mut current = configured_names(&workshop, &wanted.inputs)?;
        current.insert(made.names.source.clone());
        let pruned = upkeep::prune(&workshop, current, false).await?;
        pruned.gone.iter().for_each(|it| eprintln!("not needed any more, removed: {}", it.name));
    } else if !wanted.json {
        eprintln!("it was there already; --force-rebuild builds it anew");
    }
    let more = json!({ "id": made.id, "built_from": made.from, "seconds": made.took.as_secs() });
    say_names(wanted.json, &made.names, &more);
    Ok(())
}

/// Cancelled by SIGINT or SIGTERM, at any time from now on.
fn asked_to_end() -> CancellationToken {
    let cancel = CancellationToken::new();
    let asked = cancel.clone();
    tokio::spawn(async move {
        let Ok(mut term) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        asked.cancel();
    });
    cancel
}

fn say_names(json: bool, names: &Names, more: &serde_json::Value) {
    if !json {
        say(&format!("{}\n{}\n{}", names.source, names.lock, names.versioned));
        return;
    }
    let mut all =
        json!({ "source": names.source, "lock": names.lock, "versioned": names.versioned });
    if let (Some(all), Some(more)) = (all.as_object_mut(), more.as_object()) {
        all.extend(more.clone());
    }
    say(&all.to_string());
}

/// Dockerfile and context, by the inputs alone: a base that can't be looked into is guessed by its name.
fn write(config: &Config, inputs: &Inputs, folder: &Path) -> Result<Names, CommandFailed> {
    let image = &config.sandbox.image;
    let inputs = &fields::normalised(inputs).map_err(MakeFailed::from)?;
    let base = ImageRef::parse(&inputs.base_image).map_err(MakeFailed::from)?;
    let names =
        Names::of(&image.repository, inputs, &render::recipe_digest()).map_err(MakeFailed::from)?;
    let authorities =
        if image.ca_dir.as_os_str().is_empty() { Vec::new() } else { authorities(&image.ca_dir)? };
    let facts = base::guess(&base).with_system(inputs.system);
    let request = Request {
        inputs,
        facts: &facts,
        base: &inputs.base_image,
        stages: BuildFrom::Scratch.stages(),
        mounts: image.builder != BuilderChoice::Classic,
        ca: !authorities.is_empty(),
    };
    let dockerfile = render::render(&request).map_err(MakeFailed::from)?;
    let mut context = context::assemble(&request, dockerfile, &authorities);
    context.add("config.sh", config_sh(&names).into_bytes());
    context.write_folder(folder).map_err(|error| CommandFailed::Failed(error.to_string()))?;
    Ok(names)
}

/// The two variables that scripts around the reference's builder read.
fn config_sh(names: &Names) -> String {
    let tag = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
    format!(
        "DOCKER_IMAGE_TAG={}\nDOCKER_IMAGE_SOURCE_TAG={}\n",
        tag(&names.versioned),
        tag(&names.source)
    )
}

async fn make(
    workshop: &Workshop,
    inputs: &Inputs,
    anew: bool,
    cancel: &CancellationToken,
) -> Result<Made, CommandFailed> {
    let bar = Bar::begin();
    let teller = Teller { progress: &|progress| bar.show(progress), line: &|line| bar.line(line) };
    let outcome = workshop.make(inputs, Wish { anew }, &teller, cancel).await;
    bar.end();
    outcome.map_err(|Failed { why, log }| match why {
        MakeFailed::Build(BuildFailed::Cancelled) => CommandFailed::Interrupted,
        MakeFailed::Build(BuildFailed::Engine(error)) => error.into(),
        why => {
            let fault = why.fault(log.as_deref());
            for line in &fault.log_tail {
                eprintln!("  | {line}");
            }
            CommandFailed::Failed(format!("{}\n  -> {}", fault.cause, fault.remedy))
        }
    })
}

async fn push(workshop: &Workshop, names: &Names) -> Result<(), CommandFailed> {
    if !ImageRef::parse(&names.source).is_ok_and(|name| name.is_remote()) {
        return Err(CommandFailed::Usage(format!(
            "--push: {} names no registry; set sandbox.image.repository to \"host/path\"",
            workshop.ways().repository
        )));
    }
    for name in [&names.versioned, &names.lock, &names.source] {
        // A build that began at a later stage has not got the earlier ones.
        if workshop.images().inspect(name).await?.is_none() {
            eprintln!("not here, so not sent: {name}");
            continue;
        }
        eprintln!("sending {name}");
        workshop.images().push(name, &|words| eprintln!("  {words}")).await?;
    }
    Ok(())
}
