//! One call of the engine's API: its deadline, and what its failure means.

use std::{io, time::Duration};

use bollard::errors::Error;
use tokio::time::timeout;

use crate::{EngineFailed, chain::chain};

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such thing.
    NotFound(String),
    /// A name is taken, or something is in a state that doesn't allow it.
    Conflict(String),
    /// The engine refused or could not.
    Refused(String),
    /// The engine can't be connected to: nothing was done.
    Unreachable(String),
    /// The connection ended before the answer: it may have been done.
    Cut(String),
    /// No answer in time: it may be done yet.
    TimedOut(Duration),
}

/// Waits for a call, `deadline` at most.
pub(super) async fn call<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(deadline, call).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(Failure::TimedOut(deadline)),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                let message = message.trim().to_owned();
                match status_code {
                    404 => Self::NotFound(message),
                    409 => Self::Conflict(message),
                    _ => Self::Refused(message),
                }
            }
            Error::HyperLegacyError { err } if err.is_connect() => Self::Unreachable(chain(&err)),
            Error::SocketNotFoundError(path) => Self::Unreachable(format!("{path} is not there")),
            Error::RequestTimeoutError => Self::TimedOut(Duration::ZERO),
            Error::DockerStreamError { error } => Self::Refused(error),
            other => Self::Cut(chain(&other)),
        }
    }
}

impl Failure {
    /// Whether the call may have had its effect all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::TimedOut(_))
    }

    /// Whether a network was looked for and is gone.
    pub(super) fn is_about_a_network(&self) -> bool {
        let (Self::NotFound(words) | Self::Refused(words)) = self else { return false };
        let words = words.to_lowercase();
        words.contains("network") && words.contains("not found")
    }

    /// In words.
    pub(super) fn words(self) -> String {
        match self {
            Self::NotFound(words)
            | Self::Conflict(words)
            | Self::Refused(words)
            | Self::Unreachable(words)
            | Self::Cut(words) => words,
            Self::TimedOut(limit) => format!("no answer within {} s", limit.as_secs_f32()),
        }
    }

    /// As an engine's failure of an operation on `name`.
    pub(super) fn of(self, operation: &'static str, name: &str) -> EngineFailed {
        let (kind, message) = match self {
            Self::Unreachable(cause) => return unreachable(&cause),
            Self::NotFound(message) => (io::ErrorKind::NotFound, message),
            Self::Conflict(message) => (io::ErrorKind::AlreadyExists, message),
            Self::Refused(message) => (kind_of(&message), message),
            Self::Cut(cause) => (
                io::ErrorKind::ConnectionAborted,
                format!("the engine ended the connection before it answered ({cause})"),
            ),
            Self::TimedOut(limit) => (
                io::ErrorKind::TimedOut,
                format!("the engine did not answer within {} s", limit.as_secs_f32()),
            ),
        };
        let remedy = remedy_of(kind, &message).to_owned();
        let source = io::Error::new(kind, message);
        EngineFailed::Operation { operation, name: name.to_owned(), source, remedy }
    }
}

/// The engine is down, or not for us.
pub(super) fn unreachable(cause: &str) -> EngineFailed {
    let remedy = if cause.contains("ermission denied") {
        "Let the server's user use the engine's socket (for instance: add it to the group docker, and start it again)"
    } else {
        "Start the engine (for instance: systemctl start docker), or set sandbox.docker.host"
    };
    super::unavailable(cause.to_owned(), remedy)
}

fn kind_of(message: &str) -> io::ErrorKind {
    let message = message.to_lowercase();
    if message.contains("no space left") || message.contains("quota exceeded") {
        io::ErrorKind::StorageFull
    } else if message.contains("permission denied") {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    }
}

/// What to do, by what engines are known to say.
fn remedy_of(kind: io::ErrorKind, message: &str) -> &'static str {
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match kind {
        io::ErrorKind::StorageFull => {
            "Free space where the engine keeps its data (docker system df; docker system prune)"
        }
        io::ErrorKind::TimedOut => {
            "See whether the engine works (docker info) and what the machine is busy with; restart the engine if it hangs"
        }
        io::ErrorKind::ConnectionAborted => {
            "The engine may have been restarted: start the session again, and read the engine's log if it happens again"
        }
        _ if says(&["storage-opt"]) => {
            "Set sandbox.docker.disk to \"0\": the engine's storage can't limit disks (it needs overlay2 on xfs with pquota, or btrfs or zfs)"
        }
        _ if says(&["runtime name", "unknown or invalid runtime"]) => {
            "Install that runtime for the engine, or set sandbox.docker.runtime to \"\""
        }
        _ if says(&["address pool", "overlaps with other one"]) => {
            "Set sandbox.docker.network_pool to addresses that nothing on this machine uses"
        }
        _ if says(&["could not select device driver", "nvidia"]) => {
            "Install the NVIDIA container toolkit, or set sandbox.docker.gpus to 0"
        }
        _ if says(&["bind source path does not exist", "invalid mount config"]) => {
            "See that the folders of sandbox.docker.extra_mounts and sandbox.workspace_mount_path are there"
        }
        _ if says(&["network", "not found"]) && lower.contains("network") => {
            "Start the session again: its network is made anew"
        }
        _ if says(&["exec format error", "platform"]) => {
            "Use an image of this machine's architecture"
        }
        _ if says(&["unable to find user", "no matching entries in passwd"]) => {
            "Set sandbox.docker.user to a user of that image, or to UID:GID"
        }
        _ if says(&["cgroup", "cpuset", "minimum memory"]) => {
            "See the limits in sandbox.docker; `staithe doctor` tells what the engine can hold"
        }
        _ => "Read the engine's log; `staithe doctor` looks for usual causes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> Failure {
        Error::DockerResponseServerError { status_code, message: message.into() }.into()
    }

    #[test]
    fn what_engines_say_becomes_a_remedy() {
        for (message, word) in [
            ("mkdir /var/lib/docker/x: no space left on device", "Free space"),
            ("unknown or invalid runtime name: runsc", "sandbox.docker.runtime"),
            (
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
                "sandbox.docker.disk",
            ),
            ("Pool overlaps with other one on this address space", "network_pool"),
            ("could not select device driver \"\" with capabilities: [[gpu]]", "gpus"),
            ("network staithe-x not found", "made anew"),
            ("something new", "staithe doctor"),
        ] {
            let EngineFailed::Operation { remedy, .. } = answer(500, message).of("start", "x")
            else {
                panic!("{message}");
            };
            assert!(remedy.contains(word), "{message}: {remedy}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_at_its_deadline() {
        let limit = Duration::from_mins(1);
        let failure = call::<()>(limit, std::future::pending()).await.expect_err("it hangs");
        assert!(failure.may_have_happened());
        let EngineFailed::Operation { source, .. } = failure.of("create", "x") else { panic!() };
        assert_eq!(source.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn statuses_keep_their_meaning() {
        assert!(matches!(answer(404, "x"), Failure::NotFound(_)));
        assert!(matches!(answer(409, "x"), Failure::Conflict(_)));
        assert!(!answer(500, "x").may_have_happened());
    }
}
