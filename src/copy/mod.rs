//! `staithe cp`: files and folders into and out of a session's workspace.

mod bar;
mod down;
mod place;
mod up;
mod wake;
mod wire;

use std::{fmt::Display, path::Path, process::ExitCode, time::Duration};

use serde::Serialize;
use staithe_protocol::{SessionId, files::EntryType};

use self::{
    bar::Bar,
    place::{Place, below, name_of},
    wire::Server,
};
use crate::{
    cli::cp::{Cp, OnConflict},
    run::{Found, RunFailed, Start, find},
};

/// Wrong use (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// No server (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// How often something that is cut is tried again without anything more having come.
const MOST_TRIES: u32 = 8;
/// The first wait before another try; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
enum CopyFailed {
    #[error("{0}")]
    Usage(String),
    #[error("no server answers at {0}")]
    Unreachable(String),
    #[error("{detail} ({code})")]
    Refused { status: u16, code: String, detail: String },
    #[error("the connection was cut: {0}")]
    Cut(String),
    /// Something on this machine.
    #[error("{0}")]
    Here(String),
}

impl From<RunFailed> for CopyFailed {
    fn from(failed: RunFailed) -> Self {
        match failed {
            RunFailed::Usage(words) => Self::Usage(words),
            RunFailed::Unreachable(place) => Self::Unreachable(place),
            failed => Self::Here(failed.to_string()),
        }
    }
}

impl CopyFailed {
    fn cut(error: impl Display) -> Self {
        Self::Cut(error.to_string())
    }

    /// Whether more of an upload has come than this request thought: an earlier one was still under way.
    fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Refused { status: 409, code, .. } if code == "BAD_MESSAGE")
    }

    /// Whether it is worth another try.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Cut(_) => true,
            Self::Refused { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            Self::Usage(_) | Self::Here(_) => false,
        }
    }
}

/// One thing that was copied.
#[derive(Debug, Serialize)]
struct Copied {
    from: String,
    to: String,
    bytes: u64,
}

/// What all copies of one command share.
struct Course<'a> {
    server: Server,
    on_conflict: OnConflict,
    ignore: &'a [String],
    bar: Bar,
}

/// How often something is tried again.
struct Tries {
    left: u32,
    wait: Duration,
    came: u64,
}

impl Tries {
    fn new() -> Self {
        Self { left: MOST_TRIES, wait: FIRST_WAIT, came: 0 }
    }

    /// Waits, and asks how much has come; every progress makes all tries anew.
    async fn wait<F: Future<Output = Result<u64, CopyFailed>>>(
        &mut self,
        mut error: CopyFailed,
        came: u64,
        ask: impl Fn() -> F,
    ) -> Result<u64, CopyFailed> {
        self.progress(came);
        while self.left > 0 {
            self.left -= 1;
            tokio::time::sleep(self.wait).await;
            self.wait *= 2;
            match ask().await {
                Ok(came) => {
                    self.progress(came);
                    return Ok(came);
                }
                Err(again) if again.may_pass() => error = again,
                Err(again) => return Err(again),
            }
        }
        Err(error)
    }

    fn progress(&mut self, came: u64) {
        if came > self.came {
            *self = Self { left: MOST_TRIES, wait: FIRST_WAIT, came };
        }
    }
}

