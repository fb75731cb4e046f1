//! The command line.

pub mod cp;
pub mod image;
pub mod run;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{EngineChoice, load::Overrides};

/// A sandbox, an agent and one exact event stream for every browser session.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    arg_required_else_help = true,
    after_help = "Begin with: staithe doctor, then: staithe serve, or: staithe run \"what is to be done\""
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server. At the first start it prints a link that signs a browser in.
    Serve(Serve),
    /// Give an agent a task and watch it work, here in the terminal.
    Run(Box<run::Run>),
    /// Check what a server needs on this machine, and say what to do about what it lacks.
    Doctor(Doctor),
    /// Check or print the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Build, list, remove and explain the images that sandboxes are made of.
    Image(image::Image),
    /// Copy files and folders into and out of a session's workspace.
    Cp(cp::Cp),
    /// Export a session's events.
    Session(run::Session),
    /// Show an exported session as `run` would have shown it.
    Replay(run::Replay),
    /// Operate a running server: list, show, stop and delete sessions, drain, reconcile.
    Admin(Admin),
    /// Print a new link that signs a browser in once, as an operator.
    LoginLink(DataDir),
    /// Make a new signing key. Tokens signed before stay valid until they expire.
    RotateKeys(DataDir),
}

/// Where the configuration comes from, and what overrides it.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct Files {
    /// A TOML file; only what differs from the shipped config.toml needs to be in it.
    #[arg(long, value_name = "FILE", env = "STAITHE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address and port of the pages and the API; port 0 picks a free one. [config: server.listen]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Address and port of the origin for sandbox content. [config: server.sandbox_listen]
    #[arg(long, value_name = "ADDR:PORT")]
    pub sandbox_listen: Option<SocketAddr>,
    /// Where everything is kept. [config: server.data_dir]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Who makes sandboxes. [config: sandbox.engine]
    #[arg(long, value_enum)]
    pub engine: Option<EngineChoice>,
}

impl Files {
    /// The flags as values of the configuration.
    pub fn overrides(&self) -> Overrides {
        let engine = self.engine.map(|engine| format!("{engine:?}").to_lowercase());
        let values = [
            ("server.listen", self.listen.map(|listen| listen.to_string())),
            ("server.sandbox_listen", self.sandbox_listen.map(|listen| listen.to_string())),
            ("server.data_dir", self.data_dir.as_ref().map(|dir| dir.display().to_string())),
            ("sandbox.engine", engine),
        ];
        Overrides(values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help prints the text as it is")]
pub struct Serve {
    #[command(flatten)]
    pub files: Files,
    /// Print one line of JSON on stdout once the server answers, and nothing else there:
    /// {"url","sandbox_url","login_url","token"}. The token is an operator's, for this run.
    #[arg(long)]
    pub ready_json: bool,
}

impl std::ops::Deref for Serve {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

/// What `staithe doctor --help` says at its end.
const DOCTOR_HELP: &str = "\
It looks at the configuration, the data directory and its disk, the ports, the
clock and Docker (or Podman); where that is not used, at what the kernel grants
local sandboxes. It makes nothing that stays and fetches nothing. Run it as the
user that the server runs as, with the same flags and environment.

  ok    as it should be
  warn  the server starts, but see the line with the arrow
  fail  the server does not start, or makes no sandbox: do what the arrow says

Exit code: 0 nothing failed, 1 something failed.

Examples:
  staithe doctor                                 what `staithe serve` would meet
  staithe doctor --config /etc/staithe.toml      the same with a configuration
  sudo -u staithe staithe doctor --engine docker   as its user; Docker must work
  staithe doctor --json | jq '.[] | select(.status != \"ok\")'";

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub struct Doctor {
    #[command(flatten)]
    pub files: Files,
    /// Print a JSON list of {"check","status","found","remedy"} instead of lines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration; print everything that is wrong with it and exit with 64.
    Check(Files),
    /// Print the effective configuration, secrets masked.
    Show(Files),
}

#[derive(Clone, Debug, Args)]
pub struct DataDir {
    /// The server's data directory, if not the default one.
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Admin {
    /// The server's address; by default that of the server which last ran on the data directory.
    #[arg(long, value_name = "URL", env = "STAITHE_URL", global = true)]
    pub url: Option<String>,
    /// An operator's token; by default one is signed for the server that runs on the data directory, and for no other.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "STAITHE_TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub token: Option<String>,
    #[command(flatten)]
    pub data_dir: DataDir,
    /// Print the server's JSON as it is.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// List sessions.
    Sessions {
        /// Only those in this phase.
        #[arg(long)]
        phase: Option<String>,
        /// Only those whose title, id, owner or labels contain this.
        #[arg(long)]
        query: Option<String>,
    },
    /// Show one session whole: phase, fault, clients with their lag, start steps with times.
    Show { id: String },
    /// Print the last lines of a sandbox's own log.
    Log { id: String },
    /// End a session's sandbox; workspace and events stay.
    Stop { id: String },
    /// Delete a session: sandbox, workspace and events.
    Delete { id: String },
    /// Take no new sessions and let running ones sleep.
    Drain,
    /// Compare sessions with sandboxes now, and mend.
    Reconcile,
    /// Print the configuration that the server runs with, secrets masked.
    Config,
}
