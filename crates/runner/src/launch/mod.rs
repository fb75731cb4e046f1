//! The launcher of the `local` engine: puts the runner into a sandbox made of what the kernel grants
//! an ordinary user.
//!
//! ```text
//! engine ── runner launch SPEC         stage 1 (outer): leaves the host's namespaces, waits, forwards
//!              └─ runner launch-inner  stage 2 (inner): builds the root, drops everything, becomes
//!                   └─ runner serve    the runner: PID 1 of the sandbox
//! ```
//!
//! Each stage is a fresh, single-threaded process of this very binary, so nothing here forks. If
//! stage 1 dies, however it dies, the kernel kills stage 2, and with PID 1 every process in there.
//!
//! The tiers, from most to least: `namespaces` (own root, processes, users; Landlock and seccomp on
//! top), `landlock` (the host's files seen through Landlock; seccomp), `none`. Which one was reached
//! is written to the spec's `tier_report` when all of it stands.

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

mod drop;
mod etc;
mod fence;
mod inner;
mod loopback;
mod outer;
mod root;
mod seccomp;
mod spec;
mod syscalls;

pub use spec::{Network, Spec, Tier, TierReport};

/// Exit status: the asked-for isolation can't be had, or the spec can't be read.
pub const EXIT_REFUSED: u8 = 78;

/// The option with which stage 1 asks for a rehearsal of one tier; nothing is run then.
const TRY: &str = "--try";

/// A step that the machine refused.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFailed {
    /// The command line is not one that the launcher knows.
    #[error("usage: launch [--try TIER] SPEC")]
    Usage,
    /// The spec can't be read.
    #[error("can't read the spec {path}: {cause}")]
    Spec { path: PathBuf, cause: String },
    /// A system call was refused.
    #[error("can't {step}: {source}")]
    Step {
        step: String,
        #[source]
        source: io::Error,
    },
    /// The kernel lacks what the tier needs.
    #[error("{0}")]
    Lacking(&'static str),
}

/// Names the step that an error came from.
trait At<T> {
    fn at(self, step: impl Into<String>) -> Result<T, LaunchFailed>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: impl Into<String>) -> Result<T, LaunchFailed> {
        self.map_err(|e| LaunchFailed::Step { step: step.into(), source: e.into() })
    }
}

/// Stage 1: `launch [--try TIER] SPEC`. Returns when the sandbox has ended, with its exit status.
/// Must be called before any thread or runtime is there: the kernel lets only a single-threaded
/// process leave its user namespace.
pub fn main<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let tried = args.iter().position(|a| a == TRY).and_then(|at| args.get(at + 1));
    let result = match (tried.map(|t| t.to_str().and_then(Tier::parse)), args.last()) {
        (Some(None), _) | (_, None) => Err(LaunchFailed::Usage),
        (Some(Some(tier)), Some(spec)) => outer::run(&PathBuf::from(spec), Some(tier)),
        (None, Some(spec)) => outer::run(&PathBuf::from(spec), None),
    };
    conclude(result, tried.is_none())
}

/// Stage 2: `launch-inner TIER PARENT SPEC MODE`, called by stage 1 only. Returns only to report a
/// failure or a rehearsal.
pub fn inner<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let rehearsal = args.last().is_some_and(|mode| mode == TRY);
    let result =
        inner::Order::parse(&args).ok_or(LaunchFailed::Usage).and_then(|order| inner::run(&order));
    conclude(result.map(|()| ExitCode::SUCCESS), !rehearsal)
}

/// One clear line on stderr, which is the sandbox's log.
fn conclude(result: Result<ExitCode, LaunchFailed>, loud: bool) -> ExitCode {
    result.unwrap_or_else(|failed| {
        if loud {
            eprintln!("staithe launcher: {failed}");
        }
        ExitCode::from(EXIT_REFUSED)
    })
}
