//! Why an image could not be had, in words that a person can act on.

use std::path::Path;

use staithe_actors::images::maker::fault_of;
use staithe_engine::images::BuildFailed;
use staithe_image::{refs::RefDenied, render::RecipeDenied};
use staithe_protocol::{Fault, StartStep};

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeFailed {
    /// The inputs can't be put together.
    #[error("{0}")]
    Inputs(String),
    /// A name can't be one.
    #[error(transparent)]
    Name(#[from] RefDenied),
    /// No such image can be built on this base.
    #[error(transparent)]
    Recipe(#[from] RecipeDenied),
    #[error(transparent)]
    Build(#[from] BuildFailed),
    /// Something of this machine, named without its path: clients read it.
    #[error("{what} can't be used")]
    File { what: String, source: std::io::Error },
}

/// An error with all that is behind it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}

impl MakeFailed {
    /// As a fault of the step `build`; `log` is the whole log's place.
    pub(super) fn fault(&self, log: Option<&Path>) -> Fault {
        let (code, remedy, tail) = match self {
            Self::Inputs(_) | Self::Name(_) => (
                "sandbox.image_not_possible",
                "Correct the configuration (staithe config check)".to_owned(),
                Vec::new(),
            ),
            Self::Recipe(denied) => ("sandbox.image_not_possible", denied.remedy(), Vec::new()),
            Self::File { .. } => (
                "sandbox.image_build_failed",
                "Let the server's user read and write it, and free space there".to_owned(),
                Vec::new(),
            ),
            Self::Build(failed) => return of_build(failed, log),
        };
        fault(code, chain(self), remedy, tail)
    }
}

fn of_build(failed: &BuildFailed, log: Option<&Path>) -> Fault {
    // Where that is on the machine is not for everybody to know.
    let name = log.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let whole = name.map_or_else(String::new, |name| {
        format!("; all that it printed is in images/logs/{name} of the server's data directory")
    });
    let (code, remedy, tail) = match failed {
        BuildFailed::Engine(error) => return fault_of(StartStep::Build, error),
        BuildFailed::Step { tail, .. } => (
            "sandbox.image_build_failed",
            format!("See the lines below{whole}. Correct sandbox.runtime_extra_deps if it is one of its lines, then start again; finished stages are kept"),
            tail.clone(),
        ),
        BuildFailed::Base { .. } => (
            "sandbox.image_unavailable",
            "See that the base image's name and tag are right, and that the engine can fetch it (docker pull)".to_owned(),
            Vec::new(),
        ),
        BuildFailed::DiskFull { tail, .. } => (
            "sandbox.disk_full",
            format!("Free space where the engine keeps its data (staithe image prune, docker system prune){whole}"),
            tail.clone(),
        ),
        BuildFailed::TimedOut { tail, .. } => (
            "sandbox.image_build_timed_out",
            format!("Raise sandbox.image.build_timeout, or build ahead by `staithe image build`{whole}"),
            tail.clone(),
        ),
        BuildFailed::Cancelled => ("sandbox.image_build_cancelled", "Start the session again".to_owned(), Vec::new()),
        BuildFailed::Context(_) => (
            "sandbox.image_build_failed",
            "Let the server's user read the files that the configuration names".to_owned(),
            Vec::new(),
        ),
    };
    fault(code, chain(failed), remedy, tail)
}

fn fault(code: &str, cause: String, remedy: String, log_tail: Vec<String>) -> Fault {
    Fault { code: code.to_owned(), step: Some(StartStep::Build), cause, remedy, log_tail }
}
