//! `staithe image …` in the terminal.

mod bar;
mod build;
mod explain;
mod list;

use std::{collections::BTreeSet, fs, path::Path, process::ExitCode};

use staithe_engine::{Engine, EngineFailed};
use staithe_image::inputs::Inputs;

use super::{faults::MakeFailed, ways::Ways, workshop::Workshop};
use crate::{
    boot,
    cli::image::{Image, ImageCommand, ImageInputs},
    config::{
        Config, image,
        load::{self, Overrides},
    },
    telemetry,
};

/// Wrong input (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// No engine (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Ended by Ctrl-C, as shells say it.
const INTERRUPTED: u8 = 130;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum CommandFailed {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("interrupted: nothing half-made is left")]
    Interrupted,
    #[error("{0}")]
    Failed(String),
}

impl From<EngineFailed> for CommandFailed {
    fn from(error: EngineFailed) -> Self {
        let fault =
            staithe_actors::images::maker::fault_of(staithe_protocol::StartStep::Build, &error);
        let words = format!("{}\n  -> {}", fault.cause, fault.remedy);
        match error {
            EngineFailed::Unavailable { .. } => Self::Unavailable(words),
            _ => Self::Failed(words),
        }
    }
}

impl From<MakeFailed> for CommandFailed {
    fn from(error: MakeFailed) -> Self {
        let fault = error.fault(None);
        Self::Failed(format!("{}\n  -> {}", fault.cause, fault.remedy))
    }
}

/// Runs it.
pub fn run(image: Image) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(command(image.command)),
        Err(error) => Err(CommandFailed::Failed(error.to_string())),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("staithe: {error}");
    ExitCode::from(match error {
        CommandFailed::Usage(_) => USAGE,
        CommandFailed::Unavailable(_) => UNAVAILABLE,
        CommandFailed::Interrupted => INTERRUPTED,
        CommandFailed::Failed(_) => 1,
    })
}

async fn command(command: ImageCommand) -> Result<(), CommandFailed> {
    match command {
        ImageCommand::Build(wanted) => build::run(&wanted).await,
        ImageCommand::Ls(wanted) => list::ls(&wanted).await,
        ImageCommand::Rm(wanted) => list::rm(&wanted).await,
        ImageCommand::Prune(wanted) => list::prune(&wanted).await,
        ImageCommand::Explain(wanted) => explain::run(&wanted).await,
    }
}

/// The configuration with what the command line says.
fn configured(flags: &ImageInputs) -> Result<Config, CommandFailed> {
    let usage = |error: String| CommandFailed::Usage(error);
    let dir = flags.data_dir.as_ref().map(|dir| ("server.data_dir", dir.display().to_string()));
    let overrides = Overrides(dir.into_iter().collect());
    let mut config = load::load(flags.config.as_deref(), &overrides)
        .map_err(|error| usage(error.to_string()))?;
    apply(flags, &mut config).map_err(usage)?;
    let faults = config.faults();
    if faults.is_empty() { Ok(config) } else { Err(usage(faults.join("\n"))) }
}

fn apply(flags: &ImageInputs, config: &mut Config) -> Result<(), String> {
    let sandbox = &mut config.sandbox;
    let set = |place: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            place.clone_from(value);
        }
    };
    set(&mut sandbox.base_container_image, &flags.base_image);
    set(&mut sandbox.platform, &flags.platform);
    set(&mut sandbox.image.user, &flags.user);
    set(&mut sandbox.image.tools_image, &flags.tools_image);
    if let Some(lines) = &flags.extra_deps {
        sandbox.runtime_extra_deps = match lines.strip_prefix('@') {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| format!("--extra-deps: {path}: {error}"))?,
            None => lines.clone(),
        };
    }
    if let Some(plugins) = &flags.plugins {
        sandbox.plugins.clone_from(plugins);
        sandbox.plugins.retain(|name| !name.is_empty());
    }
    if let Some(system) = &flags.system {
        let word = serde_json::Value::from(system.as_str());
        sandbox.image.system = serde_json::from_value(word)
            .map_err(|_| format!("--system: {system}: apt, dnf, apk, zypper, none or auto"))?;
    }
    for argument in &flags.build_args {
        let (name, value) = argument
            .split_once('=')
            .ok_or_else(|| format!("--build-arg: {argument}: NAME=VALUE is needed"))?;
        image::variable(name).map_err(|error| format!("--build-arg: {error}"))?;
        sandbox.image.build_args.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

fn inputs_of(config: &Config) -> Result<Inputs, CommandFailed> {
    let base = &config.sandbox.base_container_image;
    image::reference(base)
        .map_err(|error| CommandFailed::Usage(format!("sandbox.base_container_image: {error}")))?;
    config.sandbox.image_inputs(base).map_err(CommandFailed::Usage)
}

/// Names that the configuration leads to by itself, without what the command line says: no prune takes them.
fn configured_names(
    workshop: &Workshop,
    flags: &ImageInputs,
) -> Result<BTreeSet<String>, CommandFailed> {
    let files = ImageInputs {
        config: flags.config.clone(),
        data_dir: flags.data_dir.clone(),
        ..ImageInputs::default()
    };
    let names = workshop.names(&inputs_of(&configured(&files)?)?)?;
    Ok([names.source, names.lock, names.versioned].into())
}

/// The engine's images, and how they are built here.
async fn workshop(config: &Config) -> Result<Workshop, CommandFailed> {
    telemetry::init(&quiet(config)).map_err(|error| CommandFailed::Failed(format!("{error:#}")))?;
    let failed = |error: anyhow::Error| CommandFailed::Failed(format!("{error:#}"));
    let data_dir =
        load::data_dir(config).map_err(|error| CommandFailed::Usage(error.to_string()))?;
    boot::make_dir(&data_dir).map_err(failed)?;
    let owner = boot::owner_of(&data_dir).map_err(failed)?;
    open(config, &data_dir, &owner).await
}

async fn open(config: &Config, data_dir: &Path, owner: &str) -> Result<Workshop, CommandFailed> {
    let engine = boot::docker_engine(config, data_dir, owner).await?;
    let images = engine.images().ok_or_else(|| {
        CommandFailed::Unavailable(
            "this engine has no images; images need the engine docker".into(),
        )
    })?;
    Ok(Workshop::new(images, Ways::of(config, owner, data_dir)?))
}

/// What the server would log is not what a person at a terminal wants to read.
fn quiet(config: &Config) -> crate::config::Log {
    let filter = std::env::var("STAITHE__LOG__FILTER").unwrap_or_else(|_| "error".into());
    crate::config::Log { filter, ..config.log.clone() }
}

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