/// Runs it.
pub fn run(cp: &Cp) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(copy(cp)),
        Err(error) => Err(CopyFailed::Here(error.to_string())),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("staithe: {error}");
            match error {
                CopyFailed::Usage(_) => ExitCode::from(USAGE),
                CopyFailed::Unreachable(_) => ExitCode::from(UNAVAILABLE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Copies all; false if something could not be copied, which was told then.
async fn copy(cp: &Cp) -> Result<bool, CopyFailed> {
    let places: Result<Vec<Place>, String> =
        cp.paths.iter().map(|path| Place::parse(path, cp.session.as_deref())).collect();
    let mut sources = places.map_err(CopyFailed::Usage)?;
    let Some(target) = sources.pop() else { return Ok(true) };
    let Found { server, own } = find(&cp.server, Start::IfServedBefore).await?;
    let course = Course {
        server: Server { address: server.address, token: server.token },
        on_conflict: cp.on_conflict,
        ignore: &cp.ignore,
        bar: Bar::new(),
    };
    let copied = match wake::wake(&course.server, sources.iter().chain([&target])).await {
        Ok(slept) => {
            let copied = all(cp, &course, &sources, &target).await;
            wake::rest(&course.server, &slept).await;
            copied
        }
        Err(error) => Err(error),
    };
    if let Some(own) = own {
        own.end().await?;
    }
    copied
}

async fn all(
    cp: &Cp,
    course: &Course<'_>,
    sources: &[Place],
    target: &Place,
) -> Result<bool, CopyFailed> {
    let into_folder = is_folder(course, target, sources.len() > 1).await?;
    let mut copied = Vec::new();
    let mut all = true;
    for source in sources {
        match one(course, source, target, into_folder).await {
            Ok(done) => copied.push(done),
            Err(error @ (CopyFailed::Usage(_) | CopyFailed::Unreachable(_))) => return Err(error),
            Err(error) => {
                eprintln!("staithe: {error}");
                all = false;
            }
        }
    }
    course.bar.end();
    if cp.json {
        say(&serde_json::to_string(&copied).unwrap_or_default());
    }
    Ok(all)
}

/// Whether things keep their names in the target.
async fn is_folder(course: &Course<'_>, target: &Place, many: bool) -> Result<bool, CopyFailed> {
    Ok(match target {
        Place::Stdio => false,
        Place::Here(path) => many || path.ends_with('/') || Path::new(path).is_dir(),
        Place::There(id, path) => {
            many || path.ends_with('/')
                || course.server.stat(*id, path).await? == Some(EntryType::Dir)
        }
    })
}

async fn one(
    course: &Course<'_>,
    source: &Place,
    target: &Place,
    into_folder: bool,
) -> Result<Copied, CopyFailed> {
    // `dir/.` and the workspace itself have no name: their content is copied.
    let named = |path: &str, folder: &str| match name_of(path).filter(|_| into_folder) {
        Some(name) => below(folder, name),
        None => folder.to_owned(),
    };
    match (source, target) {
        (Place::Here(from), Place::There(id, to)) => {
            let to = named(from, to);
            let meta = std::fs::metadata(from)
                .map_err(|error| CopyFailed::Here(format!("{from}: {error}")))?;
            if meta.is_dir() {
                up::folder(course, from, (*id, &to)).await
            } else {
                up::file(course, from, (*id, &to)).await
            }
        }
        (Place::Stdio, Place::There(id, to)) => up::stdin(course, (*id, to)).await,
        (Place::There(id, from), Place::Here(to)) => {
            let to = named(from, to);
            if there(course, *id, from).await? == EntryType::Dir {
                down::folder(course, (*id, from), Path::new(&to)).await
            } else {
                down::file(course, (*id, from), Path::new(&to)).await
            }
        }
        (Place::There(id, from), Place::Stdio) => {
            let is_folder = there(course, *id, from).await? == EntryType::Dir;
            down::stdout(course, (*id, from), is_folder).await
        }
        _ => {
            let words = "one side has to be in a session (SESSION:path), and the other here";
            Err(CopyFailed::Usage(words.to_owned()))
        }
    }
}

async fn there(course: &Course<'_>, id: SessionId, path: &str) -> Result<EntryType, CopyFailed> {
    let kind = course.server.stat(id, path).await?;
    kind.ok_or_else(|| CopyFailed::Here(format!("{id}:{path} does not exist")))
}

#[expect(clippy::print_stdout, reason = "this is the command's answer")]
fn say(text: &str) {
    println!("{text}");
}
