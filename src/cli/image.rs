//! The command line of `staithe image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `staithe image --help` says at its end.
const IMAGE_HELP: &str = "\
Sessions need no image of their own: the runner is mounted into any. One is built where
sandbox.plugins or sandbox.runtime_extra_deps of the configuration ask for more than the base has,
at the first session's start, or ahead by `staithe image build`.

An image has three names, one for each stage: what comes of the base and its packages (versioned),
what is pinned (lock), the extra lines (source). Sandboxes are made of the last; a later build begins
at the last stage that is still right.

Exit codes: 0 done, 1 not built or not removed, 64 wrong input, 69 no engine, 130 interrupted.

Examples:
  staithe image build                                       what the configuration asks for
  staithe image build --base-image debian:12 --plugins jupyter,vscode
  staithe image build --extra-deps 'apt-get update && apt-get install -y jq' --json
  staithe image build --base-image debian:12 --plugins jupyter --build-folder ./image   no engine needed
  staithe image explain                                     why this name, what changed, what is in it
  staithe image prune --dry-run";

#[derive(Debug, Args)]
#[command(after_help = IMAGE_HELP)]
pub struct Image {
    #[command(subcommand)]
    pub command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build the image that sessions will be made of, or find that it is there.
    Build(ImageBuild),
    /// List the images that this installation built.
    Ls(ImageList),
    /// Remove images, each by one of its names.
    Rm(ImageRemove),
    /// Remove images that are not needed any more, as the keys `keep` and `keep_for` of sandbox.image say.
    Prune(ImagePrune),
    /// Tell why an image has its name, what was changed since others were built, what is in it.
    Explain(ImageExplain),
}

/// What an image is made from; each overrides the configuration.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct ImageInputs {
    /// A TOML file; only what differs from the shipped config.toml needs to be in it.
    #[arg(long, value_name = "FILE", env = "STAITHE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where logs of builds are kept. [config: server.data_dir]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The image to build on. [config: sandbox.base_container_image]
    #[arg(long, visible_alias = "base_image", value_name = "IMAGE")]
    pub base_image: Option<String>,
    /// What to put in: jupyter, vscode, browser, agent_skills. [config: sandbox.plugins]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub plugins: Option<Vec<String>>,
    /// Lines of a shell to run last, as root; @FILE reads them from a file. [config: sandbox.runtime_extra_deps]
    #[arg(long, visible_alias = "extra_deps", value_name = "LINES")]
    pub extra_deps: Option<String>,
    /// A variable that those lines see; may be repeated. [config: sandbox.image.build_args]
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    pub build_args: Vec<String>,
    /// Platform, as linux/amd64. [config: sandbox.platform]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// How packages are installed: apt, dnf, apk, zypper, none, auto. [config: sandbox.image.system]
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// Whom commands run as, as NAME:UID or NAME:UID:GID. [config: sandbox.image.user]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Where programs are taken from for a base without package manager. [config: sandbox.image.tools_image]
    #[arg(long, value_name = "IMAGE")]
    pub tools_image: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct ImageBuild {
    #[command(flatten)]
    pub inputs: ImageInputs,
    /// Only write the Dockerfile and its context into this folder. Needs no engine; the same inputs give
    /// the same bytes.
    #[arg(long, visible_alias = "build_folder", value_name = "DIR")]
    pub build_folder: Option<PathBuf>,
    /// Build everything anew, whatever is there.
    #[arg(long, visible_alias = "force_rebuild")]
    pub force_rebuild: bool,
    /// Who builds: auto, buildkit, classic. [config: sandbox.image.builder]
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<String>,
    /// Send all names to the registry that sandbox.image.repository names.
    #[arg(long)]
    pub push: bool,
    /// Print one JSON object on stdout: {"source","lock","versioned","id","built_from","seconds"}.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ImageList {
    /// Print a JSON list.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub inputs: ImageInputs,
}

#[derive(Debug, Args)]
pub struct ImageRemove {
    /// Names or ids.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    #[command(flatten)]
    pub inputs: ImageInputs,
}

#[derive(Debug, Args)]
pub struct ImagePrune {
    /// Only tell what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// Print a JSON list.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub inputs: ImageInputs,
}

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct ImageExplain {
    /// An image that is there; by default the one that the inputs lead to.
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the list of all packages in it, as CycloneDX 1.5 JSON; "-" is stdout.
    #[arg(long, value_name = "FILE")]
    pub sbom: Option<PathBuf>,
    #[command(flatten)]
    pub inputs: ImageInputs,
}
